package migration

import (
	"strings"
)

// Statement is one of a script.
type Statement struct {
	Text string // without the semicolon that ends it
	Line int    // where it begins in the script, from 1

	tokens []token
	broken string // why it cannot be read to its end; empty: it can
}

// Split takes a script of PostgreSQL apart. It knows strings, dollar quotes, nested comments, quoted names and the bodies
// of functions; text that ends within one of them is a statement that says so to the linter.
func Split(script string) []Statement {
	s := scanner{text: script, line: 1}
	var all []Statement
	for {
		statement, more := s.statement()
		if len(statement.tokens) > 0 || statement.broken != "" {
			all = append(all, statement)
		}
		if !more {
			return all
		}
	}
}

// Private

type kind uint8

const (
	word   kind = iota // not quoted, in lower case
	quoted             // a name in double quotes, without them
	str                // a string of any kind, without its quotes
	number
	symbol
	meta // a command of psql: a backslash to the end of the line
)

type token struct {
	kind       kind
	text       string
	line       int
	begin, end int // in the script
}

// is tells whether the token is one of these words or symbols, not quoted.
func (t token) is(texts ...string) bool {
	if t.kind != word && t.kind != symbol {
		return false
	}
	for _, text := range texts {
		if t.text == text {
			return true
		}
	}
	return false
}

type scanner struct {
	text   string
	at     int
	line   int
	broken string
}

// statement reads up to the semicolon that ends it, which is in no parentheses and in no body of a function.
func (s *scanner) statement() (found Statement, more bool) {
	depth, bodies := 0, 0
	for {
		t, ok := s.next()
		if !ok {
			if found.broken = s.broken; found.Line == 0 {
				found.Line = s.line
			}
			return found, false
		}
		if depth == 0 && bodies == 0 && t.is(";") {
			return found, true
		}
		if len(found.tokens) == 0 {
			found.Line = t.line
		}
		switch {
		case t.is("("):
			depth++
		case t.is(")"):
			depth = max(depth-1, 0)
		case t.is("atomic") && len(found.tokens) > 0 && found.tokens[0].is("create") && found.tokens[len(found.tokens)-1].is("begin"),
			bodies > 0 && t.is("case"):
			bodies++
		case bodies > 0 && t.is("end"):
			bodies--
		}
		found.tokens = append(found.tokens, t)
		found.Text = s.text[found.tokens[0].begin:t.end]
	}
}

// next is the next token, past blanks and comments.
func (s *scanner) next() (token, bool) {
	for s.at < len(s.text) {
		c := s.text[s.at]
		switch {
		case c == '\n':
			s.line++
			s.at++
		case c == ' ' || c == '\t' || c == '\r' || c == '\f' || c == '\v':
			s.at++
		case strings.HasPrefix(s.text[s.at:], "--"):
			s.at += lineLength(s.text[s.at:])
		case strings.HasPrefix(s.text[s.at:], "/*"):
			s.comment()
		default:
			return s.token(), true
		}
	}
	return token{}, false
}

// comment passes over one, with those inside it.
func (s *scanner) comment() {
	depth, begin := 0, s.line
	for s.at < len(s.text) {
		switch {
		case strings.HasPrefix(s.text[s.at:], "/*"):
			depth++
			s.at += 2
		case strings.HasPrefix(s.text[s.at:], "*/"):
			depth--
			s.at += 2
			if depth == 0 {
				return
			}
		default:
			if s.text[s.at] == '\n' {
				s.line++
			}
			s.at++
		}
	}
	s.broken, s.line = "a comment has no end", begin
}

func (s *scanner) token() token {
	t := token{line: s.line, begin: s.at}
	rest := s.text[s.at:]
	switch c := rest[0]; {
	case c == '\'':
		t.kind, t.text = str, s.quote(1, '\'', false)
	case c == '"':
		t.kind, t.text = quoted, s.quote(1, '"', false)
	case c == '\\':
		t.kind, t.text = meta, rest[:lineLength(rest)]
		s.at += len(t.text)
	case c == '$' && dollarTag(rest) != "":
		t.kind, t.text = str, s.dollar(dollarTag(rest))
	case begins(c):
		s.name(&t)
	case '0' <= c && c <= '9':
		t.kind, t.text = number, rest[:length(rest, func(c byte) bool { return continues(c) || c == '.' })]
		s.at += len(t.text)
	default:
		t.kind, t.text = symbol, rest[:1]
		s.at++
	}
	t.end = s.at
	return t
}

// name reads a word, or the string or quoted name that a letter before the quote tells something of.
func (s *scanner) name(t *token) {
	rest := s.text[s.at:]
	text := rest[:length(rest, continues)]
	after := rest[len(text):]
	lower := strings.ToLower(text)
	switch {
	case strings.HasPrefix(after, "'") && (lower == "e" || lower == "b" || lower == "x" || lower == "n"):
		t.kind, t.text = str, s.quote(len(text)+1, '\'', lower == "e")
	case lower == "u" && strings.HasPrefix(after, "&'"):
		t.kind, t.text = str, s.quote(len(text)+2, '\'', false)
	case lower == "u" && strings.HasPrefix(after, "&\""):
		t.kind, t.text = quoted, s.quote(len(text)+2, '"', false)
	default:
		t.kind, t.text = word, lower
		s.at += len(text)
	}
}

// quote reads from behind the opening quote to behind the closing one; two quotes are one that belongs to the text.
func (s *scanner) quote(open int, mark byte, escapes bool) string {
	s.at += open
	begin := s.at
	for s.at < len(s.text) {
		switch c := s.text[s.at]; {
		case c == '\\' && escapes && s.at+1 < len(s.text):
			if s.text[s.at+1] == '\n' {
				s.line++
			}
			s.at += 2
			continue
		case c == mark && strings.HasPrefix(s.text[s.at+1:], string(mark)):
			s.at++
		case c == mark:
			s.at++
			double := string(mark) + string(mark)
			return strings.ReplaceAll(s.text[begin:s.at-1], double, string(mark))
		case c == '\n':
			s.line++
		}
		s.at++
	}
	s.broken = "a quote has no end"
	return s.text[begin:]
}

func (s *scanner) dollar(tag string) string {
	body, _, closed := strings.Cut(s.text[s.at+len(tag):], tag)
	s.line += strings.Count(body, "\n")
	s.at += len(tag) + len(body)
	if !closed {
		s.broken = "the quote " + tag + " has no end"
		return body
	}
	s.at += len(tag)
	return body
}

// dollarTag is the opening of a dollar quote, such as $body$; empty: it is none.
func dollarTag(rest string) string {
	inner := length(rest[1:], func(c byte) bool { return continues(c) && c != '$' })
	if 1+inner >= len(rest) || rest[1+inner] != '$' || inner > 0 && !begins(rest[1]) {
		return ""
	}
	return rest[:inner+2]
}

func begins(c byte) bool {
	return c == '_' || c >= 0x80 || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func continues(c byte) bool { return begins(c) || c == '$' || '0' <= c && c <= '9' }

// length is how many bytes fit from the start.
func length(text string, fits func(byte) bool) int {
	for i := range len(text) {
		if !fits(text[i]) {
			return i
		}
	}
	return len(text)
}

func lineLength(text string) int {
	return length(text, func(c byte) bool { return c != '\n' })
}
