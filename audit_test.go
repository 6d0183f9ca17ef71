package adg_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
)

func TestChainedEntryKeepsWhatItSaysAndNamesTheOneBefore(t *testing.T) {
	at := time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.FixedZone("east", 3600))
	e := adg.AuditEntry{Seq: 7, At: at, Actor: "alice", Detail: map[string]string{"a": "b"}, Prev: "wrong", Digest: "wrong"}
	got := e.Chained("before")
	want := e
	want.At, want.Prev, want.Digest = time.Date(2026, 1, 2, 2, 4, 5, 123456000, time.UTC), "before", got.Digest
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if len(got.Digest) != 64 || strings.Trim(got.Digest, "0123456789abcdef") != "" {
		t.Errorf("the digest is %q", got.Digest)
	}
	if again := got.Chained("before"); again.Digest != got.Digest {
		t.Error("chained again it has another digest")
	}
	if e.Prev != "wrong" {
		t.Error("the caller's entry was changed")
	}
}

// The digest must not change with the program: entries that are on record were digested by older ones.
func TestDigestIsTheOneThatIsOnRecordSinceEver(t *testing.T) {
	e := adg.AuditEntry{
		Seq: 2, At: time.Date(2026, 1, 2, 3, 4, 5, 600000000, time.UTC), Actor: "alice", From: "192.0.2.1", Action: "policy.put", Resource: "policy/shop",
		Service: "shop", Environment: "production", Outcome: adg.AuditDenied, Reason: "ein Grund <&>", Detail: map[string]string{"b": "2", "a": "1"},
	}
	const want = "79b55340a00451aee7b267115d7a7ac5f8609db7868813a28370e222066c9a64"
	if got := e.Chained("abc").Digest; got != want {
		t.Errorf("the digest is %s, want %s", got, want)
	}
}

func TestEveryFieldOfAnEntryIsInItsDigest(t *testing.T) {
	e := adg.AuditEntry{Seq: 1, At: time.Unix(1, 0)}
	seen := map[string]string{e.Chained("").Digest: "nothing"}
	for what, change := range map[string]func(*adg.AuditEntry){
		"seq":          func(e *adg.AuditEntry) { e.Seq = 2 },
		"at":           func(e *adg.AuditEntry) { e.At = e.At.Add(time.Microsecond) },
		"actor":        func(e *adg.AuditEntry) { e.Actor = "x" },
		"from":         func(e *adg.AuditEntry) { e.From = "x" },
		"action":       func(e *adg.AuditEntry) { e.Action = "x" },
		"resource":     func(e *adg.AuditEntry) { e.Resource = "x" },
		"service":      func(e *adg.AuditEntry) { e.Service = "x" },
		"environment":  func(e *adg.AuditEntry) { e.Environment = "x" },
		"outcome":      func(e *adg.AuditEntry) { e.Outcome = adg.AuditDone },
		"reason":       func(e *adg.AuditEntry) { e.Reason = "x" },
		"detail":       func(e *adg.AuditEntry) { e.Detail = map[string]string{"x": ""} },
		"detail's":     func(e *adg.AuditEntry) { e.Detail = map[string]string{"": "x"} },
		"the previous": nil,
	} {
		changed, prev := e, ""
		if change != nil {
			change(&changed)
		} else {
			prev = "x"
		}
		digest := changed.Chained(prev).Digest
		if other, known := seen[digest]; known {
			t.Errorf("with %s changed the digest is that of %s", what, other)
		}
		seen[digest] = what
	}
}

