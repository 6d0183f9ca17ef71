package learn

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/change/gitread"
)

// MaxCommits bounds how much history of a repository is read: of a longer one, the newest commits.
const MaxCommits = 1_000_000

// Private

const (
	gitMaxOutput = 128 << 20
	chunkCommits = 1000
	recordMark   = "\x01"
	logFormat    = "--format=%x01%H%x00%P%x00%ct%x00%cE%x00%cN%x00%aE%x00%aN%x00%B%x00"
)

// git is the repository.
type git struct{ gitread.Repository }

func openGit(ctx context.Context, program, dir string) (git, error) {
	r, err := gitread.Open(ctx, program, dir, gitMaxOutput)
	return git{r}, err
}

// resolve finds a commit by any of its names; empty, with no error, is a repository without commits.
func (g git) resolve(ctx context.Context, name string) (string, error) {
	if len(name) > 256 || strings.ContainsAny(name, " \t\r\n\x00") {
		return "", adg.Errorf(adg.Invalid, "%q names no commit: give a branch, a tag or a commit's id", cut(name, 60))
	}
	told, err := g.Run(ctx, nil, "rev-parse", "--verify", "--quiet", "--end-of-options", cmp.Or(name, "HEAD")+"^{commit}")
	if err != nil {
		return "", err
	}
	id := strings.TrimSpace(string(told.Stdout))
	if told.Exit == 0 && gitread.IsObjectID(id) {
		return id, nil
	}
	if name == "" {
		return "", nil
	}
	return "", adg.Errorf(adg.NotFound, "the repository has no commit %q", name)
}

// commit is one commit as git tells it.
type commit struct {
	id      string
	parents []string
	at      time.Time // the committer's clock: the author's says when work began, not when it joined
	bad     bool      // the clock is not to be believed
	actor   string
	message message
	files   []fileChange
}

// fileChange is one file of a commit.
type fileChange struct {
	status    byte // A, C, D, M, R or T
	path, old string
	blob      string
	regular   bool
}

// stream hands over commits in the order of ids, some at a time, so that memory is bounded.
func (g git) stream(ctx context.Context, key []byte, ids []string, extra []string, each func([]commit) error) error {
	for len(ids) > 0 {
		chunk := ids[:min(len(ids), chunkCommits)]
		ids = ids[len(chunk):]
		args := append([]string{"log", "--no-walk=unsorted", "--stdin", "-z", "--no-color", "--no-ext-diff", "--no-textconv", logFormat}, extra...)
		out, err := g.Must(ctx, []byte(strings.Join(chunk, "\n")+"\n"), args...)
		if err != nil {
			return err
		}
		commits, err := parseLog(key, out)
		if err != nil {
			return adg.Errorf(adg.Internal, "read git log: %w", err)
		}
		if err := each(commits); err != nil {
			return err
		}
	}
	return nil
}

// blobs reads files by the ids of their content; what is larger than limit, or not in this clone, is left out.
func (g git) blobs(ctx context.Context, ids []string, limit, room int64) (map[string][]byte, error) {
	found := map[string][]byte{}
	for len(ids) > 0 {
		answer, err := g.Must(ctx, []byte(strings.Join(ids, "\n")+"\n"), "cat-file", "--batch-check=%(objectname) %(objecttype) %(objectsize)")
		if err != nil {
			return nil, err
		}
		var wanted []string
		left, taken := room, 0
		for line := range strings.Lines(string(answer)) {
			fields := strings.Fields(line)
			size := int64(-1)
			if len(fields) == 3 && fields[1] == "blob" {
				size, _ = strconv.ParseInt(fields[2], 10, 64)
			}
			if size >= 0 && size <= limit {
				if size > left && len(wanted) > 0 {
					break
				}
				left -= size + 100
				wanted = append(wanted, fields[0])
			}
			taken++
		}
		if taken == 0 {
			return nil, adg.Errorf(adg.Internal, "git cat-file: %w", gitread.ErrAnswer)
		}
		ids = ids[min(taken, len(ids)):]
		if err := g.contents(ctx, wanted, found); err != nil {
			return nil, err
		}
	}
	return found, nil
}

func (g git) contents(ctx context.Context, ids []string, found map[string][]byte) error {
	if len(ids) == 0 {
		return nil
	}
	rest, err := g.Must(ctx, []byte(strings.Join(ids, "\n")+"\n"), "cat-file", "--batch")
	if err != nil {
		return err
	}
	for _, id := range ids {
		head, after, _ := bytes.Cut(rest, []byte("\n"))
		fields := strings.Fields(string(head))
		if len(fields) != 3 || fields[0] != id {
			return adg.Errorf(adg.Internal, "git cat-file: %w", gitread.ErrAnswer)
		}
		size, err := strconv.Atoi(fields[2])
		if err != nil || size < 0 || len(after) < size+1 {
			return adg.Errorf(adg.Internal, "git cat-file: %w", gitread.ErrAnswer)
		}
		found[id] = after[:size:size]
		rest = after[size+1:]
	}
	return nil
}

// parseLog reads what git log -z --raw wrote in logFormat. Messages and names cannot hold a NUL and paths are found by
// their place, so nothing that a committer writes can pass for a record.
func parseLog(key, output []byte) ([]commit, error) {
	t := gitread.Tokens{Rest: output}
	var commits []commit
	for !t.Done() {
		c, err := parseCommit(key, &t)
		if err != nil {
			return nil, fmt.Errorf("commit %d: %w", len(commits)+1, err)
		}
		commits = append(commits, c)
	}
	return commits, t.Err
}

func parseCommit(key []byte, t *gitread.Tokens) (commit, error) {
	id, found := strings.CutPrefix(t.Next(), recordMark)
	if !found || !gitread.IsObjectID(id) {
		return commit{}, gitread.ErrAnswer
	}
	c := commit{id: id, parents: strings.Fields(t.Next())}
	seconds, err := strconv.ParseInt(t.Next(), 10, 64)
	if err != nil {
		seconds = 0
	}
	c.at = time.Unix(seconds, 0).UTC()
	c.bad = !plausible(c.at)
	committerMail, committer, mail, name := t.Next(), t.Next(), t.Next(), t.Next()
	// On a forge's merge button the committer is the forge.
	if strings.HasPrefix(strings.ToLower(committerMail), "noreply@") {
		committerMail, committer = mail, name
	}
	c.actor = pseudonym(key, committer, committerMail)
	c.message = readMessage(t.Next())
	if !t.Done() && t.Next() != "" { // the end of the format itself
		return commit{}, gitread.ErrAnswer
	}
	for !t.Done() && !bytes.HasPrefix(t.Rest, []byte(recordMark)) {
		head := strings.TrimPrefix(t.Next(), "\n")
		if head == "" {
			continue
		}
		f, err := parseRaw(head, t)
		if err != nil {
			return commit{}, err
		}
		c.files = append(c.files, f)
	}
	return c, t.Err
}

// parseRaw reads ":<mode> <mode> <blob> <blob> <status>" and the one or two paths behind it.
func parseRaw(head string, t *gitread.Tokens) (fileChange, error) {
	fields := strings.Split(strings.TrimPrefix(head, ":"), " ")
	if len(fields) != 5 || head[0] != ':' || fields[4] == "" || !gitread.IsObjectID(fields[3]) {
		return fileChange{}, gitread.ErrAnswer
	}
	f := fileChange{status: fields[4][0], blob: fields[3], regular: strings.HasPrefix(fields[1], "100")}
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
