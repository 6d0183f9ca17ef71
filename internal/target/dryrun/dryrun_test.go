package dryrun

import (
	"bytes"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// world is the simulation: the effects are what the dry run says that it would do.
type world struct {
	*targettest.Memory
	target adg.Target
	said   *lines
}

type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func open() world {
	w := world{Memory: targettest.NewMemory(), said: &lines{}}
	w.target = New(w.Memory, adg.Host{Log: slog.New(slog.NewTextHandler(w.said, nil))})
	return w
}

func (w world) Shares(t *testing.T) map[string]float64 {
	t.Helper()
	seen, err := w.target.Current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	shares := map[string]float64{}
	for _, p := range seen.Releases {
		shares[p.Release.Version] = p.Share
	}
	return shares
}

func (w world) Effects(t *testing.T) []targettest.Effect {
	t.Helper()
	if done := w.Memory.Effects(t); len(done) > 0 {
		t.Errorf("a dry run changed something: %+v", done)
	}
	return make([]targettest.Effect, strings.Count(w.said.String(), "would bring"))
}

func TestADryRunKeepsTheContractAndChangesNothing(t *testing.T) {
	targettest.Run(t, targettest.Case{
		Open: func(*testing.T) targettest.Fixture {
			w := open()
			return targettest.Fixture{Target: w.target, World: w, Reopen: func(*testing.T) adg.Target { return w.target }}
		},
		Faults: []targettest.Fault{targettest.Unreachable, targettest.Hang}, Fences: true,
	})
}

func TestADryRunSaysWhatItWouldDo(t *testing.T) {
	w := open()
	want := targettest.Want("d/1", 1, 25)
	want.Releases = append(want.Releases[:1:1], want.Releases[1])
	seen, err := w.target.Apply(t.Context(), want)
	if err != nil || seen.Text != "dry run: would bring v2 from nowhere to 25 %, v1 from 100 % to 75 %" {
		t.Errorf("%q, %v", seen.Text, err)
	}
	want = targettest.Want("d/2", 1, 100)
	want.Releases = want.Releases[:1]
	seen, err = w.target.Apply(t.Context(), want)
	if err != nil || seen.Text != "dry run: would bring v2 from 25 % to 100 %, v1 from 75 % to nowhere" {
		t.Errorf("%q, %v", seen.Text, err)
	}
	if err := w.target.(io.Closer).Close(); err != nil || !w.Closed {
		t.Errorf("closed: %v, %v", w.Closed, err)
	}
}
