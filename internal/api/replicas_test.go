package api_test

import (
	"testing"
	"time"

	"github.com/deployguardian/adg/internal/control"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

func TestReplicasSayHowTheyAreAndAreGoneWhenTheyEnd(t *testing.T) {
	b := newBench(t)
	first, err := b.control.Beat(t.Context(), control.Replica{Name: "adg-1", Version: "v1"})
	b.must(err)
	_, err = b.control.Beat(t.Context(), control.Replica{Name: "host/7/ABC", Version: "v2", Deployments: 3, Lateness: 20 * time.Millisecond})
	b.must(err)
	again, err := b.control.Beat(t.Context(), first)
	b.must(err)
	if !again.Started.Equal(first.Started) || again.Seen.Before(first.Seen) {
		t.Errorf("at first %+v, then %+v", first, again)
	}
	read := adgv1.NewSystemServiceClient(b.grpc())
	list, err := read.ListReplicas(as(t.Context(), b.viewer), &adgv1.ListReplicasRequest{})
	b.must(err)
	if all := list.GetReplicas(); len(all) != 2 || all[0].GetName() != "adg-1" || all[1].GetVersion() != "v2" || all[1].GetDeployments() != 3 ||
		all[1].GetLateness().AsDuration() != 20*time.Millisecond || list.GetTime().AsTime().Before(all[1].GetSeenTime().AsTime()) {
		t.Errorf("%v", list)
	}
	b.must(b.control.Leave(t.Context(), "host/7/ABC"))
	b.must(b.control.Leave(t.Context(), "host/7/ABC"))
	health, err := read.GetSystemHealth(as(t.Context(), b.viewer), &adgv1.GetSystemHealthRequest{})
	b.must(err)
	if all := health.GetReplicas(); len(all) != 1 || all[0].GetName() != "adg-1" {
		t.Errorf("%v", health)
	}
}
