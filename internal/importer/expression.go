package importer

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Private

// truth says for which answers of a source an expression holds.
type truth struct {
	on    zone
	nan   bool   // whether it holds for NaN
	empty answer // whether it does where there is no answer
}

// answer is what an expression makes of no answer.
type answer uint8

const (
	fails answer = iota // to evaluate
	isFalse
	isTrue
)

// expression is what is known of a condition of Argo Rollouts once it is read.
type expression struct {
	truth
	reduce  string // max or min where the condition is about all series at once; empty: about one
	onEmpty *float64
}

// maxExpression bounds what is read, and so the depth of the reader's stack.
const maxExpression = 2_000

// parseExpression reads a condition as far as a policy could say it: comparisons of result with numbers, isNaN, isInf,
// isNil, len, default, asFloat and asInt, all and any over result, joined by &&, || and !. The error says what else
// there is.
func parseExpression(text string) (expression, error) {
	if len(text) > maxExpression {
		return expression{}, fmt.Errorf("a condition of more than %d characters is not read", maxExpression)
	}
	r := &expressionReader{tokens: words(text)}
	t, err := r.disjunction(0)
	if err == nil && r.at < len(r.tokens) {
		err = fmt.Errorf("%q is more than a policy can say", r.tokens[r.at])
	}
	return expression{truth: t, reduce: r.reduce, onEmpty: r.onEmpty}, err
}

// words are the parts of an expression; a text in quotes keeps its first quote.
func words(text string) []string {
	var all []string
	for text = strings.TrimSpace(text); text != ""; text = strings.TrimSpace(text) {
		n := wordEnd(text)
		all = append(all, text[:n])
		text = text[n:]
	}
	return all
}

func wordEnd(text string) int {
	for _, operator := range []string{"&&", "||", ">=", "<=", "==", "!="} {
		if strings.HasPrefix(text, operator) {
			return 2
		}
	}
	c := text[0]
	if c == '"' || c == '\'' {
		if end := strings.IndexByte(text[1:], c); end >= 0 {
			return end + 2
		}
		return len(text)
	}
	n := 0
	for n < len(text) && (letter(text[n]) || strings.ContainsRune("0123456789_.", rune(text[n])) || n > 0 && exponentSign(text, n)) {
		n++
	}
	return max(n, 1)
}

