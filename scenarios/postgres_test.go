package scenarios

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/deployguardian/adg/internal/store/postgres/pgtest"
)

// TestStoriesOnPostgres tells the stories of servers once more, with each server's configuration pointing to a database of the
// story's own, and those that need PostgreSQL: ADG_POSTGRES is an empty database.
func TestStoriesOnPostgres(t *testing.T) {
	t.Parallel()
	servers, err := filepath.Glob("testdata/server_*.txtar")
	if err != nil || len(servers) == 0 {
		t.Fatalf("there are no stories of servers: %v", err)
	}
	has := conditions(t, true)
	tell := func(name string, files []string, variable string) {
		databases := make(chan string, len(files))
		for range files {
			databases <- pgtest.Lasting(t, "")
		}
		t.Run(name, func(t *testing.T) {
			testscript.Run(t, testscript.Params{
				Files: files, RequireExplicitExec: true, RequireUniqueNames: true, Cmds: words, Condition: has,
				Setup: func(env *testscript.Env) error {
					env.Setenv(variable, <-databases)
					return begin(env)
				},
			})
		})
	}
	alone, err := filepath.Glob("testdata/postgres/*.txtar")
	if err != nil || len(alone) == 0 {
		t.Fatalf("there are no stories of PostgreSQL alone: %v", err)
	}
	tell("again", servers, "ADG_SERVER_STORE_POSTGRES_DSN")
	tell("alone", alone, "ADG_POSTGRES")
}

var (
	address  = regexp.MustCompile(`msg=serving address=(\S+)`)
	contexts = regexp.MustCompile(`server: \S+`)
)

// serving waits until the server that logs to a file serves, and has what follows go to that one: serving err.txt.
func serving(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: serving FILE")
	}
	var said []byte
	for began := time.Now(); !address.Match(said); said, _ = os.ReadFile(ts.MkAbs(args[0])) {
		if time.Since(began) > time.Minute {
			ts.Fatalf("the server does not serve: %s", said)
		}
		time.Sleep(20 * time.Millisecond)
	}
	path := ts.MkAbs("contexts.yaml")
	text, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return // nobody has logged in yet
	}
	ts.Check(err)
	where := string(address.FindSubmatch(said)[1])
	if !strings.Contains(string(text), "server: ") {
		ts.Fatalf("no server is known: %s", text)
	}
	ts.Check(os.WriteFile(path, contexts.ReplaceAll(text, fmt.Append(nil, "server: ", where)), 0o600))
}
