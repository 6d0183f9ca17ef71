package change

import (
	"bytes"
	"encoding/json"
	"io"
	"maps"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/change/kind"
)

// The bounds of a payload.
const (
	MaxPayloadBytes   = 32 << 20
	maxPayloadEntries = 100_000
	maxTold           = 200
)

// Payload is what a pipeline knows of a change without a repository at hand. Only files, or only commits, is fine too.
type Payload struct {
	From            string          `json:"from,omitempty"`
	To              string          `json:"to,omitempty"`
	LiveAt          time.Time       `json:"live_at,omitzero"` // when the commit that is live was made
	At              time.Time       `json:"at,omitzero"`      // when the new one was; missing: the newest commit's time
	Files           []PayloadFile   `json:"files,omitempty"`
	Commits         []PayloadCommit `json:"commits,omitempty"`
	VersionsSkipped *int            `json:"versions_skipped,omitempty"`
	CommitsUndone   int             `json:"commits_undone,omitempty"`
	Incomplete      bool            `json:"incomplete,omitempty"` // there are more files or commits than are listed

	Features map[string]float64 `json:"features,omitempty"` // what else the pipeline knows, by name: tests_failed
}

// PayloadFile is one file that differs between the two releases.
type PayloadFile struct {
	Path    string `json:"path"`
	Old     string `json:"old_path,omitempty"` // before a rename
	Status  string `json:"status,omitempty"`   // added, modified (also if missing), removed, renamed or copied
	Added   int    `json:"added,omitempty"`
	Deleted int    `json:"deleted,omitempty"`
	Binary  bool   `json:"binary,omitempty"`
	Lines   *int   `json:"lines,omitempty"` // that it had before
}

// PayloadCommit is one commit that is new.
type PayloadCommit struct {
	ID      string    `json:"id,omitempty"`
	Name    string    `json:"author,omitempty"`
	Email   string    `json:"email,omitempty"`
	Message string    `json:"message,omitempty"`
	At      time.Time `json:"at,omitzero"`
}

// FromPayload measures what a pipeline reports: a Payload as JSON, or GitHub's answer to "compare two commits" as it
// is. What takes a repository is missing in the result. The key hashes e-mail addresses, as in Options; JSON that is
// neither is an Invalid error that says why.
func FromPayload(data, key []byte) (Change, error) {
	if len(data) > MaxPayloadBytes {
		return Change{}, adg.Errorf(adg.Invalid, "the description of the change is larger than %d MiB", MaxPayloadBytes>>20)
	}
	p, err := decodePayload(data)
	if err != nil {
		return Change{}, adg.Errorf(adg.Invalid, "read the description of the change: %w", err)
	}
	e, err := p.evidence(key)
	if err != nil {
		return Change{}, err
	}
	e.measure()
	p.correct(e)
	c := Change{From: p.From, To: p.To, Committed: instant(e.next.at), Oldest: e.oldest(), Paths: e.paths(), Authors: e.people()}
	return e.sheet.finish(c), nil
}

// Private

func decodePayload(data []byte) (Payload, error) {
	var shape map[string]json.RawMessage
	if err := json.Unmarshal(data, &shape); err != nil {
		return Payload{}, err
	}
	if _, github := shape["base_commit"]; github {
		return decodeGitHub(data)
	}
	var p Payload
	decoder := json.NewDecoder(bytes.NewReader(data))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&p); err != nil {
		return Payload{}, err
	}
	if _, err := decoder.Token(); err != io.EOF {
		return Payload{}, adg.Errorf(adg.Invalid, "there is more behind the end of the object")
	}
	return p, nil
}

