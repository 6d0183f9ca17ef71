// Command mutants breaks the decisions of a rollout, and the judgements they rest on, on purpose, one law at a time, and
// demands that the tests notice.
//
// It reads internal/rollout/testdata/mutants.txt, and for each line runs the tests of the file's package with that one change
// laid over the source (go test -overlay): nothing in the working tree is touched. A mutant that the tests do not kill is a
// law that nobody guards; it makes the command fail.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync/atomic"
	"time"
)

const (
	folder = "internal/rollout"
	lives  = "TestInvariantsHoldOverRandomLives"
)

func main() {
	survived, err := run()
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutants:", err)
		os.Exit(2)
	}
	if survived > 0 {
		fmt.Fprintf(os.Stderr, "mutants: %d survived\n", survived)
		os.Exit(1)
	}
}

// Private

// mutant is one change that has to be noticed.
type mutant struct {
	line              int
	law, file         string
	snippet, replaced string
}

func run() (survived int, err error) {
	root, err := moduleRoot()
	if err != nil {
		return 0, err
	}
	text, err := os.ReadFile(filepath.Join(root, folder, "testdata", "mutants.txt"))
	if err != nil {
		return 0, err
	}
	mutants, err := parse(string(text))
	if err != nil {
		return 0, err
	}
	dir, err := os.MkdirTemp("", "mutants")
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	var mistakes []error
	fmt.Printf("%-8s %-8s %-14s %6s  %s\n", "verdict", "law", "file", "took", "change")
	outcomes := tryAll(root, dir, mutants)
	for i, m := range mutants {
		o := <-outcomes[i]
		verdict := "killed"
		switch {
		case o.err != nil:
			mistakes = append(mistakes, fmt.Errorf("mutants.txt:%d: %w", m.line, o.err))
			verdict = "MISTAKE"
		case !o.killed:
			verdict = "SURVIVED"
			survived++
		}
		fmt.Printf("%-8s %-8s %-14s %5.1fs  %s → %s\n", verdict, m.law, m.file, o.took.Seconds(), m.snippet, m.replaced)
	}
	fmt.Printf("%d mutants, %d survived, %d are mistakes in the list\n", len(mutants), survived, len(mistakes))
	return survived, errors.Join(mistakes...)
}

// outcome is what became of a mutant.
type outcome struct {
	killed bool
	err    error
	took   time.Duration
}

// tryAll tries as many mutants at the same time as there are processors, each in a folder of its own: the tests of one
// keep one processor busy. The outcomes come in channels in the order of the mutants.
func tryAll(root, dir string, mutants []mutant) []chan outcome {
	outcomes := make([]chan outcome, len(mutants))
	for i := range outcomes {
		outcomes[i] = make(chan outcome, 1)
	}
	var next atomic.Int64
	for range runtime.GOMAXPROCS(0) {
		go func() {
			for i := next.Add(1) - 1; int(i) < len(mutants); i = next.Add(1) - 1 {
				began := time.Now() //nolint:forbidigo // how long a mutant took is for people
				own := filepath.Join(dir, strconv.FormatInt(i, 10))
				killed, err := tryIn(own, root, mutants[i])
				outcomes[i] <- outcome{killed, err, time.Since(began)} //nolint:forbidigo // see above
			}
		}()
	}
	return outcomes
}

// tryIn tries a mutant in a folder that it makes and removes.
func tryIn(dir, root string, m mutant) (killed bool, err error) {
	if err := os.Mkdir(dir, 0o700); err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	return try(root, dir, m)
}

func moduleRoot() (string, error) {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "", fmt.Errorf("finding the module: %w", err)
	}
	return filepath.Dir(strings.TrimSpace(string(out))), nil
}

// parse reads lines of "law | file | snippet ⇒ replacement"; empty lines and those with # say nothing.
func parse(text string) ([]mutant, error) {
	var all []mutant
	for i, line := range strings.Split(text, "\n") {
		if strings.TrimSpace(line) == "" || strings.HasPrefix(line, "#") {
			continue
		}
		fields := strings.SplitN(line, " | ", 3)
		if len(fields) != 3 {
			return nil, fmt.Errorf("mutants.txt:%d: write: law | file | snippet ⇒ replacement", i+1)
		}
		snippet, replaced, found := strings.Cut(fields[2], " ⇒ ")
		if !found || snippet == replaced {
			return nil, fmt.Errorf("mutants.txt:%d: no change: write: law | file | snippet ⇒ replacement", i+1)
		}
		all = append(all, mutant{i + 1, strings.TrimSpace(fields[0]), strings.TrimSpace(fields[1]), snippet, replaced})
	}
	if len(all) == 0 {
		return nil, errors.New("mutants.txt has no mutants")
	}
	return all, nil
}

// try runs the tests with the mutant in place of the real file. Tests that fail kill it; a mutant that does not
// compile, or whose snippet is not there exactly once, is a mistake in the list.
func try(root, dir string, m mutant) (killed bool, err error) {
	path := filepath.Join(root, folder, filepath.FromSlash(m.file))
	home := filepath.Dir(path)
	source, err := os.ReadFile(path)
	if err != nil {
		return false, err
	}
	if n := strings.Count(string(source), m.snippet); n != 1 {
		return false, fmt.Errorf("%s has %q %d times, it has to be there once", m.file, m.snippet, n)
	}
	changed := filepath.Join(dir, "mutant.go")
	if err := os.WriteFile(changed, []byte(strings.Replace(string(source), m.snippet, m.replaced, 1)), 0o600); err != nil {
		return false, err
	}
	overlay, err := json.Marshal(map[string]any{"Replace": map[string]string{path: changed}})
	if err != nil {
		return false, err
	}
	layer := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(layer, overlay, 0o600); err != nil {
		return false, err
	}
	binary := filepath.Join(dir, "mutant.test")
	build := exec.Command("go", "test", "-c", "-ldflags=-s -w", "-overlay", layer, "-o", binary, home) //nolint:gosec // our own tests
	build.Dir = root
	if out, err := build.CombinedOutput(); err != nil {
		return false, fmt.Errorf("the tests did not compile: %w\n%s", err, out)
	}
	// What the tables do not notice, random lives may: they take a hundred times as long.
	rounds := []string{"-test.skip=" + lives, "-test.run=" + lives}
	if home != filepath.Join(root, folder) {
		rounds = rounds[:1] // the others have none
	}
	for _, which := range rounds {
		test := exec.Command(binary, which, "-test.failfast", "-rapid.nofailfile", "-rapid.shrinktime=0s") //nolint:gosec // see above
		test.Dir = home
		out, err := test.CombinedOutput()
		if err == nil {
			continue
		}
		if text := string(out); !strings.Contains(text, "--- FAIL") && !strings.Contains(text, "panic:") {
			return false, fmt.Errorf("the tests did not run: %w\n%s", err, text)
		}
		return true, nil
	}
	return false, nil
}
