package change

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"strings"
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

var errLog = errors.New("this is not what git writes")

// parseLog reads what git log -z --raw --numstat wrote in logFormat. Messages and names cannot hold a NUL and paths
// are found by their place, so nothing that a committer writes can pass for a record.
func parseLog(key, output []byte) ([]commit, error) {
	t := tokens{rest: output}
	var commits []commit
	for !t.done() {
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

func parseHeader(key []byte, t *tokens) (commit, error) {
	id, found := strings.CutPrefix(t.next(), recordMark)
	if !found || !isObjectID(id) {
		return commit{}, errLog
	}
	c := commit{id: id}
	at, err := strconv.ParseInt(t.next(), 10, 64)
	if err != nil {
		return commit{}, errLog
	}
	c.at = max(at, 0)
	email, name := t.next(), t.next()
	c.author = newAuthor(key, name, email)
	c.word = read(t.next())
	if !t.done() && t.next() != "" { // the end of the format itself
		return commit{}, errLog
	}
	return c, t.err
}

// parseFiles reads the entries up to the next record: first the raw ones, then the numbers in the same order.
func parseFiles(t *tokens) ([]fileChange, error) {
	var files []fileChange
	numbered := 0
	for !t.done() && !bytes.HasPrefix(t.rest, []byte(recordMark)) {
		head := strings.TrimPrefix(t.next(), "\n")
		switch {
		case head == "" && t.done():
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
			return nil, errLog
		}
	}
	return files, t.err
}

// parseRaw reads ":<mode> <mode> <blob> <blob> <status>" and the one or two paths behind it.
func parseRaw(head string, t *tokens) (fileChange, error) {
	fields := strings.Split(head[1:], " ")
	if len(fields) != 5 || fields[4] == "" || !isObjectID(fields[2]) || !isObjectID(fields[3]) {
		return fileChange{}, errLog
	}
	f := fileChange{status: fields[4][0], oldBlob: fields[2], blob: fields[3]}
	f.submodule = fields[0] == modeSubmodule || fields[1] == modeSubmodule
	f.oldLink, f.symlink = fields[0] == modeSymlink, fields[1] == modeSymlink
	f.old = t.next()
	f.path = f.old
	if f.status == 'R' || f.status == 'C' {
		f.path = t.next()
	}
	if f.path == "" || f.old == "" {
		return fileChange{}, errLog
	}
	return f, t.err
}

// parseNumbers reads "<added>\t<deleted>\t<path>", or the two paths of a rename as tokens of their own.
func parseNumbers(head string, t *tokens, f *fileChange) error {
	fields := strings.SplitN(head, "\t", 3)
	if len(fields) != 3 {
		return errLog
	}
	path := fields[2]
	if path == "" {
		t.next()
		path = t.next()
	}
	if path != f.path {
		return errLog
	}
	f.counted = true
	if fields[0] == "-" && fields[1] == "-" {
		f.binary = true
		return t.err
	}
	added, err1 := strconv.Atoi(fields[0])
	deleted, err2 := strconv.Atoi(fields[1])
	if err1 != nil || err2 != nil || added < 0 || deleted < 0 {
		return errLog
	}
	f.added, f.deleted = added, deleted
	return t.err
}

// tokens are texts that end with NUL.
type tokens struct {
	rest []byte
	err  error
}

func (t *tokens) done() bool { return len(t.rest) == 0 || t.err != nil }

func (t *tokens) next() string {
	token, rest, found := bytes.Cut(t.rest, []byte{0})
	if !found {
		t.rest, t.err = nil, errLog
		return ""
	}
	t.rest = rest
	return string(token)
}

func isObjectID(s string) bool {
	return (len(s) == 40 || len(s) == 64) && strings.Trim(s, "0123456789abcdef") == ""
}
