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

// interrupts listens for SIGINT and SIGTERM. On a terminal the first SIGINT asks; a second one, a SIGTERM, and a
// SIGINT where nobody can be asked do what the policy says.
type interrupts struct {
	t       Terminal
	view    View
	signals chan os.Signal
}

// Ask waits for an interrupt and for what the person wants.
func (i *interrupts) Ask(ctx context.Context, policy adg.OnInterrupt) Wish {
	select {
	case <-ctx.Done():
		return WishGoOn
	case s := <-i.signals:
		if s == syscall.SIGTERM || !i.t.Interactive() {
			return wishOf(policy)
		}
	}
	return i.question(ctx, policy)
}

// Private

func watchInterrupts(t Terminal, view View) (*interrupts, func()) {
	i := &interrupts{t: t, view: view, signals: make(chan os.Signal, 4)}
	signal.Notify(i.signals, os.Interrupt, syscall.SIGTERM)
	return i, func() { signal.Stop(i.signals) }
}

func (i *interrupts) question(ctx context.Context, policy adg.OnInterrupt) Wish {
	byDefault := wishOf(policy)
	i.view.Say("interrupted: [r]oll back, [l]eave it as it is and stop guarding, or [c]ontinue? (again: " + byDefault.String() + ")")
	lines := make(chan string, 1)
	go func() { // ends with the process at the latest: a read from a terminal cannot be called off
		line, err := bufio.NewReader(i.t.In).ReadString('\n')
		if err == nil {
			lines <- strings.ToLower(strings.TrimSpace(line))
		}
	}()
	for {
		select {
		case <-ctx.Done():
			return WishGoOn
		case <-i.signals:
			return byDefault
		case line := <-lines:
			switch {
			case strings.HasPrefix(line, "r"):
				return WishRollBack
			case strings.HasPrefix(line, "l"):
				return WishLeave
			default:
				return WishGoOn
			}
		}
	}
}

// String says the wish as the question does.
func (w Wish) String() string {
	switch w {
	case WishLeave:
		return "leave"
	case WishRollBack:
		return "roll back"
	case WishGoOn:
		return "continue"
	}
	return "continue"
}

func wishOf(policy adg.OnInterrupt) Wish {
	switch policy {
	case adg.InterruptRollBack:
		return WishRollBack
	case adg.InterruptLeave:
		return WishLeave
	}
	return WishLeave
}
