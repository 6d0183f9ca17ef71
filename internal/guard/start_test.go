package guard_test

import (
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

func TestRefusedStartLeavesNothingOnRecordAsGood(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		spec := s.spec(policy())
		spec.LastGood = &adg.Release{Service: "shop", Version: "v2"}
		for _, artifact := range []string{"", "registry/shop@sha256:22"} {
			spec.Release.Artifact = artifact
			_, err := s.guard.Start(t.Context(), spec)
			if adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), "cannot go to v2, which is the same version") {
				t.Errorf("going back from v2 %s to v2: %v", artifact, err)
			}
		}
		if good, err := s.store.LastGood(t.Context(), "shop", "production"); err == nil {
			t.Errorf("%s was never deployed and counts as good: %s", good.Release.Version, good.Why)
		}
	})
}

func TestPlanSaysWhatAStartSaysAndStoresNothing(t *testing.T) {
	for name, row := range map[string]struct {
		previous, version, fails string
	}{
		"what it would adopt is live and healthy":               {version: "v2"},
		"what it would go back to is named":                     {version: "v2", previous: "v1"},
		"what it would go back to is the same version":          {version: "v2", previous: "v2", fails: "the same version"},
		"what it deploys is the last good release":              {version: "v1", fails: "v1 is the last good release already"},
		"what is live is neither the last good one nor its own": {version: "v3", fails: "v1 is live, and the last good release on record is v2"},
	} {
		t.Run(name, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				spec := s.spec(policy())
				spec.Release.Version, spec.LastGood = row.version, nil
				if row.previous != "" {
					spec.LastGood = &adg.Release{Service: "shop", Version: row.previous}
				}
				known := map[string]string{"v1": "v1", "v3": "v2"}[row.version]
				if known != "" {
					if err := s.store.Mark(t.Context(), adg.ReleaseRecord{Environment: "production", Release: adg.Release{Service: "shop", Version: known}, Standing: adg.StandingGood, Since: time.Unix(1e9, 0)}); err != nil {
						t.Fatal(err)
					}
				}
				plan, planned := s.guard.Plan(t.Context(), spec)
				if all, err := s.store.ListDeployments(t.Context(), adg.DeploymentFilter{}); err != nil || len(all) > 0 {
					t.Errorf("stored by a plan: %d deployments, %v", len(all), err)
				}
				if good, err := s.store.LastGood(t.Context(), "shop", "production"); known == "" && adg.CodeOf(err) != adg.NotFound {
					t.Errorf("a plan calls %s good: %v", good.Release.Version, err)
				}
				d, started := s.guard.Start(t.Context(), spec)
				switch {
				case row.fails != "":
					if started == nil || planned == nil || started.Error() != planned.Error() || !strings.Contains(planned.Error(), row.fails) {
						t.Errorf("the plan says %v, and the start %v", planned, started)
					}
				case planned != nil || started != nil:
					t.Errorf("the plan says %v, and the start %v", planned, started)
				case plan.LastGood == nil || *plan.LastGood != *d.Spec.LastGood || plan.LastGood.Version != "v1":
					t.Errorf("the plan would go back to %+v, and what began to %+v", plan.LastGood, d.Spec.LastGood)
				}
			})
		})
	}
}

func TestStartRefusesWhatCannotBeGuarded(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.target.can = adg.Capabilities{Reports: true}
		_, err := s.guard.Start(t.Context(), s.spec(policy()))
		if adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), "split traffic") {
			t.Errorf("a canary on a target without shares: %v", err)
		}
		p := policy()
		p.Checks = nil
		if _, err := s.guard.Start(t.Context(), s.spec(p)); adg.CodeOf(err) != adg.Invalid {
			t.Errorf("a policy without checks: %v", err)
		}
		spec := s.spec(policy())
		spec.Release.Version = "v1"
		s.target.can = adg.Capabilities{Shares: true, Idle: true, Reports: true}
		if _, err := s.guard.Start(t.Context(), spec); adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), "the same version") {
			t.Errorf("deploying what it would go back to: %v", err)
		}
		if err := s.store.Mark(t.Context(), adg.ReleaseRecord{Environment: "production", Release: *spec.LastGood, Standing: adg.StandingGood, Since: time.Unix(1e9, 0)}); err != nil {
			t.Fatal(err)
		}
		spec.LastGood = nil
		if _, err := s.guard.Start(t.Context(), spec); adg.CodeOf(err) != adg.Conflict {
			t.Errorf("deploying what is the last good release: %v", err)
		}
	})
}

