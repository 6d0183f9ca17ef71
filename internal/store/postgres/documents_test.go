package postgres

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/postgres/pgtest"
)

func TestDocumentsAreWrittenInTheVersionThatWasRead(t *testing.T) {
	s := opened(t, fresh(t))
	ctx := t.Context()
	write := func(w adg.Write, want adg.Code) {
		t.Helper()
		_, err := s.WriteDocuments(ctx, []adg.Write{w})
		if want == adg.Internal {
			must(t, err)
		} else if adg.CodeOf(err) != want {
			t.Errorf("got %v, want %s", err, want)
		}
	}
	a := adg.Document{Kind: "policy", Key: "a", Data: []byte{0, 255}}
	write(adg.Write{Document: a, If: 1}, adg.Conflict)
	write(adg.Write{Document: a, If: 1, Drop: true}, adg.Conflict)
	write(adg.Write{Document: a}, adg.Internal)
	write(adg.Write{Document: a}, adg.Conflict)
	write(adg.Write{Document: a, If: 1}, adg.Internal)
	write(adg.Write{Document: a, If: 1}, adg.Conflict)
	write(adg.Write{Document: a, If: adg.AnyVersion}, adg.Internal)
	got, err := s.Document(ctx, "policy", "a")
	must(t, err)
	now, err := s.Now(ctx)
	must(t, err)
	if got.Version != 3 || string(got.Data) != string(a.Data) || now.Sub(got.Updated) > time.Minute || !got.Expires.IsZero() {
		t.Errorf("read %+v", got)
	}
	write(adg.Write{Document: a, If: 2, Drop: true}, adg.Conflict)
	write(adg.Write{Document: a, If: 3, Drop: true}, adg.Internal)
	write(adg.Write{Document: a, If: adg.AnyVersion, Drop: true}, adg.Internal)
	if _, err := s.Document(ctx, "policy", "a"); adg.CodeOf(err) != adg.NotFound {
		t.Errorf("dropped, and read: %v", err)
	}
	write(adg.Write{Document: adg.Document{Kind: "policy"}}, adg.Invalid)
	write(adg.Write{Document: adg.Document{Kind: "policy", Key: "a\x00b"}}, adg.Invalid)
	write(adg.Write{Document: adg.Document{Kind: "model", Key: "big", Data: make([]byte, adg.MaxDocument+1)}}, adg.Invalid)
}

func TestExpiredDocumentIsAsGoodAsDropped(t *testing.T) {
	dsn := fresh(t)
	s, advance := opened(t, dsn), advancing(t, dsn)
	ctx := t.Context()
	now, err := s.Now(ctx)
	must(t, err)
	d := adg.Document{Kind: "session", Key: "a", Expires: now.Add(time.Hour)}
	stay := adg.Document{Kind: "session", Key: "b"}
	_, err = s.WriteDocuments(ctx, []adg.Write{{Document: d}, {Document: stay}, {Document: d, If: 1}})
	must(t, err)
	if gone, err := s.Purge(ctx, 10); err != nil || gone != 0 {
		t.Errorf("%d went before their time, %v", gone, err)
	}
	advance(time.Hour)
	if _, err := s.Document(ctx, "session", "a"); adg.CodeOf(err) != adg.NotFound {
		t.Errorf("expired, and read: %v", err)
	}
	all, err := s.ListDocuments(ctx, adg.DocumentFilter{Kind: "session"})
	if err != nil || len(all) != 1 || all[0].Key != "b" {
		t.Errorf("listed %v, %v", all, err)
	}
	d.Expires = now.Add(2 * time.Hour)
	put, err := s.WriteDocuments(ctx, []adg.Write{{Document: d}})
	if err != nil || len(put) != 1 || put[0].Version != 1 {
		t.Errorf("created anew: %v, %v", put, err)
	}
	advance(time.Hour)
	if gone, err := s.Purge(ctx, 10); err != nil || gone != 1 {
		t.Errorf("%d went, %v", gone, err)
	}
}

