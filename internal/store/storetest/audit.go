package storetest

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

var audit = []scenario{
	{"an entry is read back as it was put on record", func(b *bench) {
		before := b.now()
		e := adg.AuditEntry{
			Actor: "alice", From: "[2001:db8::1]:443", Action: "policy.put", Resource: "policy/shop/production", Service: service, Environment: environment,
			Outcome: adg.AuditDenied, Reason: "ein Grund <&> 'x'", Detail: map[string]string{"version": "3", "": "é\n"},
		}
		stored := b.append(e, adg.AuditEntry{})
		if at := stored[0].At; at.Before(before.Truncate(time.Microsecond)) || at.After(b.now()) {
			b.Errorf("put on record at %s, and it says %s", before, at)
		}
		e.Seq, e.At, e.Digest = 1, stored[0].At, stored[0].Digest
		b.equal("the first", stored[0], e)
		b.equal("the second", stored[1], adg.AuditEntry{Seq: 2, At: stored[1].At, Prev: e.Digest, Digest: stored[1].Digest})
		b.equal("read back", b.audited(adg.AuditFilter{}), stored)
		b.Store = b.Reopen()
		b.equal("after opening again", b.audited(adg.AuditFilter{}), stored)
		b.append(entry("after.that"))
		b.wantChain(3)
	}},
	{"number, time and digest are the store's, whatever an entry says", func(b *bench) {
		e := entry("policy.put")
		e.Seq, e.At, e.Prev, e.Digest = 77, time.Date(40000, 1, 1, 0, 0, 0, 0, time.UTC), "abc", "def"
		stored := b.append(e)[0]
		if stored.Seq != 1 || stored.Prev != "" || len(stored.Digest) != 64 || stored.At.Year() > 9999 {
			b.Errorf("put on record: %+v", stored)
		}
		b.wantChain(1)
	}},
	{"without entries nothing is put on record", func(b *bench) {
		b.equal("stored", b.append(), []adg.AuditEntry{})
		b.wantChain(0)
	}},
	{"an outcome that does not exist is refused, and all with it", func(b *bench) {
		bad := entry("policy.put")
		bad.Outcome = math.MaxUint8
		_, err := b.Store.AppendAudit(b.ctx, entry("policy.put"), bad)
		b.refused("no outcome", err, adg.Invalid)
		_, err = b.Store.WriteDocuments(b.ctx, []adg.Write{put("shop", 0, "x")}, bad)
		b.refused("no outcome, with a document", err, adg.Invalid)
		b.wantChain(0)
		b.wantKeys(adg.DocumentFilter{Kind: "policy"})
	}},
	{"whatever text an entry holds, the chain stays whole", func(b *bench) {
		hostile := []string{"\xff\xfe", "a\x00b", "'; DROP TABLE audit; --", "\u2028<script>", "\ud7ff\uffff", "{\"seq\":1}", "%_", "\U0010ffff", "a\xc3"}
		for _, text := range hostile {
			e := adg.AuditEntry{Actor: text, From: text, Action: text, Resource: text, Service: text, Environment: text, Reason: text, Detail: map[string]string{text: text}}
			stored := b.append(e)
			all := b.audited(adg.AuditFilter{})
			b.equal(fmt.Sprintf("%q", text), all[len(all)-1:], stored)
		}
		b.wantChain(len(hostile))
		b.equal("found by an actor with quotes", len(b.audited(adg.AuditFilter{Actor: hostile[2]})), 1)
		b.equal("found by an actor with wildcards", len(b.audited(adg.AuditFilter{Actor: "%_"})), 1)
		b.equal("found by a wildcard", len(b.audited(adg.AuditFilter{Actor: "%"})), 0)
	}},
	{"what is longer than anybody reads is shortened, and says so", func(b *bench) {
		long := strings.Repeat("ä", 1<<20)
		e := adg.AuditEntry{Actor: long, From: long, Action: long, Resource: long, Service: long, Environment: long, Reason: long, Detail: map[string]string{"said": long}}
		stored := b.append(e)
		b.equal("read back", b.audited(adg.AuditFilter{}), stored)
		for name, text := range map[string]string{"resource": stored[0].Resource, "service": stored[0].Service, "reason": stored[0].Reason, "detail": stored[0].Detail["said"]} {
			if len(text) > 8<<10 || !strings.HasPrefix(text, "ää") || !strings.HasSuffix(text, "(shortened)") {
				b.Errorf("%s has %d bytes and ends with %q", name, len(text), text[max(0, len(text)-20):])
			}
		}
		b.equal("of the caller's own entry", len(e.Detail["said"]), len(long))
		b.wantChain(1)
	}},
	{"entries are selected by who, what, where and when", func(b *bench) {
		var times []time.Time
		for i, e := range []adg.AuditEntry{
			{Actor: "alice", Action: "policy.put", Resource: "policy/a", Service: "shop", Environment: "production"},
			{Actor: "bob", Action: "policy.put.draft", Resource: "policy/b", Service: "shop", Environment: "staging"},
			{Actor: "alice", Action: "policy", Resource: "policy/a", Service: "cart", Environment: "production"},
			{Actor: "carol", Action: "policy/put", Resource: "policy/c", Service: "cart", Environment: "staging"},
			{Actor: "alice", Action: "policyx.put", Resource: "policy/a"},
			{Actor: "alice", Action: "policy.drop", Resource: "policy/d", Service: "Shop"},
		} {
			stored := b.append(e)[0]
			times = append(times, stored.At)
			if b.Advance(time.Minute); stored.Seq != int64(i+1) {
				b.Errorf("number %d is %d", i+1, stored.Seq)
			}
		}
		for what, c := range map[string]struct {
			f    adg.AuditFilter
			want []int64
		}{
			"all":                         {adg.AuditFilter{}, []int64{1, 2, 3, 4, 5, 6}},
			"an actor":                    {adg.AuditFilter{Actor: "alice"}, []int64{1, 3, 5, 6}},
			"an action":                   {adg.AuditFilter{Action: "policy.put"}, []int64{1}},
			"an action with all below":    {adg.AuditFilter{Action: "policy."}, []int64{1, 2, 6}},
			"an action far below":         {adg.AuditFilter{Action: "policy.put."}, []int64{2}},
			"a resource":                  {adg.AuditFilter{Resource: "policy/a"}, []int64{1, 3, 5}},
			"a service":                   {adg.AuditFilter{Service: "shop"}, []int64{1, 2}},
			"an environment":              {adg.AuditFilter{Environment: "staging"}, []int64{2, 4}},
			"a service in an environment": {adg.AuditFilter{Service: "cart", Environment: "production"}, []int64{3}},
			"an actor's actions":          {adg.AuditFilter{Actor: "alice", Action: "policy."}, []int64{1, 6}},
			"after":                       {adg.AuditFilter{After: 4}, []int64{5, 6}},
			"after the last":              {adg.AuditFilter{After: 6}, nil},
			"from":                        {adg.AuditFilter{From: times[4]}, []int64{5, 6}},
			"to":                          {adg.AuditFilter{To: times[1]}, []int64{1, 2}},
			"from and to":                 {adg.AuditFilter{From: times[1].Add(time.Second), To: times[3].Add(time.Second)}, []int64{3, 4}},
			"from after to":               {adg.AuditFilter{From: times[3], To: times[1]}, nil},
			"the newest first":            {adg.AuditFilter{Newest: true}, []int64{6, 5, 4, 3, 2, 1}},
			"the newest of an actor":      {adg.AuditFilter{Newest: true, Actor: "alice", Limit: 2}, []int64{6, 5}},
			"the next page of them":       {adg.AuditFilter{Newest: true, Actor: "alice", Limit: 2, After: 5}, []int64{3, 1}},
			"the newest before the first": {adg.AuditFilter{Newest: true, After: 1}, nil},
			"no more than so many":        {adg.AuditFilter{Action: "policy.", Limit: 1, After: 1}, []int64{2}},
			"nobody":                      {adg.AuditFilter{Actor: "Alice"}, nil},
			"everything below everything": {adg.AuditFilter{Action: "."}, nil},
		} {
			var got []int64
			for _, e := range b.audited(c.f) {
				got = append(got, e.Seq)
			}
			b.equal(what, got, c.want)
		}
	}},
	{"a page without a limit has a hundred entries, and never more than a thousand", func(b *bench) {
		b.append(slices.Repeat([]adg.AuditEntry{entry("policy.put")}, 1001)...)
		b.equal("no limit", len(b.audited(adg.AuditFilter{})), 100)
		b.equal("a large one", len(b.audited(adg.AuditFilter{Limit: 5000})), 1000)
		b.wantChain(1001)
	}},
	{"entries that many append at the same time make one chain without a gap", func(b *bench) {
		b.together(8, func(i int, store adg.Store) error {
			for n := range 10 {
				mine := []adg.AuditEntry{entry(name("first", n)), entry(name("second", n)), entry(name("third", n))}[:1+n%3]
				stored, err := store.AppendAudit(b.ctx, mine...)
				if err != nil {
					return err
				}
				if err := adg.VerifyAudit(stored[0].Seq-1, stored[0].Prev, stored); err != nil {
					return fmt.Errorf("writer %d: %w", i, err)
				}
			}
			return nil
		})
		b.wantChain(8 * 19)
	}},
	{"entries of documents and entries alone are one chain", func(b *bench) {
		b.append(entry("one"))
		_, err := b.Store.WriteDocuments(b.ctx, []adg.Write{put("shop", 0, "x")}, entry("two"), entry("three"))
		b.must(err)
		_, err = b.Store.WriteDocuments(b.ctx, []adg.Write{put("shop", 0, "x")}, entry("refused"))
		b.refused("a conflict", err, adg.Conflict)
		b.append(entry("four"))
		b.equal("on record", actions(b.audited(adg.AuditFilter{})), []string{"one", "two", "three", "four"})
		b.wantChain(4)
	}},
}

