package embedded_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/source/embedded"
)

// children are what this test binary does, instead of its tests, when a test has started it: by name, with a
// directory; the answer is the exit status.
var children = map[string]func(dir string) int{"hold": hold}

// hold opens a source and keeps it until its input ends.
func hold(dir string) int {
	s, err := openChild(dir, options())
	if err != nil {
		fmt.Println("error:", err)
		return 1
	}
	fmt.Println("open")
	_, _ = io.Copy(io.Discard, os.Stdin)
	if err := s.Close(); err != nil {
		fmt.Println("error:", err)
		return 1
	}
	return 0
}

func openChild(dir string, o embedded.Options) (*embedded.Source, error) {
	log := slog.New(slog.NewTextHandler(os.Stdout, nil))
	s, err := embedded.Driver.Open(context.Background(), o, adg.Host{Name: "child", Dir: dir, Log: log})
	if err != nil {
		return nil, err
	}
	return s.(*embedded.Source), nil
}

// process is a child that a test has started.
type process struct {
	cmd   *exec.Cmd
	input io.WriteCloser
	lines *bufio.Scanner
}

func startChild(t *testing.T, task, dir string, env ...string) *process {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), append(env, "EMBEDDED_TEST_CHILD="+task, "EMBEDDED_TEST_DIR="+dir)...)
	input, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	cmd.Stderr = t.Output()
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	return &process{cmd, input, bufio.NewScanner(output)}
}

// says reads the child's output up to a line with the text.
func (p *process) says(t *testing.T, text string) {
	t.Helper()
	for p.lines.Scan() {
		t.Log("child:", p.lines.Text())
		if strings.Contains(p.lines.Text(), text) {
			return
		}
	}
	t.Fatalf("the child ended without saying %q", text)
}

// end lets the child go, waits for it, and is what it still said.
func (p *process) end(t *testing.T) string {
	t.Helper()
	_ = p.input.Close()
	var output strings.Builder
	for p.lines.Scan() {
		t.Log("child:", p.lines.Text())
		output.WriteString(p.lines.Text() + "\n")
	}
	if err := p.cmd.Wait(); err != nil {
		t.Errorf("child: %v", err)
	}
	return output.String()
}
