// Package change measures what a release changes: how much, where, in what kind of files, by whom, and how well those
// people and these files were known before. The measures come from a git repository, or from what a pipeline knows.
package change

import (
	"encoding/json"
	"slices"
	"time"
)

// MaxPaths bounds the paths that a Change lists; its measures count all of them.
const MaxPaths = 10_000

// Change is what lies between the release that is live and the new one. What could not be measured is absent from
// Measures and named in Missing, with the reasons in Notes: a measure of zero is always a finding. It is a value;
// several goroutines may read it.
type Change struct {
	From      string             `json:"from,omitempty"` // commit of the release that is live
	To        string             `json:"to,omitempty"`   // commit of the new one
	Committed time.Time          `json:"committed,omitzero"`
	Oldest    time.Time          `json:"oldest,omitzero"` // when the oldest of the commits was made; the age of the batch counts from here
	Measures  map[string]float64 `json:"measures"`        // by name, see Catalogue; and what else a pipeline told
	Missing   []string           `json:"missing,omitempty"`
	Notes     []string           `json:"notes,omitempty"`   // for people: why something is missing, or only nearly right
	Paths     []string           `json:"paths,omitempty"`   // files that people changed, after renames; untrusted text
	Authors   []string           `json:"authors,omitempty"` // pseudonyms, bots apart
}

// Features are the measures by name; what is missing is absent. The map is the caller's own.
func (c Change) Features() map[string]float64 {
	features := make(map[string]float64, len(c.Measures))
	for name, value := range c.Measures {
		features[name] = value
	}
	return features
}

// Measure describes one of the measures.
type Measure struct {
	Name   string `json:"name"`
	Unit   string `json:"unit"`
	Source string `json:"source"` // diff: the two trees; commits: those in between; history: all that came before; content: the files themselves
	Text   string `json:"text"`
}

// Catalogue describes every measure, in the order of the reference page.
func Catalogue() []Measure { return slices.Clone(catalogue) }

// Private

const (
	fromDiff    = "diff"
	fromCommits = "commits"
	fromHistory = "history"
	fromContent = "content"
	fromTags    = "tags"
)

// Files that a tool writes (lock files, generated, vendored) and pointers to submodules count in their own measures only.
var catalogue = []Measure{
	{"ns", "subsystems", fromDiff, "first folders of the files that people changed, or the service roots that were configured"},
	{"nd", "folders", fromDiff, "folders of the files that people changed"},
	{"nf", "files", fromDiff, "files that people changed; a rename is one"},
	{"entropy", "0 to 1", fromDiff, "how evenly the changed lines are spread over the files: 0 all in one, 1 the same in each"},
	{"la", "lines", fromDiff, "lines added"},
	{"ld", "lines", fromDiff, "lines deleted"},
	{"lt", "lines", fromHistory, "lines in the files before, mean over the files; a new file has none"},
	{"fix", "share", fromCommits, "commits whose message speaks of a bug, a fix, a defect or a patch"},
	{"ndev", "people", fromHistory, "authors who changed any of the files before"},
	{"age", "days", fromHistory, "since the last change of a file before, mean over the files that are not new"},
	{"nuc", "commits", fromHistory, "different commits that were the last to change one of the files before"},
	{"exp", "commits", fromHistory, "commits that an author made before, mean over the commits; bots apart where people took part"},
	{"rexp", "commits", fromHistory, "the same, a commit of n calendar years ago counted as 1/(n+1)"},
	{"sexp", "commits", fromHistory, "the same, in the changed subsystems only; a commit in two of them counts in both"},

	{"min_exp", "commits", fromHistory, "commits that the least experienced author made before"},
	{"npriorchanges", "commits", fromHistory, "earlier changes of the files, added up"},
	{"newfiles", "files", fromDiff, "files added"},
	{"deleted_files", "files", fromDiff, "files removed"},
	{"renames", "files", fromDiff, "files renamed or copied"},
	{"binaries", "files", fromDiff, "files without lines: binary, or kept outside by Git LFS"},

	{"n_commits", "commits", fromCommits, "commits that are new"},
	{"commits_undone", "commits", fromCommits, "commits that are live and not in the new release: it goes back, or comes from another branch"},
	{"n_authors", "people", fromCommits, "their authors, bots apart"},
	{"bot_share", "share", fromCommits, "commits made by bots"},
	{"reverts", "commits", fromCommits, "commits that revert another"},
	{"relands", "commits", fromCommits, "commits that bring back what was reverted"},
	{"oldest_commit_h", "hours", fromCommits, "from the oldest of the commits to the new release's own"},
	{"batch_age_h", "hours", fromCommits, "from the commit that is live to the new one; 0 when going back"},
	{"versions_skipped", "versions", fromTags, "tagged versions between the two, which never became live"},

	{"migrations", "files", fromDiff, "database migrations"},
	{"infra", "files", fromDiff, "infrastructure: Terraform, Helm, Kubernetes, containers, Ansible, and pipelines"},
	{"pipelines", "files", fromDiff, "definitions of continuous integration or delivery"},
	{"config", "files", fromDiff, "configuration"},
	{"tests", "files", fromDiff, "tests and their data"},
	{"docs", "files", fromDiff, "documentation"},
	{"deps", "files", fromDiff, "manifests and lock files of dependencies"},
	{"generated", "files", fromDiff, "files written by a tool"},
	{"vendored", "files", fromDiff, "files copied from elsewhere"},
	{"submodules", "submodules", fromDiff, "submodules that point to another commit"},

	{"deps_changed", "packages", fromContent, "dependencies added, removed or moved to another version, submodules included"},
	{"deps_major", "packages", fromContent, "dependencies that moved to another major version"},
	{"functions_touched", "functions", fromContent, "Go functions added, removed or rewritten, tests apart"},
	{"complexity_delta", "branches", fromContent, "McCabe complexity that these functions gained or lost"},
	{"complexity_max", "branches", fromContent, "McCabe complexity of the most complex of them"},
	{"branches_delta", "branches", fromContent, "branching words that files of other languages gained or lost, tests apart"},
}

// sheet is a Change being filled in.
type sheet struct {
	values map[string]float64
	notes  []string
}

func (s *sheet) set(name string, value float64) { s.values[name] = value }

func (s *sheet) note(text string) {
	if !slices.Contains(s.notes, text) {
		s.notes = append(s.notes, text)
	}
}

// finish names what was not set.
func (s *sheet) finish(c Change) Change {
	c.Measures, c.Notes = s.values, s.notes
	for _, m := range catalogue {
		if _, found := s.values[m.Name]; !found {
			c.Missing = append(c.Missing, m.Name)
		}
	}
	return c
}

// text makes a path fit to be shown: JSON escapes what is no printable character.
func text(path string) string {
	quoted, err := json.Marshal(path)
	if err != nil {
		return "a file"
	}
	return string(quoted)
}
