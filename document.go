package adg

import (
	"context"
	"iter"
	"time"
)

// MaxDocument is the size of a document's data at most, in bytes.
const MaxDocument = 64 << 20

// MaxPage is how much data ends a page of documents, in bytes, however few they are.
const MaxPage = 16 << 20

// Document is a record of what ADG is told, rather than of what it does: a policy, an identity, a connection to a
// source, a trained model. What is in it is its owner's business; the store keeps it, counts its writes, and forgets it
// when it expires.
type Document struct {
	Kind    string    `json:"kind"`    // what it is, such as "policy"
	Key     string    `json:"key"`     // unique within the kind; lists are in the order of its bytes
	Version int64     `json:"version"` // counts the writes since the document was created, from 1; the store's
	Data    []byte    `json:"data"`
	Updated time.Time `json:"updated"`          // the store's clock
	Expires time.Time `json:"expires,omitzero"` // from then on it does not exist; zero: never
}

// AnyVersion is Write.If for a document that may exist or not, in any version.
const AnyVersion int64 = -1

// Write is one change of a document: it is put, or dropped. If is the version that it must have now: 0, it must not
// exist; AnyVersion, whatever it has. Anything else: Conflict, and nothing is written.
type Write struct {
	Document Document // Version and Updated are the store's; of one that is dropped Kind and Key count
	If       int64
	Drop     bool // one that does not exist is no error with AnyVersion
}

// DocumentFilter selects documents of one kind, in the order of their keys.
type DocumentFilter struct {
	Kind   string // necessary
	Prefix string // of the keys
	After  string // only keys after this one: the cursor of a page
	Limit  int    // at most 1,000; zero: 100
	Bare   bool   // without Data
}

// Documents keeps documents. An expired document is as good as dropped.
type Documents interface {
	// Document is one document, or NotFound.
	Document(ctx context.Context, kind, key string) (Document, error)
	// ListDocuments is one page. It ends with the document that brings its data to MaxPage or more: a page is the last one
	// if it has fewer than Limit documents and less data than that. AllDocuments reads all pages.
	ListDocuments(ctx context.Context, f DocumentFilter) ([]Document, error)
	// WriteDocuments makes all the changes and appends the audit entries, or does nothing of it: what is on record in the
	// audit log is what happened. It is on disk when it returns. The documents that were put come back as stored, in the
	// order of the writes.
	WriteDocuments(ctx context.Context, writes []Write, entries ...AuditEntry) ([]Document, error)
	// Purge forgets up to limit expired documents, and says how many.
	Purge(ctx context.Context, limit int) (int, error)
}

// AllDocuments are the documents of all pages that a filter begins; Limit is the size of a page. Those that are written
// meanwhile come as they were before or after. After an error there are no more.
func AllDocuments(ctx context.Context, from Documents, f DocumentFilter) iter.Seq2[Document, error] {
	return func(yield func(Document, error) bool) {
		for ended := false; !ended; {
			page, err := from.ListDocuments(ctx, f)
			if err != nil {
				yield(Document{}, err)
				return
			}
			size := 0
			for _, d := range page {
				if !yield(d, nil) {
					return
				}
				size += len(d.Data)
				f.After = d.Key
			}
			ended = len(page) < f.pageLimit() && size < MaxPage
		}
	}
}

// Private

// pageLimit is how many documents a page has at most.
func (f DocumentFilter) pageLimit() int {
	if f.Limit <= 0 {
		return 100
	}
	return min(f.Limit, 1000)
}
