package api

import (
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg/internal/api/wire"
)

// Private

// listing picks one page of rows that come in any order. It keeps no more of them than the page has, and one.
type listing[T any] struct {
	request wire.Listing
	key     func(T) string // which the rows are listed by; no two have the same
	after   string
	size    int
	rows    []T
}

func newListing[T any](r wire.Listing, key func(T) string) (*listing[T], error) {
	size, err := wire.ReadPageSize(r, 100, 1000)
	if err != nil {
		return nil, err
	}
	after, err := wire.ReadPageToken(r)
	return &listing[T]{request: r, key: key, after: after, size: size}, err
}

func (l *listing[T]) add(rows ...T) {
	for _, row := range rows {
		if l.key(row) > l.after {
			l.rows = append(l.rows, row)
		}
	}
	slices.SortFunc(l.rows, func(a, b T) int { return strings.Compare(l.key(a), l.key(b)) })
	l.rows = l.rows[:min(len(l.rows), l.size+1)]
}

func (l *listing[T]) page() (rows []T, next string) {
	if len(l.rows) <= l.size {
		return l.rows, ""
	}
	rows = l.rows[:l.size]
	return rows, wire.PageToken(l.request, l.key(rows[l.size-1]))
}

// newestFirst is a key for rows that are listed from the newest.
func newestFirst(made time.Time, id string) string {
	return fmt.Sprintf("%019d %s", math.MaxInt64-made.UnixMicro(), id)
}
