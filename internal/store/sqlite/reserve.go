package sqlite

import (
	"crypto/rand"
	"errors"
	"log/slog"
	"os"
	"time"
)

const (
	reserveSize  = 1 << 20
	reserveRetry = 10 * time.Second
)

// reserve is room on the disk that is kept for the day when there is none left: decisions, intents and outcomes can
// still be written then, measurements wait until there is room again. Only the writer uses it. Nil is none.
type reserve struct {
	path     string
	now      func() time.Time
	log      *slog.Logger
	released bool
	tried    time.Time
}

// newReserve makes the reserve where there is room for it.
func newReserve(path string, now func() time.Time, log *slog.Logger) *reserve {
	r := &reserve{path: path, now: now, log: log, released: true}
	r.restore()
	return r
}

// release gives the room away, once: true if there is more now than before.
func (r *reserve) release() bool {
	if r == nil || r.released {
		return false
	}
	r.released, r.tried = true, r.now()
	r.log.Error("the disk is full: decisions are still written, into the reserve, and measurements are not kept; free some space", "reserve", r.path)
	return os.Remove(r.path) == nil
}

// restore makes the reserve again when there is room.
func (r *reserve) restore() {
	if r == nil || !r.released || (!r.tried.IsZero() && r.now().Sub(r.tried) < reserveRetry) {
		return
	}
	first := r.tried.IsZero()
	r.tried = r.now()
	switch err := writeReserve(r.path); {
	case err == nil:
		r.released = false
		if !first {
			r.log.Info("there is room on the disk again: everything is kept", "reserve", r.path)
		}
	case first:
		r.log.Warn("there is no room for the reserve: free some space", "reserve", r.path, "error", err)
	}
}

// gone tells whether the room is given away: the disk is full.
func (r *reserve) gone() bool { return r != nil && r.released }

// Private

// writeReserve fills the file with what no file system can compress away.
func writeReserve(path string) error {
	if info, err := os.Stat(path); err == nil && info.Size() == reserveSize {
		return nil
	}
	file, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	filler := make([]byte, reserveSize)
	if _, err = rand.Read(filler); err == nil {
		_, err = file.Write(filler)
	}
	if err == nil {
		err = file.Sync()
	}
	if err = errors.Join(err, file.Close()); err != nil {
		return errors.Join(err, os.Remove(path))
	}
	return nil
}
