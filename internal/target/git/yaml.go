package git

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// Private

// step leads from a node to one below it: to the value of a key, or to an element by its number or by what one of its
// keys says.
type step struct {
	key    string // of a mapping
	number int    // of an element; -1: none
	where  string // the key that selects an element
	equals string
}

const maxSteps = 32

var (
	pathKey     = regexp.MustCompile(`^[^.\[\]"]+`)
	pathBracket = regexp.MustCompile(`^\[(?:([0-9]{1,4})|"([^"]+)"|([^\[\]="]+)=([^\[\]"]+))\]`)
)

func parsePath(text string) ([]step, error) {
	var steps []step
	wrong := fmt.Errorf("%q: write it like image.tag, images[name=shop].newTag or list[0][\"a.b\"]", text)
	for rest := text; rest != ""; {
		if len(steps) == maxSteps {
			return nil, fmt.Errorf("%q has more than %d steps", text, maxSteps)
		}
		if m := pathBracket.FindStringSubmatch(rest); m != nil {
			next := step{number: -1, key: m[2], where: m[3], equals: m[4]}
			if m[1] != "" {
				next.number, _ = strconv.Atoi(m[1]) // four digits at most
			}
			steps, rest = append(steps, next), rest[len(m[0]):]
			continue
		}
		if len(steps) > 0 {
			after, found := strings.CutPrefix(rest, ".")
			if !found {
				return nil, wrong
			}
			rest = after
		}
		key := pathKey.FindString(rest)
		if key == "" {
			return nil, wrong
		}
		steps, rest = append(steps, step{key: key, number: -1}), rest[len(key):]
	}
	return steps, nil
}

func (s step) String() string {
	switch {
	case s.number >= 0:
		return fmt.Sprintf("[%d]", s.number)
	case s.where != "":
		return fmt.Sprintf("[%s=%s]", s.where, s.equals)
	}
	return s.key
}

// findValue gives where a value stands in YAML or JSON, without its quotes, and whether it has none. Of a file with
// several documents, one has to hold it.
func findValue(text []byte, path []step) (at span, plain bool, err error) {
	file, err := parser.ParseBytes(text, 0)
	if err != nil {
		return span{}, false, errors.New("it is no YAML or JSON that can be read")
	}
	var found []ast.Node
	missing := errors.New("it is empty")
	for _, doc := range file.Docs {
		node, err := follow(doc.Body, path)
		if err != nil {
			missing = err
			continue
		}
		found = append(found, node)
	}
	switch len(found) {
	case 0:
		return span{}, false, missing
	case 1:
		return locate(text, found[0])
	}
	return span{}, false, errors.New("several of its documents have a value at version.path: use version.pattern to tell which")
}

func follow(node ast.Node, path []step) (ast.Node, error) {
	for _, s := range path {
		next, err := below(node, s)
		if err != nil {
			return nil, err
		}
		node = next
	}
	return node, nil
}

func below(node ast.Node, s step) (ast.Node, error) {
	if s.number < 0 && s.where == "" {
		if value := valueOf(node, s.key); value != nil {
			return value, nil
		}
		return nil, fmt.Errorf("version.path: there is no %s", s)
	}
	list, ok := bare(node).(*ast.SequenceNode)
	if !ok {
		return nil, fmt.Errorf("version.path: %s looks for an element, and there is no list", s)
	}
	var found []ast.Node
	for i, element := range list.Values {
		if i == s.number || s.where != "" && said(valueOf(element, s.where)) == s.equals {
			found = append(found, element)
		}
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("version.path: %d elements are %s, it has to be one", len(found), s)
	}
	return found[0], nil
}

// valueOf is nil where there is no such key, or the key is there twice.
func valueOf(node ast.Node, key string) ast.Node {
	var values []*ast.MappingValueNode
	switch m := bare(node).(type) {
	case *ast.MappingNode:
		values = m.Values
	case *ast.MappingValueNode:
		values = []*ast.MappingValueNode{m}
	}
	var found ast.Node
	for _, v := range values {
		if said(v.Key) != key {
			continue
		}
		if found != nil {
			return nil
		}
		found = v.Value
	}
	return found
}

// bare takes an anchor or a tag from what it is put on.
func bare(node ast.Node) ast.Node {
	for {
		switch n := node.(type) {
		case *ast.AnchorNode:
			node = n.Value
		case *ast.TagNode:
			node = n.Value
		default:
			return node
		}
	}
}

// scalar is the token of a plain or quoted value; nil for everything else.
func scalar(node ast.Node) *token.Token {
	switch n := bare(node).(type) {
	case *ast.StringNode:
		return n.Token
	case *ast.IntegerNode:
		return n.Token
	case *ast.FloatNode:
		return n.Token
	}
	return nil
}

// said is a scalar's text; empty for what is none.
func said(node ast.Node) string {
	if t := scalar(node); t != nil {
		return t.Value
	}
	return ""
}

// locate finds a scalar in the text that it was read from. The parser counts lines and characters from 1.
func locate(text []byte, node ast.Node) (at span, plain bool, err error) {
	t := scalar(node)
	if t == nil || t.Position == nil || t.Value == "" {
		return span{}, false, errors.New("version.path: there is no plain value")
	}
	from, rest := 0, string(text)
	for range t.Position.Line - 1 {
		_, after, found := strings.Cut(rest, "\n")
		if !found {
			return span{}, false, errors.New("version.path: the value was not found again")
		}
		from, rest = from+len(rest)-len(after), after
	}
	for range t.Position.Column - 1 {
		_, size := utf8.DecodeRuneInString(rest)
		from, rest = from+size, rest[size:]
	}
	for _, quote := range []string{"", `"`, "'"} {
		if strings.HasPrefix(rest, quote+t.Value+quote) {
			from += len(quote)
			return span{from, from + len(t.Value)}, quote == "", nil
		}
	}
	line, _, _ := strings.Cut(rest, "\n")
	quoted := `"` + t.Value + `"`
	if strings.Count(line, quoted) == 1 { // behind tabs, of which the parser does not count every one
		from += strings.Index(line, quoted) + 1
		return span{from, from + len(t.Value)}, false, nil
	}
	return span{}, false, errors.New("version.path: there is no plain value: it stands over several lines or holds escapes")
}

// mustQuote tells whether a value without quotes would be read as something else than this text: 1.10 as 1.1.
func mustQuote(value string) bool {
	file, err := parser.ParseBytes([]byte(value), 0)
	if err != nil || len(file.Docs) != 1 {
		return true
	}
	word, ok := file.Docs[0].Body.(*ast.StringNode)
	return !ok || word.Value != value
}
