// Package complexity measures how many ways there are through code: McCabe's number of each Go function, and for other
// languages the words that branch.
package complexity

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"regexp"
	"strings"

	"github.com/deployguardian/adg"
)

// Delta is what a change did to the functions that it touched: added, removed or rewrote.
type Delta struct {
	Touched int // functions
	Before  int // their complexity, added up; a function that was added has none
	After   int // likewise; one that was removed has none
	Highest int // of the functions that are left
}

// Plus adds up two changes.
func (d Delta) Plus(o Delta) Delta {
	return Delta{d.Touched + o.Touched, d.Before + o.Before, d.After + o.After, max(d.Highest, o.Highest)}
}

// IsGo tells whether Go can read the file.
func IsGo(name string) bool { return path.Ext(name) == ".go" }

// Go compares the functions of two versions of a Go file; nil text means that there is none. A function is told apart
// by its receiver and name, and was touched if its text differs. A file that does not parse is an Invalid error.
func Go(before, after []byte) (Delta, error) {
	old, err := functions(before)
	if err != nil {
		return Delta{}, err
	}
	now, err := functions(after)
	if err != nil {
		return Delta{}, err
	}
	var d Delta
	for name, f := range now {
		was, found := old[name]
		if found && was.text == f.text {
			continue
		}
		d.Touched++
		d.Before += was.complexity
		d.After += f.complexity
		d.Highest = max(d.Highest, f.complexity)
	}
	for name, was := range old {
		if _, left := now[name]; !left {
			d.Touched++
			d.Before += was.complexity
		}
	}
	return d, nil
}

// HasBranches tells whether the language of the file is one whose branches Branches can count.
func HasBranches(name string) bool { return branchesOf(name) != nil }

// Branches counts the words and signs that branch in a file of another language, those in strings and comments of
// more than one line included: an estimate, good enough for a difference.
func Branches(name string, text []byte) int {
	expression := branchesOf(name)
	if expression == nil {
		return 0
	}
	count := 0
	for line := range strings.Lines(string(text)) {
		line = strings.TrimSpace(line)
		if strings.HasPrefix(line, "//") || strings.HasPrefix(line, "#") || strings.HasPrefix(line, "*") {
			continue
		}
		count += len(expression.FindAllStringIndex(line, -1))
	}
	return count
}

// Private

type function struct {
	text       string
	complexity int
}

func functions(text []byte) (map[string]function, error) {
	found := map[string]function{}
	if text == nil {
		return found, nil
	}
	files := token.NewFileSet()
	tree, err := parser.ParseFile(files, "", text, parser.SkipObjectResolution)
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "read Go: %w", err)
	}
	for _, decl := range tree.Decls {
		f, ok := decl.(*ast.FuncDecl)
		if !ok {
			continue
		}
		from, to := files.PositionFor(f.Pos(), false).Offset, files.PositionFor(f.End(), false).Offset
		name := receiver(f) + "." + f.Name.Name
		for _, twice := found[name]; twice; _, twice = found[name] {
			name += "'" // init, and _
		}
		found[name] = function{string(text[from:to]), mccabe(f)}
	}
	return found, nil
}

func receiver(f *ast.FuncDecl) string {
	if f.Recv == nil || len(f.Recv.List) == 0 {
		return ""
	}
	of := f.Recv.List[0].Type
	for {
		switch t := of.(type) {
		case *ast.StarExpr:
			of = t.X
		case *ast.ParenExpr:
			of = t.X
		case *ast.IndexExpr:
			of = t.X
		case *ast.IndexListExpr:
			of = t.X
		case *ast.Ident:
			return t.Name
		default:
			return ""
		}
	}
}

// mccabe is one more than the number of branches.
func mccabe(f *ast.FuncDecl) int {
	n := 1
	ast.Inspect(f, func(node ast.Node) bool {
		switch x := node.(type) {
		case *ast.IfStmt, *ast.ForStmt, *ast.RangeStmt:
			n++
		case *ast.CaseClause:
			if x.List != nil {
				n++
			}
		case *ast.CommClause:
			if x.Comm != nil {
				n++
			}
		case *ast.BinaryExpr:
			if x.Op == token.LAND || x.Op == token.LOR {
				n++
			}
		}
		return true
	})
	return n
}

var (
	cLike  = regexp.MustCompile(`\b(if|for|foreach|while|case|catch|when)\b|&&|\|\||\?\?|[^?]\?[^?.:]`)
	python = regexp.MustCompile(`\b(if|elif|for|while|except|case|and|or)\b`)
	ruby   = regexp.MustCompile(`\b(if|elsif|unless|for|while|until|when|rescue|and|or)\b|&&|\|\|`)
	shell  = regexp.MustCompile(`\b(if|elif|for|while|until)\b|&&|\|\||;;`)
)

func branchesOf(name string) *regexp.Regexp {
	switch strings.ToLower(path.Ext(name)) {
	case ".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".java", ".kt", ".scala", ".groovy", ".c", ".h", ".cc", ".cpp", ".hpp", ".cs", ".php", ".rs", ".swift", ".dart", ".m":
		return cLike
	case ".py":
		return python
	case ".rb", ".rake", ".ex", ".exs", ".lua", ".pl", ".sql":
		return ruby
	case ".sh", ".bash", ".zsh":
		return shell
	default:
		return nil
	}
}
