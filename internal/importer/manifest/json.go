package manifest

import (
	"bytes"
	"encoding/json"
	"fmt"
	"unicode/utf8"

	"github.com/deployguardian/adg"
)

// Private

// jsonReader makes our trees of JSON; the tokens tell where they end, which is enough to know the line.
type jsonReader struct {
	name    string
	text    []byte
	decoder *json.Decoder
	count   counter
	counted int // how much of text the line and column below are for
	line    int
	column  int
}

// readJSON reads one or several JSON values.
func readJSON(name string, text []byte) ([]*Node, error) {
	r := &jsonReader{name: name, text: text, decoder: json.NewDecoder(bytes.NewReader(text)), line: 1, column: 1}
	r.decoder.UseNumber()
	var docs []*Node
	for r.decoder.More() {
		if len(docs) == MaxDocuments {
			return nil, adg.Errorf(adg.Invalid, "more than %d documents", MaxDocuments)
		}
		doc, err := r.value("", r.place(""), 0)
		if err != nil {
			return nil, err
		}
		docs = append(docs, doc)
	}
	return docs, nil
}

// value reads the value that comes next; at is the place of its name.
func (r *jsonReader) value(path string, at Place, depth int) (*Node, error) {
	n := &Node{Place: at}
	if err := r.count.add(n, 1); err != nil {
		return nil, err
	}
	if depth > maxDepth {
		return nil, adg.Errorf(adg.Invalid, "line %d: nested more than %d levels deep", at.Line, maxDepth)
	}
	token, err := r.decoder.Token()
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "this is no JSON: %w", err)
	}
	switch token := token.(type) {
	case json.Delim:
		if token == '{' {
			n.Kind = Mapping
			return n, r.fields(n, path, depth)
		}
		n.Kind = List
		return n, r.items(n, path, depth)
	case nil:
		n.null = true
	default:
		n.text = fmt.Sprint(token)
	}
	return n, nil
}

func (r *jsonReader) fields(n *Node, path string, depth int) error {
	for r.decoder.More() {
		name, err := r.decoder.Token()
		if err != nil {
			return adg.Errorf(adg.Invalid, "this is no JSON: %w", err)
		}
		text, _ := name.(string)
		at := join(path, text)
		value, err := r.value(at, r.place(at), depth+1)
		if err != nil {
			return err
		}
		n.fields = append(n.fields, &field{name: text, value: value})
	}
	return r.end()
}

func (r *jsonReader) items(n *Node, path string, depth int) error {
	for r.decoder.More() {
		at := fmt.Sprintf("%s[%d]", path, len(n.items))
		value, err := r.value(at, r.place(at), depth+1)
		if err != nil {
			return err
		}
		n.items = append(n.items, value)
	}
	return r.end()
}

func (r *jsonReader) end() error {
	if _, err := r.decoder.Token(); err != nil {
		return adg.Errorf(adg.Invalid, "this is no JSON: %w", err)
	}
	return nil
}

// place is where the decoder is: after a field's name, or at an item.
func (r *jsonReader) place(path string) Place {
	offset := min(int(r.decoder.InputOffset()), len(r.text))
	if path == "" || path[len(path)-1] == ']' {
		for offset < len(r.text) && bytes.IndexByte([]byte(" \t\r\n,"), r.text[offset]) >= 0 {
			offset++
		}
	}
	for ; r.counted < offset; r.counted++ {
		switch b := r.text[r.counted]; {
		case b == '\n':
			r.line, r.column = r.line+1, 1
		case utf8.RuneStart(b):
			r.column++
		}
	}
	return Place{File: r.name, Line: r.line, Column: r.column, Path: path}
}
