package manifest

import (
	"errors"
	"fmt"
	"strings"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"

	"github.com/deployguardian/adg"
)

// Private

// readYAML reads the documents of a text, those that are empty left out.
func readYAML(name string, text []byte) (docs []*Node, err error) {
	defer func() {
		// The parser panics on some texts that are no YAML; where, it does not say.
		if recover() != nil {
			docs, err = nil, adg.Errorf(adg.Invalid, "this cannot be read as YAML")
		}
	}()
	tokens := lexer.Tokenize(withoutEmpty(string(text)))
	if err := boundedTokens(tokens); err != nil {
		return nil, err
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		return nil, syntax(err)
	}
	count := counter{sizes: map[*Node]int{}}
	for _, d := range file.Docs {
		if d.Body == nil || d.Body.Type() == ast.DirectiveType || d.Body.Type() == ast.NullType {
			continue
		}
		if len(docs) == MaxDocuments {
			return nil, adg.Errorf(adg.Invalid, "more than %d documents", MaxDocuments)
		}
		b := builder{name: name, anchors: map[string]*Node{}, count: &count}
		doc, err := b.build(d.Body, Place{File: name, Line: line(d.Body.GetToken()), Column: 1})
		if err != nil {
			return nil, err
		}
		docs = append(docs, doc)
	}
	return docs, nil
}

// withoutEmpty is a text in which no document is empty: the parser would swallow the one after it.
func withoutEmpty(text string) string {
	lines := strings.Split(text, "\n")
	start := -1 // the line that began the document, while there is nothing in it
	for i, line := range lines {
		switch line = strings.TrimSpace(line); {
		case lines[i] == strings.TrimLeft(lines[i], " \t") && (line == "---" || strings.HasPrefix(line, "--- #")):
			if start >= 0 {
				lines[start] = "#"
			}
			start = i
		case line != "" && line[0] != '#':
			start = -1
		}
	}
	return strings.Join(lines, "\n")
}

// syntax says what the parser did not understand, without the text that it quotes: there may be secrets in it.
func syntax(err error) error {
	wrong, ok := errors.AsType[*yaml.SyntaxError](err)
	if !ok {
		return adg.Errorf(adg.Invalid, "this cannot be read as YAML")
	}
	text, _, _ := strings.Cut(wrong.Message, ": \"")
	return adg.Errorf(adg.Invalid, "line %d: this is no YAML: %s", line(wrong.Token), adg.Printable(text))
}

func boundedTokens(tokens token.Tokens) error {
	if len(tokens) > maxTokens {
		return adg.Errorf(adg.Invalid, "line %d: the file has more than %d words and signs", line(tokens[maxTokens]), maxTokens)
	}
	flow := 0
	var columns []int // of the block structures that are open
	for _, t := range tokens {
		flow = max(flow+flowChange[t.Type], 0)
		if column, opens := opensBlock(t); opens && flow == 0 {
			for len(columns) > 0 && columns[len(columns)-1] >= column {
				columns = columns[:len(columns)-1]
			}
			columns = append(columns, column)
		}
		if flow+len(columns) > maxDepth {
			return adg.Errorf(adg.Invalid, "line %d: nested more than %d levels deep", line(t), maxDepth)
		}
	}
	return nil
}

// flowChange is how many levels deeper a token leads inside [] and {}.
var flowChange = map[token.Type]int{
	token.MappingStartType: 1, token.SequenceStartType: 1, token.MappingEndType: -1, token.SequenceEndType: -1,
}

// opensBlock gives the column of what may be one level deeper than what is left of it.
func opensBlock(t *token.Token) (column int, opens bool) {
	if t.Type == token.MappingValueType && t.Prev != nil {
		return t.Prev.Position.Column, true
	}
	return t.Position.Column, t.Type == token.MappingValueType || t.Type == token.SequenceEntryType || t.Type == token.MappingKeyType
}

// builder makes our tree of the parser's. An alias is the node that it stands for.
type builder struct {
	name    string
	anchors map[string]*Node
	count   *counter
}

