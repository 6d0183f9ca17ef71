package target

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/audit"
	"github.com/deployguardian/adg/internal/target/retry"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestDriversAreListedByNameAndExplainEveryOption(t *testing.T) {
	var names []string
	for _, d := range All {
		names = append(names, d.Type)
		if d.Summary == "" || !strings.HasSuffix(d.Summary, ".") {
			t.Errorf("%s: summary %q", d.Type, d.Summary)
		}
		explained(t, d.Type, reflect.TypeOf(d.Options))
	}
	if !slices.IsSorted(names) || len(slices.Compact(names)) != len(All) {
		t.Errorf("not sorted, or one twice: %v", names)
	}
}

func explained(t *testing.T, path string, options reflect.Type) {
	t.Helper()
	if options == reflect.TypeFor[adg.Secret]() {
		return
	}
	for field := range options.Fields() {
		name, doc := field.Tag.Get("yaml"), field.Tag.Get("doc")
		inline := name == ",inline"
		if !inline && (name == "" || strings.ToLower(name) != name || !strings.HasSuffix(doc, ".")) {
			t.Errorf("%s.%s: yaml %q, doc %q", path, field.Name, name, doc)
		}
		if field.Type.Kind() == reflect.Struct {
			explained(t, path+"."+field.Name, field.Type)
		}
	}
}

func TestWrappersKeepTheContractTogether(t *testing.T) {
	targettest.Run(t, targettest.Case{
		Open: func(t *testing.T) targettest.Fixture {
			m := targettest.NewMemory()
			o := WrapOptions{Host: adg.Host{Name: "shop", Dir: t.TempDir()}, Retry: retry.Options{First: time.Millisecond}}
			return targettest.Fixture{Target: Wrap(m, o), World: m, Reopen: func(*testing.T) adg.Target { return Wrap(m, o) }}
		},
		Faults: []targettest.Fault{targettest.Unreachable, targettest.Hang, targettest.Lie}, Fences: true,
	})
}

// powerful can more than every target.
type powerful struct{ adg.Target }

func (powerful) Rehearse(context.Context, adg.Desired) ([]adg.Obstacle, error) {
	return []adg.Obstacle{{Name: "release", Final: true, Text: "v1 is gone"}}, nil
}

func (powerful) Suspends(context.Context, adg.Desired) (string, error) { return "", nil }

func (powerful) Resume(context.Context, []adg.Release) (adg.Observed, error) {
	return adg.Observed{}, nil
}

func (powerful) Check() error { return errors.New("there is no such program") }

func TestWrappersHideNothingThatATargetCanBeyondTheContract(t *testing.T) {
	for _, dry := range []bool{false, true} {
		o := WrapOptions{Host: adg.Host{Name: "shop", Dir: t.TempDir()}, DryRun: dry}
		rehearser, can := adg.PowerOf[adg.Rehearser](Wrap(powerful{targettest.NewMemory()}, o))
		if !can {
			t.Fatalf("dry run %v: it cannot be rehearsed", dry)
		}
		if found, err := rehearser.Rehearse(t.Context(), targettest.Rollback("d/1", 1)); err != nil || len(found) != 1 {
			t.Errorf("dry run %v: %v, %v", dry, found, err)
		}
		if checker, can := adg.PowerOf[adg.Checker](Wrap(powerful{targettest.NewMemory()}, o)); !can || checker.Check() == nil {
			t.Errorf("dry run %v: nothing is found missing", dry)
		}
		if _, can := adg.PowerOf[adg.Suspender](Wrap(powerful{targettest.NewMemory()}, o)); can == dry {
			t.Errorf("dry run %v: it resumes %v", dry, can)
		}
		if _, can := adg.PowerOf[adg.Suspender](Wrap(targettest.NewMemory(), o)); can {
			t.Errorf("dry run %v: what cannot resume can resume", dry)
		}
	}
}

func TestEveryAttemptIsOnRecordAndADryRunChangesNothing(t *testing.T) {
	for _, dry := range []bool{false, true} {
		m, dir, log := targettest.NewMemory(), t.TempDir(), &bytes.Buffer{}
		target := Wrap(m, WrapOptions{
			Host: adg.Host{Name: "shop", Dir: dir, Log: slog.New(slog.NewTextHandler(log, nil))}, DryRun: dry, Retry: retry.Options{First: time.Millisecond},
		})
		m.Break(t, targettest.Halfway)
		if _, err := target.Apply(t.Context(), targettest.Want("d/1", 1, 25)); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(filepath.Join(dir, audit.FileName))
		if err != nil {
			t.Fatal(err)
		}
		lines, effects := strings.Count(string(text), "\n"), len(m.Effects(t))
		if !dry && (lines != 2 || effects != 2) {
			t.Errorf("%d records of %d attempts, want 2 of 2", lines, effects)
		}
		if dry && (effects != 0 || !strings.Contains(log.String(), "dry run: would bring")) {
			t.Errorf("dry run: %d effects, log %s", effects, log)
		}
		if err := target.(io.Closer).Close(); err != nil || !m.Closed {
			t.Errorf("closed: %v, %v", m.Closed, err)
		}
	}
}
