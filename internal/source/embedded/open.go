// Package embedded is the metric source that needs no other process: the Prometheus scrape manager, time series
// database and PromQL engine inside ADG, with remote-write and OTLP for those who push.
package embedded

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/tsdb"
	"github.com/prometheus/prometheus/tsdb/chunks"
	"github.com/prometheus/prometheus/tsdb/fileutil"
	"github.com/prometheus/prometheus/util/compression"

	"github.com/deployguardian/adg"
)

// Driver opens embedded sources. Each has its directory, host.Dir, to itself.
var Driver = adg.NewSourceDriver("embedded",
	"Scrapes Prometheus metrics, takes remote-write and OTLP, and answers PromQL, all inside this process.",
	defaults(), open)

// Source is an open embedded source. It is safe for concurrent use; Close ends it.
type Source struct {
	lock    fileutil.Releaser
	db      *tsdb.DB
	engine  *promql.Engine
	sink    *sink
	scraper *scraper
	server  *receiver // nil: nobody pushes

	slots  chan struct{}   // held by a running query; full for good once closed
	ending context.Context // done once queries must end
	end    context.CancelFunc
	closed func() error // closes once
}

// Close stops taking pushes, stops scraping, lets running queries go, and closes the database, in this order. What was
// stored before is there again after the next Open. Pushes under way get five seconds to end, scrapes two. Closing
// again does nothing.
func (s *Source) Close() error { return s.closed() }

// Addr is the address that pushes are taken at, empty if none are.
func (s *Source) Addr() string {
	if s.server == nil {
		return ""
	}
	return s.server.addr
}

// Private

var queryTimeout = 30 * time.Second // longer in tests of what takes long

const (
	queriesAtOnce = 16
	// loadedSamples bounds what a single query holds in memory, 16 bytes each.
	loadedSamples  = 5_000_000
	walSegmentSize = 16 << 20
)

func open(_ context.Context, o Options, host adg.Host) (adg.Source, error) {
	o.Scrape = slices.Clone(o.Scrape)
	for i, j := range o.Scrape {
		o.Scrape[i] = j.withDefaults()
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	log := host.Log
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	lock, err := takeDirectory(host.Dir)
	if err != nil {
		return nil, err
	}
	s, err := start(o, host.Dir, log)
	if err != nil {
		return nil, errors.Join(err, lock.Release())
	}
	s.lock = lock
	s.closed = sync.OnceValue(s.close)
	return s, nil
}

func (s *Source) close() error {
	var errs []error
	if s.server != nil {
		errs = append(errs, s.server.close())
	}
	s.scraper.close()
	s.end()
	for range cap(s.slots) {
		s.slots <- struct{}{}
	}
	errs = append(errs, s.db.Close(), s.lock.Release())
	if err := errors.Join(errs...); err != nil {
		return adg.Errorf(adg.Internal, "close the embedded source: %w", err)
	}
	return nil
}

// takeDirectory makes the directory and locks it. The database's own lock is not enough: it is taken after the
// database has tidied the directory up, let go before the last write, and its file removed while others may wait on it.
func takeDirectory(dir string) (fileutil.Releaser, error) {
	if dir == "" {
		return nil, adg.Errorf(adg.Invalid, "the embedded source needs a data directory")
	}
	if err := os.MkdirAll(dir, 0o750); err != nil {
		return nil, adg.Errorf(adg.Invalid, "make the data directory of the embedded source: %w", err)
	}
	lock, _, err := fileutil.Flock(filepath.Join(dir, "lock"))
	switch {
	case err == nil:
		return lock, nil
	case errors.Is(err, syscall.EWOULDBLOCK):
		return nil, adg.Permanent(adg.Errorf(adg.Conflict,
			"the data directory %s is in use: stop the other adg that has it, or give this one a directory of its own", dir))
	default:
		return nil, adg.Errorf(adg.Invalid, "lock the data directory %s: %w", dir, err)
	}
}

func start(o Options, dir string, log *slog.Logger) (*Source, error) {
	library := slog.New(quieter{Handler: log.Handler(), below: slog.LevelWarn})
	registry := prometheus.NewRegistry()
	sink := &sink{limit: uint64(o.SeriesLimit), log: log}
	db, err := tsdb.Open(dir, library, registry, databaseOptions(o, sink), nil)
	if err != nil {
		return nil, adg.Errorf(adg.Internal, "open the time series database in %s: %w", dir, err)
	}
	sink.serve(db)
	s := &Source{db: db, sink: sink, slots: make(chan struct{}, queriesAtOnce)}
	s.ending, s.end = context.WithCancel(context.Background())
	s.engine = promql.NewEngine(promql.EngineOpts{
		Logger:               library,
		MaxSamples:           loadedSamples,
		Timeout:              queryTimeout,
		EnableAtModifier:     true,
		EnableNegativeOffset: true,
	})
	if o.Listen != "" {
		if s.server, err = listen(o, sink, log); err != nil {
			return nil, errors.Join(err, db.Close())
		}
	}
	if s.scraper, err = scrapeAll(o.Scrape, sink, registry, library); err != nil {
		if s.server != nil {
			err = errors.Join(err, s.server.close())
		}
		return nil, errors.Join(err, db.Close())
	}
	return s, nil
}

// databaseOptions keep memory and disk modest: this database sits on laptops and beside pipelines.
func databaseOptions(o Options, sink *sink) *tsdb.Options {
	d := tsdb.DefaultOptions()
	d.NoLockfile = true // takeDirectory has done it
	d.RetentionDuration = o.Retention.Milliseconds()
	d.MaxBytes = o.MaxBytes
	d.MaxBlockDuration = max(blockDuration, o.Retention/10).Milliseconds()
	d.OutOfOrderTimeWindow = o.OutOfOrderWindow.Milliseconds()
	d.WALSegmentSize = walSegmentSize
	d.WALCompression = compression.Snappy
	d.HeadChunksWriteBufferSize = 4 * chunks.MinWriteBufferSize
	d.StripeSize = 1 << 10
	d.SeriesLifecycleCallback = sink
	return d
}

// quieter passes records on, those below a level as debug: what the library says of its own doings is no news to
// those who run a deployment.
type quieter struct {
	slog.Handler
	below slog.Level
}

func (q quieter) Enabled(ctx context.Context, level slog.Level) bool {
	return q.Handler.Enabled(ctx, q.lowered(level))
}

func (q quieter) Handle(ctx context.Context, r slog.Record) error {
	r.Level = q.lowered(r.Level)
	return q.Handler.Handle(ctx, r)
}

func (q quieter) WithAttrs(attrs []slog.Attr) slog.Handler {
	return quieter{q.Handler.WithAttrs(attrs), q.below}
}

func (q quieter) WithGroup(name string) slog.Handler {
	return quieter{q.Handler.WithGroup(name), q.below}
}

func (q quieter) lowered(level slog.Level) slog.Level {
	if level < q.below {
		return min(level, slog.LevelDebug)
	}
	return level
}
