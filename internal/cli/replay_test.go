package cli

import (
	"bytes"
	"context"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"

	"github.com/deployguardian/adg/internal/backtest"
	"github.com/deployguardian/adg/internal/replay"
)

// looked runs a verb that looks back, and gives what it wrote and its exit code.
func looked(verb func(Terminal, PastCalls) *cobra.Command, calls PastCalls, args ...string) (exit int, out, said string) {
	var o, e bytes.Buffer
	cmd := verb(Terminal{In: strings.NewReader(""), Out: &o, Err: &e}, calls)
	cmd.SilenceErrors, cmd.SilenceUsage = true, true
	cmd.SetArgs(args)
	err := cmd.ExecuteContext(context.Background())
	if err == nil {
		return ExitGood, o.String(), e.String()
	}
	return exitOf(err), o.String(), err.Error()
}

func replayed(results ...replay.Result) PastCalls {
	return PastCalls{Replay: func(_ context.Context, o ReplayOptions) error {
		o.Progress("d", "half")
		for _, r := range results {
			if err := o.Each(r); err != nil {
				return err
			}
		}
		return nil
	}}
}

var (
	equal     = replay.Result{Deployment: "d-1", Made: 5, Ticks: 5, Decisions: 2}
	different = replay.Result{
		Deployment: "d-2", Made: 5, Ticks: 5, Decisions: 2, Different: 2,
		Shown: []replay.Difference{{
			Seq: 3, At: time.Date(2026, 5, 1, 12, 3, 4, 0, time.UTC), Changes: []replay.Change{{Path: "decision.kind", Was: "hold", WouldBe: "promote"}},
			Was: []string{"not known\x1b[2J"}, WouldBe: []string{"good\nfor 5 m"},
		}},
	}
)

func TestReplayExitsByWhetherAllIsEqualAndShowsTheReasons(t *testing.T) {
	exit, out, _ := looked(replayCommand, replayed(equal), "d-1")
	if exit != ExitGood || out != "d-1: 5 ticks, 2 decisions: all equal\n" {
		t.Errorf("exit %d, %q", exit, out)
	}
	exit, out, said := looked(replayCommand, replayed(equal, different), "--all")
	if exit != ExitError || !strings.Contains(said, "1 of 2 deployments would be decided differently now") {
		t.Errorf("exit %d, said %q", exit, said)
	}
	want := `d-1: 5 ticks, 2 decisions: all equal
d-2: 5 ticks, 2 decisions: 2 came out differently
  tick 3 (2026-05-01 12:03:04): decision.kind was hold and would be promote
      was:      not known·[2J
      would be: good for 5 m
  and 1 more came out differently
`
	if out != want {
		t.Errorf("wrote\n%s\nwant\n%s", out, want)
	}
}

func TestReplayWritesAnObjectPerLine(t *testing.T) {
	_, out, _ := looked(replayCommand, replayed(equal, different), "--all", "-o", "json")
	lines := strings.Split(strings.TrimSpace(out), "\n")
	if len(lines) != 2 || !strings.Contains(lines[0], `"deployment":"d-1"`) || !strings.Contains(lines[1], `"would_be":"promote"`) {
		t.Errorf("wrote %s", out)
	}
}

func TestReplayAndBacktestRefuseWhatCannotBeMeant(t *testing.T) {
	for _, args := range [][]string{{}, {"d", "--all"}, {"a", "b"}, {"d", "-o", "xml"}} {
		if exit, _, said := looked(replayCommand, replayed(), args...); exit == ExitGood {
			t.Errorf("replay %v: exit %d, %s", args, exit, said)
		}
	}
	for _, args := range [][]string{
		{}, {"-f", "p", "-o", "xml"}, {"-f", "p", "--from", "yesterday"}, {"-f", "p", "--to", "-5h"}, {"--traces", "d", "--from", "5h"}, {"-f", "p", "--workers", "0"},
	} {
		if exit, _, said := looked(offline, PastCalls{}, args...); exit != ExitUsage {
			t.Errorf("backtest %v: exit %d, %s", args, exit, said)
		}
	}
}

