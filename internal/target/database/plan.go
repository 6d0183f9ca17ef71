package database

import (
	"fmt"
	"os"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/migration"
)

// Private

// plan is what brings the schema to where it is wanted.
type plan struct {
	now    string // the revision that the schema has
	needed string // the one that the releases need
	steps  []step
	down   bool   // the steps lead back
	said   string // why there is nothing to do, or what there is
}

// folder reads the migrations.
func (t *target) folder() (migration.Folder, error) {
	folder, err := migration.Read(os.DirFS(t.o.Folder), t.format)
	if err != nil && adg.CodeOf(err) != adg.Unavailable {
		return migration.Folder{}, adg.Permanent(err)
	}
	return folder, err
}

func refuse(format string, args ...any) error {
	return adg.Permanent(adg.Errorf(adg.Conflict, format, args...))
}

// needed is the newest revision that a release of the state needs: on the way forward any release, so that the schema is
// there before the code; on the way back those with traffic.
func needed(format migration.Format, want adg.Desired) (string, error) {
	newest := ""
	if p := leader(want); p.Release.Schema == "" {
		return "", unknownNeed(p.Release)
	}
	for _, p := range want.Releases {
		r := p.Release
		switch {
		case r.Schema == "" && (!want.Rollback || p.Share == 0), want.Rollback && p.Share == 0:
		case r.Schema == "":
			return "", unknownNeed(r)
		case format.Valid(r.Schema) != nil:
			return "", adg.Permanent(adg.Errorf(adg.Invalid, "release %s: schema: %w", r.Version, format.Valid(r.Schema)))
		case newest == "" || format.Compare(r.Schema, newest) > 0:
			newest = r.Schema
		}
	}
	return newest, nil
}

// leader is the release that the state is about: the candidate on the way forward, or the one with most of the traffic.
func leader(want adg.Desired) adg.Placement {
	lead := want.Releases[0]
	for _, p := range want.Releases {
		switch {
		case p.Role == adg.CandidateRole && !want.Rollback:
			return p
		case p.Share > lead.Share:
			lead = p
		}
	}
	return lead
}

func unknownNeed(r adg.Release) error {
	return adg.Permanent(adg.Errorf(adg.Invalid, "release %s does not say which revision of the schema it needs: name it when it is deployed", r.Version))
}

// plan says what to do, or refuses with the way out.
func (t *target) plan(folder migration.Folder, now state, want adg.Desired) (plan, error) {
	to, err := needed(t.format, want)
	if err != nil {
		return plan{}, err
	}
	p := plan{now: now.revision, needed: to}
	switch {
	case now.dirty != "":
		return p, refuse("%s", now.dirty)
	case drift(folder, now, want.Rollback, to) != "":
		return p, refuse("%s", drift(folder, now, want.Rollback, to))
	case to != migration.None && !has(folder, to):
		return p, adg.Permanent(adg.Errorf(adg.NotFound, "there is no migration %s in the folder: bring the folder up to date, or correct the release's schema", to))
	}
	if t.format.Compare(to, now.revision) < 0 {
		return t.back(folder, p, want)
	}
	if want.Rollback && t.format.Compare(to, now.revision) == 0 {
		p.said = "the schema is at revision " + p.now
		return p, nil
	}
	for _, m := range folder.Migrations {
		if t.format.Compare(m.Version, to) > 0 || now.has(t.format, m.Version) {
			continue
		}
		if t.format.Compare(m.Version, now.revision) < 0 {
			return p, refuse("migration %s was never applied, and later ones were: apply it by hand, or give it a number after %s", m, now.revision)
		}
		p.add(step{migration: m, up: true, to: m.Version})
	}
	if !want.Rollback {
		for _, m := range now.changed(folder) {
			p.add(step{migration: m, up: true, to: p.reached()})
		}
	}
	p.said = "the schema is at revision " + p.now
	if len(p.steps) > 0 {
		p.said = "brings the schema from revision " + p.now + " to " + p.needed + ": " + p.names()
	}
	return p, nil
}

// back is the plan for a schema that is newer than the releases need: in most cases to leave it as it is.
func (t *target) back(folder migration.Folder, p plan, want adg.Desired) (plan, error) {
	v, err := folder.Judge(p.needed, p.now)
	if err != nil {
		return p, adg.Permanent(err)
	}
	const forward = "roll forward with a release that fits the schema, or declare the migrations compatible if they are"
	switch {
	case v.Compatible:
		p.said = fmt.Sprintf("the schema stays at revision %s: %s", p.now, v.Text())
		return p, nil
	case !want.Rollback:
		return p, refuse("the schema is at revision %s already: %s: deploy a release that fits it", p.now, v.Text())
	case !v.Reversible || !v.Lossless:
		return p, refuse("%s: %s", v.Text(), forward)
	case !t.o.AllowDown:
		return p, refuse("%s: %s, or set allow_down", v.Text(), forward)
	case want.Approved == "":
		return p, refuse("%s: migrations are taken back only when a person asks for it: adg deploy rollback", v.Text())
	}
	p.down = true
	for i, m := range slices.Backward(v.Between) {
		to := p.needed
		if i > 0 {
			to = v.Between[i-1].Version
		}
		p.add(step{migration: m, to: to})
	}
	p.said = "takes the schema back from revision " + p.now + " to " + p.needed + ": " + p.names()
	return p, nil
}

func has(folder migration.Folder, version string) bool {
	_, found := folder.Find(version)
	return found
}

// drift says what was applied and is not in the folder, or not as it was applied; empty: nothing. A rollback looks only at
// what is newer than it: what is older does not stand in its way.
func drift(folder migration.Folder, now state, rollback bool, to string) string {
	matters := func(version string) bool { return !rollback || folder.Format.Compare(version, to) > 0 }
	if now.upTo == now.revision && now.revision != migration.None && matters(now.revision) && len(now.applied) == 0 && !has(folder, now.revision) {
		return fmt.Sprintf("the schema is at revision %s, and the folder has no such migration: bring the folder up to date", now.revision)
	}
	for _, a := range now.applied {
		if !matters(a.version) || now.upTo != "" && folder.Format.Compare(a.version, now.upTo) <= 0 {
			continue // a baseline, or what came before it
		}
		m, found := folder.Find(a.version)
		switch {
		case !found:
			return fmt.Sprintf("migration %s was applied, and is not in the folder: bring the folder up to date", a.version)
		case a.checksum != nil && *a.checksum != m.Up.Checksum:
			return fmt.Sprintf("migration %s was changed after it was applied (%s: checksum %d, applied %d): put the file back as it was, and write another migration", m, m.Up.File, m.Up.Checksum, *a.checksum)
		}
	}
	return ""
}

func (p *plan) add(s step) {
	s.from = p.reached()
	p.steps = append(p.steps, s)
}

// reached is the revision after the steps so far.
func (p *plan) reached() string {
	if len(p.steps) == 0 {
		return p.now
	}
	return p.steps[len(p.steps)-1].to
}

// named is how many migrations a sentence names.
const named = 8

func (p *plan) names() string {
	var names []string
	for _, s := range p.steps[:min(named, len(p.steps))] {
		names = append(names, s.migration.String())
	}
	text := strings.Join(names, ", ")
	if more := len(p.steps) - named; more > 0 {
		text += fmt.Sprintf(" and %d more", more)
	}
	return text
}
