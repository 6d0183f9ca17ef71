package command

import (
	"encoding/json"
	"errors"
	"os"
	"strconv"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/process"
)

const (
	complaintLines = 5
	complaintBytes = 600
)

// spec is a run of a program; desired goes to its standard input.
func (t *target) spec(p Program, env []string, desired any, lock *os.File) process.Spec {
	s := process.Spec{
		Path: p.Path, Args: p.Args, Dir: p.Dir, Env: append(t.env[:len(t.env):len(t.env)], env...),
		Timeout: p.Timeout, Grace: grace, MaxOutput: maxOutput,
	}
	if desired != nil {
		s.Stdin, _ = json.Marshal(desired) // a Desired that is valid can be written
	}
	if lock != nil {
		s.Files = []*os.File{lock}
	}
	return s
}

// environment is what apply gets beside its input. The alphabets of a valid Desired make every value harmless.
func (t *target) environment(want adg.Desired) []string {
	most := want.Releases[0]
	pairs := make([]string, 0, len(want.Releases))
	for _, p := range want.Releases {
		if p.Share > most.Share {
			most = p
		}
		pairs = append(pairs, p.Release.Version+"="+strconv.FormatFloat(p.Share, 'f', -1, 64))
	}
	return []string{
		"ADG_OP_ID=" + want.OpID,
		"ADG_FENCE=" + strconv.FormatInt(want.Fence, 10),
		"ADG_DEPLOYMENT=" + want.Deployment,
		"ADG_SERVICE=" + most.Release.Service,
		"ADG_VERSION=" + most.Release.Version,
		"ADG_ARTIFACT=" + most.Release.Artifact,
		"ADG_CONFIG=" + most.Release.Config,
		"ADG_COMMIT=" + most.Release.Commit,
		"ADG_RELEASES=" + strings.Join(pairs, " "),
		"ADG_ROLLBACK=" + strconv.FormatBool(want.Rollback),
	}
}

// lastLines are the last words of a program, for people, without secrets.
func (t *target) lastLines(stderr []byte) string {
	var lines []string
	for line := range strings.Lines(strings.ToValidUTF8(string(stderr), "")) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	text := adg.Printable(t.redact(strings.Join(lines[max(len(lines)-complaintLines, 0):], " | ")))
	if len(text) > complaintBytes {
		text = "…" + strings.ToValidUTF8(text[len(text)-complaintBytes:], "")
	}
	return text
}

// hide keeps the words of an error and drops its cause, which may hold what the program said.
func (t *target) hide(err error) error { return errors.New(t.redact(err.Error())) }