func TestReleaseNamedByItsVersionIsTheOneThatWasDeployed(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		built := adg.Release{Service: "shop", Version: "v2", Artifact: "registry/shop@sha256:22"}
		s.until(s.startRelease(policy(), built).ID, adg.Succeeded)
		spec := s.spec(policy())
		spec.Release.Version, spec.LastGood = "v3", &adg.Release{Service: "shop", Version: "v2"}
		d, err := s.guard.Start(t.Context(), spec)
		if err != nil || d.Spec.LastGood == nil || *d.Spec.LastGood != built {
			t.Errorf("a rollback would go to %+v, %v", d.Spec.LastGood, err)
		}
	})
}

func TestReleaseThatWasRolledBackIsNotGoodByItsVersionEither(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.value = badV2
		bad := adg.Release{Service: "shop", Version: "v2", Artifact: "registry/shop@sha256:22"}
		s.until(s.startRelease(policy(), bad).ID, adg.RolledBack)
		spec := s.spec(policy())
		spec.Release.Version, spec.LastGood = "v3", &adg.Release{Service: "shop", Version: "v2"}
		if d, err := s.guard.Start(t.Context(), spec); adg.CodeOf(err) != adg.Conflict {
			t.Errorf("a rollback would go to %+v, %v", d.Spec.LastGood, err)
		}
	})
}

func TestCanaryIsNotMadeOneStepBecauseNobodyKnowsHowTheLiveReleaseIs(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.answer = func(adg.Query) (adg.Answer, error) {
			return adg.Answer{}, adg.Errorf(adg.Unavailable, "connection refused")
		}
		spec := s.spec(policy())
		spec.LastGood = nil
		_, err := s.guard.Start(t.Context(), spec)
		if adg.CodeOf(err) != adg.Unavailable || !strings.Contains(err.Error(), "--previous v1") {
			t.Errorf("started without a way back: %v", err)
		}
		s.wantShares()
	})
}

func TestLiveReleaseIsComparedWithItsOwnPastBeforeItIsAdopted(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		p := policy()
		p.Checks[0].Compare = adg.Relative
		p.Checks[0].Fail = adg.Condition{Operator: adg.Above, Relative: true, Value: 50, Unit: adg.Percent}
		spec := s.spec(p)
		spec.LastGood = nil
		began := time.Now()
		s.answer = func(q adg.Query) (adg.Answer, error) { // it got worse a minute ago
			var samples []adg.Sample
			for at := q.At.Add(-q.Span); !at.After(q.At); at = at.Add(max(q.Step, time.Second)) {
				value := 0.01
				if at.After(began.Add(-time.Minute)) {
					value = 0.5
				}
				samples = append(samples, adg.Sample{At: at, Value: value})
			}
			return adg.Answer{Series: []adg.Series{{Samples: samples}}}, nil
		}
		d, err := s.guard.Start(t.Context(), spec)
		if err != nil || d.Spec.LastGood != nil {
			t.Errorf("adopted a release that is worse than it was: %+v, %v", d.Spec.LastGood, err)
		}
		s.answer = nil
		d, err = s.guard.Start(t.Context(), spec)
		if err != nil || d.Spec.LastGood == nil || d.Spec.LastGood.Version != "v1" {
			t.Errorf("did not adopt a release that is as it always was: %+v, %v", d.Spec.LastGood, err)
		}
	})
}

