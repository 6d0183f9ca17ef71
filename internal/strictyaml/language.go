// Package strictyaml reads YAML files that people write into Go structs, strictly and completely: everything that is
// wrong with a file is said at once, each with file, line, column, the line itself and a caret. Secrets are named in a
// file, never written in it, and a line that holds one all the same is not shown past it. From the same structs come
// the JSON Schema of a file and its reference page.
//
// The format is plain YAML 1.2, read with the following narrowings: one document; a bare number where a time or a
// percentage is wanted is refused; text that looks like a number needs quotes; anchors and aliases stand for whole
// values; merge keys (<<) and tags (!!str) are refused; a file has at most 1 MiB, 20,000 lines and 100 levels.
package strictyaml

import (
	"encoding"
	"errors"
	"io"
	"os"
	"reflect"
	"regexp"

	"github.com/deployguardian/adg"
)

// Language is one kind of file: how problems call it, and the types that only it has.
type Language struct {
	Noun     string // as in: the policy is empty
	Plural   string
	Example  string // a field that every such file has
	Opening  string // what such a file begins with
	Textuals map[reflect.Type]Textual
	Words    int // words and signs that such a file has at most; 0: 30,000
}

// Textual is a type that is written as a text of its own form. What Pattern does not match, Read is not asked about,
// so that the schema, which knows the pattern only, takes all that is taken by the decoder.
type Textual struct {
	Name    string // as the reference page has it
	What    string // as in "service is …"
	Cure    func(number string) string
	Pattern *regexp.Regexp
	Read    func(text string) (any, error)
}

// Lookup finds the value of an environment variable; false if it is not set.
type Lookup func(name string) (value string, found bool)

// Parse makes a tree of a file's text; nil if it cannot, and the document says why. Name is what problems call the file.
func (l Language) Parse(name string, text []byte) (*Document, *Node) {
	doc := newDocument(l, name, text)
	return doc, parseYAML(doc, text)
}

// Nothing is the document of a file that is not there.
func (l Language) Nothing(name string) *Document { return newDocument(l, name, nil) }

// ReadFile reads a file up to a byte past what Parse takes, so that one that is too large is refused there.
func ReadFile(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	text, err := io.ReadAll(io.LimitReader(f, maxBytes+1))
	return text, errors.Join(err, f.Close())
}

// Private

// form is how values of a Go type are written in a file.
type form uint8

const (
	noForm form = iota // cannot be written
	rawForm
	secretForm
	textualForm // one of the language's, a time or a percentage
	enumForm    // a text that the type reads itself
	pointerForm
	structForm
	mapForm
	listForm
	textForm
	boolForm
	wholeForm
	numberForm
)

var (
	nodeType            = reflect.TypeFor[*Node]()
	secretType          = reflect.TypeFor[adg.Secret]()
	textUnmarshalerType = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// textual is how a type is written, if it has a text of its own form.
func (l Language) textual(t reflect.Type) (Textual, bool) {
	if own, found := l.Textuals[t]; found {
		return own, true
	}
	every, found := textuals[t]
	return every, found
}

func (l Language) formOf(t reflect.Type) form {
	_, textual := l.textual(t)
	switch {
	case t == nodeType:
		return rawForm
	case t == secretType:
		return secretForm
	case textual:
		return textualForm
	case reflect.PointerTo(t).Implements(textUnmarshalerType):
		return enumForm
	case t.Kind() == reflect.Map && t.Key().Kind() != reflect.String:
		return noForm
	}
	return forms[t.Kind()]
}

// forms are those of the kinds that a file can hold.
var forms = map[reflect.Kind]form{
	reflect.Pointer: pointerForm, reflect.Struct: structForm, reflect.Map: mapForm, reflect.Slice: listForm,
	reflect.String: textForm, reflect.Bool: boolForm, reflect.Float32: numberForm, reflect.Float64: numberForm,
	reflect.Int: wholeForm, reflect.Int8: wholeForm, reflect.Int16: wholeForm, reflect.Int32: wholeForm, reflect.Int64: wholeForm,
	reflect.Uint: wholeForm, reflect.Uint8: wholeForm, reflect.Uint16: wholeForm, reflect.Uint32: wholeForm, reflect.Uint64: wholeForm,
}
