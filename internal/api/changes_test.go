package api_test

import (
	"context"
	"net/http"
	"strings"
	"testing"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api"
	"github.com/deployguardian/adg/internal/identity"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// changed are the changes that somebody sees after a cursor, the oldest first.
func (b *bench) changed(token string, after int64, n int) (all []*adgv1.Fact) {
	b.Helper()
	ctx, stop := context.WithCancel(as(b.Context(), token))
	defer stop()
	stream, err := b.events().StreamEvents(ctx, &adgv1.StreamEventsRequest{After: &after, Kinds: []adgv1.FactKind{adgv1.FactKind_FACT_KIND_CHANGED}})
	b.must(err)
	for len(all) < n {
		said, err := stream.Recv()
		b.must(err)
		if f := said.GetEvent().GetFact(); f != nil {
			all = append(all, f)
		}
	}
	return all
}

func TestWhatPeopleChangeIsAnEventThatSaysWhoItWasAndHowHeCame(t *testing.T) {
	b := newBench(t)
	last, err := b.store.LastEvent(t.Context())
	b.must(err)
	b.furnish() // prom, hook and a policy
	b.good(b.admin, "POST", "/v1/holds", `{"service": "shop", "environment": "production", "identity": "v2", "reason": "it leaks"}`)
	_, err = adgv1.NewLineServiceClient(b.grpc()).StopLine(as(t.Context(), b.admin), &adgv1.StopLineRequest{Reason: "fire"})
	b.must(err)
	program, err := grpc.NewClient(b.address, grpc.WithTransportCredentials(insecure.NewCredentials()), grpc.WithUserAgent("adg/1.0"))
	b.must(err)
	t.Cleanup(func() { _ = program.Close() })
	_, err = adgv1.NewLineServiceClient(program).ResumeLine(as(t.Context(), b.admin), &adgv1.ResumeLineRequest{Reason: "it is out"})
	b.must(err)
	o, err := b.people.Login(t.Context(), identity.Attempt{Name: "ann", Password: adg.NewSecret("a long password"), From: "192.0.2.1"})
	b.must(err)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, "http://"+b.address+"/v1/users", strings.NewReader(`{"name": "bob", "password": "another long one", "reason": "he is new"}`))
	b.must(err)
	r.AddCookie(&http.Cookie{Name: api.SessionCookie, Value: o.Credential.Reveal()})
	answer, err := http.DefaultClient.Do(r)
	b.must(err)
	b.must(answer.Body.Close())

	var got []string
	for _, f := range b.changed(b.admin, last, 7) {
		got = append(got, strings.Join([]string{f.GetAction(), f.GetResource(), f.GetVia(), strings.Join(f.GetReasons(), " ")}, " | "))
		if !strings.HasSuffix(f.GetActor(), "ann") && !strings.HasPrefix(f.GetActor(), "token:") || f.GetDeployment() != "" || f.GetState() != adgv1.State_STATE_UNSPECIFIED || f.GetText() == "" {
			t.Errorf("%v", f)
		}
	}
	want := []string{
		"connection.put | connection/prom | rest | r", "connection.put | connection/hook | rest | r", "policy.put | policy/shop/production | rest | first",
		"hold.put | hold/v2 | rest | it leaks", "stop.put | stop | grpc | fire", "stop.drop | stop | cli | it is out", "user.create | user/bob | dashboard | he is new",
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("got\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}

	got = nil
	for _, f := range b.changed(b.viewer, last, 4) { // one of the shop sees nothing of connections and people
		got = append(got, f.GetAction())
	}
	if strings.Join(got, " ") != "policy.put hold.put stop.put stop.drop" {
		t.Errorf("a viewer of the shop sees %v", got)
	}
	page, err := b.events().ListEvents(as(t.Context(), b.viewer), &adgv1.ListEventsRequest{Kinds: []adgv1.FactKind{adgv1.FactKind_FACT_KIND_CHANGED}})
	b.must(err)
	if n := len(page.GetEvents()); n != 4 {
		t.Errorf("and %d of all changes, which are %v", n, page)
	}
}

func TestWhatFailsIsNoEventOfAChange(t *testing.T) {
	b := newBench(t)
	last, err := b.store.LastEvent(t.Context())
	b.must(err)
	for _, c := range []struct {
		token, method, path, body string
		code                      int
	}{
		{b.viewer, "POST", "/v1/stops", `{"reason": "r"}`, 403},
		{b.admin, "POST", "/v1/users", `{"name": "ann", "password": "a long password", "reason": "r"}`, 409},
		{b.admin, "PUT", "/v1/policies/shop/production", `{"reason": "r", "text": "checks: 7"}`, 400},
	} {
		if code, answer := b.ask(c.token, c.method, c.path, c.body); code != c.code {
			t.Errorf("%s %s: %d %v", c.method, c.path, code, answer)
		}
	}
	if now, err := b.store.LastEvent(t.Context()); err != nil || now != last {
		t.Errorf("the last event is %d, and was %d: %v", now, last, err)
	}
}
