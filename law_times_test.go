package adg_test

import (
	"go/ast"
	"go/token"
	"go/types"
	"regexp"
	"testing"
)

// verb is a place in a format; timed is a text before one that makes it the place of a time.
var (
	verb  = regexp.MustCompile(`%[-+# 0-9.]*[a-zA-Z%]`)
	timed = regexp.MustCompile(`(within|longer than|shorter than|timeout of|asks to wait|gave up after|is kept for|is watched for|set back by|looks back over) %[sv]$`)
)

// TestTimesInSentencesAreWrittenAsPeopleWriteThem wants a writer of times, such as adg.Short and adg.Span, where a sentence
// names one: what is only handed over comes out as 1h0m0s.
func TestTimesInSentencesAreWrittenAsPeopleWriteThem(t *testing.T) {
	judged := 0
	for _, p := range packages(t) {
		if isTestCode(p.name) {
			continue
		}
		for file, tree := range p.files {
			for _, arg := range timesIn(tree) {
				judged++
				if _, written := arg.(*ast.CallExpr); !written {
					t.Errorf("%s: a sentence names the time %s: write it by adg.Short or adg.Span", file, types.ExprString(arg))
				}
			}
		}
	}
	needs(t, judged, 30, "times in sentences")
}

// timesIn are the arguments that stand for times in the formats of a file.
func timesIn(tree *ast.File) (found []ast.Expr) {
	ast.Inspect(tree, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok {
			return true
		}
		for i, arg := range call.Args {
			format, ok := arg.(*ast.BasicLit)
			if !ok || format.Kind != token.STRING {
				continue
			}
			for _, at := range verb.FindAllStringIndex(format.Value, -1) {
				if format.Value[at[1]-1] == '%' {
					continue
				}
				if i++; i < len(call.Args) && timed.MatchString(format.Value[:at[1]]) {
					found = append(found, call.Args[i])
				}
			}
		}
		return true
	})
	return found
}