func TestReleaseThatSomebodyElseMadeLiveIsNotTakenAwayUnasked(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		s.until(s.start(policy()).ID, adg.Succeeded)
		s.target.mu.Lock()
		s.target.now.Releases = []adg.Placement{{Release: adg.Release{Service: "shop", Version: "v2.5"}, Share: 100}}
		s.target.mu.Unlock()
		spec := s.spec(policy())
		spec.Release.Version, spec.LastGood = "v3", nil
		if _, err := s.guard.Start(t.Context(), spec); adg.CodeOf(err) != adg.Conflict || !strings.Contains(err.Error(), "v2.5 is live") || !strings.Contains(err.Error(), "--previous v2.5 if it is good, or --previous v2") {
			t.Errorf("began on top of a release that is not on record: %v", err)
		}
		spec.LastGood = &adg.Release{Service: "shop", Version: "v2.5"}
		if _, err := s.guard.Start(t.Context(), spec); err != nil {
			t.Errorf("named as the way back: %v", err)
		}
	})
}

func TestWhatRollsForwardOverABadReleaseNeedNotSayWhatIsGood(t *testing.T) {
	for why, end := range map[string]adg.State{"it waits for a human": adg.Held, "its rollback failed": adg.RollbackFailed} {
		t.Run(why, func(t *testing.T) {
			play(t, func(t *testing.T, s *stage) {
				p := policy()
				p.Strategy.Steps, p.Rollback.SchemaIrreversible = []adg.Step{{Share: 100}}, end == adg.Held
				s.until(s.start(p).ID, adg.Succeeded) // v2 is the last good one from now on
				s.value = func(version string, _ float64) float64 { return map[string]float64{"v3": 0.5}[version] }
				s.target.fault = func(want adg.Desired) error {
					if want.Rollback {
						return adg.Permanent(adg.Errorf(adg.Unavailable, "the image of v2 is gone"))
					}
					return nil
				}
				spec := s.spec(p)
				spec.Release.Version, spec.LastGood = "v3", nil
				bad, err := s.guard.Start(t.Context(), spec)
				if err != nil {
					t.Fatal(err)
				}
				s.until(bad.ID, end)
				spec.Release.Version = "v4"
				d, err := s.guard.Start(t.Context(), spec)
				if err != nil || d.Spec.LastGood == nil || d.Spec.LastGood.Version != "v2" {
					t.Fatalf("what mends it goes back to %+v, %v", d.Spec.LastGood, err)
				}
				s.until(d.ID, adg.Succeeded)
			})
		})
	}
}

func TestHealthOfTheLiveReleaseIsKnownBeforeAnythingBegins(t *testing.T) {
	play(t, func(t *testing.T, s *stage) {
		live := adg.Release{Service: "shop", Version: "v1"}
		found, before, err := s.guard.Before(t.Context(), s.spec(policy()), live)
		if err != nil || found.Health != adg.Healthy || len(before) != 1 || len(before[0].Values) == 0 {
			t.Errorf("%+v %+v %v", found, before, err)
		}
		s.value = func(version string, _ float64) float64 { return map[string]float64{"v1": 0.5}[version] }
		found, before, err = s.guard.Before(t.Context(), s.spec(policy()), live)
		if err != nil || found.Health != adg.Unhealthy || len(before) != 1 || before[0].Values[0] != 0.5 {
			t.Errorf("a release that fails: %+v %+v %v", found, before, err)
		}
		s.answer = func(adg.Query) (adg.Answer, error) {
			return adg.Answer{}, adg.Errorf(adg.Unavailable, "connection refused")
		}
		found, before, err = s.guard.Before(t.Context(), s.spec(policy()), live)
		if err != nil || found.Health != adg.HealthUnknown || len(before) != 1 || before[0].Err == "" {
			t.Errorf("a source that is down: %+v %+v %v", found, before, err)
		}
		if all, err := s.store.ListDeployments(t.Context(), adg.DeploymentFilter{}); err != nil || len(all) > 0 {
			t.Errorf("%d deployments, %v", len(all), err)
		}
	})
}
