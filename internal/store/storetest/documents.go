package storetest

import (
	"bytes"
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/deployguardian/adg"
)

var documents = []scenario{
	{"a document is read back as it was written, and its writes are counted", func(b *bench) {
		_, err := b.Store.Document(b.ctx, "policy", "shop")
		b.refused("before it was written", err, adg.NotFound)
		before := b.now()
		first := b.write(put("shop", 0, "one"))[0]
		b.equal("the first", bare(first), adg.Document{Kind: "policy", Key: "shop", Version: 1, Data: []byte("one")})
		if after := b.now(); first.Updated.Before(before.Truncate(time.Microsecond)) || first.Updated.After(after) {
			b.Errorf("it was written between %s and %s, and says %s", before, after, first.Updated)
		}
		b.equal("read back", b.document("policy", "shop"), first)
		b.Advance(time.Minute)
		second := b.write(put("shop", 1, "two"))[0]
		b.equal("the second", bare(second), adg.Document{Kind: "policy", Key: "shop", Version: 2, Data: []byte("two")})
		if !second.Updated.After(first.Updated) {
			b.Errorf("written at %s, and a minute later at %s", first.Updated, second.Updated)
		}
		b.Store = b.Reopen()
		b.equal("after opening again", b.document("policy", "shop"), second)
	}},
	{"the same key in another kind is another document", func(b *bench) {
		other := put("shop", 0, "theirs")
		other.Document.Kind = "Policy"
		b.write(put("shop", 0, "mine"), other)
		b.equal("one", b.document("policy", "shop").Data, []byte("mine"))
		b.equal("the other", b.document("Policy", "shop").Data, []byte("theirs"))
		b.write(drop("shop", 1))
		b.wantKeys(adg.DocumentFilter{Kind: "policy"})
		b.wantKeys(adg.DocumentFilter{Kind: "Policy"}, "shop")
	}},
	{"a write that expects another version is refused, and changes nothing", func(b *bench) {
		b.write(put("shop", adg.AnyVersion, "one"))
		b.write(put("shop", adg.AnyVersion, "two"))
		for what, w := range map[string]adg.Write{
			"creating what exists":            put("shop", 0, "no"),
			"changing an older version":       put("shop", 1, "no"),
			"changing a version to come":      put("shop", 3, "no"),
			"changing what does not exist":    put("cart", 1, "no"),
			"dropping an older version":       drop("shop", 1),
			"dropping what does not exist":    drop("cart", 1),
			"dropping what should not exist":  drop("shop", 0),
			"expecting what no document says": put("shop", -2, "no"),
		} {
			_, err := b.Store.WriteDocuments(b.ctx, []adg.Write{w})
			b.refused(what, err, adg.Conflict)
		}
		d := b.document("policy", "shop")
		b.equal("what is stored", fmt.Sprintf("%d %s", d.Version, d.Data), "2 two")
		b.wantKeys(adg.DocumentFilter{Kind: "policy"}, "shop")
	}},
	{"of changes made together all are made, or none and nothing is on record", func(b *bench) {
		b.write(put("a", 0, "old"), put("b", 0, "old"))
		before := b.audited(adg.AuditFilter{})
		for _, batch := range [][]adg.Write{
			{put("a", 1, "new"), put("c", 0, "new"), put("b", 7, "new")},
			{put("b", 7, "new"), put("a", 1, "new"), put("c", 0, "new")},
			{drop("a", 1), put("b", 0, "new")},
		} {
			_, err := b.Store.WriteDocuments(b.ctx, batch, entry("policy.put"))
			b.refused("a conflict in the middle", err, adg.Conflict)
		}
		b.wantKeys(adg.DocumentFilter{Kind: "policy"}, "a", "b")
		b.equal("the first", b.document("policy", "a").Data, []byte("old"))
		b.equal("on record", b.audited(adg.AuditFilter{}), before)
		stored, err := b.Store.WriteDocuments(b.ctx, []adg.Write{put("c", 0, "new"), drop("b", 1), put("a", 1, "new")}, entry("policy.put"), entry("policy.drop"))
		b.must(err)
		b.equal("what was put, in order", keys(stored), []string{"c", "a"})
		b.wantKeys(adg.DocumentFilter{Kind: "policy"}, "a", "c")
		b.equal("on record", actions(b.audited(adg.AuditFilter{})), append(actions(before), "policy.put", "policy.drop"))
	}},
	{"changes of the same document in one batch are made in their order", func(b *bench) {
		stored := b.write(put("a", 0, "one"), put("a", 1, "two"), drop("b", adg.AnyVersion), put("b", 0, "one"))
		b.equal("versions", []int64{stored[0].Version, stored[1].Version, stored[2].Version}, []int64{1, 2, 1})
		b.equal("what is left", b.document("policy", "a"), stored[1])
		b.write(drop("a", 2), put("a", 0, "three"))
		b.equal("created anew", b.document("policy", "a").Version, int64(1))
	}},
	{"nothing to write is nothing written", func(b *bench) {
		stored, err := b.Store.WriteDocuments(b.ctx, nil)
		b.must(err)
		b.equal("stored", stored, []adg.Document{})
		_, err = b.Store.WriteDocuments(b.ctx, nil, entry("only.this"))
		b.must(err)
		b.equal("on record", actions(b.audited(adg.AuditFilter{})), []string{"only.this"})
	}},
	{"a dropped document is not found, and begins anew", func(b *bench) {
		b.write(put("shop", 0, "one"))
		b.write(put("shop", 1, "two"))
		b.equal("what dropping gives back", len(b.write(drop("shop", 2))), 0)
		_, err := b.Store.Document(b.ctx, "policy", "shop")
		b.refused("dropped", err, adg.NotFound)
		b.write(drop("shop", adg.AnyVersion))
		b.equal("anew", b.write(put("shop", 0, "three"))[0].Version, int64(1))
		b.write(drop("shop", adg.AnyVersion))
		b.wantKeys(adg.DocumentFilter{Kind: "policy"})
	}},
	{"an expired document is as good as dropped", func(b *bench) {
		end := b.now().Add(time.Hour).Truncate(time.Second)
		b.write(until(end, put("short", 0, "one")), put("long", 0, "one"))
		b.equal("expires", b.write(until(end, put("short", 1, "two")))[0].Expires, end)
		b.equal("before", b.document("policy", "short").Version, int64(2))
		b.Advance(2 * time.Hour)
		_, err := b.Store.Document(b.ctx, "policy", "short")
		b.refused("after", err, adg.NotFound)
		b.wantKeys(adg.DocumentFilter{Kind: "policy"}, "long")
		_, err = b.Store.WriteDocuments(b.ctx, []adg.Write{put("short", 2, "no")})
		b.refused("changing it", err, adg.Conflict)
		_, err = b.Store.WriteDocuments(b.ctx, []adg.Write{drop("short", 2)})
		b.refused("dropping it", err, adg.Conflict)
		anew := b.write(put("short", 0, "three"))[0]
		b.equal("anew", bare(anew), adg.Document{Kind: "policy", Key: "short", Version: 1, Data: []byte("three")})
		b.Advance(1000 * time.Hour)
		b.equal("it does not expire any more", b.document("policy", "short"), anew)
	}},
	{"expired documents are forgotten, no more at a time than asked for", func(b *bench) {
		end := b.now().Add(time.Hour)
		for i := range 5 {
			b.write(until(end, put(name("short", i), 0, "x")), until(end.Add(24*time.Hour), put(name("longer", i), 0, "x")), put(name("long", i), 0, "x"))
		}
		purge := func(limit int) int {
			b.Helper()
			n, err := b.Store.Purge(b.ctx, limit)
			b.must(err)
			return n
		}
		b.equal("before", purge(100), 0)
		b.Advance(2 * time.Hour)
		b.equal("none", purge(0), 0)
		b.equal("at a time", []int{purge(2), purge(2), purge(2), purge(2)}, []int{2, 2, 1, 0})
		b.equal("left", len(b.documents(adg.DocumentFilter{Kind: "policy"})), 10)
	}},
	{"documents are listed by the bytes of their keys, page after page", func(b *bench) {
		sorted := []string{"%", "A", "B", "Z", "_", "a", "a%", "a%b", "a/b", "aXb", "a\\b", "a_b", "ab", "b", "zz", "é", "日本", "\U0001F680"}
		for i := range sorted {
			b.write(put(sorted[(i*7)%len(sorted)], 0, "x"))
		}
		b.wantKeys(adg.DocumentFilter{Kind: "policy"}, sorted...)
		var paged []string
		for f := (adg.DocumentFilter{Kind: "policy", Limit: 4}); ; f.After = paged[len(paged)-1] {
			page := keys(b.documents(f))
			paged = append(paged, page...)
			if len(page) < 4 {
				break
			}
		}
		b.equal("page after page", paged, sorted)
		for prefix, want := range map[string][]string{
			"":   sorted,
			"a":  {"a", "a%", "a%b", "a/b", "aXb", "a\\b", "a_b", "ab"},
			"A":  {"A"},
			"a%": {"a%", "a%b"},
			"a_": {"a_b"},
			"_":  {"_"},
			"%":  {"%"},
			"\\": nil,
			"é":  {"é"},
			"日":  {"日本"},
			"日本": {"日本"},
			"本":  nil,
		} {
			b.wantKeys(adg.DocumentFilter{Kind: "policy", Prefix: prefix}, want...)
		}
		b.wantKeys(adg.DocumentFilter{Kind: "policy", Prefix: "a", After: "a/b", Limit: 2}, "aXb", "a\\b")
		b.wantKeys(adg.DocumentFilter{Kind: "policy", Prefix: "b", After: "a"}, "b")
		b.wantKeys(adg.DocumentFilter{Kind: "policy", Prefix: "a", After: "b"})
		b.wantKeys(adg.DocumentFilter{Kind: "policy", After: "nothing at all"}, "zz", "é", "日本", "\U0001F680")
		b.wantKeys(adg.DocumentFilter{Kind: "polic"})
		_, err := b.Store.ListDocuments(b.ctx, adg.DocumentFilter{})
		b.refused("of no kind", err, adg.Invalid)
	}},
	{"a list of documents without a limit has a hundred, and never more than a thousand", func(b *bench) {
		for i := range 11 {
			var batch []adg.Write
			for j := range 100 {
				batch = append(batch, put(fmt.Sprintf("%02d-%02d", i, j), 0, "x"))
			}
			b.write(batch...)
		}
		b.equal("no limit", len(b.documents(adg.DocumentFilter{Kind: "policy", Bare: true})), 100)
		b.equal("a large one", len(b.documents(adg.DocumentFilter{Kind: "policy", Bare: true, Limit: 100_000})), 1000)
	}},
	{"a page of documents ends when it has enough data, and reading on misses none", func(b *bench) {
		large := func(key string, size int) adg.Write {
			return adg.Write{Document: adg.Document{Kind: "model", Key: key, Data: bytes.Repeat([]byte(key), size)}}
		}
		for _, w := range []adg.Write{large("a", 1), large("b", adg.MaxPage-2), large("c", 1), large("d", 1), large("e", adg.MaxPage+1), large("f", 0), large("g", 0)} {
			b.write(w)
		}
		b.wantKeys(adg.DocumentFilter{Kind: "model"}, "a", "b", "c")
		b.wantKeys(adg.DocumentFilter{Kind: "model", After: "c"}, "d", "e")
		b.wantKeys(adg.DocumentFilter{Kind: "model", After: "d"}, "e")
		b.wantKeys(adg.DocumentFilter{Kind: "model", After: "e"}, "f", "g")
		b.wantKeys(adg.DocumentFilter{Kind: "model", Limit: 2}, "a", "b")
		b.wantKeys(adg.DocumentFilter{Kind: "model", Bare: true}, "a", "b", "c", "d", "e", "f", "g")
		for _, limit := range []int{0, 1, 100_000} {
			var all []string
			for d, err := range adg.AllDocuments(b.ctx, b.Store, adg.DocumentFilter{Kind: "model", Limit: limit}) {
				b.must(err)
				all = append(all, d.Key)
			}
			b.equal(fmt.Sprintf("all of them, by %d", limit), all, []string{"a", "b", "c", "d", "e", "f", "g"})
		}
	}},
	{"a bare list has all but the data", func(b *bench) {
		stored := b.write(until(b.now().Add(time.Hour).Truncate(time.Second), put("shop", 0, "secret")))
		b.equal("with data", b.documents(adg.DocumentFilter{Kind: "policy"}), stored)
		stored[0].Data = nil
		b.equal("bare", b.documents(adg.DocumentFilter{Kind: "policy", Bare: true}), stored)
	}},
	{"data is bytes, none or many", func(b *bench) {
		every := make([]byte, 3<<20+1)
		for i := range every {
			every[i] = byte(i ^ i>>8 ^ i>>16)
		}
		for key, data := range map[string][]byte{"none": nil, "empty": {}, "zero": {0}, "no text": {0xff, 0xfe, 0, 0x80}, "large": every} {
			b.write(adg.Write{Document: adg.Document{Kind: "model", Key: key, Data: data}})
			if got := b.document("model", key).Data; !bytes.Equal(got, data) {
				b.Errorf("%s: %d bytes came back as %d others", key, len(data), len(got))
			}
		}
		b.Store = b.Reopen()
		if !bytes.Equal(b.document("model", "large").Data, every) {
			b.Error("the large one is another after opening again")
		}
		_, err := b.Store.WriteDocuments(b.ctx, []adg.Write{put("shop", 0, "x"), {Document: adg.Document{Kind: "model", Key: "larger", Data: make([]byte, adg.MaxDocument+1)}}}, entry("model.put"))
		b.refused("too large", err, adg.Invalid)
		b.wantKeys(adg.DocumentFilter{Kind: "policy"})
		b.equal("on record", len(b.audited(adg.AuditFilter{})), 0)
	}},
	{"any text is a key, and only that", func(b *bench) {
		hostile := []string{"'; DROP TABLE documents; --", `"`, "\\", "a\nb", "\x01", "?", "$1", ":x", "{}", "..", "/", " ", "\u202e", "\ufeff", strings.Repeat("k", 1024)}
		for _, key := range hostile {
			stored := b.write(put(key, 0, "x"), adg.Write{Document: adg.Document{Kind: key, Key: key}})
			b.equal(strconv.Quote(key), b.document("policy", key), stored[0])
			b.equal(strconv.Quote(key)+" as a kind", b.document(key, key), stored[1])
			b.wantKeys(adg.DocumentFilter{Kind: "policy", Prefix: key}, key)
			b.write(drop(key, 1))
		}
		for _, bad := range []string{"", "a\x00b", "\xff", "a\xc3", strings.Repeat("k", 1025)} {
			for _, d := range []adg.Document{{Kind: "policy", Key: bad}, {Kind: bad, Key: "shop"}} {
				_, err := b.Store.WriteDocuments(b.ctx, []adg.Write{{Document: d, If: adg.AnyVersion}})
				b.refused(fmt.Sprintf("writing %.20q/%.20q", d.Kind, d.Key), err, adg.Invalid)
				_, err = b.Store.Document(b.ctx, d.Kind, d.Key)
				b.refused(fmt.Sprintf("reading %.20q/%.20q", d.Kind, d.Key), err, adg.NotFound)
			}
		}
		b.wantKeys(adg.DocumentFilter{Kind: "policy", Prefix: "a\x00"})
		b.wantKeys(adg.DocumentFilter{Kind: "policy", Prefix: "\xff"})
	}},
	{"what a store was lent or gave away may be changed", func(b *bench) {
		w := put("shop", 0, "mine")
		stored := b.write(w)
		w.Document.Data[0] = 'X'
		b.equal("what was given back", stored[0].Data, []byte("mine"))
		stored[0].Data[0] = 'Y'
		b.equal("what was written", w.Document.Data, []byte("Xine"))
		read := b.document("policy", "shop")
		b.equal("stored", read.Data, []byte("mine"))
		read.Data[0] = 'Z'
		b.documents(adg.DocumentFilter{Kind: "policy"})[0].Data[0] = 'Z'
		b.equal("stored still", b.document("policy", "shop").Data, []byte("mine"))
	}},
	{"of those who create a document at the same time one succeeds", func(b *bench) {
		var won, lost atomic.Int64
		b.together(16, func(i int, store adg.Store) error {
			_, err := store.WriteDocuments(b.ctx, []adg.Write{put("shop", 0, name("writer", i))}, entry("policy.put"))
			return count(err, &won, &lost)
		})
		b.equal("won and lost", []int64{won.Load(), lost.Load()}, []int64{1, 15})
		b.equal("on record", len(b.audited(adg.AuditFilter{})), 1)
	}},
	{"nothing is lost of what is counted up by many", func(b *bench) {
		b.write(put("count", 0, "0"))
		var lost atomic.Int64
		b.together(8, func(_ int, store adg.Store) error {
			var won atomic.Int64
			for won.Load() < 5 {
				d, err := store.Document(b.ctx, "policy", "count")
				if err != nil {
					return err
				}
				n, err := strconv.Atoi(string(d.Data))
				if err != nil {
					return err
				}
				_, err = store.WriteDocuments(b.ctx, []adg.Write{put("count", d.Version, strconv.Itoa(n+1))}, entry("count.up"))
				if err := count(err, &won, &lost); err != nil {
					return err
				}
			}
			return nil
		})
		d := b.document("policy", "count")
		b.equal("count and version", fmt.Sprintf("%s %d", d.Data, d.Version), "40 41")
		b.equal("on record", len(b.audited(adg.AuditFilter{})), 40)
		b.wantChain(40)
	}},
	{"those who write the same documents in another order do not wait for each other for ever", func(b *bench) {
		b.together(8, func(i int, store adg.Store) error {
			for range 10 {
				batch := []adg.Write{put("a", adg.AnyVersion, "x"), put("b", adg.AnyVersion, "x"), put("c", adg.AnyVersion, "x")}
				if i%4 > 1 {
					batch[0], batch[2] = batch[2], batch[0]
				}
				if _, err := store.WriteDocuments(b.ctx, batch); err != nil {
					return err
				}
			}
			return nil
		})
		for _, d := range b.documents(adg.DocumentFilter{Kind: "policy"}) {
			b.equal("versions of "+d.Key, d.Version, int64(80))
		}
	}},
	{"a cancelled context writes no document and no entry, and stops nothing", func(b *bench) {
		b.write(put("shop", 0, "x"), until(b.now().Add(time.Minute), put("short", 0, "x")))
		b.must(b.Store.StopLine(b.ctx, adg.Stop{Scope: adg.Scope{Service: "cart"}, Actor: "carol"}))
		b.Advance(time.Hour)
		ctx, cancel := context.WithCancel(b.ctx)
		cancel()
		for what, do := range map[string]func() error{
			"WriteDocuments": func() error {
				_, err := b.Store.WriteDocuments(ctx, []adg.Write{put("shop", 1, "y")}, entry("policy.put"))
				return err
			},
			"Document":      func() error { _, err := b.Store.Document(ctx, "policy", "shop"); return err },
			"ListDocuments": func() error { _, err := b.Store.ListDocuments(ctx, adg.DocumentFilter{Kind: "policy"}); return err },
			"Purge":         func() error { _, err := b.Store.Purge(ctx, 10); return err },
			"AppendAudit":   func() error { _, err := b.Store.AppendAudit(ctx, entry("policy.put")); return err },
			"Audit":         func() error { _, err := b.Store.Audit(ctx, adg.AuditFilter{}); return err },
			"Events":        func() error { _, _, err := b.Store.Events(ctx, adg.EventFilter{}); return err },
			"LastEvent":     func() error { _, err := b.Store.LastEvent(ctx); return err },
			"ListHolds":     func() error { _, err := b.Store.ListHolds(ctx, adg.ReleaseFilter{}); return err },
			"ListReleases":  func() error { _, err := b.Store.ListReleases(ctx, adg.ReleaseFilter{}); return err },
			"ResumeLine":    func() error { return b.Store.ResumeLine(ctx, adg.Scope{Service: "cart"}, "carol") },
			"Stops":         func() error { _, err := b.Store.Stops(ctx); return err },
		} {
			b.is(what, do(), context.Canceled)
		}
		b.equal("version", b.document("policy", "shop").Version, int64(1))
		b.equal("on record", len(b.audited(adg.AuditFilter{})), 0)
		b.equal("stops", len(b.stops()), 1)
		n, err := b.Store.Purge(b.ctx, 10)
		b.must(err)
		b.equal("expired and not forgotten", n, 1)
	}},
}

