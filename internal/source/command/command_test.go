package command

import (
	"context"
	"errors"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/source/sourcetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

// script writes an executable file; no process may be forked while it is open for writing, or exec says "text file busy".
func script(t *testing.T, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "script")
	syscall.ForkLock.RLock()
	defer syscall.ForkLock.RUnlock()
	if err := os.WriteFile(path, []byte("#!/bin/sh\n"+text+"\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	return path
}

// running are the driver's options with a script, changed as the case wants.
func running(t *testing.T, text string, change func(*Options)) Options {
	t.Helper()
	o := Driver.Options.(Options)
	o.Path = script(t, text)
	if change != nil {
		change(&o)
	}
	return o
}

func opened(t *testing.T, o Options) adg.Source {
	t.Helper()
	source, err := Driver.Open(t.Context(), o, adg.Host{Name: "own", Commands: true})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

func TestTheConformanceSuite(t *testing.T) {
	text := `case "$ADG_QUERY" in "errors of 1.2.3") echo 7.5;; nothing) ;; *) echo "what is $ADG_QUERY?" >&2; exit 1;; esac`
	sourcetest.Run(t, sourcetest.Case{
		Open:  func(t *testing.T) adg.Source { return opened(t, running(t, text, nil)) },
		Good:  adg.Query{Text: "errors of $version", Vars: map[string]string{"version": "1.2.3"}, At: now},
		Empty: adg.Query{Text: "nothing", At: now},
		Bad:   adg.Query{Text: "zero\x00byte", At: now},
	})
	t.Run("as lines", func(t *testing.T) {
		text := `echo "2026-11-20T09:59:30Z ERROR $ADG_QUERY"; echo "2026-11-20T09:59:40Z ERROR again"; echo "2026-11-20T09:58:00Z too old"`
		sourcetest.Run(t, sourcetest.Case{
			Open:       func(t *testing.T) adg.Source { return opened(t, running(t, `echo 7`, nil)) },
			Good:       adg.Query{Text: "errors of $version", Vars: map[string]string{"version": "1.2.3"}, At: now},
			Lines:      adg.LinesQuery{Text: "log of $version", Vars: map[string]string{"version": "1.2.3"}, At: now, Window: time.Minute},
			LineServer: func(t *testing.T) adg.Source { return opened(t, running(t, text, asLines)) },
		})
	})
	t.Run("as a probe", func(t *testing.T) {
		sourcetest.Run(t, sourcetest.Case{
			Open:  func(t *testing.T) adg.Source { return opened(t, running(t, text, func(o *Options) { o.As = "probe" })) },
			Good:  adg.Query{Text: "errors of $version", Vars: map[string]string{"version": "1.2.3"}, At: now},
			Probe: true,
		})
	})
}

func TestTheProgramSeesWhatWasDeclaredAndNothingElse(t *testing.T) {
	t.Setenv("ADG_TEST_CANARY", sourcetest.Canary)
	t.Setenv("LANG", "C.UTF-8")
	t.Setenv("HOME", "/home/test")
	t.Setenv("PATH", "/usr/bin:/bin")
	saved := filepath.Join(t.TempDir(), "environment")
	o := running(t, `/usr/bin/env -u PWD -u SHLVL -u _ | /usr/bin/sort > "$SAVED"; echo "$#/$1/$2" >> "$SAVED"; pwd >> "$SAVED"; echo 1`, func(o *Options) {
		o.Env = map[string]string{"SAVED": saved, "ADG_AT": "overridden"}
		o.SecretEnv = map[string]adg.Secret{"TOKEN": adg.NewSecret("t0ken")}
		o.Args, o.Dir = []string{"$version", "; id"}, "/"
	})
	_, err := opened(t, o).Query(t.Context(), adg.Query{
		Text: "q $(id) $version $window", Vars: map[string]string{"version": "1.2.3", "baseline": "1.2.2", "team": "a b"}, At: now, Window: 90 * time.Second,
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(saved)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"ADG_AT=2026-11-20T10:00:00Z", "ADG_BASELINE=1.2.2", "ADG_KIND=instant", "ADG_QUERY=q $(id) 1.2.3 90s", "ADG_TEAM=a b", "ADG_VERSION=1.2.3", "ADG_WINDOW=90s",
		"HOME=/home/test", "LANG=C.UTF-8", "PATH=/usr/bin:/bin", "SAVED=" + saved, "TOKEN=t0ken", "2/$version/; id", "/", "",
	}
	if diff := cmp.Diff(want, strings.Split(string(got), "\n")); diff != "" {
		t.Error(diff)
	}
}

func TestOutputIsANumberOrSeriesOrNothing(t *testing.T) {
	value := func(v float64) []adg.Series { return []adg.Series{{Samples: []adg.Sample{{At: now, Value: v}}}} }
	for _, c := range []struct {
		name, output string
		kind         adg.QueryKind
		want         []adg.Series
	}{
		{"a number", "12.5\n", adg.Instant, value(12.5)},
		{"a number in other words", " -1e-3 ", adg.Instant, value(-0.001)},
		{"no number", "NaN", adg.Instant, value(math.NaN())},
		{"a number beyond all bounds", "1e999", adg.Instant, value(math.Inf(1))},
		{"nothing", " \n", adg.Instant, nil},
		{"an object with a value", `{"value": 3}`, adg.Instant, value(3)},
		{"an object with a value in quotes", `{"value": "+Inf"}`, adg.Instant, value(math.Inf(1))},
		{"an object without a value", `{"value": null}`, adg.Instant, nil},
		{"series", `{"series":[{"labels":{"pod":"a"},"samples":[[2,5],[1.5,4]]},{"samples":[]}]}`, adg.Counters, []adg.Series{
			{Labels: map[string]string{"pod": "a"}, Samples: []adg.Sample{{At: time.UnixMilli(1500).UTC(), Value: 4}, {At: time.UnixMilli(2000).UTC(), Value: 5}}}, {},
		}},
		{"series with one value each", `{"series":[{"labels":{"pod":"a"},"samples":[[1,"NaN"]]}]}`, adg.Instant, []adg.Series{
			{Labels: map[string]string{"pod": "a"}, Samples: []adg.Sample{{At: time.UnixMilli(1000).UTC(), Value: math.NaN()}}},
		}},
	} {
		o := running(t, `printf '%s' "$OUT"`, func(o *Options) { o.Env = map[string]string{"OUT": c.output} })
		got, err := opened(t, o).Query(t.Context(), adg.Query{At: now, Kind: c.kind, Window: time.Minute})
		if diff := cmp.Diff(c.want, got.Series, cmpopts.EquateEmpty(), cmpopts.EquateNaNs()); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", c.name, err, diff)
		}
	}
}

func TestOutputThatIsNoAnswerSaysWhatIsWanted(t *testing.T) {
	for _, c := range []struct {
		name, script string
		kind         adg.QueryKind
		permanent    bool
		want         string
	}{
		{"words", `printf 'five\033[31m'`, adg.Instant, false, `neither one number nor a JSON object with value or series; it printed "five[31m"`},
		{"two numbers", `echo 1 2`, adg.Instant, false, "neither one number"},
		{"broken JSON", `echo '{"value":'`, adg.Instant, false, "not the JSON that is wanted"},
		{"another field", `echo '{"valu":1}'`, adg.Instant, false, `unknown field "valu"`},
		{"two objects", `echo '{"value":1}{"value":2}'`, adg.Instant, false, "more than one JSON object"},
		{"both forms", `echo '{"value":1,"series":[]}'`, adg.Instant, false, "both value and series"},
		{"a value that is none", `echo '{"value":"five"}'`, adg.Instant, false, "a value is a number"},
		{"a sample of three", `echo '{"series":[{"samples":[[1,2,3]]}]}'`, adg.Counters, false, "a sample is"},
		{"a time that no calendar has", `echo '{"series":[{"samples":[[1e20,2]]}]}'`, adg.Counters, false, "a sample is"},
		{"one number where samples are wanted", `echo 5`, adg.Counters, true, "needs samples over time"},
		{"samples where one value is wanted", `echo '{"series":[{"samples":[[1,2],[2,3]]}]}'`, adg.Instant, true, "one value per series"},
		{"too much", `yes 1 | head -c 2000000`, adg.Instant, true, "prints more than 1048576 bytes"},
		{"too many series", `printf '{"series":['; for i in $(seq 1000); do printf '{},'; done; echo '{}]}'`, adg.Counters, true, "1001 series"},
		{"a status that is not 0", `echo 5; echo first >&2; printf 'no \033[31mdatabase\n' >&2; exit 3`, adg.Instant, false, "ended with status 3: no [31mdatabase"},
		{"a status that is not 0, silently", `exit 3`, adg.Instant, false, "ended with status 3 and said nothing"},
	} {
		t.Run(c.name, func(t *testing.T) {
			answer, err := opened(t, running(t, c.script, nil)).Query(t.Context(), adg.Query{At: now, Kind: c.kind, Window: time.Minute})
			if err == nil || len(answer.Series) > 0 || adg.IsPermanent(err) != c.permanent || !strings.Contains(err.Error(), c.want) || strings.ContainsRune(err.Error(), 0x1b) {
				t.Errorf("%+v, %v (permanent %v), without %q", answer, err, adg.IsPermanent(err), c.want)
			}
		})
	}
}

func TestAProgramThatIsTooSlowIsStoppedAndItsLastWordsAreTold(t *testing.T) {
	for timeout := 300 * time.Millisecond; ; timeout *= 10 {
		o := running(t, `echo waiting >&2; exec sleep 300`, func(o *Options) { o.Timeout = timeout })
		answer, err := opened(t, o).Query(t.Context(), adg.Query{At: now})
		if err != nil && !strings.Contains(err.Error(), "it said") && timeout < 30*time.Second {
			continue // on a busy machine it is stopped before it has said a word
		}
		want := "timeout of " + adg.Short(timeout) + " and was stopped (it said: waiting)"
		if err == nil || len(answer.Series) > 0 || adg.IsPermanent(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%+v, %v (permanent %v), without %q", answer, err, adg.IsPermanent(err), want)
		}
		return
	}
}

func TestAProbeGoesByTheExitStatusAndGivesTheReason(t *testing.T) {
	for _, c := range []struct {
		name, script string
		want         float64
		why          string
	}{
		{"good", `echo ignored; echo noise >&2`, 1, ""},
		{"bad", `echo checking >&2; echo 'no answer' >&2; exit 1`, 0, "ended with status 1: no answer"},
		{"killed", `kill -9 $$`, 0, "status 137"},
		{"too slow", `exec sleep 300`, 0, "timeout of 300ms"},
		{"much output", `yes | head -c 2000000`, 1, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := running(t, c.script, func(o *Options) {
				o.As = "probe"
				if c.name == "too slow" {
					o.Timeout = 300 * time.Millisecond
				}
			})
			answer, err := opened(t, o).Query(t.Context(), adg.Query{At: now})
			if err != nil {
				t.Fatal(err)
			}
			if len(answer.Series) != 1 || answer.Series[0].Samples[0] != (adg.Sample{At: now, Value: c.want}) {
				t.Errorf("got %+v", answer)
			}
			if why := strings.Join(answer.Warnings, "|"); !strings.Contains(why, c.why) || (why == "") != (c.want == 1) {
				t.Errorf("because %q, without %q", why, c.why)
			}
		})
	}
}

func TestAProgramThatCannotBeStartedIsAnErrorEvenOfAProbe(t *testing.T) {
	for _, as := range []string{"value", "probe"} {
		o := Driver.Options.(Options)
		o.Path, o.As = "/nonexistent/program", as
		if _, err := opened(t, o).Query(t.Context(), adg.Query{At: now}); !adg.IsPermanent(err) || !strings.Contains(err.Error(), "no such program") {
			t.Errorf("%s: %v", as, err)
		}
	}
}

func TestSecretsOfTheEnvironmentShowUpInNoError(t *testing.T) {
	for _, text := range []string{`echo "$TOKEN"`, `echo "$TOKEN" >&2; exit 1`, `echo "{\"$TOKEN\":1}"`, `echo "$TOKEN" >&2; exec sleep 300`} {
		for _, as := range []string{"value", "probe"} {
			o := running(t, text, func(o *Options) {
				o.SecretEnv = map[string]adg.Secret{"TOKEN": adg.NewSecret(sourcetest.Canary)}
				o.As, o.Timeout = as, 300*time.Millisecond
			})
			answer, err := opened(t, o).Query(t.Context(), adg.Query{At: now})
			said := strings.Join(answer.Warnings, " ") + answer.Sent
			if err != nil {
				said += err.Error()
			}
			if strings.Contains(said, sourcetest.Canary) {
				t.Errorf("%s as %s: %s", text, as, said)
			}
		}
	}
}

func TestCancellingStopsTheProgramAndItsChildren(t *testing.T) {
	dir := t.TempDir()
	fifo := filepath.Join(dir, "alive")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	o := running(t, `exec 3> "$ALIVE"; echo >&3; sleep 120 & sleep 120`, func(o *Options) { o.Env = map[string]string{"ALIVE": fifo} })
	ctx, cancel := context.WithCancelCause(t.Context())
	why := errors.New("operator said stop")
	gone := make(chan error)
	go func() {
		r, err := os.Open(fifo) // waits for the program
		if err == nil {
			_, err = r.Read(make([]byte, 1))
			cancel(why)
		}
		if err == nil {
			_, err = io.ReadAll(r) // ends when nobody holds the other end any more
			r.Close()
		}
		gone <- err
	}()
	if _, err := opened(t, o).Query(ctx, adg.Query{At: now}); !errors.Is(err, why) {
		t.Errorf("error %v", err)
	}
	select {
	case err := <-gone:
		if err != nil {
			t.Error(err)
		}
	case <-time.After(time.Minute):
		t.Error("a child of the program is still alive")
	}
}

func TestWhereProgramsAreNotAllowedNoneIsOpened(t *testing.T) {
	_, err := Driver.Open(t.Context(), running(t, "echo 1", nil), adg.Host{Name: "own"})
	if !adg.IsPermanent(err) || adg.CodeOf(err) != adg.Unauthorized || !strings.Contains(err.Error(), "has to allow them") {
		t.Errorf("error %v", err)
	}
}

func TestAllProblemsOfTheOptionsAreReportedAtOnce(t *testing.T) {
	_, err := Driver.Open(t.Context(), Options{
		Path: "ls", As: "text", Env: map[string]string{"A B": "", "TWICE": ""}, SecretEnv: map[string]adg.Secret{"TWICE": {}, "1": {}},
	}, adg.Host{Name: "own", Commands: true})
	if !adg.IsPermanent(err) || adg.CodeOf(err) != adg.Invalid {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{"source own", `path "ls"`, `as "text"`, "timeout", `"A B"`, `"TWICE"`, `"1"`} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %q", want, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, seed := range []string{"", "1", "NaN", "-0x1p-2", `{"value":1}`, `{"value":"NaN"}`, `{"value":null}`, `{"series":[{"labels":{"a":"b"},"samples":[[1,2],[0,"+Inf"]]}]}`, `{"series":[null,{"samples":[null]}]}`, "[1]", "{", `{"series":[{"samples":[[1e300,1]]}]}`} {
		f.Add([]byte(seed), uint8(0))
		f.Add([]byte(seed), uint8(2))
	}
	f.Fuzz(func(t *testing.T, output []byte, kind uint8) {
		all, err := parse(output, adg.Query{Kind: adg.QueryKind(kind % 3), At: now}, func(s string) string { return s })
		if err != nil {
			if adg.CodeOf(err) == adg.Internal || all != nil {
				t.Fatalf("%v with %v", err, all)
			}
			return
		}
		for _, s := range all {
			for i, sample := range s.Samples {
				if _, err := sample.At.MarshalJSON(); err != nil {
					t.Fatalf("a time that cannot be stored: %v", err)
				}
				if i > 0 && sample.At.Before(s.Samples[i-1].At) {
					t.Fatal("samples out of order")
				}
			}
		}
	})
}
