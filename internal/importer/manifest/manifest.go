// Package manifest reads the documents of other tools, YAML or JSON, into trees that know where everything stands in
// the text, and what nobody has read yet.
package manifest

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/deployguardian/adg"
)

// The bounds of a file. The YAML parser's time grows with the square of the keys of a mapping and of a run of blank
// lines, and its stack with the depth.
const (
	MaxBytes     = 1 << 20
	MaxDocuments = 100
	maxLines     = 20_000
	maxBlank     = 100 // lines in a row
	maxTokens    = 30_000
	maxDepth     = 100
	maxNodes     = 50_000 // aliases counted as often as they are used
)

// Kind is what a node is.
type Kind uint8

// The kinds of nodes.
const (
	Scalar Kind = iota
	List
	Mapping
)

// Place is where a node stands: its field's name, or the value itself in a list.
type Place struct {
	File         string
	Line, Column int    // from 1; in characters
	Path         string // as in spec.metrics[0].interval
}

// Node is a value of a document. Its methods take a nil Node for a value that is not there. What is asked for with
// Get counts as read. It is not safe for concurrent use.
type Node struct {
	Kind   Kind
	Place  Place
	text   string
	null   bool
	items  []*Node
	fields []*field
}

// Field is one field of a mapping.
type Field struct {
	Name  string
	Value *Node
}

// Read makes the trees of the documents in text; name is what places call the file. The error is adg.Invalid and names
// the line, where there is one.
func Read(name string, text []byte) ([]*Node, error) {
	text = bytes.TrimPrefix(text, []byte("\ufeff"))
	if err := bounded(text); err != nil {
		return nil, fmt.Errorf("%s: %w", adg.Printable(name), err)
	}
	var docs []*Node
	var err error
	if start := bytes.TrimLeft(text, " \t\r\n"); len(start) > 0 && start[0] == '{' {
		if docs, err = readJSON(name, text); err == nil {
			return docs, nil
		}
	}
	if docs, err = readYAML(name, text); err != nil {
		return nil, fmt.Errorf("%s: %w", adg.Printable(name), err)
	}
	return docs, nil
}

// Get is the value at a path of field names, nil if there is none or nothing in it. The fields on the way count as read.
func (n *Node) Get(names ...string) *Node {
	for _, name := range names {
		f := n.field(name)
		if f == nil {
			return nil
		}
		f.read = true
		n = f.value
	}
	if n != nil && n.null {
		return nil
	}
	return n
}

// Has tells whether a field is there, without reading it.
func (n *Node) Has(name string) bool {
	f := n.field(name)
	return f != nil && !f.value.null
}

// Skip counts fields, and what is in them, as read: they mean nothing here.
func (n *Node) Skip(names ...string) {
	for _, name := range names {
		if f := n.field(name); f != nil {
			f.read = true
			f.value.skip()
		}
	}
}

// Text is a scalar's text, empty for everything else.
func (n *Node) Text() string {
	if n == nil || n.Kind != Scalar || n.null {
		return ""
	}
	return n.text
}

// Items are the entries of a list.
func (n *Node) Items() []*Node {
	if n == nil {
		return nil
	}
	return n.items
}

// Fields are the fields of a mapping in the order of the text; all of them count as read.
func (n *Node) Fields() []Field {
	if n == nil {
		return nil
	}
	all := make([]Field, 0, len(n.fields))
	for _, f := range n.fields {
		f.read = true
		all = append(all, Field{f.name, f.value})
	}
	return all
}

// Number is a scalar's number.
func (n *Node) Number() (float64, bool) {
	v, err := strconv.ParseFloat(strings.TrimSpace(n.Text()), 64)
	return v, err == nil
}

// Whole is a scalar's whole number, quoted or not.
func (n *Node) Whole() (int, bool) {
	v, err := strconv.Atoi(strings.TrimSpace(n.Text()))
	return v, err == nil
}