func TestReplayOffersTheIdsThatBeginSo(t *testing.T) {
	cmd := replayCommand(Terminal{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}, PastCalls{
		Deployments: func(_ context.Context, _, prefix string) ([]string, error) { return []string{prefix + "-1"}, nil },
	})
	cmd.SetContext(context.Background())
	if got, _ := cmd.ValidArgsFunction(cmd, nil, "shop"); len(got) != 1 || got[0] != "shop-1" {
		t.Errorf("offered %v", got)
	}
	if got, _ := cmd.ValidArgsFunction(cmd, []string{"one"}, "shop"); len(got) != 0 {
		t.Errorf("offered %v for a second argument", got)
	}
}

func TestMomentsAreReadAsPeopleWriteThem(t *testing.T) {
	now := time.Date(2026, 5, 10, 12, 0, 0, 0, time.UTC)
	for text, want := range map[string]time.Time{
		"": {}, "48h": now.Add(-48 * time.Hour), "2026-05-01T10:00:00Z": time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC), "2026-05-01": time.Date(2026, 5, 1, 0, 0, 0, 0, time.Local),
	} {
		if got, err := moment("from", text, now); err != nil || !got.Equal(want) {
			t.Errorf("%q: %s, %v; want %s", text, got, err, want)
		}
	}
}

func TestBacktestShowsWhatWasBesideWhatWouldBe(t *testing.T) {
	cases := []backtest.Case{
		{Name: "d-1", Truth: backtest.Good, Was: "succeeded", WouldBe: backtest.Promoted, Missing: []string{"cpu"}},
		{Name: "d-2", Truth: backtest.Bad, Was: "rolled back", WasFound: new(40.0), WasServed: new(9.0), WouldBe: backtest.RolledBack, Found: new(20.0), Detect: new(20.0), Served: new(4.0)},
	}
	var asked BacktestOptions
	calls := PastCalls{Backtest: func(_ context.Context, o BacktestOptions) (backtest.Result, []string, error) {
		asked = o
		o.Progress(1, 2)
		return backtest.Result{Cases: cases, Summary: backtest.Summarize(cases)}, []string{"a.svg"}, nil
	}}
	exit, out, said := looked(offline, calls, "-f", "p.yaml", "--from", "1h", "--service", "shop", "--plots", "out")
	if exit != ExitGood || said != "written: a.svg\n" || asked.File != "p.yaml" || asked.Service != "shop" || asked.Plots != "out" || asked.From.IsZero() || !asked.To.IsZero() {
		t.Errorf("exit %d, said %q, asked %+v", exit, said, asked)
	}
	for _, want := range []string{
		"d-1   good   succeeded            promoted     –      –       –           not on record: cpu",
		"d-2   bad    rolled back at 40 s  rolled back  20 s   20 s    4 (was 9)",
		"false rollbacks  0 of 1 good (0 %, 95 % interval 0 to 79.3 %)",
		"detections       1 of 1 bad",
		"time to detect   median 20 s, 95 % within 20 s; it was 40 s",
		"served bad       4 requests by the bad releases; it was 9",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("wrote\n%s\nwithout %q", out, want)
		}
	}
	if _, out, _ = looked(offline, calls, "--traces", "d", "-o", "json"); !strings.Contains(out, `"would_be":"rolled back"`) {
		t.Errorf("wrote %s", out)
	}
}

// offline is the backtest without a server.
func offline(t Terminal, calls PastCalls) *cobra.Command { return backtestCommand(t, calls, nil) }

func TestABacktestIsOfThisMachineOrOfAServer(t *testing.T) {
	for _, args := range [][]string{
		{"-f", "p.yaml", "--limit", "3"}, {"-f", "p.yaml", "--server", "--plots", "x"}, {"-f", "p.yaml", "--server", "--workers", "2"},
		{"-f", "p.yaml", "--context", "x", "--data-dir", "d"}, {"--traces", "d", "--server"},
	} {
		if exit, _, said := looked(offline, PastCalls{}, args...); exit != ExitUsage || !strings.Contains(said, "--server") {
			t.Errorf("%v: exit code %d, %s", args, exit, said)
		}
	}
}
