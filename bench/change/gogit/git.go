package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// Private

// commitMark opens a commit in git's output; no count begins with it.
const commitMark = "\x01"

// gitHistory counts with git: one process for all commits.
func gitHistory(ctx context.Context, dir string, commits int) (history, error) {
	cmd := exec.CommandContext(ctx, "git", "--git-dir", dir, "log", "--no-merges", "--numstat", "-M", "-z",
		"--no-ext-diff", "--no-textconv", "--format=%x01%H", "-n", strconv.Itoa(commits), "HEAD")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	all, err := parse(out)
	if err != nil {
		_ = cmd.Process.Kill() // it would wait for a reader for ever
		_ = cmd.Wait()
		return nil, err
	}
	return all, cmd.Wait()
}

// parse reads git log --numstat -z: a commit's mark and name, then a record for each file; a renamed file's two names
// are records of their own.
func parse(r io.Reader) (history, error) {
	all := history{}
	scan := bufio.NewScanner(r)
	scan.Split(records)
	hash := ""
	for scan.Scan() {
		record := strings.TrimPrefix(scan.Text(), "\n")
		switch {
		case strings.HasPrefix(record, commitMark):
			hash = record[len(commitMark):]
			all[hash] = change{}
			continue
		case record == "":
			continue
		case hash == "":
			return nil, fmt.Errorf("%q comes before the first commit", record)
		}
		added, rest, _ := strings.Cut(record, "\t")
		deleted, path, found := strings.Cut(rest, "\t")
		if !found {
			return nil, fmt.Errorf("%q is not what git counts of a file", record)
		}
		c := all[hash]
		c.files++
		c.added, c.deleted = c.added+lines(added), c.deleted+lines(deleted)
		if path == "" {
			c.renames++
			for range 2 { // the old name and the new one
				if !scan.Scan() {
					return nil, fmt.Errorf("commit %s ends within a renamed file", hash)
				}
			}
		}
		all[hash] = c
	}
	return all, scan.Err()
}

// lines is a count of git's; a binary file has none.
func lines(text string) int {
	n, err := strconv.Atoi(text)
	if err != nil {
		return 0
	}
	return n
}

// records ends each at a NUL.
func records(data []byte, atEOF bool) (int, []byte, error) {
	if at := bytes.IndexByte(data, 0); at >= 0 {
		return at + 1, data[:at], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}