// True tells whether a scalar is true.
func (n *Node) True() bool { return n.Text() == "true" }

// Duration is a time as Go writes it (1h30m), or a number of bare units; from zero to a year.
func (n *Node) Duration(bare time.Duration) (time.Duration, bool) {
	text := strings.TrimSpace(n.Text())
	if count, err := strconv.ParseFloat(text, 64); err == nil {
		if d := count * float64(bare); d >= 0 && d <= float64(longest) {
			return time.Duration(d), true
		}
		return 0, false
	}
	if d, err := time.ParseDuration(text); err == nil && d >= 0 && d <= longest {
		return d, true
	}
	return 0, false
}

// String is the value on few lines, as a comment shows it: a scalar's text, or JSON. All of it counts as read.
func (n *Node) String() string {
	if n == nil {
		return ""
	}
	n.skip()
	if n.Kind == Scalar {
		return n.text
	}
	var out strings.Builder
	n.write(&out)
	return out.String()
}

// Unread are the fields in a tree that nobody asked for; of a field and those in it, only the outer one.
func (n *Node) Unread() []Field {
	var all []Field
	seen := map[*Node]bool{}
	n.unread(&all, seen)
	return all
}

// Private

// longest is the longest time that anything here can take.
const longest = 366 * 24 * time.Hour

type field struct {
	name  string
	read  bool
	value *Node
}

func (n *Node) field(name string) *field {
	if n == nil {
		return nil
	}
	for _, f := range n.fields {
		if f.name == name {
			return f
		}
	}
	return nil
}

func (n *Node) skip() {
	for _, f := range n.fields {
		f.read = true
		f.value.skip()
	}
	for _, item := range n.items {
		item.skip()
	}
}

func (n *Node) unread(all *[]Field, seen map[*Node]bool) {
	if n == nil || seen[n] {
		return
	}
	seen[n] = true
	for _, f := range n.fields {
		if f.read {
			f.value.unread(all, seen)
		} else {
			*all = append(*all, Field{f.name, f.value})
		}
	}
	for _, item := range n.items {
		item.unread(all, seen)
	}
}

func (n *Node) write(out *strings.Builder) {
	switch n.Kind {
	case Scalar:
		out.WriteString(strconv.Quote(n.text))
	case List:
		out.WriteByte('[')
		for i, item := range n.items {
			if i > 0 {
				out.WriteString(", ")
			}
			item.write(out)
		}
		out.WriteByte(']')
	case Mapping:
		out.WriteByte('{')
		for i, f := range n.fields {
			if i > 0 {
				out.WriteString(", ")
			}
			out.WriteString(f.name + ": ")
			f.value.write(out)
		}
		out.WriteByte('}')
	}
}

// counter bounds the trees of a file: an alias counts as all that it stands for.
type counter struct {
	nodes int
	sizes map[*Node]int
}

func (c *counter) add(n *Node, size int) error {
	if c.nodes += size; c.nodes > maxNodes {
		return adg.Errorf(adg.Invalid, "line %d: more than %d values, aliases counted as often as they are used", n.Place.Line, maxNodes)
	}
	return nil
}

func bounded(text []byte) error {
	if len(text) > MaxBytes {
		return adg.Errorf(adg.Invalid, "the file is larger than %d bytes", MaxBytes)
	}
	if !utf8.Valid(text) || bytes.IndexByte(text, 0) >= 0 {
		return adg.Errorf(adg.Invalid, "this is no UTF-8 text")
	}
	blank, lines := 0, 0
	for line := range bytes.Lines(text) {
		if lines++; lines > maxLines {
			return adg.Errorf(adg.Invalid, "the file has more than %d lines", maxLines)
		}
		if blank++; len(bytes.TrimSpace(line)) > 0 {
			blank = 0
		}
		if blank > maxBlank {
			return adg.Errorf(adg.Invalid, "line %d: more than %d blank lines in a row", lines, maxBlank)
		}
	}
	return nil
}
