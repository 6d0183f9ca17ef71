package control_test

import (
	"context"
	"strings"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/control"
	"github.com/deployguardian/adg/internal/identity"
)

// What a server has not got is not said to who may not use it, and that he asked is on record.
func TestARefusalComesBeforeEverythingElseAndIsOnRecord(t *testing.T) {
	b := newBench(t)
	b.putPolicy()
	d, err := b.StartDeployment(t.Context(), b.admin, control.Start{Release: adg.Release{Service: "shop", Version: "v2"}, Environment: "production"})
	b.must(err)
	stranger := admin("stranger")
	stranger.Bindings = nil
	for name, c := range map[string]struct {
		who     identity.Caller
		ask     func(identity.Caller) error
		refusal adg.Code
		action  string
		without adg.Code // for an admin of everything, where there is no predictor, no demo, no such thing
	}{
		"a demo of somebody who may change nothing of the server": {
			reader("shop"), func(who identity.Caller) error { return b.Demonstrate(t.Context(), who, nil) }, adg.Unauthorized, "demo.start", adg.Invalid,
		},
		"an outcome by somebody who only looks": {
			reader("shop"), func(who identity.Caller) error {
				_, err := b.CorrectOutcome(t.Context(), who, d.ID, true, true, -1)
				return err
			}, adg.Unauthorized, "outcome.correct", adg.Unavailable,
		},
		"an outcome by a stranger": {
			stranger, func(who identity.Caller) error {
				_, err := b.CorrectOutcome(t.Context(), who, d.ID, true, true, -1)
				return err
			}, adg.NotFound, "deployment.get", adg.Unavailable,
		},
		"a service that is not there": {
			stranger, func(who identity.Caller) error {
				_, err := b.Service(t.Context(), who, "none")
				return err
			}, adg.NotFound, "service.get", adg.NotFound,
		},
		"a service of others": {
			reader("till"), func(who identity.Caller) error {
				_, err := b.UpdateService(t.Context(), who, "shop", 7, nil)
				return err
			}, adg.NotFound, "service.update", adg.Conflict,
		},
		"a delivery that is not there": {
			stranger, func(who identity.Caller) error {
				_, err := b.RetryDelivery(t.Context(), who, "chat", "none", "r", nil)
				return err
			}, adg.NotFound, "delivery.retry", adg.NotFound,
		},
	} {
		before := len(b.audited())
		if err := c.ask(c.who); adg.CodeOf(err) != c.refusal {
			t.Errorf("%s: %v", name, err)
		}
		if lines := b.audited()[before:]; len(lines) != 1 || !strings.HasSuffix(lines[0], c.action+" denied") {
			t.Errorf("%s: on record %q", name, lines)
		}
		before = len(b.audited())
		if err := c.ask(b.admin); adg.CodeOf(err) != c.without {
			t.Errorf("%s: an admin is answered %v", name, err)
		}
		if lines := b.audited()[before:]; len(lines) != 0 {
			t.Errorf("%s: an admin was refused nothing, and on record is %q", name, lines)
		}
	}
}

func TestARefusalIsOnRecordThoughTheCallerHasGone(t *testing.T) {
	b := newBench(t)
	gone, leave := context.WithCancel(t.Context())
	leave()
	if err := b.Demonstrate(gone, reader("shop"), nil); adg.CodeOf(err) != adg.Unauthorized {
		t.Errorf("got %v", err)
	}
	if lines := b.audited(); len(lines) != 1 || !strings.HasSuffix(lines[0], "demo.start denied") {
		t.Errorf("on record %q", lines)
	}
}
