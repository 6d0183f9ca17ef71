package learn

import (
	"io"

	"github.com/deployguardian/adg"
)

// Private

// The bounds of what is read as it comes: a few zipped bytes can be many, and one quote can make a cell of them all.
const (
	maxInput  = 4 << 30
	maxRecord = 8 << 20
)

// limited refuses to read on without end, and within one record for too long.
type limited struct {
	r            io.Reader
	whole        bool // what reads it bounds the records
	read, record int64
}

// next begins a record.
func (l *limited) next() { l.record = 0 }

// Read reads on while there is room.
func (l *limited) Read(p []byte) (int, error) {
	switch {
	case l.read >= maxInput:
		return 0, adg.Errorf(adg.Invalid, "it is larger than %d GiB", maxInput>>30)
	case !l.whole && l.record >= maxRecord:
		return 0, adg.Errorf(adg.Invalid, "one record is larger than %d MiB", maxRecord>>20)
	}
	n, err := l.r.Read(p)
	l.read, l.record = l.read+int64(n), l.record+int64(n)
	return n, err
}