func decodeGitHub(data []byte) (Payload, error) {
	type commit struct {
		SHA    string `json:"sha"`
		Commit struct {
			Message   string                       `json:"message"`
			Author    struct{ Name, Email string } `json:"author"`
			Committer struct{ Date time.Time }     `json:"committer"`
		} `json:"commit"`
		Parents []struct{} `json:"parents"`
	}
	var answer struct {
		Base         commit   `json:"base_commit"`
		Commits      []commit `json:"commits"`
		TotalCommits int      `json:"total_commits"`
		BehindBy     int      `json:"behind_by"`
		Files        []struct {
			Filename  string `json:"filename"`
			Previous  string `json:"previous_filename"`
			Status    string `json:"status"`
			Additions int    `json:"additions"`
			Deletions int    `json:"deletions"`
			Changes   int    `json:"changes"`
		} `json:"files"`
	}
	if err := json.Unmarshal(data, &answer); err != nil {
		return Payload{}, err
	}
	const mostFiles = 300 // GitHub lists no more
	p := Payload{From: answer.Base.SHA, LiveAt: answer.Base.Commit.Committer.Date, CommitsUndone: answer.BehindBy}
	p.Incomplete = answer.TotalCommits > len(answer.Commits) || len(answer.Files) >= mostFiles
	for _, c := range answer.Commits {
		p.To, p.At = c.SHA, c.Commit.Committer.Date
		if len(c.Parents) < 2 {
			p.Commits = append(p.Commits, PayloadCommit{c.SHA, c.Commit.Author.Name, c.Commit.Author.Email, c.Commit.Message, c.Commit.Committer.Date})
		}
	}
	for _, f := range answer.Files {
		p.Files = append(p.Files, PayloadFile{Path: f.Filename, Old: f.Previous, Status: f.Status, Added: f.Additions, Deleted: f.Deletions})
	}
	return p, nil
}

var payloadStatus = map[string]byte{"added": 'A', "modified": 'M', "changed": 'M', "unchanged": 'M', "": 'M', "removed": 'D', "deleted": 'D', "renamed": 'R', "copied": 'C'}

func (p Payload) evidence(key []byte) (*evidence, error) {
	if len(p.Files) > maxPayloadEntries || len(p.Commits) > maxPayloadEntries {
		return nil, adg.Errorf(adg.Invalid, "the change has more than %d files or commits", maxPayloadEntries)
	}
	e := &evidence{live: point{id: p.From, at: seconds(p.LiveAt)}, next: point{id: p.To, at: seconds(p.At)}, sheet: sheet{values: map[string]float64{}}}
	for _, f := range p.Files {
		status, known := payloadStatus[f.Status]
		if !known || f.Path == "" || f.Added < 0 || f.Deleted < 0 || f.Lines != nil && *f.Lines < 0 {
			return nil, adg.Errorf(adg.Invalid, "file %s: it needs a path, counts of 0 or more, and a status of added, modified, removed, renamed or copied", text(f.Path))
		}
		old := f.Old
		if old == "" {
			old = f.Path
		}
		e.files = append(e.files, fileChange{status: status, path: f.Path, old: old, added: f.Added, deleted: f.Deleted, binary: f.Binary, counted: true})
		e.kinds = append(e.kinds, kind.Of(f.Path))
	}
	for _, c := range p.Commits {
		e.commits = append(e.commits, commit{id: c.ID, at: seconds(c.At), author: newAuthor(key, c.Name, c.Email), word: read(c.Message)})
		if p.At.IsZero() {
			e.next.at = max(e.next.at, seconds(c.At))
		}
	}
	if len(p.Features) > maxTold {
		return nil, adg.Errorf(adg.Invalid, "the pipeline tells %d features, at most %d are read", len(p.Features), maxTold)
	}
	e.undone = p.CommitsUndone
	e.unrelated = len(p.Commits) == 0
	return e, nil
}

// correct takes back what the measures of files and commits cannot know of a payload, and adds what only it knows.
func (p Payload) correct(e *evidence) {
	s := &e.sheet
	s.note("the change was described by a pipeline: what needs the repository's history is not known")
	switch {
	case p.Incomplete:
		s.note("not all files or commits of the change were listed: its size is not known")
		s.values = map[string]float64{}
	case len(p.Files) == 0:
		for _, m := range catalogue {
			if m.Source == fromDiff {
				delete(s.values, m.Name)
			}
		}
	default:
		lines, known := 0.0, true
		byPath := map[string]*int{}
		for _, f := range p.Files {
			byPath[f.Path] = f.Lines
		}
		files := e.written()
		for _, f := range files {
			if n := byPath[f.path]; n != nil {
				lines += float64(*n)
			} else {
				known = known && f.status == 'A'
			}
		}
		if known {
			s.set("lt", lines/float64(max(len(files), 1)))
		}
	}
	for _, c := range p.Commits {
		if c.At.IsZero() {
			delete(s.values, "oldest_commit_h")
		}
	}
	if p.VersionsSkipped != nil && *p.VersionsSkipped >= 0 {
		s.set("versions_skipped", float64(*p.VersionsSkipped))
	}
	maps.Copy(s.values, p.Features)
}

func seconds(t time.Time) int64 { return max(t.Unix(), 0) }