func TestLogThatWasTamperedWithIsFoundAtTheFirstWrongEntry(t *testing.T) {
	for _, c := range []struct {
		name   string
		tamper func([]adg.AuditEntry) []adg.AuditEntry
		says   string
	}{
		{"as it was written", func(all []adg.AuditEntry) []adg.AuditEntry { return all }, ""},
		{"no entries", func([]adg.AuditEntry) []adg.AuditEntry { return nil }, ""},
		{"the last ones cut off, which the chain cannot tell", func(all []adg.AuditEntry) []adg.AuditEntry { return all[:2] }, ""},
		{"the first changed", changed(0), "audit entry 1 was changed"},
		{"one in the middle changed", changed(2), "audit entry 3 was changed"},
		{"the last changed", changed(4), "audit entry 5 was changed"},
		{"one changed, with a new digest", func(all []adg.AuditEntry) []adg.AuditEntry {
			all[2].Actor = "mallory"
			all[2] = all[2].Chained(all[2].Prev)
			return all
		}, "audit entry 4 does not follow"},
		{"the first removed", func(all []adg.AuditEntry) []adg.AuditEntry { return all[1:] }, "audit entry 1 is missing"},
		{"one in the middle removed", func(all []adg.AuditEntry) []adg.AuditEntry { return slices.Delete(all, 2, 3) }, "audit entry 3 is missing: 4"},
		{"one removed and the rest numbered anew", func(all []adg.AuditEntry) []adg.AuditEntry {
			all = slices.Delete(all, 2, 3)
			for i := range all {
				all[i].Seq = int64(i + 1)
			}
			return all
		}, "audit entry 3 does not follow"},
		{"one inserted", func(all []adg.AuditEntry) []adg.AuditEntry {
			e := adg.AuditEntry{Seq: 3, Actor: "mallory"}.Chained(all[1].Digest)
			return slices.Insert(all, 2, e)
		}, "audit entry 4 is missing: 3"},
		{"one inserted in front", func(all []adg.AuditEntry) []adg.AuditEntry {
			return slices.Insert(all, 0, adg.AuditEntry{Seq: 0}.Chained(""))
		}, "audit entry 1 is missing: 0"},
		{"one twice", func(all []adg.AuditEntry) []adg.AuditEntry { return slices.Insert(all, 2, all[1]) }, "audit entry 3 is missing: 2"},
		{"two reordered", func(all []adg.AuditEntry) []adg.AuditEntry {
			all[1], all[2] = all[2], all[1]
			return all
		}, "audit entry 2 is missing: 3"},
		{"another first entry", func(all []adg.AuditEntry) []adg.AuditEntry {
			all[0] = adg.AuditEntry{Seq: 1, Actor: "mallory"}.Chained("")
			return all
		}, "audit entry 2 does not follow"},
		{"a first entry that follows one", func(all []adg.AuditEntry) []adg.AuditEntry {
			all[0] = all[0].Chained("abc")
			return all
		}, "audit entry 1 does not follow"},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := adg.VerifyAudit(0, "", c.tamper(chain(5)))
			if c.says == "" {
				if err != nil {
					t.Error(err)
				}
				return
			}
			if err == nil || adg.CodeOf(err) != adg.Conflict || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v, want %q", err, c.says)
			}
		})
	}
}

func TestPageOfTheLogIsCheckedAgainstTheEntryBeforeIt(t *testing.T) {
	all := chain(5)
	if err := adg.VerifyAudit(2, all[1].Digest, all[2:]); err != nil {
		t.Error(err)
	}
	if err := adg.VerifyAudit(2, all[0].Digest, all[2:]); err == nil {
		t.Error("it followed another entry")
	}
	if err := adg.VerifyAudit(1, all[1].Digest, all[2:]); err == nil {
		t.Error("it followed another number")
	}
}

func TestAnyChangeOfAnyLogIsFound(t *testing.T) {
	word := rapid.StringN(0, 5, 20)
	rapid.Check(t, func(r *rapid.T) {
		var all []adg.AuditEntry
		prev := ""
		for i := range rapid.IntRange(1, 8).Draw(r, "entries") {
			e := adg.AuditEntry{
				Seq: int64(i + 1), At: time.Unix(rapid.Int64Range(0, 1<<33).Draw(r, "at"), 0), Actor: word.Draw(r, "actor"), Action: word.Draw(r, "action"),
				Reason: word.Draw(r, "reason"), Detail: rapid.MapOfN(word, word, 0, 3).Draw(r, "detail"),
			}.Chained(prev)
			all, prev = append(all, e), e.Digest
		}
		if err := adg.VerifyAudit(0, "", all); err != nil {
			r.Fatal(err)
		}
		i := rapid.IntRange(0, len(all)-1).Draw(r, "which")
		e := all[i]
		e.Detail = maps.Clone(e.Detail)
		switch rapid.IntRange(0, 4).Draw(r, "how") {
		case 0:
			e.Actor += "x"
		case 1:
			e.At = e.At.Add(time.Duration(rapid.IntRange(1, 1000).Draw(r, "later")) * time.Microsecond)
		case 2:
			e.Detail = map[string]string{"a key that is not there": word.Draw(r, "value")}
		case 3:
			e.Actor, e.Action = e.Actor+"|", "|"+e.Action
		case 4:
			e.Seq++
		}
		all[i] = e
		err := adg.VerifyAudit(0, "", all)
		if want := fmt.Sprintf("audit entry %d ", i+1); err == nil || !strings.Contains(err.Error(), want) {
			r.Fatalf("got %v, want %q", err, want)
		}
	})
}

// chain is a log of n entries.
func chain(n int) (all []adg.AuditEntry) {
	prev := ""
	for i := range n {
		e := adg.AuditEntry{Seq: int64(i + 1), At: time.Unix(int64(i), 0), Actor: "alice", Action: "policy.put", Detail: map[string]string{"a": "b"}}.Chained(prev)
		all, prev = append(all, e), e.Digest
	}
	return all
}

func changed(i int) func([]adg.AuditEntry) []adg.AuditEntry {
	return func(all []adg.AuditEntry) []adg.AuditEntry {
		all[i].Actor = "mallory"
		return all
	}
}
