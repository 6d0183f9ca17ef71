// Command gogit measures, on the same commits of the same repository and in one run, how long git and a library
// (go-git) take to count what each commit changed, and whether they count the same. It is a module of its own, so that
// the library is none of ADG's dependencies.
package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"
)

func main() {
	repository := flag.String("repository", "", "`folder` of the repository")
	commits := flag.Int("commits", 2000, "so many of the last commits, merges left out")
	rounds := flag.Int("rounds", 2, "how often each is measured, in turns")
	cache := flag.Int("cache", 96, "MiB that the library may keep of objects; 96 is its own default")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, *repository, *commits, *rounds, *cache); err != nil {
		fmt.Fprintln(os.Stderr, "gogit:", err)
		stop()
		os.Exit(1)
	}
}

// Private

// change is what a commit changed.
type change struct {
	files, renames, added, deleted int
}

// history is what each commit changed, by its name.
type history map[string]change

// result is the line that is printed.
type result struct {
	Commits  int         `json:"commits"`
	CacheMiB int         `json:"library_cache_mib"`
	Git      []cost      `json:"git"`     // of each round
	Library  []cost      `json:"library"` // of each round, opening the repository included
	Ratio    float64     `json:"cpu_ratio"`
	Differ   differences `json:"differ"`
	Version  string      `json:"git_version"`
}

// cost is what a round took: by the clock, which other work on the machine makes longer, and of processors.
type cost struct {
	Seconds float64 `json:"s"`
	CPU     float64 `json:"cpu_s"`
}

// differences are commits of which the two do not say the same.
type differences struct {
	Commits int `json:"commits"` // any of the below
	Missing int `json:"missing"` // one of the two did not list it
	Files   int `json:"files"`
	Renames int `json:"renames"`
	Lines   int `json:"lines"`
	Net     int `json:"net_lines"`   // those with another number of added less deleted lines
	More    int `json:"lines_more"`  // added and deleted lines that the library has and git has not
	Fewer   int `json:"lines_fewer"` // the other way round
}

func run(ctx context.Context, dir string, commits, rounds, cache int) error {
	if dir == "" || commits < 1 || rounds < 1 || cache < 1 {
		return errors.New("which repository? as in: go run . -repository /path/to/repo; numbers are above 0")
	}
	version, err := exec.CommandContext(ctx, "git", "--version").Output()
	if err != nil {
		return err
	}
	out := result{CacheMiB: cache, Version: strings.TrimPrefix(strings.TrimSpace(string(version)), "git version ")}
	var byGit, byLibrary history
	for round := range rounds {
		fmt.Fprintf(os.Stderr, "round %d of %d\n", round+1, rounds)
		begin := now()
		if byGit, err = gitHistory(ctx, dir, commits); err != nil {
			return fmt.Errorf("count with git: %w", err)
		}
		out.Git = append(out.Git, begin.until(now()))
		begin = now()
		if byLibrary, err = libraryHistory(ctx, dir, commits, cache); err != nil {
			return fmt.Errorf("count with the library: %w", err)
		}
		out.Library = append(out.Library, begin.until(now()))
	}
	out.Commits, out.Ratio = len(byGit), least(out.Library)/least(out.Git)
	out.Differ = compare(byGit, byLibrary)
	return json.NewEncoder(os.Stdout).Encode(out)
}

// instant is a time by the clock, and the processors' time of this process and of those it waited for.
type instant struct {
	at  time.Time
	cpu time.Duration
}

func now() instant {
	i := instant{at: time.Now()}
	for _, who := range []int{syscall.RUSAGE_SELF, syscall.RUSAGE_CHILDREN} {
		var used syscall.Rusage
		if err := syscall.Getrusage(who, &used); err == nil { // it knows both
			i.cpu += time.Duration(used.Utime.Nano() + used.Stime.Nano())
		}
	}
	return i
}

func (i instant) until(end instant) cost {
	return cost{end.at.Sub(i.at).Seconds(), (end.cpu - i.cpu).Seconds()}
}

func least(costs []cost) float64 {
	return slices.MinFunc(costs, func(a, b cost) int { return cmp.Compare(a.CPU, b.CPU) }).CPU
}

// compare counts where two histories differ.
func compare(git, library history) differences {
	var d differences
	for hash, g := range git {
		l, found := library[hash]
		if g == l && found {
			continue
		}
		d.Commits++
		if !found {
			d.Missing++
			continue
		}
		if g.files != l.files {
			d.Files++
		}
		if g.renames != l.renames {
			d.Renames++
		}
		if g.added != l.added || g.deleted != l.deleted {
			d.Lines++
		}
		if g.added-g.deleted != l.added-l.deleted {
			d.Net++
		}
		more := l.added + l.deleted - g.added - g.deleted
		d.More += max(0, more)
		d.Fewer += max(0, -more)
	}
	for hash := range library {
		if _, found := git[hash]; !found {
			d.Commits++
			d.Missing++
		}
	}
	return d
}
