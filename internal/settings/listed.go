package settings

import (
	"strings"

	"github.com/deployguardian/adg/internal/strictyaml"
)

// Listed is one setting in force.
type Listed struct {
	Path   string // as in sessions.idle
	Value  string // as a file would write it; of a secret, where it is kept
	Origin string // default, file, environment or flag
	Text   string // what it is for
	Secret bool
}

// All are the settings in force, and what is said about them.
type All struct {
	Settings Settings
	Listed   []Listed             // all of them, in the order of the file
	Warnings []strictyaml.Problem // what is doubtful
}

// LoadAll reads the settings as Load does, and says where each of them comes from. The file is read once: it may be a
// pipe, and nobody can change it in between.
func LoadAll(path string, environ []string, flags map[string]string) (All, error) {
	l, err := read(path, environ, flags)
	if err != nil {
		return All{}, err
	}
	all := All{Settings: l.s, Warnings: l.warnings()}
	for _, f := range Fields() {
		all.Listed = append(all.Listed, Listed{Path: f.Path, Value: language.Shown(l.s, f.Path), Origin: l.from(f.Path), Text: f.Doc, Secret: f.Secret})
	}
	return all, nil
}

// Private

// read reads the file, if there is one, and lays the rest over it.
func read(path string, environ []string, flags map[string]string) (*loader, error) {
	if path == "" {
		return laid(language.Nothing("the settings"), nil, environ, flags)
	}
	text, err := strictyaml.ReadFile(path)
	if err != nil {
		return nil, unreadable(err)
	}
	doc, root := language.Parse(path, text)
	return laid(doc, root, environ, flags)
}

// from is what a field was set by last.
func (l *loader) from(path string) string {
	over, found := l.origin[path]
	switch {
	case found && strings.HasPrefix(over.Name(), "--"):
		return "flag"
	case found:
		return "environment"
	case l.doc.Has(path):
		return "file"
	}
	return "default"
}
