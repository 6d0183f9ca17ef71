package config

import (
	"bytes"
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

// The bounds of a policy file. The parser's time grows with the square of the keys of a mapping and of a run of blank
// lines, and its stack with the depth.
const (
	maxBytes  = 1 << 20
	maxLines  = 20_000
	maxBlank  = 100 // lines in a row
	maxTokens = 30_000
	maxDepth  = 100
)

// kind is what a node of the tree is.
type kind uint8

const (
	nullKind    kind = iota
	refusedKind      // cannot stand in a policy; text says why
	textKind
	numberKind
	boolKind
	listKind
	mappingKind
)

var kindNames = []string{"nothing", "nothing", "text", "a number", "true or false", "a list", "a mapping"}

// String is the kind as a problem names it.
func (k kind) String() string { return kindNames[k] }

// node is a value of a policy file. An alias is the node that it stands for.
type node struct {
	kind    kind
	text    string // of a scalar, as written; quotes and escapes resolved
	plain   bool   // a scalar without quotes
	at      mark
	items   []*node
	entries []entry
}

// entry is one field of a mapping.
type entry struct {
	name  string
	at    mark // of the name
	value *node
}

// parseYAML makes a tree of text; nil if it cannot, and doc says why.
func parseYAML(doc *document, text []byte) *node {
	if !bounded(doc, text) {
		return nil
	}
	root := parseTree(doc, string(bytes.TrimPrefix(text, []byte("\ufeff"))))
	if root == nil {
		return nil
	}
	if root.kind == refusedKind {
		doc.refuse(root.at, "", "", "%s", root.text)
		return nil
	}
	if root.kind != mappingKind {
		doc.refuse(root.at, "", "", "a policy is a mapping of fields, such as 'service: checkout', not %s", root.kind)
		return nil
	}
	root.at.end = len(doc.lines)
	return root
}

// Private

func bounded(doc *document, text []byte) bool {
	refuse := func(line int, format string, args ...any) bool {
		doc.refuse(mark{line, 1, line}, "", "", format, args...)
		return false
	}
	if len(text) > maxBytes {
		return refuse(1, "the file is larger than %d bytes: that is no policy", maxBytes)
	}
	if len(doc.lines) > maxLines {
		return refuse(maxLines, "the file has more than %d lines: that is no policy", maxLines)
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
func parseTree(doc *document, text string) (root *node) {
	defer func() {
		// The parser panics on some texts that are no YAML; where, it does not say.
		if recover() != nil {
			doc.unread = true
			doc.refuse(mark{1, 1, 1}, "", "", "this cannot be read as YAML")
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
			doc.refuse(place(d.Start), "", "", "a second document begins here: write one policy per file")
			return nil
		default:
			body = d.Body
		}
	}
	if body == nil {
		doc.refuse(mark{1, 1, 1}, "", "", "the policy is empty: it begins with service, environment, sources, target, checks and strategy")
		return nil
	}
	b := builder{doc: doc, anchors: map[string]*node{}}
	return b.build(body)
}

func boundedTokens(doc *document, tokens token.Tokens) bool {
	if len(tokens) > maxTokens {
		doc.refuse(place(tokens[maxTokens]), "", "", "the file has more than %d words and signs: that is no policy", maxTokens)
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
			doc.refuse(place(t), "", "", "nested more than %d levels deep: that is no policy", maxDepth)
			return false
		}
		if headers > 1 {
			doc.refuse(place(t), "", "", "a second document begins here: write one policy per file")
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

func refuseSyntax(doc *document, err error) {
	doc.unread = true
	at, text := mark{1, 1, 1}, "this cannot be read as YAML"
	if syntax, ok := errors.AsType[*yaml.SyntaxError](err); ok {
		at, text = place(syntax.Token), syntax.Message
	}
	cure := ""
	if at.line <= len(doc.lines) {
		if hit := unquoted.FindStringSubmatch(strings.TrimSpace(doc.lines[at.line-1])); hit != nil && literalSecret(doc.lines[at.line-1], true) < 0 {
			cure = fmt.Sprintf(": put it in quotes, as in \"%s\"", strings.TrimSpace(hit[2]))
		}
		if strings.HasPrefix(strings.TrimLeft(doc.lines[at.line-1], " "), "\t") {
			cure = ": indent with spaces, not with tabs"
		}
	}
	// The parser quotes what it could not read, and that may be a secret.
	if i := strings.Index(text, ": \""); i >= 0 {
		text = text[:i]
	}
	doc.refuse(at, "", "", "this is no YAML: %s%s", text, cure)
}

// builder makes our tree of the parser's.
type builder struct {
	doc     *document
	anchors map[string]*node
}

func (b *builder) build(from ast.Node) *node {
	n := &node{at: extent(from)}
	switch from := from.(type) {
	case *ast.NullNode:
	case *ast.StringNode:
		n.kind, n.text, n.plain = textKind, from.Value, from.Token.Type == token.StringType
		if n.plain && anyNumber.MatchString(n.text) {
			n.kind = numberKind // larger than the parser's, or with an exponent
		}
	case *ast.LiteralNode:
		n.kind, n.text = textKind, from.Value.Value
	case *ast.BoolNode:
		n.kind, n.text, n.plain = boolKind, strings.ToLower(from.Token.Value), true
	case *ast.IntegerNode, *ast.FloatNode, *ast.InfinityNode, *ast.NanNode:
		n.kind, n.text, n.plain = numberKind, from.GetToken().Value, true
	case *ast.SequenceNode:
		n.kind = listKind
		for _, item := range from.Values {
			n.items = append(n.items, b.build(item))
		}
	case *ast.MappingNode:
		n.kind = mappingKind
		b.fields(n, from.Values)
	case *ast.MappingValueNode:
		n.kind = mappingKind
		b.fields(n, []*ast.MappingValueNode{from})
	case *ast.AnchorNode:
		return b.anchor(n, from)
	case *ast.AliasNode:
		return b.alias(n, from)
	case *ast.TagNode:
		n.kind = refusedKind
		n.text = fmt.Sprintf("tags such as %s are not used in policies: take it out", cut(from.GetToken().Value))
	default:
		n.kind = refusedKind
		n.text = "this is not used in policies"
	}
	return n
}

func (b *builder) fields(n *node, values []*ast.MappingValueNode) {
	if len(values) > 0 && n.at.line == values[0].GetToken().Position.Line && values[0].Key != nil {
		// A block mapping is said to begin at its first colon; it begins at the name before it.
		if key := place(values[0].Key.GetToken()); key.line == n.at.line && key.column < n.at.column {
			n.at.column = key.column
		}
	}
	for _, value := range values {
		var key ast.Node = value.Key
		if explicit, ok := key.(*ast.MappingKeyNode); ok {
			key = explicit.Value
		}
		e := entry{at: extent(value.Key), value: b.build(value.Value)}
		switch key := key.(type) {
		case *ast.StringNode:
			e.name = key.Value
		case *ast.IntegerNode, *ast.FloatNode, *ast.BoolNode, *ast.NullNode:
			e.name = key.GetToken().Value
		case *ast.MergeKeyNode:
			b.doc.refuse(e.at, "", "", "merge keys (<<) are not used in policies: write the fields out, or let an alias stand for the whole value")
			continue
		default:
			b.doc.refuse(e.at, "", "", "the name of a field is plain text")
			continue
		}
		n.entries = append(n.entries, e)
	}
}

func (b *builder) anchor(n *node, from *ast.AnchorNode) *node {
	name := from.Name.GetToken().Value
	if b.anchors[name] != nil {
		b.doc.refuse(n.at, "", "", "there is an anchor &%s already", name)
	}
	if from.Value == nil {
		return n
	}
	built := b.build(from.Value)
	b.anchors[name] = built
	return built
}

func (b *builder) alias(n *node, from *ast.AliasNode) *node {
	name := from.Value.GetToken().Value
	if known := b.anchors[name]; known != nil {
		return known
	}
	n.kind = refusedKind
	n.text = fmt.Sprintf("there is no anchor &%s before this alias", cut(name))
	return n
}

func place(t *token.Token) mark {
	if t == nil || t.Position == nil {
		return mark{1, 1, 1}
	}
	line := max(t.Position.Line, 1)
	return mark{line, max(t.Position.Column, 1), line}
}

// extent is where a node begins, and its last line.
func extent(n ast.Node) mark {
	at := place(n.GetToken())
	ast.Walk(ends{&at}, n)
	return at
}

// ends finds the last line of a node.
type ends struct{ at *mark }

// Visit makes ends an ast.Visitor.
func (e ends) Visit(n ast.Node) ast.Visitor {
	if t := n.GetToken(); t != nil && t.Position != nil {
		// A text of several lines is one token, and some begin with the break before them.
		last := t.Position.Line + strings.Count(strings.TrimSpace(t.Origin), "\n")
		e.at.end = max(e.at.end, last)
	}
	return e
}
