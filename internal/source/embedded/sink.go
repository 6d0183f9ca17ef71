package embedded

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/histogram"
	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunks"
)

// sink is the one door through which samples enter the database. The library is about to replace its first appending
// interface by its second; all that knows either is here.
type sink struct {
	limit uint64 // live series
	log   *slog.Logger
	db    atomic.Pointer[tsdb.DB] // nil while the database reads its log

	mu   sync.Mutex
	fail error // why the latest samples could not be stored; nil: they were
}

// errTooManySeries refuses samples of new series.
type errTooManySeries struct{ limit uint64 }

func (e errTooManySeries) Error() string {
	return fmt.Sprintf("the limit of %d live series is reached: have fewer (unused ones are forgotten within 4h), or raise series_limit", e.limit)
}

// serve opens the door.
func (s *sink) serve(db *tsdb.DB) { s.db.Store(db) }

// AppenderV2 stores what was scraped.
func (s *sink) AppenderV2(ctx context.Context) storage.AppenderV2 {
	return scraped{s.db.Load().AppenderV2(ctx), s}
}

// failure is why the latest samples could not be stored.
func (s *sink) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fail
}

// PreCreation refuses series past twice the limit, wherever they come from; what a scrape says of itself has room
// beyond that, or a target that has too many could not even be seen to be down. Series that the log holds are let in:
// the database would take a refusal for a broken log, and repair it by cutting it off.
func (s *sink) PreCreation(ls labels.Labels) error {
	db := s.db.Load()
	if db == nil {
		return nil
	}
	most := 2 * s.limit
	if name := ls.Get(model.MetricNameLabel); name == "up" || strings.HasPrefix(name, "scrape_") {
		most = 3 * s.limit
	}
	if db.Head().NumSeries() >= most {
		return errTooManySeries{most}
	}
	return nil
}

// PostCreation does nothing: the database counts its series itself.
func (s *sink) PostCreation(labels.Labels) {}

// PostDeletion does nothing either.
func (s *sink) PostDeletion(map[chunks.HeadSeriesRef]labels.Labels) {}

// committed remembers how a commit went, and logs when that changes.
func (s *sink) committed(err error) error {
	s.mu.Lock()
	before := s.fail
	s.fail = err
	s.mu.Unlock()
	switch {
	case err != nil && before == nil:
		s.log.Error("samples cannot be stored: is the disk full?", "err", err)
	case err == nil && before != nil:
		s.log.Info("samples are stored again")
	}
	return err
}

// scraped stores one scrape.
type scraped struct {
	storage.AppenderV2
	sink *sink
}

func (a scraped) Commit() error { return a.sink.committed(a.AppenderV2.Commit()) }

// push is one request that brings samples. It belongs to one goroutine.
type push struct {
	sink *sink
	full error // the series limit stopped it
	lost bool  // the database failed to store it
}

// Appender stores what came by remote-write.
func (p *push) Appender(ctx context.Context) storage.Appender {
	return pushedV1{p.sink.db.Load().Appender(ctx), p}
}

// AppenderV2 stores what came by OTLP.
func (p *push) AppenderV2(ctx context.Context) storage.AppenderV2 {
	return pushedV2{p.sink.db.Load().AppenderV2(ctx), p}
}

// room tells whether samples of the series may be appended: known series always may.
func (p *push) room(appender any, ref storage.SeriesRef, ls labels.Labels) error {
	if p.sink.db.Load().Head().NumSeries() < p.sink.limit {
		return nil
	}
	if known, ok := appender.(storage.GetRef); ok && ref == 0 {
		ref, _ = known.GetRef(ls, ls.Hash())
	}
	if ref == 0 {
		p.full = errTooManySeries{p.sink.limit}
	}
	return p.full
}

func (p *push) committed(err error) error {
	p.lost = err != nil
	return p.sink.committed(err)
}

type pushedV1 struct {
	storage.Appender
	push *push
}

func (a pushedV1) Append(ref storage.SeriesRef, ls labels.Labels, t int64, v float64) (storage.SeriesRef, error) {
	if err := a.push.room(a.Appender, ref, ls); err != nil {
		return 0, err
	}
	return a.Appender.Append(ref, ls, t, v)
}

func (a pushedV1) AppendHistogram(ref storage.SeriesRef, ls labels.Labels, t int64, h *histogram.Histogram, fh *histogram.FloatHistogram) (storage.SeriesRef, error) {
	if err := a.push.room(a.Appender, ref, ls); err != nil {
		return 0, err
	}
	return a.Appender.AppendHistogram(ref, ls, t, h, fh)
}

func (a pushedV1) Commit() error { return a.push.committed(a.Appender.Commit()) }

type pushedV2 struct {
	storage.AppenderV2
	push *push
}

func (a pushedV2) Append(ref storage.SeriesRef, ls labels.Labels, st, t int64, v float64, h *histogram.Histogram, fh *histogram.FloatHistogram, o storage.AOptions) (storage.SeriesRef, error) {
	if err := a.push.room(a.AppenderV2, ref, ls); err != nil {
		return 0, err
	}
	return a.AppenderV2.Append(ref, ls, st, t, v, h, fh, o)
}

func (a pushedV2) Commit() error { return a.push.committed(a.AppenderV2.Commit()) }
