package change

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestListingNamesCommitsFilesAndMigrations(t *testing.T) {
	h, live, next := known(t)
	l, err := open(t, h.dir, Options{}).List(t.Context(), "v1", "v2")
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, c := range l.Commits {
		told = append(told, c.At.UTC().Format("2006-01-02")+" "+c.Author+": "+c.Subject)
	}
	if diff := cmp.Diff([]string{"2021-05-12 cyd: table", "2021-05-11 ann: Fixes a bug"}, told); diff != "" {
		t.Errorf("the commits (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"api/a.py", "db/migrations/1.sql", "web/v.js"}, l.Files); diff != "" || l.Changed != 3 {
		t.Errorf("the files, %d (-want +got):\n%s", l.Changed, diff)
	}
	if diff := cmp.Diff([]string{"db/migrations/1.sql"}, l.Migrations); diff != "" || l.From != live || l.To != next {
		t.Errorf("the migrations from %s to %s (-want +got):\n%s", l.From, l.To, diff)
	}
	back, err := open(t, h.dir, Options{}).List(t.Context(), "v2", "v1")
	if err != nil || len(back.Commits) != 0 || back.Changed != 3 {
		t.Errorf("back again: %+v, %v", back, err)
	}
	if _, err := open(t, h.dir, Options{}).List(t.Context(), "v1", "nothing"); err == nil || !strings.Contains(err.Error(), `no commit "nothing"`) {
		t.Errorf("of what is not there: %v", err)
	}
}

func TestListingIsBounded(t *testing.T) {
	h := newHistory(t)
	first := h.commit("ann", "2021-01-01", "begin", put("a.go", "x\n"))
	var many []edit
	for i := range MaxListed + 5 {
		many = append(many, put(fmt.Sprintf("f%d.go", i), "x\n"))
	}
	h.commit("ann", "2021-01-02", "all", many...)
	for i := range MaxListed + 5 {
		h.commit("ann", "2021-01-03", fmt.Sprint(i), put("a.go", fmt.Sprint(i)))
	}
	l, err := open(t, h.dir, Options{}).List(t.Context(), first, "main")
	if err != nil || len(l.Commits) != MaxListed || len(l.Files) != MaxListed || l.Changed != MaxListed+6 {
		t.Errorf("%d commits, %d of %d files, %v", len(l.Commits), len(l.Files), l.Changed, err)
	}
}
