package migration

import (
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/goccy/go-yaml"
)

// Private

// declarations is the file in which marks stand that cannot stand in the migrations, because those must not change:
//
//	migrations:
//	  "42": [expand, compatible-with 41]
const declarations = "adg.yaml"

var markLine = regexp.MustCompile(`(?m)^[ \t]*--[ \t]*adg:(.*)$`)

// mark reads the marks of a file's comments.
func (r *reader) mark(m *Marks, name, text string) {
	for _, line := range markLine.FindAllStringSubmatch(text, -1) {
		for one := range strings.SplitSeq(line[1], ",") {
			if err := m.add(r.folder.Format, one); err != nil {
				r.problem("%s: %w", name, err)
			}
		}
	}
}

func (m *Marks) add(format Format, text string) error {
	fields := strings.Fields(text)
	switch {
	case len(fields) == 1 && fields[0] == "expand":
		m.Expand = true
	case len(fields) == 1 && fields[0] == "contract":
		m.Contract = true
	case len(fields) == 1 && fields[0] == "irreversible":
		m.Irreversible = true
	case len(fields) == 2 && fields[0] == "compatible-with":
		if err := format.Valid(fields[1]); err != nil {
			return fmt.Errorf("mark %q: %w", strings.TrimSpace(text), err)
		}
		m.CompatibleWith = append(m.CompatibleWith, fields[1])
	default:
		return fmt.Errorf("mark %q: use expand, contract, irreversible or compatible-with REVISION", strings.TrimSpace(text))
	}
	if m.Expand && m.Contract {
		return errors.New("a migration cannot be marked expand and contract: split it in two")
	}
	return nil
}

// declared reads the file of marks, where there is one.
func (r *reader) declared() {
	for _, f := range r.files {
		if f.name != declarations {
			continue
		}
		var said struct {
			Migrations map[string][]string `yaml:"migrations"`
		}
		if err := yaml.UnmarshalWithOptions([]byte(f.text), &said, yaml.Strict()); err != nil {
			r.problem("%s: %w", declarations, err)
			return
		}
		for _, version := range slices.Sorted(maps.Keys(said.Migrations)) {
			r.declare(version, said.Migrations[version])
		}
	}
}

func (r *reader) declare(version string, marks []string) {
	for i := range r.folder.Migrations {
		m := &r.folder.Migrations[i]
		if r.folder.Format.Compare(m.Version, version) != 0 {
			continue
		}
		for _, text := range marks {
			if err := m.Marks.add(r.folder.Format, text); err != nil {
				r.problem("%s: migration %s: %w", declarations, version, err)
			}
		}
		return
	}
	r.problem("%s: there is no migration %s", declarations, version)
}
