package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/deployguardian/adg"
)

// typed runs a command line whose run gives that deployment or error.
func typed(d adg.Deployment, err error, args ...string) (exit int, out, errOut string) {
	var o, e bytes.Buffer
	exit = Main(context.Background(), "v0", args, Terminal{In: strings.NewReader(""), Out: &o, Err: &e}, Calls{
		Run: func(context.Context, RunOptions, View, Person) (adg.Deployment, error) { return d, err },
	})
	return exit, o.String(), e.String()
}

func TestTheExitCodeSaysWhatKindOfErrorItWas(t *testing.T) {
	for _, c := range []struct {
		name string
		err  error
		exit int
	}{
		{"a policy that is wrong", adg.Errorf(adg.Invalid, "no such field"), 2},
		{"wrong, told by somebody who wraps", fmt.Errorf("reading: %w", adg.Errorf(adg.Invalid, "no such field")), 2},
		{"something does not exist", adg.Errorf(adg.NotFound, "no such deployment"), 1},
		{"somebody else has it", adg.Errorf(adg.Conflict, "in use"), 1},
		{"not allowed", adg.Errorf(adg.Unauthorized, "may not"), 1},
		{"not reachable", adg.Errorf(adg.Unavailable, "disk full"), 1},
		{"nobody classified it", errors.New("oops"), 1},
		{"left by a person", ErrLeft, 6},
		{"left by a person, and closing failed", errors.Join(ErrLeft, errors.New("close: oops")), 6},
	} {
		t.Run(c.name, func(t *testing.T) {
			exit, _, said := typed(adg.Deployment{}, c.err, "run", "-f", "x", "--version", "v1")
			if exit != c.exit || said != "adg: "+c.err.Error()+"\n" {
				t.Errorf("exit code %d, want %d; said %q", exit, c.exit, said)
			}
		})
	}
}

func TestAnEndedDeploymentGivesItsExitCodeAndNoErrorText(t *testing.T) {
	d := adg.Deployment{ID: "d"}
	for state, want := range map[adg.State]int{adg.Succeeded: 0, adg.RolledBack: 3, adg.Blocked: 4, adg.RollbackFailed: 5, adg.Undecided: 6} {
		d.Status.State = state
		exit, out, said := typed(d, nil, "run", "-f", "x", "--version", "v1")
		if exit != want || said != "" || !strings.Contains(out, strings.ReplaceAll(state.String(), "_", " ")) {
			t.Errorf("%s: exit code %d, want %d; out %q, err %q", state, exit, want, out, said)
		}
	}
}

func TestWhatIsTypedWrongIsAUsageError(t *testing.T) {
	for _, args := range [][]string{
		{"frobnicate"}, {"run"}, {"run", "-f", "x"}, {"run", "--version", "v1"}, {"run", "stray"}, {"run", "--output", "xml", "-f", "x", "--version", "v"},
		{"run", "--nonsense"}, {"report", "a", "b"}, {"report", "--format", "pdf"}, {"report", "--format", "both"}, {"policy", "lint"},
		{"policy", "stray"}, {"policy", "test", "x"}, {"policy", "test", "x", "--version", "v", "--output", "xml"}, {"version", "stray"},
		{"demo", "--fault", "gremlins"}, {"demo", "--output", "xml"}, {"policy", "schema", "stray"},
	} {
		t.Run(strings.Join(args, " "), func(t *testing.T) {
			if exit, _, said := typed(adg.Deployment{}, nil, args...); exit != ExitUsage || !strings.HasPrefix(said, "adg: ") {
				t.Errorf("exit code %d: %q", exit, said)
			}
		})
	}
}

func TestACommandThatIsMistypedIsGuessed(t *testing.T) {
	for said, want := range map[string]string{
		"srver":        `adg: unknown command "srver" for "adg" — did you mean "server"?` + "\nsee 'adg --help'\n",
		"deploy strat": `adg: unknown command "strat" for "adg deploy" — did you mean "start"?` + "\nsee 'adg deploy --help'\n",
		"zzzzzzzz":     `adg: unknown command "zzzzzzzz" for "adg"` + "\nsee 'adg --help'\n",
	} {
		if exit, _, text := typed(adg.Deployment{}, nil, strings.Fields(said)...); exit != ExitUsage || text != want {
			t.Errorf("%s: exit code %d, said %q, want %q", said, exit, text, want)
		}
	}
}

func TestWhatIsMissingOrTooMuchIsSaidWithTheWholeCommandAndAnExample(t *testing.T) {
	for said, want := range map[string]string{
		"policy lint": "adg: something is missing: adg policy lint FILE...; as in: adg policy lint guardian.yaml\nsee 'adg policy lint --help'\n",
		"run guardian.yaml": `adg: "guardian.yaml" does not fit: adg run -f POLICY --version VERSION; as in: adg run -f guardian.yaml --version 1.4.2` +
			"\nsee 'adg run --help'\n",
		"store copy": `adg: required flag(s) "from" not set: adg store copy --from DIR --to URL; as in: ` +
			"PGPASSFILE=/etc/adg/pgpass adg store copy --from /var/lib/adg --to 'postgres://adg@db:5432/adg?sslmode=verify-full'\nsee 'adg store copy --help'\n",
	} {
		if exit, _, text := typed(adg.Deployment{}, nil, strings.Fields(said)...); exit != ExitUsage || text != want {
			t.Errorf("%s: exit code %d, said %q, want %q", said, exit, text, want)
		}
	}
}

