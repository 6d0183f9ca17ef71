package guard_test

import (
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

func TestStoppedLineKeepsAnAutomaticRollbackUntilAHumanActs(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.value = badV2
		d := s.start(policy())
		s.until(d.ID, adg.Rolling)
		if err := s.store.StopLine(t.Context(), adg.Stop{Actor: "dave", Reason: "the metrics are wrong"}); err != nil {
			t.Fatal(err)
		}
		s.until(d.ID, adg.RollbackPending)
		s.wait(10 * time.Minute)
		if s.target.rollbacks() != 0 {
			t.Error("rolled back although the line is stopped")
		}
		s.ask(d.ID, adg.CommandRollBack, "erin")
		s.until(d.ID, adg.RolledBack)
	})
}

func TestStopOfOneServiceHoldsThatOneAndNoOther(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.value = badV2
		cart := policy()
		cart.Service = "cart"
		held := s.start(policy())
		free := s.startRelease(cart, adg.Release{Service: "cart", Version: "v2"})
		s.until(held.ID, adg.Rolling)
		s.until(free.ID, adg.Rolling)
		scope := adg.Scope{Service: "shop"}
		if err := s.store.StopLine(t.Context(), adg.Stop{Scope: scope, Actor: "dave", Reason: "the metrics are wrong"}); err != nil {
			t.Fatal(err)
		}
		s.until(free.ID, adg.RolledBack)
		s.until(held.ID, adg.RollbackPending)
		s.wait(10 * time.Minute)
		s.until(held.ID, adg.RollbackPending)
		if n := s.target.rollbacks(); n != 1 {
			t.Errorf("%d were rolled back, want only the one that is not stopped", n)
		}
		if err := s.store.ResumeLine(t.Context(), scope, "erin"); err != nil {
			t.Fatal(err)
		}
		s.until(held.ID, adg.RolledBack)
	})
}