func TestDocumentsAreListedInTheOrderOfTheirBytes(t *testing.T) {
	s := opened(t, fresh(t))
	var writes []adg.Write
	for _, key := range []string{"b", "a/1", "a/2", "B", "é", "a", "a%", "a/é"} {
		writes = append(writes, adg.Write{Document: adg.Document{Kind: "k", Key: key, Data: []byte(key)}})
	}
	put, err := s.WriteDocuments(t.Context(), append(writes, adg.Write{Document: adg.Document{Kind: "other", Key: "a/3"}}))
	must(t, err)
	if put[2].Key != "a/2" {
		t.Errorf("not in the order of the writes: %v", put)
	}
	for name, c := range map[string]struct {
		filter adg.DocumentFilter
		want   string
	}{
		"all":                  {adg.DocumentFilter{}, "B a a% a/1 a/2 a/é b é"},
		"below a folder":       {adg.DocumentFilter{Prefix: "a/"}, "a/1 a/2 a/é"},
		"a page":               {adg.DocumentFilter{Limit: 2, After: "a"}, "a% a/1"},
		"a page of a folder":   {adg.DocumentFilter{Prefix: "a/", After: "a/1", Bare: true}, "a/2 a/é"},
		"a sign of a pattern":  {adg.DocumentFilter{Prefix: "a%"}, "a%"},
		"what does not exist":  {adg.DocumentFilter{Prefix: "zz"}, ""},
		"the end of the pages": {adg.DocumentFilter{After: "é"}, ""},
	} {
		t.Run(name, func(t *testing.T) {
			c.filter.Kind = "k"
			all, err := s.ListDocuments(t.Context(), c.filter)
			must(t, err)
			var keys []string
			for _, d := range all {
				keys = append(keys, d.Key)
				if bare := len(d.Data) == 0; bare != c.filter.Bare {
					t.Errorf("%s has %d bytes", d.Key, len(d.Data))
				}
			}
			if got := strings.Join(keys, " "); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
	if _, err := s.ListDocuments(t.Context(), adg.DocumentFilter{}); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("of no kind: %v", err)
	}
}

func TestOfWritersOfTheSameVersionOneSucceeds(t *testing.T) {
	dsn := fresh(t)
	stores := []*Store{opened(t, dsn), opened(t, dsn)}
	for version := range int64(3) {
		var won, lost atomic.Int64
		var all sync.WaitGroup
		for i := range 10 {
			all.Go(func() {
				d := adg.Document{Kind: "k", Key: "a", Data: fmt.Append(nil, i)}
				_, err := stores[i%2].WriteDocuments(context.Background(), []adg.Write{{Document: d, If: version}}, adg.AuditEntry{Actor: fmt.Sprint(i)})
				switch {
				case err == nil:
					won.Add(1)
				case adg.CodeOf(err) == adg.Conflict:
					lost.Add(1)
				default:
					t.Error(err)
				}
			})
		}
		all.Wait()
		if won.Load() != 1 || lost.Load() != 9 {
			t.Errorf("%d won and %d lost", won.Load(), lost.Load())
		}
	}
	entries, err := stores[0].Audit(t.Context(), adg.AuditFilter{})
	if err != nil || len(entries) != 3 {
		t.Errorf("%d entries of 3 writes, %v", len(entries), err)
	}
}

func TestWhatIsOnRecordIsWhatHappened(t *testing.T) {
	s := opened(t, fresh(t))
	d := adg.Document{Kind: "k", Key: "a"}
	_, err := s.WriteDocuments(t.Context(), []adg.Write{{Document: d}, {Document: d}}, adg.AuditEntry{Actor: "alice"})
	if adg.CodeOf(err) != adg.Conflict {
		t.Errorf("created twice: %v", err)
	}
	_, err = s.WriteDocuments(t.Context(), []adg.Write{{Document: d}}, adg.AuditEntry{Outcome: 99})
	if adg.CodeOf(err) != adg.Invalid {
		t.Errorf("an entry that cannot be stored: %v", err)
	}
	if _, err := s.Document(t.Context(), "k", "a"); adg.CodeOf(err) != adg.NotFound {
		t.Errorf("half of it was written: %v", err)
	}
	if all, err := s.Audit(t.Context(), adg.AuditFilter{}); err != nil || len(all) != 0 {
		t.Errorf("on record: %v, %v", all, err)
	}
}

func TestAuditEntriesFollowEachOtherWhoeverAppends(t *testing.T) {
	dsn := fresh(t)
	stores := []*Store{opened(t, dsn), opened(t, dsn)}
	var all sync.WaitGroup
	for i := range 12 {
		all.Go(func() {
			for n := range 5 {
				e := adg.AuditEntry{Actor: fmt.Sprint("a", i), Action: "test", Outcome: adg.AuditDone, Detail: map[string]string{"n": fmt.Sprint(n), "<&>": "é\x00"}}
				if _, err := stores[i%2].AppendAudit(context.Background(), e, e); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	log, err := stores[0].Audit(t.Context(), adg.AuditFilter{Limit: 1000})
	must(t, err)
	if len(log) != 120 {
		t.Errorf("%d entries, want 120", len(log))
	}
	must(t, adg.VerifyAudit(0, "", log))
	if !slices.IsSortedFunc(log, func(a, b adg.AuditEntry) int { return a.At.Compare(b.At) }) {
		t.Error("the times are not in the order of the entries")
	}
	for name, statement := range map[string]string{
		"an actor who was changed":   "UPDATE audit SET actor = 'mallory' WHERE seq = 7",
		"a time that was changed":    "UPDATE audit SET at = at + 1000 WHERE seq = 7",
		"a line that was taken out":  "DELETE FROM audit WHERE seq = 7",
		"a service that was changed": "UPDATE audit SET service = 's' WHERE seq = 7",
	} {
		t.Run(name, func(t *testing.T) {
			pgtest.Exec(t, dsn, "SET session_replication_role = replica", "CREATE TABLE before AS TABLE audit", statement)
			log, err := stores[0].Audit(t.Context(), adg.AuditFilter{Limit: 1000})
			must(t, err)
			if err := adg.VerifyAudit(0, "", log); adg.CodeOf(err) != adg.Conflict || !strings.Contains(err.Error(), "7") {
				t.Errorf("got %v", err)
			}
			pgtest.Exec(t, dsn, "SET session_replication_role = replica", "TRUNCATE audit", "INSERT INTO audit TABLE before", "DROP TABLE before")
		})
	}
}

func TestAuditLogIsAppendOnly(t *testing.T) {
	s := opened(t, fresh(t))
	_, err := s.AppendAudit(t.Context(), adg.AuditEntry{Actor: "alice"})
	must(t, err)
	for _, statement := range []string{"UPDATE audit SET actor = 'mallory'", "DELETE FROM audit", "TRUNCATE audit"} {
		if _, err := s.pool.Exec(t.Context(), statement); err == nil || !strings.Contains(err.Error(), "append-only") {
			t.Errorf("%s: %v", statement, err)
		}
	}
}

func TestAuditIsFiltered(t *testing.T) {
	dsn := fresh(t)
	s, advance := opened(t, dsn), advancing(t, dsn)
	ctx := t.Context()
	begin, err := s.Now(ctx)
	must(t, err)
	for i, e := range []adg.AuditEntry{
		{Actor: "alice", Action: "policy.put", Resource: "policy/a", Service: "shop", Environment: "production", Outcome: adg.AuditDone, Reason: "why", From: "10.0.0.1"},
		{Actor: "bob", Action: "policy.drop", Resource: "policy/a", Service: "shop", Environment: "staging", Outcome: adg.AuditDenied},
		{Actor: "alice", Action: "policyholder", Resource: "policy/b", Outcome: adg.AuditFailed, Detail: map[string]string{"a": "b"}},
	} {
		advance(time.Hour)
		stored, err := s.AppendAudit(ctx, e)
		must(t, err)
		back, err := s.Audit(ctx, adg.AuditFilter{After: int64(i)})
		must(t, err)
		if diff := cmp.Diff(stored, back); diff != "" {
			t.Errorf("not read back as it was stored: %s", diff)
		}
	}
	for name, c := range map[string]struct {
		filter adg.AuditFilter
		want   []int64
	}{
		"everything":              {adg.AuditFilter{}, []int64{1, 2, 3}},
		"of an actor":             {adg.AuditFilter{Actor: "alice"}, []int64{1, 3}},
		"one action":              {adg.AuditFilter{Action: "policy.put"}, []int64{1}},
		"the actions below":       {adg.AuditFilter{Action: "policy."}, []int64{1, 2}},
		"of a resource":           {adg.AuditFilter{Resource: "policy/a"}, []int64{1, 2}},
		"of a service":            {adg.AuditFilter{Service: "shop", Environment: "staging"}, []int64{2}},
		"of a time":               {adg.AuditFilter{From: begin.Add(90 * time.Minute), To: begin.Add(150 * time.Minute)}, []int64{2}},
		"the newest":              {adg.AuditFilter{Newest: true, Limit: 2}, []int64{3, 2}},
		"those before the newest": {adg.AuditFilter{Newest: true, After: 2}, []int64{1}},
		"a page":                  {adg.AuditFilter{After: 1, Limit: 1}, []int64{2}},
	} {
		t.Run(name, func(t *testing.T) {
			log, err := s.Audit(ctx, c.filter)
			must(t, err)
			var got []int64
			for _, e := range log {
				got = append(got, e.Seq)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("got %v, want %v", got, c.want)
			}
		})
	}
	if _, err := s.AppendAudit(ctx, make([]adg.AuditEntry, maxWrites+1)...); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("too many at once: %v", err)
	}
}

func TestStopHoldsForItsScopeAndTheWidestIsNamed(t *testing.T) {
	s := opened(t, fresh(t))
	ctx := t.Context()
	create(t, s, "d0", "shop")
	stopped := func(want string) {
		t.Helper()
		f, err := s.Fleet(ctx, "bench", "d0")
		must(t, err)
		if f.Stopped != want {
			t.Errorf("stopped by %q, want %q", f.Stopped, want)
		}
	}
	scopes := []adg.Scope{{Service: "shop", Environment: "bench"}, {Service: "shop"}, {Environment: "bench"}, {}}
	must(t, s.StopLine(ctx, adg.Stop{Scope: adg.Scope{Service: "cart"}, Actor: "x"}))
	must(t, s.StopLine(ctx, adg.Stop{Scope: adg.Scope{Environment: "else"}, Actor: "x"}))
	stopped("")
	for i, scope := range scopes {
		must(t, s.StopLine(ctx, adg.Stop{Scope: scope, Actor: fmt.Sprint("a", i), Reason: "why"}))
		stopped(fmt.Sprintf("a%d: why", i))
	}
	all, err := s.Stops(ctx)
	must(t, err)
	if len(all) != 6 || all[0].Scope != scopes[3] || all[5].Scope != scopes[0] || all[0].At.IsZero() {
		t.Errorf("in force: %+v", all)
	}
	for i := len(scopes) - 1; i >= 0; i-- {
		stopped(fmt.Sprintf("a%d: why", i))
		must(t, s.ResumeLine(ctx, scopes[i], "bob"))
		if err := s.ResumeLine(ctx, scopes[i], "bob"); adg.CodeOf(err) != adg.NotFound {
			t.Errorf("resumed twice: %v", err)
		}
	}
	stopped("")
}

func TestHoldsAndReleasesAreListed(t *testing.T) {
	dsn := fresh(t)
	s, advance := opened(t, dsn), advancing(t, dsn)
	ctx := t.Context()
	now, err := s.Now(ctx)
	must(t, err)
	for _, service := range []string{"shop", "cart", "Mail"} {
		for i, version := range []string{"v2", "v1"} {
			h := adg.ReleaseHold{Service: service, Environment: "production", Identity: version, Actor: "carol"}
			if i == 1 {
				h.Until = now.Add(time.Hour)
			}
			must(t, s.PutHold(ctx, h))
			must(t, s.Mark(ctx, adg.ReleaseRecord{Environment: "production", Release: adg.Release{Service: service, Version: version}, Standing: adg.StandingGood}))
		}
	}
	must(t, s.Mark(ctx, adg.ReleaseRecord{Environment: "production", Release: adg.Release{Service: "shop", Version: "v2"}, Standing: adg.StandingRolledBack}))
	names := func(f adg.ReleaseFilter) (holds, releases string) {
		t.Helper()
		held, err := s.ListHolds(ctx, f)
		must(t, err)
		for _, h := range held {
			holds += h.Service + h.Identity + " "
		}
		known, err := s.ListReleases(ctx, f)
		must(t, err)
		for _, r := range known {
			releases += r.Release.Service + r.Release.Version + " "
		}
		return holds, releases
	}
	for name, c := range map[string]struct {
		filter          adg.ReleaseFilter
		holds, releases string
	}{
		"all":                 {adg.ReleaseFilter{}, "Mailv1 Mailv2 cartv1 cartv2 shopv1 shopv2 ", "shopv2 Mailv1 Mailv2 cartv1 cartv2 shopv1 "},
		"of a service":        {adg.ReleaseFilter{Service: "shop"}, "shopv1 shopv2 ", "shopv2 shopv1 "},
		"of an environment":   {adg.ReleaseFilter{Environment: "staging"}, "", ""},
		"no more than wanted": {adg.ReleaseFilter{Limit: 1}, "Mailv1 ", "shopv2 "},
	} {
		if holds, releases := names(c.filter); holds != c.holds || releases != c.releases {
			t.Errorf("%s: %s| %s", name, holds, releases)
		}
	}
	advance(time.Hour)
	if holds, _ := names(adg.ReleaseFilter{}); holds != "Mailv2 cartv2 shopv2 " {
		t.Errorf("an hour later: %s", holds)
	}
}

func TestCancelledContextWritesNoDocument(t *testing.T) {
	s := opened(t, fresh(t))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for what, do := range map[string]func() error{
		"WriteDocuments": func() error {
			_, err := s.WriteDocuments(ctx, []adg.Write{{Document: adg.Document{Kind: "k", Key: "a"}}})
			return err
		},
		"AppendAudit": func() error { _, err := s.AppendAudit(ctx, adg.AuditEntry{}); return err },
		"Events":      func() error { _, _, err := s.Events(ctx, adg.EventFilter{}); return err },
		"Purge":       func() error { _, err := s.Purge(ctx, 1); return err },
	} {
		if err := do(); !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if all, err := s.ListDocuments(t.Context(), adg.DocumentFilter{Kind: "k"}); err != nil || len(all) != 0 {
		t.Errorf("written after all: %v, %v", all, err)
	}
}
