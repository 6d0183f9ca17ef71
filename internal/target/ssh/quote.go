package ssh

import (
	"strings"

	"github.com/deployguardian/adg"
)

// Private

// quoted is a command line that a POSIX shell splits into exactly these words: SSH knows no argument lists.
func quoted(words ...string) string {
	var line strings.Builder
	for i, word := range words {
		if i > 0 {
			line.WriteByte(' ')
		}
		line.WriteString("'" + strings.ReplaceAll(word, "'", `'\''`) + "'")
	}
	return line.String()
}

// filled are the arguments of a program with what they say about a release.
func filled(args []string, release adg.Release, dir string) []string {
	replace := strings.NewReplacer("{dir}", dir, "{version}", release.Version, "{artifact}", release.Artifact,
		"{commit}", release.Commit, "{config}", release.Config, "{service}", release.Service)
	out := make([]string, len(args))
	for i, arg := range args {
		out[i] = replace.Replace(arg)
	}
	return out
}
