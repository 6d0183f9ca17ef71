package linejudge

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
)

// Private

var errTooLong = fmt.Errorf("longer than %d MiB", MaxLine>>20)

// lines reads lines of bounded length.
type lines struct {
	in     *bufio.Reader
	buffer []byte
	number int // of the line that was read last, 1 for the first
}

func newLines(in io.Reader) *lines { return &lines{in: bufio.NewReaderSize(in, 64<<10)} }

// next is the next line without its end; it is good until the line after it. A line that is too long is skipped, and
// errTooLong says so. io.EOF: there is none.
func (l *lines) next() ([]byte, error) {
	if cap(l.buffer) > 1<<20 {
		l.buffer = nil // one long line does not keep its memory
	}
	l.buffer = l.buffer[:0]
	l.number++
	long := false
	for {
		part, err := l.in.ReadSlice('\n')
		if long = long || len(l.buffer)+len(part) > MaxLine+1; !long {
			l.buffer = append(l.buffer, part...)
		}
		switch {
		case errors.Is(err, bufio.ErrBufferFull):
			continue
		case err != nil && err != io.EOF:
			return nil, err
		case err == io.EOF && len(part) == 0 && len(l.buffer) == 0 && !long:
			return nil, io.EOF
		case long:
			return nil, errTooLong
		}
		line := bytes.TrimSuffix(bytes.TrimSuffix(l.buffer, []byte("\n")), []byte("\r"))
		if l.number == 1 {
			line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf")) // spreadsheets write a byte order mark
		}
		return line, nil
	}
}

// ready tells whether the next line can be read without waiting for it.
func (l *lines) ready() bool {
	waiting, err := l.in.Peek(l.in.Buffered())
	return err == nil && bytes.IndexByte(waiting, '\n') >= 0
}
