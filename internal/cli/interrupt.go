package cli

import (
	"bufio"
	"context"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"github.com/deployguardian/adg"
)

// Person is who watches a run and may say something.
type Person interface {
	// Ask returns once it is clear that something is wanted, or when the context ends.
	Ask(ctx context.Context, policy adg.OnInterrupt) Wish
}

// Wish is what a person wants of the deployment that is guarded. The zero Wish goes on as before.
type Wish struct {
	Leave   bool            // stop guarding and change nothing
	Command adg.CommandKind // CommandNone: none
}

// Private

// keyboard listens for SIGINT, SIGTERM and, on a terminal, for typed commands. On a terminal the first SIGINT asks; a
// second one, a SIGTERM, and a SIGINT where nobody can be asked do what the policy says.
type keyboard struct {
	view    View
	asks    bool // somebody is there to answer
	signals chan os.Signal
	lines   chan string
}

// hint says what can be typed.
const hint = "type promote, hold, resume, rollback, cancel, approve or reject and Enter; ctrl-C to stop"

func listen(t Terminal, view View) (*keyboard, func()) {
	k := &keyboard{view: view, asks: t.Interactive() && t.typed(), signals: make(chan os.Signal, 4), lines: make(chan string)}
	signal.Notify(k.signals, os.Interrupt, syscall.SIGTERM)
	if k.asks {
		go func() { // ends with the process at the latest: reading from a terminal cannot be called off
			in := bufio.NewScanner(t.In)
			for in.Scan() {
				k.lines <- strings.ToLower(strings.TrimSpace(in.Text()))
			}
		}()
	}
	return k, func() { signal.Stop(k.signals) }
}

// Ask waits for a signal or a typed command.
func (k *keyboard) Ask(ctx context.Context, policy adg.OnInterrupt) Wish {
	for {
		select {
		case <-ctx.Done():
			return Wish{}
		case s := <-k.signals:
			if s == syscall.SIGTERM || !k.asks {
				return wishOf(policy)
			}
			return k.question(ctx, policy)
		case line := <-k.lines:
			if command := commandOf(line); command != adg.CommandNone {
				return Wish{Command: command}
			}
			k.view.Say(hint)
		}
	}
}

func (k *keyboard) question(ctx context.Context, policy adg.OnInterrupt) Wish {
	again := "leave"
	if wishOf(policy).Command == adg.CommandRollBack {
		again = "roll back"
	}
	k.view.Say("interrupted: [r]oll back, [l]eave it as it is and stop guarding, or [c]ontinue? (ctrl-C again: " + again + ")")
	select {
	case <-ctx.Done():
		return Wish{}
	case <-k.signals:
		return wishOf(policy)
	case line := <-k.lines:
		switch {
		case strings.HasPrefix(line, "r"):
			return Wish{Command: adg.CommandRollBack}
		case strings.HasPrefix(line, "l"):
			return Wish{Leave: true}
		}
		k.view.Say("going on")
		return Wish{}
	}
}

// commandOf reads a typed word; adg.CommandNone for what is none.
func commandOf(line string) adg.CommandKind {
	var c adg.CommandKind
	if line == "" || c.UnmarshalText([]byte(line)) != nil {
		return adg.CommandNone
	}
	return c
}

func wishOf(policy adg.OnInterrupt) Wish {
	switch policy {
	case adg.InterruptRollBack:
		return Wish{Command: adg.CommandRollBack}
	case adg.InterruptLeave:
		return Wish{Leave: true}
	}
	return Wish{Leave: true}
}
