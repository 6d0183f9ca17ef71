// Command change measures how long a repository with a long history takes: the first scan, the next deployment, and
// what is kept of it. It makes the repository itself, with git fast-import, unless one is given.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"runtime/metrics"
	"strings"
	"syscall"
	"time"

	"github.com/deployguardian/adg/internal/change"
)

func main() {
	commits := flag.Int("commits", 100_000, "length of the history that is made")
	files := flag.Int("files", 10_000, "files in it")
	authors := flag.Int("authors", 500, "authors of it")
	repository := flag.String("repository", "", "measure this repository instead")
	keep := flag.String("keep", "", "make the repository in this new `folder`, and leave it there")
	batch := flag.Int("batch", 20, "commits of the main line between the live release and the new one")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *repository, *keep, *commits, *files, *authors, *batch); err != nil {
		fmt.Fprintln(os.Stderr, "change:", err)
		stop()
		os.Exit(1)
	}
}

// result is the line that is printed.
type result struct {
	Commits     int     `json:"commits"`
	Files       int     `json:"files"`
	Authors     int     `json:"authors"`
	FirstScan   float64 `json:"first_scan_s"`    // an empty index, to the first answer
	Next        float64 `json:"next_s"`          // the next deployment, its index read and written included
	OnlyNames   float64 `json:"rev_list_s"`      // git listing the same commits, for comparison
	Index       int     `json:"index_bytes"`     // as stored
	HeapPeakMB  float64 `json:"heap_peak_mb"`    // of this process, highest seen
	ChildPeakMB float64 `json:"git_peak_rss_mb"` // the largest git
}

func run(ctx context.Context, dir, keep string, commits, files, authors, batch int) error {
	switch {
	case dir != "" && keep != "":
		return errors.New("-repository is measured as it is, -keep makes one: choose one of them")
	case keep != "":
		dir = keep
		if err := os.Mkdir(dir, 0o750); err != nil { // one that is there already is not ours to write to
			return err
		}
		if err := generate(ctx, dir, commits, files, authors); err != nil {
			return err
		}
	case dir == "":
		made, err := os.MkdirTemp("", "adg-bench-change-")
		if err != nil {
			return err
		}
		defer func() { _ = os.RemoveAll(made) }() // what is left in the temporary folder harms nobody
		dir = filepath.Join(made, "repo.git")
		if err := generate(ctx, dir, commits, files, authors); err != nil {
			return err
		}
	}
	var peak float64
	r, err := change.Open(ctx, dir, change.Options{Progress: func(done, total int) {
		peak = max(peak, heap())
		fmt.Fprintf(os.Stderr, "\r%d of %d commits", done, total)
	}})
	if err != nil {
		return err
	}
	x := &change.Index{}
	begin := time.Now()
	if _, err := r.Measure(ctx, x, fmt.Sprintf("HEAD~%d", 2*batch), fmt.Sprintf("HEAD~%d", batch)); err != nil {
		return err
	}
	out := result{FirstScan: time.Since(begin).Seconds()}
	fmt.Fprintln(os.Stderr)
	stored, err := x.MarshalBinary()
	if err != nil {
		return err
	}
	out.Commits, out.Files, out.Authors, out.Index = x.Commits(), x.Files(), x.Authors(), len(stored)

	begin = time.Now()
	var again change.Index
	if err := again.UnmarshalBinary(stored); err != nil {
		return err
	}
	if _, err := r.Measure(ctx, &again, fmt.Sprintf("HEAD~%d", batch), "HEAD"); err != nil {
		return err
	}
	if _, err := again.MarshalBinary(); err != nil {
		return err
	}
	out.Next = time.Since(begin).Seconds()
	fmt.Fprintln(os.Stderr)

	begin = time.Now()
	if err := git(ctx, dir, nil, "rev-list", "--topo-order", "--no-merges", "HEAD"); err != nil {
		return err
	}
	out.OnlyNames = time.Since(begin).Seconds()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_CHILDREN, &usage); err != nil {
		return err
	}
	out.HeapPeakMB, out.ChildPeakMB = peak/(1<<20), float64(usage.Maxrss)/1024
	return json.NewEncoder(os.Stdout).Encode(out)
}

// generate writes a history in one line of small changes to the files, some touched far more often than others; a
// commit in a hundred renames one. It has no merges.
func generate(ctx context.Context, dir string, commits, files, authors int) error {
	if err := git(ctx, "", nil, "init", "--quiet", "--bare", "--initial-branch=main", dir); err != nil {
		return err
	}
	read, write := io.Pipe()
	written := make(chan error, 1)
	go func() {
		w := bufio.NewWriterSize(write, 1<<20)
		history(w, commits, files, authors)
		err := w.Flush()
		written <- errors.Join(err, write.CloseWithError(err))
	}()
	err := git(ctx, dir, read, "fast-import", "--quiet")
	read.CloseWithError(err)
	return errors.Join(err, <-written)
}

func history(w io.Writer, commits, files, authors int) {
	source := rand.New(rand.NewPCG(1, 1)) //nolint:gosec // the same history each time
	texts := make([][]string, files)
	moved := make([]int, files)
	path := func(f int) string { return fmt.Sprintf("pkg%d/sub%d/file%d_%d.go", f%40, f%400, f, moved[f]) }
	at := 1_400_000_000
	for i := range commits {
		who := int(source.ExpFloat64()*float64(authors)/6) % authors
		at += source.IntN(3000)
		message := fmt.Sprintf("change %d", i)
		fmt.Fprintf(w, "commit refs/heads/main\nmark :%d\ncommitter dev%d <dev%d@example.org> %d +0000\ndata %d\n%s\n", i+1, who, who, at, len(message), message)
		if f := int(source.ExpFloat64()*float64(files)/8) % files; i%100 == 99 && len(texts[f]) > 0 {
			old := path(f)
			moved[f]++
			fmt.Fprintf(w, "R %s %s\n", old, path(f))
		}
		for range 1 + source.IntN(4) {
			f := int(source.ExpFloat64()*float64(files)/8) % files
			for range 1 + source.IntN(8) {
				line := fmt.Sprintf("line %d of %d", source.IntN(1000), i)
				if n := len(texts[f]); n > 200 || n > 0 && source.IntN(2) == 0 {
					texts[f][source.IntN(n)] = line
				} else {
					texts[f] = append(texts[f], line)
				}
			}
			text := strings.Join(texts[f], "\n") + "\n"
			fmt.Fprintf(w, "M 100644 inline %s\ndata %d\n%s\n", path(f), len(text), text)
		}
	}
}

func git(ctx context.Context, dir string, stdin io.Reader, args ...string) error {
	cmd := exec.CommandContext(ctx, "git", args...) //nolint:gosec // fixed words, and a folder of our own
	cmd.Dir, cmd.Stdin, cmd.Stderr = dir, stdin, os.Stderr
	return cmd.Run()
}

func heap() float64 {
	sample := []metrics.Sample{{Name: "/memory/classes/heap/objects:bytes"}}
	metrics.Read(sample)
	return float64(sample[0].Value.Uint64())
}
