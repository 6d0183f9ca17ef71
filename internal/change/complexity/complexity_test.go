package complexity

import (
	"testing"

	"github.com/deployguardian/adg"
)

func TestTheComplexityOfAFunctionIsOneMoreThanItsBranches(t *testing.T) {
	for _, c := range []struct {
		name, body string
		want       int
	}{
		{"straight", "x()", 1},
		{"if and else", "if a { } else { }", 2},
		{"else if with and, or", "if a && b { } else if c || d { }", 5},
		{"loops", "for { }; for range x { }", 3},
		{"switch with a default", "switch a { case 1: case 2, 3: default: }", 3},
		{"select", "select { case <-c: default: }", 2},
		{"a function inside counts to the one around", "f := func() { if a { } }; f()", 2},
	} {
		d, err := Go(nil, []byte("package p\nfunc f() { "+c.body+" }\n"))
		if err != nil || d.After != c.want || d.Touched != 1 {
			t.Errorf("%s: %+v, %v, want %d", c.name, d, err, c.want)
		}
	}
}

func TestOnlyFunctionsWhoseTextChangedWereTouched(t *testing.T) {
	before := "package p\ntype T[K any] struct{}\nfunc (t *T[K]) a() { if x { } }\nfunc a() { }\nfunc init() { }\nfunc init() { if x { } }\nfunc gone() { for { } }\n"
	after := "package p\n// A comment moves everything.\ntype T[K any] struct{}\nfunc a() { }\nfunc (t *T[K]) a() { if x { if y { } } }\nfunc init() { }\nfunc init() { if x { } }\nfunc added() { }\n//line other.go:900\n"
	d, err := Go([]byte(before), []byte(after))
	if want := (Delta{Touched: 3, Before: 2 + 2, After: 3 + 1, Highest: 3}); err != nil || d != want {
		t.Errorf("%+v, %v, want %+v", d, err, want)
	}
	if sum := d.Plus(Delta{Touched: 1, Highest: 9}); sum.Touched != 4 || sum.Highest != 9 || sum.After != 4 {
		t.Errorf("sum %+v", sum)
	}
	if _, err := Go(nil, []byte("package (")); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("got %v", err)
	}
}

func TestBranchesOfOtherLanguagesAreCountedByTheirWords(t *testing.T) {
	for path, c := range map[string]struct {
		text string
		want int
	}{
		"a.py":  {"# if\nif a and b:\n  x = 1\nelif c:\n  for y in z: pass\nnotify = iffy\n", 4},
		"a.ts":  {"// if\nif (a && b) { } else if (c?.d) { }\nconst x = a ? b : c ?? d\n", 5},
		"a.rb":  {"return unless a\nbegin\nrescue X\nend\n", 2},
		"a.sh":  {"if x; then y || z; fi\n", 2},
		"a.css": {"if if if", 0},
	} {
		if got := Branches(path, []byte(c.text)); got != c.want {
			t.Errorf("%s: %d, want %d", path, got, c.want)
		}
	}
	if HasBranches("a.css") || !HasBranches("A.TS") || !IsGo("x/a.go") {
		t.Error("the languages are not told apart")
	}
}

func FuzzGo(f *testing.F) {
	f.Add([]byte("package p\nfunc (x (*T)) f() {}\nfunc (T[a,b]) _() {}\nfunc _()\n"), []byte("package p\n//line x:1\nfunc f() {"))
	f.Fuzz(func(t *testing.T, before, after []byte) {
		if d, err := Go(before, before); err == nil && d != (Delta{}) {
			t.Errorf("a file differs from itself: %+v", d)
		}
		if _, err := Go(before, after); err != nil && adg.CodeOf(err) != adg.Invalid {
			t.Error(err)
		}
	})
}
