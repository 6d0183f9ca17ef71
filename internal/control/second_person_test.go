package control_test

import (
	"strings"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/control"
	"github.com/deployguardian/adg/internal/identity"
)

func TestNobodyApprovesWhatHeStartedOrWrote(t *testing.T) {
	b := newBench(t)
	b.putPolicy()
	if p, err := b.PutPolicy(t.Context(), b.admin, adg.Scope{}, policy+"approve: true\nfour_eyes: true\n", "", 1); err != nil || !p.InForce {
		t.Fatal(p, err)
	}
	d, err := b.StartDeployment(t.Context(), tokenOf("ann"), control.Start{
		Release: adg.Release{Service: "shop", Version: "v2"}, Environment: "production", Author: "Cid C. <Cid.C@example.com>",
	})
	b.must(err)
	called := admin("cid2")
	called.Email = "cid.c@example.com"
	nobody := tokenOf("bob")
	nobody.Person = ""
	for name, who := range map[string]identity.Caller{
		"who started it, with a token": tokenOf("ann"), "who started it with his token": admin("ann"), "who wrote it, by his address": called, "no person": nobody,
	} {
		before := len(b.audited())
		_, err := b.Command(t.Context(), who, d.ID, adg.CommandApprove, "", "", nil)
		if adg.CodeOf(err) != adg.Unauthorized {
			t.Errorf("%s: %v", name, err)
		}
		if lines := b.audited()[before:]; len(lines) != 1 || !strings.HasSuffix(lines[0], "deployment.approve denied") {
			t.Errorf("%s: on record %q", name, lines)
		}
	}
	if _, err := b.Command(t.Context(), tokenOf("bob"), d.ID, adg.CommandApprove, "", "", nil); err != nil {
		t.Error(err)
	}
	work, err := b.store.Take(t.Context(), "test", 1e9, 10)
	b.must(err)
	if len(work) != 1 || work[0].Command == nil || work[0].Command.Actor != "bob" {
		t.Fatalf("%+v", work)
	}
}

func TestNobodyApprovesTheWeakerPolicyThatHeWrote(t *testing.T) {
	b := newBench(t)
	b.putPolicy()
	if _, err := b.PutPolicy(t.Context(), tokenOf("ann"), adg.Scope{}, strings.Replace(policy, "> 5%", "> 50%", 1), "", 1); err != nil {
		t.Fatal(err)
	}
	nobody := tokenOf("bob")
	nobody.Person = ""
	for name, who := range map[string]identity.Caller{"himself": admin("ann"), "another token of his": tokenOf("ann"), "no person": nobody} {
		before := len(b.audited())
		_, err := b.ApprovePolicy(t.Context(), who, "shop", "production", 2, "", nil)
		b.refused(err, adg.Unauthorized, "not allowed")
		if lines := b.audited()[before:]; len(lines) != 1 || !strings.HasSuffix(lines[0], "policy.approve denied") {
			t.Errorf("%s: on record %q", name, lines)
		}
	}
	if p, err := b.ApprovePolicy(t.Context(), admin("bob"), "shop", "production", 2, "", nil); err != nil || !p.InForce {
		t.Errorf("%+v %v", p, err)
	}
}
