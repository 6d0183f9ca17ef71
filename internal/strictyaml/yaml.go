package strictyaml

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/goccy/go-yaml"
	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/lexer"
	"github.com/goccy/go-yaml/parser"
	"github.com/goccy/go-yaml/token"
)

// The bounds of a file. The parser's time grows with the square of the keys of a mapping and of a run of blank
// lines, and its stack with the depth.
const (
	maxBytes  = 1 << 20
	maxLines  = 20_000
	maxBlank  = 100 // lines in a row
	maxTokens = 30_000
	maxDepth  = 100
)

// Kind is what a node of the tree is.
type Kind uint8

// The kinds.
const (
	Null    Kind = iota
	Refused      // cannot stand in a file; Text says why
	Text
	Number
	Bool
	List
	Mapping
)

var kindNames = []string{"nothing", "nothing", "text", "a number", "true or false", "a list", "a mapping"}

// String is the kind as a problem names it.
func (k Kind) String() string { return kindNames[k] }

// Node is a value of a file. An alias is the node that it stands for.
type Node struct {
	Kind    Kind
	Text    string // of a scalar, as written; quotes and escapes resolved
	Plain   bool   // a scalar without quotes
	At      Mark
	Items   []*Node
	Entries []Entry
}

// Entry is one field of a mapping.
type Entry struct {
	Name  string
	At    Mark // of the name
	Value *Node
}

// parseYAML makes a tree of text; nil if it cannot, and doc says why.
func parseYAML(doc *Document, text []byte) *Node {
	if !bounded(doc, text) {
		return nil
	}
	root := parseTree(doc, string(bytes.TrimPrefix(text, []byte("\ufeff"))))
	if root == nil {
		return nil
	}
	if root.Kind == Refused {
		doc.Refuse(root.At, "", "", "%s", root.Text)
		return nil
	}
	if root.Kind != Mapping {
		doc.Refuse(root.At, "", "", "a %s is a mapping of fields, such as '%s', not %s", doc.language.Noun, doc.language.Example, root.Kind)
		return nil
	}
	root.At.End = len(doc.lines)
	return root
}

// Private

func bounded(doc *Document, text []byte) bool {
	refuse := func(line int, format string, args ...any) bool {
		doc.Refuse(Mark{line, 1, line}, "", "", format, args...)
		return false
	}
	if len(text) > maxBytes {
		return refuse(1, "the file is larger than %d bytes: that is no %s", maxBytes, doc.language.Noun)
	}
	if len(doc.lines) > maxLines {
		return refuse(maxLines, "the file has more than %d lines: that is no %s", maxLines, doc.language.Noun)
	}
	blank := 0
	for i, line := range doc.lines {
		if !utf8.ValidString(line) || strings.ContainsRune(line, 0) {
			return refuse(i+1, "this is no UTF-8 text: save the file as UTF-8")
		}
		if blank++; strings.TrimSpace(line) != "" {
			blank = 0
		}
		if blank > maxBlank {
			return refuse(i+1, "more than %d blank lines in a row: take them out", maxBlank)
		}
	}
	return true
}

// parseTree gives the one document of the text; nil if there is none, and doc says why.
func parseTree(doc *Document, text string) (root *Node) {
	defer func() {
		// The parser panics on some texts that are no YAML; where, it does not say.
		if recover() != nil {
			doc.unread = true
			doc.Refuse(Mark{1, 1, 1}, "", "", "this cannot be read as YAML")
			root = nil
		}
	}()
	tokens := lexer.Tokenize(text)
	if !boundedTokens(doc, tokens) {
		return nil
	}
	file, err := parser.Parse(tokens, 0, parser.AllowDuplicateMapKey())
	if err != nil {
		refuseSyntax(doc, err)
		return nil
	}
	var body ast.Node
	for _, d := range file.Docs {
		switch {
		case d.Body == nil || d.Body.Type() == ast.DirectiveType:
		case body != nil:
			doc.Refuse(place(d.Start), "", "", "a second document begins here: write one %s per file", doc.language.Noun)
			return nil
		default:
			body = d.Body
		}
	}
	if body == nil {
		doc.Refuse(Mark{1, 1, 1}, "", "", "the %s is empty: it begins with %s", doc.language.Noun, doc.language.Opening)
		return nil
	}
	b := builder{doc: doc, anchors: map[string]*Node{}}
	return b.build(body)
}

