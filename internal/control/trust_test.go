package control_test

import (
	"context"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/config"
	"github.com/deployguardian/adg/internal/control"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/target"
)

// deployer is a person who may start deployments of the shop, and mark none of its releases.
func deployer() identity.Caller {
	who := admin("dee")
	who.Bindings = []identity.Binding{{Subject: "user:dee", Role: identity.Deployer, Service: "shop", Environment: "*"}}
	return who
}

// Whoever could name any release as the good one would have it live by a rollback, past every approval.
func TestWhoMayMarkNoReleaseGoodNamesNoneThatNobodyFoundGood(t *testing.T) {
	b := newBench(t)
	b.putPolicy()
	named := control.Start{Release: adg.Release{Service: "shop", Version: "v2"}, Environment: "production", Previous: "v1"}
	_, err := b.Plan(t.Context(), deployer(), named)
	b.refused(err, adg.Unauthorized, "nobody has found v1 good")
	_, err = b.StartDeployment(t.Context(), deployer(), named)
	b.refused(err, adg.Unauthorized, "nobody has found v1 good")
	b.refused(err, adg.Unauthorized, "release.mark")
	if lines := b.audited(); lines[len(lines)-1] != "user:dee deployment.start denied" || len(b.starter.specs) > 0 {
		t.Errorf("on record %q, %d started", lines, len(b.starter.specs))
	}
	_, err = b.MarkGood(t.Context(), b.admin, "production", adg.Release{Service: "shop", Version: "v1"}, "it is")
	b.must(err)
	_, err = b.StartDeployment(t.Context(), deployer(), named)
	b.must(err)
	named.Release.Version, named.Previous = "v3", "v0"
	_, err = b.StartDeployment(t.Context(), b.admin, named)
	b.must(err)
	entries, err := b.store.Audit(t.Context(), adg.AuditFilter{Action: "deployment.start", Limit: 10})
	b.must(err)
	if at := slices.IndexFunc(entries, func(e adg.AuditEntry) bool { return e.Detail["version"] == "v3" }); at < 0 || entries[at].Detail["previous"] != "v0" {
		t.Errorf("on record %+v", entries)
	}
}

// tried is a target that counts its rehearsals.
type tried struct {
	adg.Target
	times *atomic.Int32
}

func (t tried) Rehearse(context.Context, adg.Desired) ([]adg.Obstacle, error) {
	t.times.Add(1)
	return nil, nil
}

func TestWhoMayStartNothingHasTheTargetTryNothing(t *testing.T) {
	b := newBench(t)
	times := &atomic.Int32{}
	drivers := config.Drivers{Targets: slices.Clone(target.All)}
	for i, d := range drivers.Targets {
		if d.Type == "webhook" {
			open := d.Open
			drivers.Targets[i].Open = func(ctx context.Context, options any, host adg.Host) (adg.Target, error) {
				opened, err := open(ctx, options, host)
				return tried{opened, times}, err
			}
		}
	}
	c := control.New(control.Options{Store: b.store, Starter: b.starter, Drivers: drivers, Host: adg.Host{Dir: t.TempDir()}})
	_, err := c.PutConnection(t.Context(), b.admin, control.Connection{Seam: "target", Name: "hook", Type: "webhook", Options: `{"url": "http://127.0.0.1:1"}`}, 0)
	b.must(err)
	w := control.NewWorld(c, control.Wrap{})
	defer func() { b.must(w.Close()) }()
	spec := adg.Spec{
		Release: adg.Release{Service: "shop", Version: "v2"}, LastGood: &adg.Release{Service: "shop", Version: "v1"},
		Policy: adg.Policy{Service: "shop", Environment: "production", Target: "hook"},
	}
	if _, doubt := w.Rehearse(t.Context(), reader("shop"), spec); times.Load() != 0 || !strings.Contains(doubt, "may start") {
		t.Errorf("it tried %d times; doubt %q", times.Load(), doubt)
	}
	if _, doubt := w.Rehearse(t.Context(), deployer(), spec); times.Load() != 1 || doubt != "" {
		t.Errorf("it tried %d times; doubt %q", times.Load(), doubt)
	}
}
