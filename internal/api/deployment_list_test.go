package api_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

func TestTheWorstComeFirstAndWhatHasEndedComesAfterAllOthers(t *testing.T) {
	b := newBench(t)
	now := b.now()
	for i, d := range []struct {
		version string
		is      adg.Status
	}{
		{"old-good", adg.Status{State: adg.Succeeded, Score: 100}},
		{"calm", adg.Status{State: adg.Verifying, Health: adg.Healthy, Score: 100}},
		{"old-bad", adg.Status{State: adg.RollbackFailed}},
		{"sick", adg.Status{State: adg.Verifying, Health: adg.Unhealthy, Score: 20}},
		{"back", adg.Status{State: adg.RollingBack, Health: adg.Unhealthy, Score: 10}},
		{"gone", adg.Status{State: adg.RolledBack}},
		{"page", adg.Status{State: adg.Held, Paging: true}},
	} {
		b.past(fmt.Sprint("shop", i), "staging", d.version, now.Add(time.Duration(i-100)*time.Minute), d.is)
	}
	live, ended := []string{"page", "back", "sick", "calm"}, []string{"gone", "old-bad", "old-good"}
	for _, c := range []struct {
		name string
		r    *adgv1.ListDeploymentsRequest
		want []string
	}{
		{"all", &adgv1.ListDeploymentsRequest{}, append(append([]string{}, live...), ended...)},
		{"those that have not ended", &adgv1.ListDeploymentsRequest{Live: true}, live},
		{"those that failed", &adgv1.ListDeploymentsRequest{States: []adgv1.State{adgv1.State_STATE_ROLLBACK_FAILED}}, []string{"old-bad"}},
		{"of some services", &adgv1.ListDeploymentsRequest{Services: []string{"shop0", "shop1", "shop5", "shop6"}}, []string{"page", "calm", "gone", "old-good"}},
	} {
		for size := int32(1); size <= 8; size++ {
			c.r.Order, c.r.PageSize, c.r.PageToken = adgv1.DeploymentOrder_DEPLOYMENT_ORDER_WORST, size, ""
			var got []string
			for {
				page, err := adgv1.NewDeploymentServiceClient(b.grpc()).ListDeployments(as(t.Context(), b.admin), c.r)
				b.must(err)
				for _, row := range page.GetDeployments() {
					got = append(got, row.GetVersion())
				}
				if c.r.PageToken = page.GetNextPageToken(); c.r.PageToken == "" {
					break
				}
				if len(page.GetDeployments()) != int(size) {
					t.Fatalf("%s: a page of %d has %d", c.name, size, len(page.GetDeployments()))
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("%s, in pages of %d:\n%s", c.name, size, diff)
			}
		}
	}
}