// Private

func put(key string, version int64, data string) adg.Write {
	return adg.Write{Document: adg.Document{Kind: "policy", Key: key, Data: []byte(data)}, If: version}
}

func drop(key string, version int64) adg.Write {
	return adg.Write{Document: adg.Document{Kind: "policy", Key: key}, If: version, Drop: true}
}

func until(end time.Time, w adg.Write) adg.Write {
	w.Document.Expires = end
	return w
}

func (b *bench) write(writes ...adg.Write) []adg.Document {
	b.Helper()
	stored, err := b.Store.WriteDocuments(b.ctx, writes)
	b.must(err)
	return stored
}

func (b *bench) document(kind, key string) adg.Document {
	b.Helper()
	d, err := b.Store.Document(b.ctx, kind, key)
	b.must(err)
	return d
}

func (b *bench) documents(f adg.DocumentFilter) []adg.Document {
	b.Helper()
	all, err := b.Store.ListDocuments(b.ctx, f)
	b.must(err)
	return all
}

func (b *bench) wantKeys(f adg.DocumentFilter, want ...string) {
	b.Helper()
	b.equal(fmt.Sprintf("%+v", f), keys(b.documents(f)), want)
}

func keys(all []adg.Document) []string {
	var keys []string
	for _, d := range all {
		keys = append(keys, d.Key)
	}
	return keys
}

// bare is a document without the time of its writing.
func bare(d adg.Document) adg.Document {
	d.Updated = time.Time{}
	return d
}

// count takes a conflict for a loss, and gives back every other error.
func count(err error, won, lost *atomic.Int64) error {
	switch {
	case err == nil:
		won.Add(1)
	case adg.CodeOf(err) == adg.Conflict:
		lost.Add(1)
	default:
		return err
	}
	return nil
}
