package adg_test

import (
	"encoding"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"strings"
	"testing"

	"github.com/deployguardian/adg"
)

// enum is one of the vocabulary's enums, whatever its type.
type enum struct {
	name      string
	text      func(value uint8) string
	marshal   func(value uint8) ([]byte, error) // nil: it is never written
	unmarshal func(text string) (uint8, error)
}

// enums are all of them; TestNoEnumIsForgotten finds those that are missing.
var enums = []enum{
	written[adg.Aggregate]("Aggregate"),
	written[adg.Arm]("Arm"),
	written[adg.AskThen]("AskThen"),
	written[adg.AtDeadline]("AtDeadline"),
	written[adg.AuditOutcome]("AuditOutcome"),
	written[adg.BaselineKind]("BaselineKind"),
	said[adg.Code]("Code"),
	written[adg.CommandKind]("CommandKind"),
	written[adg.Comparison]("Comparison"),
	written[adg.DecisionKind]("DecisionKind"),
	written[adg.Direction]("Direction"),
	written[adg.FactKind]("FactKind"),
	written[adg.GateState]("GateState"),
	written[adg.Health]("Health"),
	written[adg.LogChange]("LogChange"),
	written[adg.LogLevel]("LogLevel"),
	written[adg.OnInterrupt]("OnInterrupt"),
	written[adg.Operator]("Operator"),
	written[adg.Proof]("Proof"),
	said[adg.QueryKind]("QueryKind"),
	written[adg.RiskBound]("RiskBound"),
	written[adg.Role]("Role"),
	written[adg.Standing]("Standing"),
	written[adg.State]("State"),
	written[adg.StrategyKind]("StrategyKind"),
	written[adg.Trust]("Trust"),
	written[adg.Unit]("Unit"),
	written[adg.Verdict]("Verdict"),
	written[adg.Why]("Why"),
}

func TestNoEnumIsForgotten(t *testing.T) {
	declared := constants(t)
	for _, e := range enums {
		if declared[e.name] < 2 {
			t.Errorf("%s has %d constants in the source", e.name, declared[e.name])
		}
		delete(declared, e.name)
	}
	for name := range declared {
		t.Errorf("%s is an enum that these tests do not know: add it to enums", name)
	}
}

func TestEveryEnumSaysAndReadsItsNames(t *testing.T) {
	declared := constants(t)
	for _, e := range enums {
		t.Run(e.name, func(t *testing.T) {
			n := uint8(declared[e.name])
			seen := map[string]bool{}
			for value := range n {
				name := e.text(value)
				if seen[name] || strings.HasPrefix(name, "invalid(") {
					t.Errorf("%d is %q, which it shares or is no name", value, name)
				}
				seen[name] = true
				if e.marshal == nil {
					continue
				}
				text, err := e.marshal(value)
				if err != nil || string(text) != name {
					t.Errorf("%d is written as %q (%v), and is %q", value, text, err, name)
				}
				if back, err := e.unmarshal(name); err != nil || back != value {
					t.Errorf("%q is read as %d (%v), and is %d", name, back, err, value)
				}
			}
			if got, want := e.text(n), fmt.Sprintf("invalid(%d)", n); got != want {
				t.Errorf("one more than the last is %q, want %q", got, want)
			}
		})
	}
}

func TestEveryEnumRefusesWhatItDoesNotKnow(t *testing.T) {
	declared := constants(t)
	for _, e := range enums {
		if e.marshal == nil {
			continue
		}
		t.Run(e.name, func(t *testing.T) {
			n := uint8(declared[e.name])
			if text, err := e.marshal(n); err == nil || adg.CodeOf(err) != adg.Internal {
				t.Errorf("wrote %q, which could not be read back (%v)", text, err)
			}
			_, err := e.unmarshal("nonsense")
			if err == nil || adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), `"nonsense"`) {
				t.Fatalf("read nonsense: %v", err)
			}
			for value := range n {
				if !strings.Contains(err.Error(), e.text(value)) {
					t.Errorf("%q does not name the choice %q", err, e.text(value))
				}
			}
		})
	}
}

func TestTheZeroValuesPromiseNothing(t *testing.T) {
	for _, row := range []struct {
		zero fmt.Stringer
		want string
	}{
		{adg.Verdict(0), "unknown"}, {adg.Health(0), "unknown"}, {adg.GateState(0), "unknown"}, {adg.Standing(0), "unknown"},
		{adg.DecisionKind(0), "continue"}, {adg.Trust(0), "observe"}, {adg.Code(0), "internal"}, {adg.Why(0), "none"}, {adg.AuditOutcome(0), "unknown"},
	} {
		if got := row.zero.String(); got != row.want {
			t.Errorf("the zero %T is %s, want %s", row.zero, got, row.want)
		}
	}
}

// said is an enum that is only shown.
func said[E interface {
	~uint8
	fmt.Stringer
}](name string) enum {
	return enum{name: name, text: func(value uint8) string { return E(value).String() }}
}

// written is an enum that is also stored and read.
func written[E interface {
	~uint8
	fmt.Stringer
	encoding.TextMarshaler
}, P interface {
	*E
	encoding.TextUnmarshaler
}](name string) enum {
	e := said[E](name)
	e.marshal = func(value uint8) ([]byte, error) { return E(value).MarshalText() }
	e.unmarshal = func(text string) (uint8, error) {
		var value E
		err := P(&value).UnmarshalText([]byte(text))
		return uint8(value), err
	}
	return e
}

// constants counts, in the source, the constants of each enum: of each type that is a uint8.
func constants(t *testing.T) map[string]int {
	t.Helper()
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	var blocks []*ast.GenDecl
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.SkipObjectResolution)
		if err != nil {
			t.Fatal(err)
		}
		for _, decl := range tree.Decls {
			block, ok := decl.(*ast.GenDecl)
			if !ok {
				continue
			}
			blocks = append(blocks, block)
			for _, spec := range block.Specs {
				if s, ok := spec.(*ast.TypeSpec); ok && isIdent(s.Type, "uint8") {
					count[s.Name.Name] = 0
				}
			}
		}
	}
	if len(count) < 20 {
		t.Fatalf("found %d enums, there are at least 20: the test has gone blind", len(count))
	}
	for _, block := range blocks {
		if block.Tok != token.CONST {
			continue
		}
		first := block.Specs[0].(*ast.ValueSpec)
		for name := range count {
			if isIdent(first.Type, name) {
				count[name] += len(block.Specs)
			}
		}
	}
	return count
}

func isIdent(e ast.Expr, name string) bool {
	ident, ok := e.(*ast.Ident)
	return ok && ident.Name == name
}
