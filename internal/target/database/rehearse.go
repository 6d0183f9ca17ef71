package database

import (
	"context"
	"errors"
	"fmt"
	"os"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/migration"
)

// Rehearse tells whether the schema could be brought to where a state wants it, as if the state before was live already: a
// rollback is judged against the newest schema that a release of it needs, applied or not.
func (t *target) Rehearse(ctx context.Context, want adg.Desired) ([]adg.Obstacle, error) {
	if err := want.Validate(); err != nil {
		return nil, adg.Permanent(err)
	}
	folder, err := t.folder()
	if err != nil {
		if adg.IsPermanent(err) {
			return []adg.Obstacle{{Name: "schema", Final: true, Text: err.Error()}}, nil
		}
		return nil, err
	}
	s, err := t.connect(ctx, "rehearsal")
	if err != nil {
		if adg.CodeOf(err) == adg.Unauthorized {
			return []adg.Obstacle{{Name: "access", Final: true, Text: err.Error()}}, nil
		}
		return nil, err
	}
	defer s.close()
	if lacking, err := s.rights(ctx); err != nil || len(lacking) > 0 {
		return lacking, err
	}
	now, err := s.read(ctx)
	if err != nil {
		return nil, err
	}
	return t.rehearse(folder, now, want), nil
}

// Private

func (t *target) rehearse(folder migration.Folder, now state, want adg.Desired) []adg.Obstacle {
	want.Approved = "somebody" // what a person could do; what nobody has to be asked for is told apart below
	p, err := t.plan(folder, t.foresee(folder, now, want), want)
	if err != nil {
		return []adg.Obstacle{{Name: "schema", Final: adg.IsPermanent(err), Text: err.Error()}}
	}
	obstacles := t.unforeseen(folder, now, want, p.needed)
	if p.down {
		text := fmt.Sprintf("the rollback %s, after a backup: take the traffic away first, and have a person ask for it", p.said)
		obstacles = append(obstacles, adg.Obstacle{Name: "schema", Final: true, Text: text})
		for name, program := range map[string]Program{"backup": t.o.Backup, "verify": t.o.Verify} {
			err := t.host.MayStart(program.Path)
			if _, missing := os.Stat(program.Path); err != nil || missing != nil {
				text := fmt.Sprintf("the program %s (%s) cannot be started, and without it nothing is taken back: %v", program.Path, name, errors.Join(err, missing))
				obstacles = append(obstacles, adg.Obstacle{Name: "backup", Final: true, Text: text})
			}
		}
		return obstacles[:min(maxObstacles, len(obstacles))]
	}
	might := func(format string, args ...any) {
		obstacles = append(obstacles, adg.Obstacle{Name: "schema", Text: fmt.Sprintf(format, args...)})
	}
	for _, one := range p.steps {
		for _, finding := range one.migration.LintUp() {
			might("migration %s: %s", one.migration, finding)
		}
		if one.migration.Version != "" && !one.migration.Reversible() {
			might("migration %s cannot be undone: after it code of before can only run if it is declared compatible", one.migration)
		}
	}
	return obstacles[:min(maxObstacles, len(obstacles))]
}

// maxObstacles are told at once; the first ones come first when they are run.
const maxObstacles = 50

// unforeseen is what a rollback may find that cannot be told now: what a release will do to the schema whose migrations are
// not known, and what stays of migrations that are run anew.
func (t *target) unforeseen(folder migration.Folder, now state, want adg.Desired, code string) (obstacles []adg.Obstacle) {
	if !want.Rollback {
		return nil
	}
	might := func(format string, args ...any) {
		obstacles = append(obstacles, adg.Obstacle{Name: "schema", Text: fmt.Sprintf(format, args...)})
	}
	for _, p := range want.Releases {
		switch r := p.Release; {
		case r.Schema == "":
			might("whether code can go back from release %s cannot be judged: it does not say which revision of the schema it needs: name it when it is deployed", r.Version)
		case t.format.Compare(r.Schema, now.revision) > 0 && !has(folder, r.Schema):
			might("whether code can go back from release %s cannot be judged: the folder has no %s: bring the folder up to date", r.Version, r.Schema)
		}
	}
	for _, m := range now.changed(folder) {
		for _, finding := range folder.JudgeRepeatable(m, code) {
			might("migration %s is run anew when the release goes live, and stays after a rollback: %s", m, finding)
		}
	}
	return obstacles
}

// foresee is the state that a rollback will find: the newest schema that a release needs, or the one that is there.
func (t *target) foresee(folder migration.Folder, now state, want adg.Desired) state {
	if !want.Rollback || now.dirty != "" {
		return now
	}
	for _, p := range want.Releases {
		if to := p.Release.Schema; has(folder, to) && t.format.Compare(to, now.revision) > 0 {
			now.revision, now.upTo, now.applied = to, to, nil
		}
	}
	return now
}

// rights are what the user is not allowed to do, as far as it can be asked: nobody can ask beforehand whether a migration may
// change a table, which only the table's owner may.
func (s *session) rights(ctx context.Context) ([]adg.Obstacle, error) {
	var obstacles []adg.Obstacle
	lacks := func(what string) {
		obstacles = append(obstacles, adg.Obstacle{Name: "access", Final: true, Text: "the user in dsn may not " + what + ": grant it"})
	}
	var usage, create bool
	err := s.conn.QueryRow(ctx, "SELECT has_schema_privilege($1::text, 'USAGE'), has_schema_privilege($1::text, 'CREATE')", s.table.schema).Scan(&usage, &create)
	if err != nil {
		return nil, s.t.explain(ctx, "ask for the rights in the database", err)
	}
	if !usage || !create {
		lacks("use the schema " + s.table.schema + " and create in it")
	}
	for _, one := range []table{s.table, s.journal} {
		found, err := s.exists(ctx, one)
		if err != nil {
			return nil, err
		}
		if !found {
			continue
		}
		var may bool
		err = s.conn.QueryRow(ctx, "SELECT has_table_privilege($1::text, 'SELECT') AND has_table_privilege($1::text, 'INSERT') AND has_table_privilege($1::text, 'UPDATE') AND has_table_privilege($1::text, 'DELETE')", one.String()).Scan(&may)
		if err != nil {
			return nil, s.t.explain(ctx, "ask for the rights in the database", err)
		}
		if !may {
			lacks("read and write the table " + one.String())
		}
	}
	return obstacles, nil
}
