package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/config"
)

var update = flag.Bool("update", false, "write what is said into the files of testdata")

func TestBadPoliciesAreRefusedWithEverythingThatIsWrong(t *testing.T) {
	archives(t, "testdata/bad/*.txtar", 30, func(t *testing.T, text []byte) string {
		_, err := config.Parse("policy.yaml", text, drivers(), env)
		wantProblems(t, string(text), err)
		return err.Error() + "\n"
	})
}

func TestDoubtfulPoliciesParseWithAWarning(t *testing.T) {
	archives(t, "testdata/doubtful/*.txtar", 10, func(t *testing.T, text []byte) string {
		file, err := config.Parse("policy.yaml", text, drivers(), env)
		if err != nil {
			t.Fatal(err)
		}
		said := ""
		for _, w := range file.Warnings {
			said += w.String() + "\n"
		}
		if said == "" {
			t.Error("nothing is doubtful")
		}
		return said
	})
}

// archives compares what is said about the policies of a folder with what their archives expect.
func archives(t *testing.T, pattern string, least int, say func(*testing.T, []byte) string) {
	t.Helper()
	paths, err := filepath.Glob(pattern)
	if err != nil || len(paths) < least {
		t.Fatalf("%d policies, %v", len(paths), err)
	}
	for _, path := range paths {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(path)
			if err != nil {
				t.Fatal(err)
			}
			got := say(t, archive.Files[0].Data)
			if strings.Contains(got, "planted") {
				t.Errorf("a secret is shown:\n%s", got)
			}
			if *update {
				archive.Files = append(archive.Files[:1], txtar.File{Name: "said", Data: []byte(got)})
				if err := os.WriteFile(path, txtar.Format(archive), 0o644); err != nil {
					t.Fatal(err)
				}
				return
			}
			if diff := cmp.Diff(string(archive.Files[1].Data), got); diff != "" {
				t.Errorf("said something else (-want +got):\n%s", diff)
			}
		})
	}
}

// wantProblems holds err to what Parse promises of its errors.
func wantProblems(t *testing.T, text string, err error) {
	t.Helper()
	problems, ok := errors.AsType[config.Problems](err)
	if !ok || len(problems) == 0 {
		t.Fatalf("no Problems: %v", err)
	}
	if code := adg.CodeOf(err); code != adg.Invalid {
		t.Errorf("code %s", code)
	}
	lines := strings.Split(text, "\n")
	for i, p := range problems {
		if p.Line < 1 || p.Line > len(lines) {
			t.Fatalf("line %d of %d: %s", p.Line, len(lines), p.Text)
		}
		if p.Column < 1 || p.Column > utf8.RuneCountInString(lines[p.Line-1])+1 {
			t.Errorf("column %d of line %q: %s", p.Column, lines[p.Line-1], p.Text)
		}
		if p.Caret < 1 || p.Caret > utf8.RuneCountInString(p.Source)+1 || utf8.RuneCountInString(p.Source) > 140 {
			t.Errorf("caret %d of %q", p.Caret, p.Source)
		}
		if i > 0 && p.Line < problems[i-1].Line {
			t.Errorf("line %d after line %d", p.Line, problems[i-1].Line)
		}
		if p.Text == "" || strings.ContainsRune(p.Text, '\n') {
			t.Errorf("text %q", p.Text)
		}
	}
}
