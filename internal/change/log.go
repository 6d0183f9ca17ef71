package change

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"github.com/deployguardian/adg/internal/change/gitread"
)

// Private

// commit is one commit as git tells it.
type commit struct {
	id     string
	at     int64 // committer's clock, seconds since 1970: the author's says when work began, not when it joined
	author author
	word   word
	files  []fileChange
	lost   loss
}

// loss is what could not be read of a commit because the repository does not hold all of it.
type loss uint8

const (
	nothing loss = iota
	numbers      // how many lines were added and deleted, and renames with changes
	paths        // which files were changed at all
)

// fileChange is one file of a difference between two trees.
type fileChange struct {
	status           byte   // A, C, D, M, R or T
	path, old        string // after and before; equal unless renamed or copied
	blob, oldBlob    string
	submodule        bool
	binary           bool
	added, deleted   int
	counted          bool // added and deleted are known
	symlink, oldLink bool
}

const (
	modeSubmodule = "160000"
	modeSymlink   = "120000"
	recordMark    = "\x01"
	logFormat     = "--format=%x01%H%x00%ct%x00%aE%x00%aN%x00%B%x00"
)

// parseLog reads what git log -z --raw --numstat wrote in logFormat. Messages and names cannot hold a NUL and paths
// are found by their place, so nothing that a committer writes can pass for a record.
func parseLog(key, output []byte) ([]commit, error) {
	t := gitread.Tokens{Rest: output}
	var commits []commit
	for !t.Done() {
		c, err := parseHeader(key, &t)
		if err != nil {
			return nil, fmt.Errorf("commit %d: %w", len(commits)+1, err)
		}
		if c.files, err = parseFiles(&t); err != nil {
			return nil, fmt.Errorf("commit %s: %w", c.id, err)
		}
		commits = append(commits, c)
	}
	return commits, nil
}

func parseHeader(key []byte, t *gitread.Tokens) (commit, error) {
	id, found := strings.CutPrefix(t.Next(), recordMark)
	if !found || !gitread.IsObjectID(id) {
		return commit{}, gitread.ErrAnswer
	}
	c := commit{id: id}
	at, err := strconv.ParseInt(t.Next(), 10, 64)
	if err != nil {
		return commit{}, gitread.ErrAnswer
	}
	c.at = max(at, 0)
	email, name := t.Next(), t.Next()
	c.author = newAuthor(key, name, email)
	c.word = read(t.Next())
	if !t.Done() && t.Next() != "" { // the end of the format itself
		return commit{}, gitread.ErrAnswer
	}
	return c, t.Err
}

// parseFiles reads the entries up to the next record: first the raw ones, then the numbers in the same order.
func parseFiles(t *gitread.Tokens) ([]fileChange, error) {
	var files []fileChange
	numbered := 0
	for !t.Done() && !bytes.HasPrefix(t.Rest, []byte(recordMark)) {
		head := strings.TrimPrefix(t.Next(), "\n")
		switch {
		case head == "" && t.Done():
		case strings.HasPrefix(head, ":"):
			f, err := parseRaw(head, t)
			if err != nil {
				return nil, err
			}
			files = append(files, f)
		case numbered < len(files):
			if err := parseNumbers(head, t, &files[numbered]); err != nil {
				return nil, err
			}
			numbered++
		default:
			return nil, gitread.ErrAnswer
		}
	}
	return files, t.Err
}

// parseRaw reads ":<mode> <mode> <blob> <blob> <status>" and the one or two paths behind it.
func parseRaw(head string, t *gitread.Tokens) (fileChange, error) {
	fields := strings.Split(head[1:], " ")
	if len(fields) != 5 || fields[4] == "" || !gitread.IsObjectID(fields[2]) || !gitread.IsObjectID(fields[3]) {
		return fileChange{}, gitread.ErrAnswer
	}
	f := fileChange{status: fields[4][0], oldBlob: fields[2], blob: fields[3]}
	f.submodule = fields[0] == modeSubmodule || fields[1] == modeSubmodule
	f.oldLink, f.symlink = fields[0] == modeSymlink, fields[1] == modeSymlink
	f.old = t.Next()
	f.path = f.old
	if f.status == 'R' || f.status == 'C' {
		f.path = t.Next()
	}
	if f.path == "" || f.old == "" {
		return fileChange{}, gitread.ErrAnswer
	}
	return f, t.Err
}

// parseNumbers reads "<added>\t<deleted>\t<path>", or the two paths of a rename as tokens of their own.
func parseNumbers(head string, t *gitread.Tokens, f *fileChange) error {
	fields := strings.SplitN(head, "\t", 3)
	if len(fields) != 3 {
		return gitread.ErrAnswer
	}
	path := fields[2]
	if path == "" {
		t.Next()
		path = t.Next()
	}
	if path != f.path {
		return gitread.ErrAnswer
	}
	f.counted = true
	if fields[0] == "-" && fields[1] == "-" {
		f.binary = true
		return t.Err
	}
	added, err1 := strconv.Atoi(fields[0])
	deleted, err2 := strconv.Atoi(fields[1])
	if err1 != nil || err2 != nil || added < 0 || deleted < 0 {
		return gitread.ErrAnswer
	}
	f.added, f.deleted = added, deleted
	return t.Err
}
