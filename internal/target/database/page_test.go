package database

import (
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/migration"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// programsOfThePage writes the three programs that the page of the target shows, for a database.
func (w *world) programsOfThePage(t *testing.T, o Options) Options {
	t.Helper()
	page, err := os.ReadFile("../../../docs/targets/database.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile("(?s)```sh\n#!/bin/sh\n(# (\\w+):.*?)```").FindAllStringSubmatch(string(page), -1) {
		path := w.program(t, found[2], found[1])
		switch found[2] {
		case "backup":
			o.Backup.Path = path
		case "verify":
			o.Verify.Path = path
		case "restore":
			o.Restore.Path = path
		}
	}
	at, err := url.Parse(w.dsn)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := at.User.Password()
	o.Env = map[string]string{
		"PGHOST": at.Hostname(), "PGPORT": at.Port(), "PGUSER": at.User.Username(), "PGDATABASE": strings.TrimPrefix(at.Path, "/"), "BACKUPS": t.TempDir(),
	}
	o.Secrets = map[string]adg.Secret{"PGPASSWORD": adg.NewSecret(password)}
	return o
}

func TestTheProgramsOfThePagePutBackWhatWasHalfTakenBack(t *testing.T) {
	w := newWorld(t)
	w.files(t, "1.sql", "CREATE TABLE shop (id int); INSERT INTO shop VALUES (7)", "2.sql", "CREATE INDEX one ON shop (id)",
		"2.down.sql", "DROP INDEX CONCURRENTLY one;\nDROP INDEX CONCURRENTLY missing;")
	o := w.programsOfThePage(t, w.permissive(migration.SQL))
	apply(t, opened(t, o), want("d/1", 1, "2"))
	state := func() []string {
		return slices.Concat(w.query(t, "SELECT indexname::text FROM pg_indexes WHERE tablename = 'shop'"), w.query(t, "SELECT id::text FROM shop"))
	}
	before := state()
	fails(t, "the page's programs put it back", opened(t, o), back("d/2", 1, "1", "2"), "the backup was put back, and the schema is at revision 2 as before")
	if after := state(); !slices.Equal(after, before) || len(before) != 2 {
		t.Errorf("%q, it was %q", after, before)
	}

	// By hand, as the page says: the program again with the variables of the operation that failed.
	byHand := o.Restore.Path
	o.Restore.Path = ""
	fails(t, "nobody puts it back", opened(t, o), back("d/3", 1, "1", "2"), "failed half-way")
	fails(t, "it stays so", opened(t, o), back("d/4", 1, "1", "2"), "UPDATE")
	cmd := exec.CommandContext(t.Context(), byHand)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "ADG_DEPLOYMENT=" + back("d/3", 1, "1").Deployment, "ADG_OP_ID=d/3", "PGPASSWORD=" + targettest.Planted}
	for name, value := range o.Env {
		cmd.Env = append(cmd.Env, name+"="+value)
	}
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if after := state(); !slices.Equal(after, before) {
		t.Errorf("%q, it was %q", after, before)
	}
	w.files(t, "2.down.sql", "DROP INDEX one")
	if seen := apply(t, opened(t, o), back("d/5", 1, "1", "2")); !seen.Done {
		t.Errorf("%+v", seen)
	}

	// A file that cannot be read keeps everything as it is.
	apply(t, opened(t, o), want("d/6", 1, "2"))
	o.Backup.Path = w.program(t, "torn", filepath.Join(w.folder, "backup")+" && truncate -s 100 $BACKUPS/*-7.dump\n")
	_, err := opened(t, o).Apply(t.Context(), back("d/7", 1, "1", "2"))
	if err == nil || !strings.Contains(err.Error(), "nothing was taken back, because the backup was not verified") || !slices.Equal(state(), before) {
		t.Errorf("the backup is torn: %v, %q", err, state())
	}
}
