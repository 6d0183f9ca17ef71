package guard_test

import (
	"context"
	"testing"

	"github.com/deployguardian/adg"
)

const automatedSync = "automated sync of the application shop"

func (s *stage) heldBeside(version string) string {
	s.t.Helper()
	hold, err := s.store.HoldOf(s.t.Context(), "shop", "production", version)
	if err != nil {
		s.t.Errorf("%s is not on hold: %v", version, err)
	}
	return hold.Suspended
}

func TestWhatARollbackSuspendsIsOnRecordBeforeItIsDone(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.value = badV2
		s.target.suspends = func() (string, error) { return automatedSync, nil }
		asked := 0
		s.target.before = func(_ context.Context, want adg.Desired) {
			if !want.Rollback {
				return
			}
			asked++
			if what := s.heldBeside("v2"); what != automatedSync {
				t.Errorf("the hold tells of %q when the target is asked", what)
			}
			d, err := s.store.Deployment(s.t.Context(), want.Deployment)
			if err != nil || d.Status.Suspended != automatedSync {
				t.Errorf("the deployment tells of %q, %v", d.Status.Suspended, err)
			}
		}
		d := s.start(policy())
		s.until(d.ID, adg.RolledBack)
		if what := s.heldBeside("v2"); asked != 1 || what != "" {
			t.Errorf("asked %d times; nothing was suspended in the end, and the hold tells of %q", asked, what)
		}
	})
}

func TestWhatWasSuspendedIsOnRecordAlthoughTheRollbackFailed(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.value = badV2
		s.target.suspends = func() (string, error) { return "", adg.Errorf(adg.Unavailable, "no answer") }
		s.target.fault = func(want adg.Desired) error {
			if !want.Rollback {
				return nil
			}
			s.target.mu.Lock()
			defer s.target.mu.Unlock()
			s.target.now.Suspended = automatedSync
			return adg.Permanent(adg.Errorf(adg.Unauthorized, "the token may not sync"))
		}
		d := s.start(policy())
		s.until(d.ID, adg.RollbackFailed)
		if what := s.heldBeside("v2"); what != automatedSync {
			t.Errorf("the hold tells of %q", what)
		}
	})
}
