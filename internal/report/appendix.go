package report

import (
	"bytes"
	"fmt"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// Change names what a release changed, where a repository is at hand.
type Change struct {
	Unread     string // why it is not known; empty: it is
	From, To   string // commits
	Commits    []Commit
	Files      []string
	Changed    int // files in all
	Migrations []string
}

// Commit is one of the commits.
type Commit struct {
	ID      string
	At      time.Time
	Author  string
	Subject string
}

// Appendix is the end of a post-mortem: the commits, files and migrations of the release, as CommonMark.
func Appendix(c Change) []byte {
	var out strings.Builder
	out.WriteString(appendixTitle)
	if c.Unread != "" {
		fmt.Fprintf(&out, "They could not be read: %s\n", plain(c.Unread))
		return []byte(out.String())
	}
	fmt.Fprintf(&out, "From %s to %s: %d files.\n\n", short(c.From), short(c.To), c.Changed)
	for _, one := range c.Commits {
		fmt.Fprintf(&out, "* %s %s: %s (%s)\n", short(one.ID), one.At.UTC().Format("2006-01-02"), plain(one.Subject), plain(one.Author))
	}
	if len(c.Commits) == 0 {
		out.WriteString("* No commit: the release goes back, or is the same.\n")
	}
	out.WriteString("\nMigrations of the database:\n\n")
	writeNames(&out, c.Migrations, len(c.Migrations), "* None that its path gives away.\n")
	out.WriteString("\nFiles:\n\n")
	writeNames(&out, c.Files, c.Changed, "* None.\n")
	return []byte(out.String())
}

// WithAppendix is a post-mortem with this end, in the place of the one that it may have.
func WithAppendix(postMortem, appendix []byte) []byte {
	before, _, _ := bytes.Cut(postMortem, []byte(appendixTitle))
	return append(bytes.Clone(before), appendix...)
}

// Private

const appendixTitle = "\n## Commits and files\n\n"

func short(commit string) string { return plain(commit[:min(len(commit), 12)]) }

func writeNames(out *strings.Builder, names []string, all int, none string) {
	for _, name := range names {
		fmt.Fprintf(out, "* %s\n", plain(adg.Printable(name)))
	}
	switch {
	case len(names) == 0:
		out.WriteString(none)
	case all > len(names):
		fmt.Fprintf(out, "* and %d more\n", all-len(names))
	}
}
