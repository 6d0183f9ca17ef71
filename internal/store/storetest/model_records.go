package storetest

import (
	"maps"
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
)

// records is what the model knows of documents, of the audit log, and of those who follow.
type records struct {
	documents map[string]adg.Document // by key; expired ones, too
	audited   int
	cursor    int64
	heard     map[string][]string // facts by deployment
}

// write has somebody change documents, who may not know their versions, and put it on record.
func (m *model) write(r *rapid.T) {
	before := m.now()
	var writes []adg.Write
	for range rapid.IntRange(1, 3).Draw(r, "writes") {
		d := adg.Document{Kind: "model", Key: rapid.SampledFrom([]string{"a", "b", "c"}).Draw(r, "key"), Data: rapid.SliceOfN(rapid.Byte(), 0, 3).Draw(r, "data")}
		if seconds := rapid.IntRange(-5, 30).Draw(r, "expires"); seconds != 0 {
			d.Expires = before.Add(time.Duration(seconds) * time.Second).Truncate(time.Microsecond)
		}
		w := adg.Write{Document: d, If: rapid.SampledFrom([]int64{adg.AnyVersion, 0, m.known.documents[d.Key].Version, 2}).Draw(r, "if"), Drop: rapid.IntRange(0, 3).Draw(r, "drop") == 0}
		if w.Drop && w.If == 0 {
			w.If = adg.AnyVersion
		}
		writes = append(writes, w)
	}
	_, err := m.Store.WriteDocuments(m.test.Context(), writes, entry("model.write"))
	want, possible := m.known.after(writes, before)
	if later, still := m.known.after(writes, m.now()); possible != still || !slices.Equal(versions(want), versions(later)) {
		m.relearn(err) // something has expired while it was being written
		return
	}
	if possible != (err == nil) || err != nil && adg.CodeOf(err) != adg.Conflict {
		r.Fatalf("%+v on %v: %v", writes, versions(m.known.documents), err)
	}
	if err == nil {
		m.known.documents = want
		m.known.audited++
	}
	m.wantDocuments()
}

// purge never forgets what has not expired.
func (m *model) purge(r *rapid.T) {
	before := m.now()
	limit := rapid.IntRange(0, 3).Draw(r, "limit")
	n, err := m.Store.Purge(m.test.Context(), limit)
	m.check(err)
	if n > limit {
		r.Fatalf("%d were forgotten, at most %d should be", n, limit)
	}
	if m.now().Sub(before) < time.Second {
		m.wantDocuments()
	}
}

// listen reads on, as somebody does who follows.
func (m *model) listen(r *rapid.T) {
	m.hear(rapid.IntRange(1, 5).Draw(r, "limit"))
}

// Private

// after are the documents as the writes leave them at that time, and whether they can be made.
func (s records) after(writes []adg.Write, at time.Time) (map[string]adg.Document, bool) {
	made := maps.Clone(s.documents)
	for _, w := range writes {
		now := made[w.Document.Key]
		if expired(now, at) {
			now.Version = 0
		}
		if w.If != adg.AnyVersion && w.If != now.Version {
			return s.documents, false
		}
		if delete(made, w.Document.Key); !w.Drop {
			w.Document.Version = now.Version + 1
			made[w.Document.Key] = w.Document
		}
	}
	return made, true
}

func expired(d adg.Document, at time.Time) bool { return !d.Expires.IsZero() && !d.Expires.After(at) }

func versions(documents map[string]adg.Document) (all []int64) {
	for _, key := range slices.Sorted(maps.Keys(documents)) {
		all = append(all, documents[key].Version)
	}
	return all
}

// relearn takes over what the store says.
func (m *model) relearn(err error) {
	if err == nil {
		m.known.audited++
	}
	stored, err := m.Store.ListDocuments(m.test.Context(), adg.DocumentFilter{Kind: "model"})
	m.check(err)
	m.known.documents = map[string]adg.Document{}
	for _, d := range stored {
		m.known.documents[d.Key] = d
	}
}

// wantDocuments wants those to be there that have not expired, apart from those that expire in this moment.
func (m *model) wantDocuments() {
	before := m.now()
	stored, err := m.Store.ListDocuments(m.test.Context(), adg.DocumentFilter{Kind: "model"})
	m.check(err)
	after := m.now()
	left := maps.Clone(m.known.documents)
	for _, got := range stored {
		want, known := left[got.Key]
		if delete(left, got.Key); !known || expired(want, before) || want.Version != got.Version || !slices.Equal(want.Data, got.Data) || !want.Expires.Equal(got.Expires) {
			m.Fatalf("there is %+v, want %+v", got, want)
		}
	}
	for _, want := range left {
		if !expired(want, after) {
			m.Fatalf("%+v is not there", want)
		}
	}
}

// hear reads one page of events.
func (m *model) hear(limit int) (n int) {
	page, next, err := m.Store.Events(m.test.Context(), adg.EventFilter{After: m.known.cursor, Limit: limit})
	m.check(err)
	if next < m.known.cursor {
		m.Fatalf("the cursor went from %d back to %d", m.known.cursor, next)
	}
	m.known.cursor = next
	for _, e := range page {
		m.known.heard[e.Fact.Deployment] = append(m.known.heard[e.Fact.Deployment], e.Fact.ID)
	}
	return len(page)
}

// settleRecords wants every fact to have been heard once and in order, and every write to be on record.
func (m *model) settleRecords() {
	missing := m.facts
	for _, facts := range m.known.heard {
		missing -= len(facts)
	}
	for end := time.Now().Add(patience); missing > 0; missing -= m.hear(100) {
		if time.Now().After(end) {
			m.Fatalf("%d facts are still missing", missing)
		}
	}
	for _, l := range m.all {
		if !slices.Equal(m.known.heard[l.id], l.told) {
			m.Fatalf("of %s was heard %v, want %v", l.id, m.known.heard[l.id], l.told)
		}
	}
	n, err := verified(func(f adg.AuditFilter) []adg.AuditEntry {
		page, err := m.Store.Audit(m.test.Context(), f)
		m.check(err)
		return page
	})
	m.check(err)
	if n != m.known.audited {
		m.Fatalf("%d entries are on record, want %d", n, m.known.audited)
	}
	m.wantDocuments()
}