func (b *builder) build(from ast.Node, at Place) (*Node, error) {
	before := b.count.nodes
	n := &Node{Place: at}
	if err := b.count.add(n, 1); err != nil {
		return nil, err
	}
	var err error
	switch from := from.(type) {
	case nil, *ast.NullNode:
		n.null = true
	case *ast.StringNode:
		n.text = from.Value
	case *ast.LiteralNode:
		n.text = from.Value.Value
	case *ast.BoolNode:
		n.text = strings.ToLower(from.Token.Value)
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		n.text = strings.ReplaceAll(from.GetToken().Value, "_", "")
	case *ast.SequenceNode:
		n.Kind = List
		err = b.items(n, from.Values)
	case *ast.MappingNode:
		n.Kind = Mapping
		err = b.fields(n, from.Values)
	case *ast.MappingValueNode:
		n.Kind = Mapping
		err = b.fields(n, []*ast.MappingValueNode{from})
	case *ast.TagNode:
		return b.build(from.Value, at)
	case *ast.AnchorNode:
		if n, err = b.build(from.Value, at); err == nil {
			b.anchors[from.Name.GetToken().Value] = n
			b.count.sizes[n] = b.count.nodes - before
		}
	case *ast.AliasNode:
		return b.alias(from)
	default:
		err = adg.Errorf(adg.Invalid, "line %d: this kind of YAML is not read here", at.Line)
	}
	return n, err
}

func (b *builder) alias(from *ast.AliasNode) (*Node, error) {
	name := from.Value.GetToken().Value
	known := b.anchors[name]
	if known == nil {
		return nil, adg.Errorf(adg.Invalid, "line %d: there is no anchor before this alias", line(from.GetToken()))
	}
	return known, b.count.add(known, b.count.sizes[known])
}

func (b *builder) items(n *Node, values []ast.Node) error {
	for i, value := range values {
		at := Place{File: b.name, Line: line(value.GetToken()), Column: 1, Path: fmt.Sprintf("%s[%d]", n.Place.Path, i)}
		if t := value.GetToken(); t != nil && t.Position != nil {
			at.Column = max(t.Position.Column, 1)
		}
		if m, ok := value.(*ast.MappingNode); ok && len(m.Values) > 0 {
			at.Line, at.Column = line(m.Values[0].Key.GetToken()), max(m.Values[0].Key.GetToken().Position.Column, 1)
		}
		item, err := b.build(value, at)
		if err != nil {
			return err
		}
		n.items = append(n.items, item)
	}
	return nil
}

func (b *builder) fields(n *Node, values []*ast.MappingValueNode) error {
	for _, value := range values {
		key := value.Key.GetToken()
		at := Place{File: b.name, Line: line(key), Column: max(key.Position.Column, 1)}
		name, plain := keyName(value.Key)
		if !plain {
			return adg.Errorf(adg.Invalid, "line %d: the name of a field is plain text", at.Line)
		}
		at.Path = join(n.Place.Path, name)
		built, err := b.build(value.Value, at)
		if err != nil {
			return err
		}
		if _, merge := value.Key.(*ast.MergeKeyNode); !merge {
			n.fields = append(n.fields, &field{name: name, value: built})
			continue
		}
		for _, f := range built.fields {
			if n.field(f.name) == nil {
				n.fields = append(n.fields, &field{name: f.name, value: f.value})
			}
		}
	}
	return nil
}

func keyName(key ast.MapKeyNode) (string, bool) {
	var inner ast.Node = key
	if explicit, ok := key.(*ast.MappingKeyNode); ok {
		inner = explicit.Value
	}
	switch inner := inner.(type) {
	case *ast.StringNode:
		return inner.Value, true
	case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode, *ast.MergeKeyNode:
		return inner.GetToken().Value, true
	default:
		return "", false
	}
}

func line(t *token.Token) int {
	if t == nil || t.Position == nil {
		return 1
	}
	return max(t.Position.Line, 1)
}

// join is the path of a field.
func join(path, name string) string {
	if runes := []rune(name); len(runes) > 60 {
		name = string(runes[:60]) + "…"
	}
	if path == "" {
		return name
	}
	return path + "." + name
}