func letter(c byte) bool { return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' }

// exponentSign tells whether a sign belongs to the number before it, as in 1e-3.
func exponentSign(text string, n int) bool {
	return (text[n] == '-' || text[n] == '+') && (text[n-1] == 'e' || text[n-1] == 'E') && (text[0] == '.' || '0' <= text[0] && text[0] <= '9')
}

// expressionReader reads the parts from left to right.
type expressionReader struct {
	tokens  []string
	at      int
	reduce  string
	seen    bool // whether result was named
	onEmpty *float64
}

func (r *expressionReader) next() string {
	if r.at == len(r.tokens) {
		return ""
	}
	return r.tokens[r.at]
}

func (r *expressionReader) take(wanted ...string) bool {
	for i, w := range wanted {
		if r.at+i >= len(r.tokens) || r.tokens[r.at+i] != w {
			return false
		}
	}
	r.at += len(wanted)
	return true
}

func (r *expressionReader) disjunction(depth int) (truth, error) {
	left, err := r.conjunction(depth)
	for err == nil && (r.take("||") || r.take("or")) {
		var right truth
		right, err = r.conjunction(depth)
		left = truth{on: left.on.or(right.on), nan: left.nan || right.nan, empty: orElse(left.empty, right.empty)}
	}
	return left, err
}

func (r *expressionReader) conjunction(depth int) (truth, error) {
	left, err := r.negation(depth)
	for err == nil && (r.take("&&") || r.take("and")) {
		var right truth
		right, err = r.negation(depth)
		left = truth{on: left.on.and(right.on), nan: left.nan && right.nan, empty: andThen(left.empty, right.empty)}
	}
	return left, err
}

func (r *expressionReader) negation(depth int) (truth, error) {
	if depth > 50 {
		return truth{}, fmt.Errorf("it is nested too deep")
	}
	if r.take("!") || r.take("not") {
		t, err := r.negation(depth + 1)
		return truth{on: t.on.not(), nan: !t.nan, empty: opposite(t.empty)}, err
	}
	if !r.take("(") {
		return r.primary()
	}
	t, err := r.disjunction(depth + 1)
	if err == nil && !r.take(")") {
		err = fmt.Errorf("a parenthesis is not closed")
	}
	return t, err
}

// primary reads a comparison, or a function that is true or false.
func (r *expressionReader) primary() (truth, error) {
	for _, name := range []string{"isNaN", "isInf", "isNil"} {
		if !r.take(name, "(") {
			continue
		}
		if _, err := r.result(); err != nil {
			return truth{}, err
		}
		if !r.take(")") {
			return truth{}, fmt.Errorf("%s is about result alone", name)
		}
		switch name {
		case "isNaN":
			return truth{nan: true}, nil
		case "isInf":
			return truth{on: zone{{low: -infinite, high: -infinite}, {low: infinite, high: infinite}}, empty: isFalse}, nil
		default:
			return truth{empty: isTrue}, nil
		}
	}
	for _, name := range []string{"all", "any"} {
		if r.take(name, "(", "result", ",") {
			return r.quantified(name)
		}
	}
	left, err := r.operand()
	if err != nil {
		return truth{}, err
	}
	operator := r.next()
	if _, known := compared(operator, 0); !known || operator == "=" {
		return truth{}, fmt.Errorf("%q is not compared with a number", left.text)
	}
	r.at++
	right, err := r.operand()
	if err != nil {
		return truth{}, err
	}
	return compare(left, operator, right)
}

// quantified reads the rest of all(result, # < 5): the largest of them decides.
func (r *expressionReader) quantified(name string) (truth, error) {
	braced := r.take("{")
	if !r.take("#") {
		return truth{}, fmt.Errorf("%s is read with # compared to a number", name)
	}
	operator := r.next()
	_, known := compared(operator, 0)
	r.at++
	limit, err := r.operand()
	if !known || err != nil || limit.kind != constant {
		return truth{}, fmt.Errorf("%s is read with # compared to a number", name)
	}
	on, _ := compared(operator, limit.number)
	if braced && !r.take("}") || !r.take(")") {
		return truth{}, fmt.Errorf("%s is read with # compared to a number", name)
	}
	reduce := map[string]string{"all<": "max", "all>": "min", "any<": "min", "any>": "max"}[name+operator[:1]]
	if reduce == "" {
		return truth{}, fmt.Errorf("%s with %s is more than one limit can say", name, operator)
	}
	empty := isFalse
	if name == "all" {
		empty = isTrue
	}
	return truth{on: on, empty: empty}, r.about(reduce)
}

// The kinds of operands.
const (
	constant = iota
	value    // the number itself
	length   // how many series there are
)

type operand struct {
	kind    int
	number  float64  // of a constant
	ifEmpty *float64 // what stands for a value that is not there
	text    string
}

func (r *expressionReader) operand() (operand, error) {
	sign := 1.0
	if r.take("-") {
		sign = -1
	}
	text := r.next()
	if number, err := strconv.ParseFloat(text, 64); err == nil && text != "" && !letter(text[0]) {
		r.at++
		if math.IsInf(number, 0) || math.IsNaN(number) {
			return operand{}, fmt.Errorf("%s is no number", text)
		}
		return operand{kind: constant, number: sign * number, text: text}, nil
	}
	if sign < 0 {
		return operand{}, fmt.Errorf("only a number can have a sign")
	}
	if r.take("len", "(", "result", ")") {
		return operand{kind: length, text: "len"}, nil
	}
	return r.result()
}

// result reads result itself, and what is put around it.
func (r *expressionReader) result() (operand, error) {
	switch {
	case r.take("result", "[", "0", "]"), r.take("result"):
		if after := r.next(); after == "[" || strings.HasPrefix(after, ".") {
			return operand{}, fmt.Errorf("only result and result[0] are read, no part of an answer")
		}
		return operand{kind: value, text: "result"}, r.about("")
	case r.take("asFloat", "("), r.take("asInt", "("):
		inner, err := r.result()
		if err == nil && !r.take(")") {
			err = fmt.Errorf("asFloat and asInt are about result alone")
		}
		return inner, err
	case r.take("max", "(", "result", ")"):
		return operand{kind: value, text: "max"}, r.about("max")
	case r.take("min", "(", "result", ")"):
		return operand{kind: value, text: "min"}, r.about("min")
	case r.take("default", "("):
		inner, err := r.result()
		if err != nil || !r.take(",") {
			return operand{}, fmt.Errorf("default is read with result and a number")
		}
		other, err := r.operand()
		if err != nil || other.kind != constant || !r.take(")") {
			return operand{}, fmt.Errorf("default is read with result and a number")
		}
		inner.ifEmpty, r.onEmpty = &other.number, &other.number
		return inner, nil
	}
	if r.next() == "" {
		return operand{}, fmt.Errorf("it ends too early")
	}
	return operand{}, fmt.Errorf("%s is no number and not result", oneLine(r.next(), 40))
}

// about notes whether the condition is about one series, or about the largest or smallest of all.
func (r *expressionReader) about(reduce string) error {
	if r.seen && r.reduce != reduce {
		return fmt.Errorf("it is about one series in one place and about all of them in another")
	}
	r.seen, r.reduce = true, reduce
	return nil
}

// compare says when a comparison holds.
func compare(left operand, operator string, right operand) (truth, error) {
	mirrored := map[string]string{">": "<", ">=": "<=", "<": ">", "<=": ">=", "==": "==", "!=": "!="}
	if left.kind == constant && right.kind != constant {
		left, operator, right = right, mirrored[operator], left
	}
	if right.kind != constant || left.kind == constant {
		return truth{}, fmt.Errorf("a comparison is read where one side is result and the other a number")
	}
	on, _ := compared(operator, right.number)
	holds := func(x float64) answer {
		if on.has(x) {
			return isTrue
		}
		return isFalse
	}
	if left.kind == length {
		t := truth{empty: holds(0)}
		if on.has(1) != on.has(infinite) {
			return t, fmt.Errorf("how many series there are cannot be a limit")
		}
		if on.has(1) {
			t.on, t.nan = everything(), true
		}
		return t, nil
	}
	t := truth{on: on, nan: operator == "!="}
	if left.ifEmpty != nil {
		t.empty = holds(*left.ifEmpty)
	}
	return t, nil
}

func orElse(left, right answer) answer {
	if left == isFalse {
		return right
	}
	return left
}

func andThen(left, right answer) answer {
	if left == isTrue {
		return right
	}
	return left
}

func opposite(a answer) answer {
	switch a {
	case isTrue:
		return isFalse
	case isFalse:
		return isTrue
	case fails:
	}
	return a
}