func TestPipelinesAreToldFromPeopleByTheirVariables(t *testing.T) {
	for name, c := range map[string]struct {
		set  map[string]string
		want bool
	}{
		"a person":              {nil, false},
		"nearly all of them":    {map[string]string{"CI": "true"}, true},
		"Jenkins":               {map[string]string{"JENKINS_URL": "https://ci.example.com"}, true},
		"somebody says no":      {map[string]string{"CI": "false"}, false},
		"somebody says zero":    {map[string]string{"CI": "0"}, false},
		"no, and Azure says so": {map[string]string{"CI": "false", "TF_BUILD": "True"}, true},
	} {
		t.Run(name, func(t *testing.T) {
			for _, variable := range pipelines {
				t.Setenv(variable, c.set[variable])
			}
			automatic := false
			exit := Main(context.Background(), "v0", []string{"run", "-f", "p.yaml", "--version", "1"}, Terminal{In: strings.NewReader(""), Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}, Calls{
				Run: func(_ context.Context, o RunOptions, _ View, _ Person) (adg.Deployment, error) {
					automatic = o.Automatic
					return adg.Deployment{Status: adg.Status{State: adg.Succeeded}}, nil
				},
			})
			if exit != 0 || automatic != c.want {
				t.Errorf("exit code %d, automatic: %v", exit, automatic)
			}
		})
	}
}

func TestAKeyIsWrittenWhereOnlyItsOwnerReadsItAndNeverOverAnother(t *testing.T) {
	file := filepath.Join(t.TempDir(), "seal.key")
	create := func() (int, string) {
		var o, e bytes.Buffer
		exit := Main(t.Context(), "v0", []string{"key", "new", "--out", file}, Terminal{In: strings.NewReader(""), Out: &o, Err: &e},
			Calls{ServerCalls: ServerCalls{NewKey: func() string { return "k3y" }}})
		return exit, o.String() + e.String()
	}
	if exit, said := create(); exit != 0 || said != "" {
		t.Fatalf("exit code %d: %s", exit, said)
	}
	made, err := os.Stat(file)
	if err != nil || made.Mode().Perm() != 0o600 {
		t.Errorf("got %v, %v", made, err)
	}
	if err := os.WriteFile(file, []byte("older\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if exit, said := create(); exit != 1 || !strings.Contains(said, "never written over") {
		t.Errorf("again: exit code %d: %s", exit, said)
	}
	if text, err := os.ReadFile(file); err != nil || string(text) != "older\n" {
		t.Errorf("the older key is now %q, %v", text, err)
	}
}

func TestAHoldOfADataDirectoryIsLiftedByWhoSaysWhy(t *testing.T) {
	var got []string
	var out, errOut bytes.Buffer
	calls := Calls{LiftHold: func(_ context.Context, dir, identity string, e adg.AuditEntry) error {
		got = []string{dir, identity, e.Actor, e.Service, e.Environment, e.Reason}
		return nil
	}}
	args := strings.Fields("hold lift --data-dir .adg -s shop -e production --version v2 --actor ann")
	if exit := Main(t.Context(), "v0", args, Terminal{Out: &out, Err: &errOut}, calls); exit != ExitUsage || got != nil {
		t.Errorf("without a reason: exit code %d, %v", exit, got)
	}
	want := []string{".adg", "v2", "ann", "shop", "production", "network"}
	if exit := Main(t.Context(), "v0", append(args, "--reason", "network"), Terminal{Out: &out, Err: &errOut}, calls); exit != 0 || !slices.Equal(got, want) {
		t.Errorf("exit code %d, asked for %v, said %s", exit, got, errOut.String())
	}
	if out.String() != "no longer on hold: shop v2 in production\n" {
		t.Errorf("said %q", out.String())
	}
}

func TestLintLooksAtEveryFileWhateverIsWrongWithAnother(t *testing.T) {
	var out, errOut bytes.Buffer
	calls := Calls{PolicyLint: func(_ context.Context, file string) (Linted, error) {
		if file == "bad.yaml" {
			return Linted{}, adg.Errorf(adg.Invalid, "bad.yaml:1:1: no policy")
		}
		return Linted{Warnings: []string{file + " is doubtful"}}, nil
	}}
	exit := Main(t.Context(), "v0", strings.Fields("policy lint bad.yaml good.yaml --strict"), Terminal{Out: &out, Err: &errOut}, calls)
	if exit != ExitUsage || !strings.Contains(out.String(), "good.yaml is doubtful") || errOut.String() != "adg: bad.yaml:1:1: no policy\n1 warnings, and --strict allows none\n" {
		t.Errorf("exit code %d, out %q, err %q", exit, out.String(), errOut.String())
	}
}
