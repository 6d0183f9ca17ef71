package migration

import (
	"fmt"
	"slices"
	"strings"
)

// Verdict is what stands between the code of one revision of a schema and a newer schema.
type Verdict struct {
	Code, Schema string      // the revisions
	Between      []Migration // in the order in which they were, or will be, applied

	// Compatible: it is declared of every migration between that the code runs on the schema after it.
	Compatible bool
	// Reversible: every migration between has a way down that nobody has forbidden.
	Reversible bool
	// Lossless: the linter has found nothing in the ways down that takes rows, columns or values away, and understood all.
	Lossless bool

	Incompatible []string  // a sentence for each migration that stands against Compatible
	Irreversible []string  // a sentence for each migration that stands against Reversible
	Losses       []Finding // what stands against Lossless
}

// Judge says whether code that was written for the one revision can live with the other, newer one, and whether the way
// back is open. Revisions that are the same, or a schema that is the older one, are compatible if nothing stands between.
func (f Folder) Judge(code, schema string) (Verdict, error) {
	between, err := f.Between(code, schema)
	if err != nil {
		return Verdict{}, err
	}
	v := Verdict{Code: code, Schema: schema, Between: between}
	for _, m := range between {
		if why := f.incompatible(m, code); why != "" {
			v.Incompatible = append(v.Incompatible, why)
		}
		switch {
		case m.Marks.Irreversible:
			v.Irreversible = append(v.Irreversible, fmt.Sprintf("migration %s is marked irreversible", m))
		case !m.Reversible():
			v.Irreversible = append(v.Irreversible, fmt.Sprintf("migration %s has no way down", m))
		}
		v.Losses = append(v.Losses, slices.DeleteFunc(m.LintDown(), func(f Finding) bool { return f.Kind != Loss && f.Kind != Unjudged })...)
	}
	v.Compatible, v.Reversible, v.Lossless = len(v.Incompatible) == 0, len(v.Irreversible) == 0, len(v.Losses) == 0
	return v, nil
}

// Text is the verdict in a sentence or two, with the way out.
func (v Verdict) Text() string {
	switch {
	case len(v.Between) == 0:
		return fmt.Sprintf("no migration stands between the schemas %s and %s", v.Code, v.Schema)
	case v.Compatible:
		return fmt.Sprintf("code of schema %s is declared to run on schema %s", v.Code, v.Schema)
	case !v.Reversible:
		return fmt.Sprintf("code of schema %s cannot go back: %s, and %s", v.Code, list(v.Incompatible), list(v.Irreversible))
	case !v.Lossless:
		lines := make([]string, len(v.Losses))
		for i, l := range v.Losses {
			lines[i] = l.String()
		}
		return fmt.Sprintf("code of schema %s can only go back with the schema, which would lose data: %s; the way down: %s", v.Code, list(v.Incompatible), list(lines))
	default:
		return fmt.Sprintf("code of schema %s can only go back with the schema, without loss: %s", v.Code, list(v.Incompatible))
	}
}

// JudgeRepeatable is what a migration that is run anew, because it has changed, may break for code of a revision; a mark
// of compatible-with is believed.
func (f Folder) JudgeRepeatable(m Migration, code string) []Finding {
	if f.compatibleWith(m, code) {
		return nil
	}
	return slices.DeleteFunc(m.LintUp(), func(f Finding) bool { return f.Kind != Breaks && f.Kind != Unjudged })
}

// Private

// listed is how many reasons a sentence names.
const listed = 5

func list(reasons []string) string {
	text := strings.Join(reasons[:min(listed, len(reasons))], "; ")
	if more := len(reasons) - listed; more > 0 {
		text += fmt.Sprintf("; and %d more", more)
	}
	return text
}

// incompatible says why code of a revision is not declared to run on the schema after a migration; empty: it is. A mark of
// expand is not believed where the migration shows the opposite; a revision that is named is.
func (f Folder) incompatible(m Migration, code string) string {
	if f.compatibleWith(m, code) {
		return ""
	}
	if !m.Marks.Expand {
		return fmt.Sprintf("migration %s is not declared to be compatible with the code of schema %s", m, code)
	}
	for _, finding := range m.LintUp() {
		if finding.Kind == Breaks {
			return fmt.Sprintf("migration %s is marked expand, but %s", m, finding)
		}
	}
	return ""
}

// compatibleWith tells whether a person has named the revision, or an earlier one.
func (f Folder) compatibleWith(m Migration, code string) bool {
	return slices.ContainsFunc(m.Marks.CompatibleWith, func(revision string) bool { return f.Format.Compare(revision, code) <= 0 })
}