// Private

func entry(action string) adg.AuditEntry {
	return adg.AuditEntry{Actor: "alice", Action: action, Resource: "policy/shop", Outcome: adg.AuditDone, Detail: map[string]string{"a": "b"}}
}

func (b *bench) append(entries ...adg.AuditEntry) []adg.AuditEntry {
	b.Helper()
	stored, err := b.Store.AppendAudit(b.ctx, entries...)
	b.must(err)
	return stored
}

func (b *bench) audited(f adg.AuditFilter) []adg.AuditEntry {
	b.Helper()
	all, err := b.Store.Audit(b.ctx, f)
	b.must(err)
	return all
}

// wantChain wants so many entries, each as it was written, read in pages.
func (b *bench) wantChain(want int) {
	b.Helper()
	n, err := verified(b.audited)
	b.must(err)
	b.equal("entries on record", n, want)
}

// verified checks the whole log and counts its entries.
func verified(read func(adg.AuditFilter) []adg.AuditEntry) (n int, err error) {
	seq, prev := int64(0), ""
	for {
		page := read(adg.AuditFilter{After: seq, Limit: 7})
		if err := adg.VerifyAudit(seq, prev, page); err != nil || len(page) == 0 {
			return n, err
		}
		last := page[len(page)-1]
		seq, prev, n = last.Seq, last.Digest, n+len(page)
	}
}

func actions(all []adg.AuditEntry) []string {
	var actions []string
	for _, e := range all {
		actions = append(actions, e.Action)
	}
	return actions
}
