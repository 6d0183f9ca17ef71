package change

import (
	"bytes"
	"cmp"
	"compress/zlib"
	"encoding/binary"
	"io"
	"maps"
	"slices"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/change/gitread"
)

const (
	indexMagic    = "adg change index 1\n"
	maxIndexBytes = 1 << 30 // before compression
	maxPathBytes  = 1 << 16
)

// MarshalBinary writes the index compactly, with a checksum. Equal indexes give equal bytes.
func (x *Index) MarshalBinary() ([]byte, error) {
	w := &writer{}
	w.text(x.head)
	w.text(x.settings)
	w.number(uint64(x.commits))
	w.number(flags(x.shallow, x.guessed, x.full))
	w.number(uint64(len(x.people)))
	for _, p := range x.people {
		w.number(p.id)
		w.number(uint64(len(p.years)))
		for _, y := range p.years {
			w.number(uint64(y.year))
			w.number(uint64(y.commits))
		}
	}
	w.subsystems(x.subsystems)
	pairs := slices.Sorted(maps.Keys(x.pairs))
	w.number(uint64(len(pairs)))
	before := uint64(0)
	for _, pair := range pairs {
		w.number(pair - before)
		w.number(uint64(x.pairs[pair]))
		before = pair
	}
	w.files(x.files)

	var out bytes.Buffer
	out.WriteString(indexMagic)
	z := zlib.NewWriter(&out)
	if _, err := z.Write(w.out); err != nil {
		return nil, adg.Errorf(adg.Internal, "compress the index: %w", err)
	}
	if err := z.Close(); err != nil {
		return nil, adg.Errorf(adg.Internal, "compress the index: %w", err)
	}
	return out.Bytes(), nil
}

// UnmarshalBinary reads what MarshalBinary wrote. Anything else is an Invalid error and leaves the index as it was;
// go on with an empty one then, it is only a cache of the repository.
func (x *Index) UnmarshalBinary(data []byte) error {
	body, found := bytes.CutPrefix(data, []byte(indexMagic))
	if !found {
		return adg.Errorf(adg.Invalid, "this is no index of a repository, or one of another version")
	}
	z, err := zlib.NewReader(bytes.NewReader(body))
	if err != nil {
		return adg.Errorf(adg.Invalid, "read the index: %w", err)
	}
	raw, err := io.ReadAll(io.LimitReader(z, maxIndexBytes+1))
	if err != nil {
		return adg.Errorf(adg.Invalid, "read the index: %w", err)
	}
	r := &reader{rest: raw, bad: len(raw) > maxIndexBytes}
	var read Index
	read.reset("", false)
	read.head, read.settings = r.text(), r.text()
	read.commits = uint32(r.upTo(1<<32 - 1))
	known := r.upTo(7)
	read.shallow, read.guessed, read.full = known&1 != 0, known&2 != 0, known&4 != 0
	r.people(&read)
	r.subsystems(&read)
	r.pairs(&read)
	r.files(&read)
	if r.bad || len(r.rest) > 0 || read.head != "" && !gitread.IsObjectID(read.head) {
		return adg.Errorf(adg.Invalid, "the index is damaged")
	}
	*x = read
	return nil
}

// Private

type writer struct{ out []byte }

func (w *writer) number(n uint64) { w.out = binary.AppendUvarint(w.out, n) }

func (w *writer) signed(n int64) { w.out = binary.AppendVarint(w.out, n) }

func (w *writer) text(s string) {
	w.number(uint64(len(s)))
	w.out = append(w.out, s...)
}

func (w *writer) subsystems(named map[string]uint32) {
	names := slices.SortedFunc(maps.Keys(named), func(a, b string) int { return cmp.Compare(named[a], named[b]) })
	w.number(uint64(len(names)))
	for _, name := range names {
		w.text(name)
	}
}

// files writes each path as what differs from the one before, and times likewise.
func (w *writer) files(known map[string]file) {
	w.number(uint64(len(known)))
	path, last := "", int64(0)
	for _, next := range slices.Sorted(maps.Keys(known)) {
		f := known[next]
		same := 0
		for same < min(len(path), len(next)) && path[same] == next[same] {
			same++
		}
		w.number(uint64(same))
		w.text(next[same:])
		w.number(uint64(f.lines))
		w.signed(f.last - last)
		w.number(uint64(f.commit))
		w.number(uint64(f.changes))
		w.number(uint64(len(f.devs)))
		for _, dev := range f.devs {
			w.number(uint64(dev))
		}
		path, last = next, f.last
	}
}

func flags(bits ...bool) uint64 {
	sum := uint64(0)
	for i, bit := range bits {
		if bit {
			sum |= 1 << i
		}
	}
	return sum
}

// reader turns bad at the first thing that cannot be, and gives zeros from then on.
type reader struct {
	rest []byte
	bad  bool
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if r.bad || size <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) signed() int64 {
	n, size := binary.Varint(r.rest)
	if r.bad || size <= 0 {
		r.bad = true
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *reader) upTo(limit uint64) uint64 {
	n := r.number()
	if n > limit {
		r.bad = true
		return 0
	}
	return n
}

// count is a number of things that each take at least one byte of what is left.
func (r *reader) count(limit int) int {
	return int(r.upTo(uint64(min(limit, len(r.rest)))))
}

func (r *reader) text() string {
	n := r.count(maxPathBytes)
	if r.bad || n > len(r.rest) {
		r.bad = true
		return ""
	}
	s := string(r.rest[:n])
	r.rest = r.rest[n:]
	return s
}

func (r *reader) people(x *Index) {
	n := r.count(MaxAuthors)
	for range n {
		p := person{id: r.number()}
		for range r.count(10_000) {
			p.years = append(p.years, yearly{uint16(r.upTo(9999)), uint32(r.upTo(1<<32 - 1))})
		}
		x.authors[p.id] = uint32(len(x.people))
		x.people = append(x.people, p)
	}
	r.bad = r.bad || len(x.authors) != n
}

func (r *reader) subsystems(x *Index) {
	n := r.count(maxSubsystems)
	for i := range n {
		x.subsystems[r.text()] = uint32(i)
	}
	r.bad = r.bad || len(x.subsystems) != n
}

func (r *reader) pairs(x *Index) {
	pair := uint64(0)
	for i := range r.count(maxPairs) {
		step := r.number()
		pair += step
		if i > 0 && step == 0 || int(pair>>32) >= len(x.people) || int(pair&(1<<32-1)) >= len(x.subsystems) {
			r.bad = true
			return
		}
		x.pairs[pair] = uint32(r.upTo(1<<32 - 1))
	}
}

func (r *reader) files(x *Index) {
	path, last := "", int64(0)
	for i := range r.count(MaxFiles) {
		next := path[:r.upTo(uint64(len(path)))] + r.text()
		f := file{lines: int64(r.upTo(1 << 62)), last: last + r.signed(), commit: uint32(r.upTo(uint64(x.commits))), changes: uint32(r.upTo(1<<32 - 1))}
		devs := r.count(MaxDevelopers)
		if devs > 0 {
			f.devs = make([]uint32, 0, devs)
		}
		for range devs {
			dev := uint32(r.upTo(uint64(max(len(x.people)-1, 0))))
			if len(f.devs) > 0 && dev <= f.devs[len(f.devs)-1] {
				r.bad = true
			}
			f.devs = append(f.devs, dev)
		}
		if r.bad || i > 0 && next <= path || len(next) > maxPathBytes {
			r.bad = true
			return
		}
		x.files[next] = f
		path, last = next, f.last
	}
}