func boundedTokens(doc *Document, tokens token.Tokens) bool {
	if most := cmp.Or(doc.language.Words, maxTokens); len(tokens) > most {
		doc.Refuse(place(tokens[most]), "", "", "the file has more than %d words and signs: that is no %s", most, doc.language.Noun)
		return false
	}
	headers, flow := 0, 0
	var columns []int // of the block structures that are open
	for _, t := range tokens {
		flow = max(flow+flowChange[t.Type], 0)
		if t.Type == token.DocumentHeaderType {
			headers++
		}
		if column, opens := opensBlock(t); opens && flow == 0 {
			for len(columns) > 0 && columns[len(columns)-1] >= column {
				columns = columns[:len(columns)-1]
			}
			columns = append(columns, column)
		}
		if flow+len(columns) > maxDepth {
			doc.Refuse(place(t), "", "", "nested more than %d levels deep: that is no %s", maxDepth, doc.language.Noun)
			return false
		}
		if headers > 1 {
			doc.Refuse(place(t), "", "", "a second document begins here: write one %s per file", doc.language.Noun)
			return false
		}
	}
	return true
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

// unquoted is a condition or the like that YAML takes for something else.
var unquoted = regexp.MustCompile("^([\\w-]+\\s*:|-)\\s*([>|@`%!&*][^'\"]*)$")

func refuseSyntax(doc *Document, err error) {
	doc.unread = true
	at, text := Mark{1, 1, 1}, "this cannot be read as YAML"
	if syntax, ok := errors.AsType[*yaml.SyntaxError](err); ok {
		at, text = place(syntax.Token), syntax.Message
	}
	cure := ""
	if at.Line <= len(doc.lines) {
		if hit := unquoted.FindStringSubmatch(strings.TrimSpace(doc.lines[at.Line-1])); hit != nil && literalSecret(doc.lines[at.Line-1], true) < 0 {
			cure = fmt.Sprintf(": put it in quotes, as in \"%s\"", strings.TrimSpace(hit[2]))
		}
		if strings.HasPrefix(strings.TrimLeft(doc.lines[at.Line-1], " "), "\t") {
			cure = ": indent with spaces, not with tabs"
		}
	}
	// The parser quotes what it could not read, and that may be a secret.
	if i := strings.Index(text, ": \""); i >= 0 {
		text = text[:i]
	}
	doc.Refuse(at, "", "", "this is no YAML: %s%s", text, cure)
}

// builder makes our tree of the parser's.
type builder struct {
	doc     *Document
	anchors map[string]*Node
}

func (b *builder) build(from ast.Node) *Node {
	n := &Node{At: extent(from)}
	switch from := from.(type) {
	case *ast.NullNode:
	case *ast.StringNode:
		n.Kind, n.Text, n.Plain = Text, from.Value, from.Token.Type == token.StringType
		if n.Plain && anyNumber.MatchString(n.Text) {
			n.Kind = Number // larger than the parser's, or with an exponent
		}
	case *ast.LiteralNode:
		n.Kind, n.Text = Text, from.Value.Value
	case *ast.BoolNode:
		n.Kind, n.Text, n.Plain = Bool, strings.ToLower(from.Token.Value), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		n.Kind, n.Text, n.Plain = Number, from.GetToken().Value, true
	case *ast.SequenceNode:
		n.Kind = List
		for _, item := range from.Values {
			n.Items = append(n.Items, b.build(item))
		}
	case *ast.MappingNode:
		n.Kind = Mapping
		b.fields(n, from.Values)
	case *ast.MappingValueNode:
		n.Kind = Mapping
		b.fields(n, []*ast.MappingValueNode{from})
	case *ast.AnchorNode:
		return b.anchor(n, from)
	case *ast.AliasNode:
		return b.alias(n, from)
	case *ast.TagNode:
		n.Kind = Refused
		n.Text = fmt.Sprintf("tags such as %s are not used in %s: take it out", Cut(from.GetToken().Value), b.doc.language.Plural)
	default:
		n.Kind = Refused
		n.Text = "this is not used in " + b.doc.language.Plural
	}
	return n
}

func (b *builder) fields(n *Node, values []*ast.MappingValueNode) {
	if len(values) > 0 && n.At.Line == values[0].GetToken().Position.Line && values[0].Key != nil {
		// A block mapping is said to begin at its first colon; it begins at the name before it.
		if key := place(values[0].Key.GetToken()); key.Line == n.At.Line && key.Column < n.At.Column {
			n.At.Column = key.Column
		}
	}
	for _, value := range values {
		var key ast.Node = value.Key
		if explicit, ok := key.(*ast.MappingKeyNode); ok {
			key = explicit.Value
		}
		e := Entry{At: extent(value.Key), Value: b.build(value.Value)}
		switch key := key.(type) {
		case *ast.StringNode:
			e.Name = key.Value
		case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
			e.Name = key.GetToken().Value
		case *ast.MergeKeyNode:
			b.doc.Refuse(e.At, "", "", "merge keys (<<) are not used in %s: write the fields out, or let an alias stand for the whole value", b.doc.language.Plural)
			continue
		default:
			b.doc.Refuse(e.At, "", "", "the name of a field is plain text")
			continue
		}
		n.Entries = append(n.Entries, e)
	}
}

func (b *builder) anchor(n *Node, from *ast.AnchorNode) *Node {
	name := from.Name.GetToken().Value
	if b.anchors[name] != nil {
		b.doc.Refuse(n.At, "", "", "there is an anchor &%s already", name)
	}
	if from.Value == nil {
		return n
	}
	built := b.build(from.Value)
	b.anchors[name] = built
	return built
}

func (b *builder) alias(n *Node, from *ast.AliasNode) *Node {
	name := from.Value.GetToken().Value
	if known := b.anchors[name]; known != nil {
		return known
	}
	n.Kind = Refused
	n.Text = fmt.Sprintf("there is no anchor &%s before this alias", Cut(name))
	return n
}

func place(t *token.Token) Mark {
	if t == nil || t.Position == nil {
		return Mark{1, 1, 1}
	}
	line := max(t.Position.Line, 1)
	return Mark{line, max(t.Position.Column, 1), line}
}

// extent is where a node begins, and its last line.
func extent(n ast.Node) Mark {
	at := place(n.GetToken())
	ast.Walk(ends{&at}, n)
	return at
}

// ends finds the last line of a node.
type ends struct{ at *Mark }

// Visit makes ends an ast.Visitor.
func (e ends) Visit(n ast.Node) ast.Visitor {
	if t := n.GetToken(); t != nil && t.Position != nil {
		// A text of several lines is one token, and some begin with the break before them.
		last := t.Position.Line + strings.Count(strings.TrimSpace(t.Origin), "\n")
		e.at.End = max(e.at.End, last)
	}
	return e
}
