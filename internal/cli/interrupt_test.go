package cli

import (
	"context"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"

	"github.com/deployguardian/adg"
)

// saying remembers what is said.
type saying struct{ said []string }

func (s *saying) Tick(adg.Deployment, adg.Tick)   {}
func (s *saying) Say(text string)                 { s.said = append(s.said, text) }
func (s *saying) Close(_ adg.Deployment, _ error) {}

func TestASignalOrATypedWordSaysWhatIsWanted(t *testing.T) {
	leave, back := Wish{Leave: true}, Wish{Command: adg.CommandRollBack}
	const sigint, sigterm = syscall.SIGINT, syscall.SIGTERM
	for _, c := range []struct {
		name   string
		asks   bool
		policy adg.OnInterrupt
		events []any
		want   Wish
		says   string
	}{
		{"SIGINT where nobody can be asked leaves", false, adg.InterruptLeave, []any{sigint}, leave, ""},
		{"SIGINT where nobody can be asked rolls back", false, adg.InterruptRollBack, []any{sigint}, back, ""},
		{"SIGTERM where nobody can be asked leaves", false, adg.InterruptLeave, []any{sigterm}, leave, ""},
		{"SIGTERM does not ask on a terminal either", true, adg.InterruptRollBack, []any{sigterm}, back, ""},
		{"ctrl-C asks, the answer is to leave", true, adg.InterruptRollBack, []any{sigint, "leave"}, leave, "ctrl-C again: roll back"},
		{"ctrl-C asks, the answer is to roll back", true, adg.InterruptLeave, []any{sigint, "r"}, back, "ctrl-C again: leave"},
		{"ctrl-C asks, the answer is to continue", true, adg.InterruptLeave, []any{sigint, "c"}, Wish{}, "going on"},
		{"ctrl-C asks, another word continues", true, adg.InterruptRollBack, []any{sigint, "what?"}, Wish{}, "going on"},
		{"ctrl-C twice leaves", true, adg.InterruptLeave, []any{sigint, sigint}, leave, "interrupted"},
		{"ctrl-C twice rolls back", true, adg.InterruptRollBack, []any{sigint, sigint}, back, "interrupted"},
		{"ctrl-C, then SIGTERM", true, adg.InterruptLeave, []any{sigint, sigterm}, leave, "interrupted"},
		{"a command is typed", true, adg.InterruptLeave, []any{"promote"}, Wish{Command: adg.CommandPromote}, ""},
		{"nonsense is typed first", true, adg.InterruptLeave, []any{"", "none", "prmote", "hold"}, Wish{Command: adg.CommandHold}, hint},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				view := &saying{}
				k := &keyboard{view: view, asks: c.asks, signals: make(chan os.Signal, 4), lines: make(chan string)}
				got := make(chan Wish, 1)
				go func() { got <- k.Ask(t.Context(), c.policy) }()
				for _, event := range c.events {
					synctest.Wait()
					switch event := event.(type) {
					case os.Signal:
						k.signals <- event
					case string:
						k.lines <- event
					}
				}
				if wish := <-got; wish != c.want {
					t.Errorf("got %+v, want %+v", wish, c.want)
				}
				if said := strings.Join(view.said, "\n"); !strings.Contains(said, c.says) || c.says == "" && said != "" {
					t.Errorf("said %q, want %q", said, c.says)
				}
			})
		})
	}
}

func TestNothingIsWantedOnceTheRunIsOver(t *testing.T) {
	for _, asked := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			k := &keyboard{view: &saying{}, asks: true, signals: make(chan os.Signal, 4), lines: make(chan string)}
			if asked {
				k.signals <- syscall.SIGINT
			}
			got := make(chan Wish, 1)
			go func() { got <- k.Ask(ctx, adg.InterruptRollBack) }()
			synctest.Wait()
			cancel()
			if wish := <-got; wish != (Wish{}) {
				t.Errorf("got %+v", wish)
			}
		})
	}
}
