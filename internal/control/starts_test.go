package control_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/control"
)

func keyedStart(version string) control.Start {
	return control.Start{Release: adg.Release{Service: "shop", Version: version}, Environment: "production", Key: "build 7", Reason: "release day"}
}

func TestAKeyIsKnownAsLongAsItsDeploymentIs(t *testing.T) {
	b := newBench(t)
	b.putPolicy()
	first, err := b.StartDeployment(t.Context(), b.admin, keyedStart("v1"))
	b.must(err)
	other := first.Spec
	other.Key = ""
	for i := range 120 {
		b.must(b.store.CreateDeployment(t.Context(), adg.Deployment{ID: fmt.Sprint("later-", i), Spec: other}))
	}
	_, err = b.StartDeployment(t.Context(), b.admin, keyedStart("v2"))
	b.refused(err, adg.Conflict, "began the deployment "+first.ID+", of version v1")
	if again, err := b.StartDeployment(t.Context(), b.admin, keyedStart("v1")); err != nil || again.ID != first.ID {
		t.Errorf("%s, %v", again.ID, err)
	}
}

func TestOfStartsWithTheSameKeyAtTheSameInstantOneBegins(t *testing.T) {
	b := newBench(t)
	b.putPolicy()
	var begun, refused atomic.Int64
	var all sync.WaitGroup
	for i := range 8 {
		all.Go(func() {
			_, err := b.StartDeployment(t.Context(), b.admin, keyedStart(fmt.Sprint("v", i)))
			switch {
			case err == nil:
				begun.Add(1)
			case adg.CodeOf(err) == adg.Conflict && strings.Contains(err.Error(), "began the deployment shop-v"):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	all.Wait()
	if begun.Load() != 1 || refused.Load() != 7 {
		t.Errorf("%d began, %d were refused", begun.Load(), refused.Load())
	}
}

func TestAKeyThatAReplicaOfTheVersionBeforeTookBeginsNothingAgain(t *testing.T) {
	b := newBench(t)
	b.putPolicy()
	s := keyedStart("v1")
	spec := adg.Spec{Release: s.Release, Policy: adg.Policy{Service: "shop", Environment: "production"}}
	b.must(b.store.CreateDeployment(t.Context(), adg.Deployment{ID: control.DeploymentID(b.admin, s), Spec: spec}))
	if d, err := b.StartDeployment(t.Context(), b.admin, s); err != nil || d.ID != control.DeploymentID(b.admin, s) || len(b.starter.specs) != 0 {
		t.Errorf("%s, %v", d.ID, err)
	}
}

func TestPlanRefusesWhatAStartWouldRefuse(t *testing.T) {
	b := newBench(t)
	b.putPolicy()
	s := keyedStart("v1")
	plan, err := b.Plan(t.Context(), b.admin, s)
	if err != nil || plan.Spec.Release.Version != "v1" {
		t.Fatalf("%+v, %v", plan, err)
	}
	b.starter.err = adg.Errorf(adg.Conflict, "v1 is the last good release already")
	_, planned := b.Plan(t.Context(), b.admin, s)
	_, started := b.StartDeployment(t.Context(), b.admin, s)
	b.refused(planned, adg.Conflict, "v1 is the last good release already")
	if started == nil || planned == nil || started.Error() != planned.Error() {
		t.Errorf("the plan says %v, and the start %v", planned, started)
	}
}
