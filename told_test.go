package adg_test

import (
	"encoding/json"
	"reflect"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

func TestPeopleAreToldOfWhatWasChangedAndOfNothingElse(t *testing.T) {
	at := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	e := adg.AuditEntry{
		Seq: 7, At: at, Actor: "user:ann", From: "192.0.2.1", Action: "role.grant", Resource: "role/user:bob", Service: "shop-*", Environment: "*",
		Outcome: adg.AuditDone, Reason: "he is new", Detail: map[string]string{"role": "deployer", adg.Via: adg.ViaDashboard},
	}
	want := adg.Fact{
		ID: "audit/7", Kind: adg.FactChanged, At: at, Service: "shop-*", Environment: "*", Text: "user:bob was given the role deployer for shop-* in all environments",
		Reasons: []string{"he is new"}, Actor: "ann", Via: "dashboard", Action: "role.grant", Resource: "role/user:bob",
	}
	if got, told := e.Fact(); !told || !reflect.DeepEqual(got, want) {
		t.Errorf("told is %t: %+v", told, got)
	}
	of := e.With(adg.Person, "bob")
	if of.Actor = "token:1x2y"; len(of.Detail) != 3 {
		t.Fatal(of.Detail)
	}
	if got, _ := of.Fact(); got.Actor != "bob" {
		t.Errorf("people are told that it was %s", got.Actor)
	}
	for _, outcome := range []adg.AuditOutcome{adg.AuditUnknown, adg.AuditDenied, adg.AuditFailed} {
		if e.Outcome = outcome; told(e) {
			t.Errorf("people are told of what was %s", outcome)
		}
	}
	e.Outcome = adg.AuditDone
	for _, action := range []string{"deployment.start", "session.start", "connection.test", "policy.lint", "", "role"} {
		if e.Action = action; told(e) {
			t.Errorf("people are told of %q", action)
		}
	}
}

func TestAFactOfAKindThatOnlyANewerVersionKnowsIsReadAllTheSame(t *testing.T) {
	want := adg.Fact{ID: "f", Kind: adg.FactPage, Service: "shop", State: adg.Held, Text: "look", Reasons: []string{"why"}}
	text, err := json.Marshal(want)
	if err != nil {
		t.Fatal(err)
	}
	for kind, expected := range map[string]adg.FactKind{"page": adg.FactPage, "foreseen": adg.FactNone, "": adg.FactNone} {
		want.Kind = expected
		var got adg.Fact
		if err := json.Unmarshal([]byte(strings.Replace(string(text), `"page"`, strconv.Quote(kind), 1)), &got); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v", kind, got, err)
		}
	}
	if err := json.Unmarshal([]byte(`{"kind": "page", "state": "dancing"}`), new(adg.Fact)); err == nil {
		t.Error("the rest of a fact is read as strictly as before")
	}
}

func told(e adg.AuditEntry) bool {
	_, told := e.Fact()
	return told
}

func TestANameOfWhatWasChangedIsNoPartOfTheSentence(t *testing.T) {
	e := adg.AuditEntry{Action: "hold.put", Resource: "hold/PLACE NAME", Service: "ROLE", Environment: "production", Outcome: adg.AuditDone, Reason: "NAME"}
	if f, _ := e.Fact(); f.Text != "release PLACE NAME of ROLE in production was put on hold" {
		t.Errorf("what stands in a name is taken for a part of the sentence: %s", f.Text)
	}
}

func TestAnEntryWithAnotherDetailSharesNothing(t *testing.T) {
	one := adg.AuditEntry{Detail: map[string]string{"a": "1"}}
	two := one.With("b", "2")
	if len(one.Detail) != 1 || two.Detail["a"] != "1" || two.Detail["b"] != "2" {
		t.Errorf("%v and %v", one.Detail, two.Detail)
	}
	if three := one.With("b", ""); len(three.Detail) != 1 {
		t.Errorf("%v", three.Detail)
	}
}
