package api_test

import (
	"context"
	"fmt"
	"net/http"
	"path"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/deployguardian/adg"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// stored is a deployment of a service that somebody asked for.
func (b *bench) stored(id, service, environment string, created time.Time) {
	b.Helper()
	b.must(b.store.CreateDeployment(b.Context(), adg.Deployment{ID: id, Spec: adg.Spec{
		Release: adg.Release{Service: service, Version: "v2"}, Policy: adg.Policy{Service: service, Environment: environment}, Actor: "ann", Created: created,
	}}))
}

// becomes commits a tick of a deployment, with facts for the chat.
func (b *bench) becomes(id string, state adg.State, facts ...adg.Fact) {
	b.Helper()
	b.ticks(id, func(next *adg.Status, now time.Time) { next.State, next.Since = state, now }, facts...)
}

// ticks changes the status of a deployment.
func (b *bench) ticks(id string, change func(next *adg.Status, now time.Time), facts ...adg.Fact) {
	b.Helper()
	work, err := b.store.Take(b.Context(), "test", time.Minute, 100)
	b.must(err)
	for _, w := range work {
		if w.Deployment.ID != id {
			b.must(b.store.GiveBack(b.Context(), w.Lease))
			continue
		}
		now, err := b.store.Now(b.Context())
		b.must(err)
		next := w.Deployment.Status
		next.Due = now
		change(&next, now)
		_, err = b.store.Commit(b.Context(), adg.Tick{
			Lease: w.Lease, Version: w.Deployment.Version, Before: w.Deployment.Status, Input: adg.Input{Now: now}, GiveBack: true, Notifiers: []string{"chat"},
			Decision: adg.Decision{At: now, Kind: adg.Hold, Next: next, Facts: facts},
		})
		b.must(err)
	}
}

func (b *bench) events() adgv1.EventServiceClient { return adgv1.NewEventServiceClient(b.grpc()) }

func fact(id, service string, at time.Time) adg.Fact {
	return adg.Fact{ID: id, Deployment: service, Kind: adg.FactHeld, At: at, Service: service, Environment: "production", Urgent: strings.HasSuffix(id, "0")}
}

func TestEventsAreListedFromEitherEndInPages(t *testing.T) {
	b := newBench(t)
	begin := time.Now().UTC().Truncate(time.Second).Add(time.Hour) // after the people were made
	b.stored("shop", "shop", "production", begin)
	b.stored("till", "till", "production", begin)
	var shop, till []adg.Fact
	for i := range 60 {
		shop = append(shop, fact(fmt.Sprintf("s%02d", i), "shop", begin.Add(time.Duration(i)*time.Minute)))
		till = append(till, fact(fmt.Sprintf("t%02d", i), "till", begin.Add(time.Duration(i)*time.Minute)))
	}
	for i := range shop {
		b.becomes("shop", adg.Pending, shop[i])
		b.becomes("till", adg.Pending, till[i])
	}
	names := func(from, to int) (all []string) {
		for i := from; i < to; i++ {
			all = append(all, fmt.Sprintf("s%02d", i))
		}
		return all
	}
	at := func(minute int) *timestamppb.Timestamp { return timestamppb.New(shop[minute].At) }
	client := b.events()
	for what, c := range map[string]struct {
		r    *adgv1.ListEventsRequest
		want []string
	}{
		"what a viewer of the shop sees":  {&adgv1.ListEventsRequest{}, names(0, 60)},
		"from a time on":                  {&adgv1.ListEventsRequest{FromTime: at(40)}, names(40, 60)},
		"before a time":                   {&adgv1.ListEventsRequest{ToTime: at(20)}, names(0, 20)},
		"between times":                   {&adgv1.ListEventsRequest{FromTime: at(20), ToTime: at(23)}, names(20, 23)},
		"what wakes people":               {&adgv1.ListEventsRequest{Urgent: true}, []string{"s00", "s10", "s20", "s30", "s40", "s50"}},
		"of two services":                 {&adgv1.ListEventsRequest{Services: []string{"shop", "till"}, FromTime: at(58)}, names(58, 60)},
		"of what nobody may see":          {&adgv1.ListEventsRequest{Services: []string{"till"}}, nil},
		"of a deployment, before a time":  {&adgv1.ListEventsRequest{Deployment: "shop", ToTime: at(2)}, names(0, 2)},
		"after the end of what is stored": {&adgv1.ListEventsRequest{FromTime: timestamppb.New(begin.Add(24 * time.Hour))}, nil},
		"before its beginning":            {&adgv1.ListEventsRequest{ToTime: timestamppb.New(begin.Add(-24 * time.Hour))}, nil},
	} {
		for _, newest := range []bool{false, true} {
			for _, size := range []int32{7, 100} {
				c.r.NewestFirst, c.r.PageSize, c.r.PageToken = newest, size, ""
				var got []string
				for {
					page, err := client.ListEvents(as(t.Context(), b.viewer), c.r)
					b.must(err)
					for _, e := range page.GetEvents() {
						got = append(got, e.GetFact().GetId())
					}
					if c.r.PageToken = page.GetNextPageToken(); c.r.PageToken == "" {
						break
					}
				}
				if newest {
					slices.Reverse(got)
				}
				if !slices.Equal(got, c.want) {
					t.Errorf("%s, newest first %t, in pages of %d: %v", what, newest, size, got)
				}
			}
		}
	}
	for _, id := range []string{"till", "nothing"} {
		if _, err := client.ListEvents(as(t.Context(), b.viewer), &adgv1.ListEventsRequest{Deployment: id}); err == nil {
			t.Errorf("events of %s were listed", id)
		}
	}
}

func TestAStopOfEverythingIsAmongTheEventsOfEachServiceAndEnvironment(t *testing.T) {
	b := newBench(t)
	last, err := b.store.LastEvent(t.Context())
	b.must(err)
	change := func(action, resource, service, environment string) adg.AuditEntry {
		return adg.AuditEntry{Actor: "user:ann", Action: action, Resource: resource, Service: service, Environment: environment, Outcome: adg.AuditDone}
	}
	_, err = b.store.AppendAudit(t.Context(), change("stop.put", "stop/all", "", ""), change("freeze.put", "freeze/production", "", "production"), change("stop.put", "stop/till", "till", ""),
		change("user.create", "user/cid", "", ""), change("stop.put", "stop/shop", "shop", "production"), change("stop.put", "stop/staging", "", "staging"), change("stop.drop", "stop/end", "", ""))
	b.must(err)
	for what, c := range map[string]struct {
		token                  string
		services, environments []string
		want                   string
	}{
		"a viewer of the shop":                 {b.viewer, []string{"shop"}, nil, "all production shop staging end"},
		"a viewer of the shop, in production":  {b.viewer, []string{"shop"}, []string{"production"}, "all production shop end"},
		"an admin, of another service":         {b.admin, []string{"till"}, nil, "all production till cid staging end"},
		"an admin, of two":                     {b.admin, []string{"till", "shop"}, []string{"production", "staging"}, "all production till cid shop staging end"},
		"an admin, in one environment":         {b.admin, nil, []string{"staging"}, "all till cid staging end"},
		"an admin, of a service nobody knows":  {b.admin, []string{"search"}, nil, "all production cid staging end"},
		"an admin, in a place that nobody has": {b.admin, []string{"search"}, []string{"moon"}, "all cid end"},
	} {
		ctx, stop := context.WithTimeout(as(t.Context(), c.token), time.Minute)
		stream, err := b.events().StreamEvents(ctx, &adgv1.StreamEventsRequest{After: &last, Services: c.services, Environments: c.environments})
		b.must(err)
		var listed, streamed []string
		for !strings.HasSuffix(strings.Join(streamed, " "), "end") {
			answer, err := stream.Recv()
			b.must(err)
			if e := answer.GetEvent(); e != nil {
				streamed = append(streamed, path.Base(e.GetFact().GetResource()))
			}
		}
		stop()
		page, err := b.events().ListEvents(as(t.Context(), c.token), &adgv1.ListEventsRequest{Services: c.services, Environments: c.environments, NewestFirst: true})
		b.must(err)
		for _, e := range page.GetEvents() {
			if e.GetCursor() > last {
				listed = append([]string{path.Base(e.GetFact().GetResource())}, listed...)
			}
		}
		if got := strings.Join(listed, " "); got != c.want || strings.Join(streamed, " ") != c.want {
			t.Errorf("%s: listed %s, streamed %s, want %s", what, got, streamed, c.want)
		}
	}
}

func TestStreamOfEventsBeginsWithItsCursor(t *testing.T) {
	b := newBench(t)
	b.stored("shop", "shop", "production", time.Now())
	b.becomes("shop", adg.Pending, fact("f1", "shop", time.Now()))
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	stream, err := b.events().StreamEvents(as(ctx, b.viewer), &adgv1.StreamEventsRequest{})
	b.must(err)
	first, err := stream.Recv()
	b.must(err)
	if first.GetEvent() != nil || first.GetCursor() == 0 {
		t.Errorf("%v", first)
	}
	b.becomes("shop", adg.Pending, fact("f2", "shop", time.Now()))
	for {
		answer, err := stream.Recv()
		b.must(err)
		if answer.GetEvent() == nil {
			continue
		}
		if answer.GetEvent().GetFact().GetId() != "f2" || answer.GetCursor() <= first.GetCursor() {
			t.Errorf("%v", answer)
		}
		return
	}
}

func TestDeploymentsAreListedAsAskedFor(t *testing.T) {
	b := newBench(t)
	begin := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for i, service := range []string{"shop", "cart", "shop", "till", "shop"} {
		b.stored(fmt.Sprint("d", i), service, []string{"production", "staging"}[i%2], begin.Add(time.Duration(i)*time.Hour))
	}
	b.becomes("d0", adg.Succeeded)
	b.becomes("d2", adg.RolledBack)
	for what, c := range map[string]struct{ query, want string }{
		"all":                {"", "d4 d3 d2 d1 d0"},
		"the oldest first":   {"order=DEPLOYMENT_ORDER_OLDEST", "d0 d1 d2 d3 d4"},
		"services":           {"services=till&services=cart", "d3 d1"},
		"states":             {"states=STATE_ROLLED_BACK&states=STATE_SUCCEEDED", "d2 d0"},
		"live ones":          {"live=true&services=shop", "d4"},
		"of somebody":        {"actors=ann&environments=staging", "d3 d1"},
		"of nobody":          {"actors=bob", ""},
		"of another version": {"version=v3", ""},
		"since then":         {"fromTime=2026-01-01T03:00:00Z", "d4 d3"},
		"until then":         {"toTime=2026-01-01T02:00:00Z&order=DEPLOYMENT_ORDER_OLDEST", "d0 d1"},
	} {
		var got []string
		for token := ""; ; {
			code, page := b.ask(b.admin, "GET", "/v1/deployments?pageSize=2&"+c.query+"&pageToken="+token, "")
			if code != 200 {
				t.Fatalf("%s: %v", what, page)
			}
			for _, row := range page["deployments"].([]any) {
				got = append(got, row.(map[string]any)["id"].(string))
			}
			if token, _ = page["nextPageToken"].(string); token == "" {
				break
			}
		}
		if strings.Join(got, " ") != c.want {
			t.Errorf("%s: %v", what, got)
		}
	}
}

// rows is what a watcher has after what it was told.
type rows struct {
	stream adgv1.DeploymentService_WatchDeploymentsClient
	have   map[string]adgv1.State
}

func (b *bench) watch(token string, r *adgv1.WatchDeploymentsRequest) *rows {
	b.Helper()
	stream, err := adgv1.NewDeploymentServiceClient(b.grpc()).WatchDeployments(as(b.Context(), token), r)
	b.must(err)
	w := &rows{stream, map[string]adgv1.State{}}
	for complete := false; !complete; {
		complete = b.told(w).GetComplete()
	}
	return w
}

func (b *bench) told(w *rows) *adgv1.WatchDeploymentsResponse {
	b.Helper()
	answer, err := w.stream.Recv()
	b.must(err)
	for _, row := range answer.GetChanged() {
		w.have[row.GetId()] = row.GetState()
	}
	for _, id := range answer.GetGone() {
		if _, known := w.have[id]; !known {
			b.Errorf("%s is gone, and never came", id)
		}
		delete(w.have, id)
	}
	return answer
}

// until waits until a watcher has these rows.
func (b *bench) until(what string, w *rows, want ...string) {
	b.Helper()
	for {
		var have []string
		for id, state := range w.have {
			have = append(have, id+" "+state.String())
		}
		slices.Sort(have)
		if slices.Equal(have, want) {
			return
		}
		if b.Context().Err() != nil {
			b.Fatalf("%s: %v, want %v", what, have, want)
		}
		b.told(w)
	}
}

func TestListsOfDeploymentsAreWatched(t *testing.T) {
	b := newBench(t)
	for _, id := range []string{"d0", "d1"} {
		b.stored(id, "shop", "production", time.Now())
	}
	b.stored("t0", "till", "production", time.Now())
	b.becomes("d0", adg.Succeeded)
	live := b.watch(b.viewer, &adgv1.WatchDeploymentsRequest{Live: true})
	all := b.watch(b.viewer, &adgv1.WatchDeploymentsRequest{})
	rolling := b.watch(b.admin, &adgv1.WatchDeploymentsRequest{States: []adgv1.State{adgv1.State_STATE_ROLLING}})
	b.until("live, at first", live, "d1 STATE_PENDING")
	b.until("all, at first", all, "d0 STATE_SUCCEEDED", "d1 STATE_PENDING")
	b.until("rolling, at first", rolling)
	b.stored("d2", "shop", "production", time.Now())
	b.becomes("d1", adg.Rolling)
	b.becomes("t0", adg.Rolling)
	b.until("live", live, "d1 STATE_ROLLING", "d2 STATE_PENDING")
	b.until("all", all, "d0 STATE_SUCCEEDED", "d1 STATE_ROLLING", "d2 STATE_PENDING")
	b.until("rolling", rolling, "d1 STATE_ROLLING", "t0 STATE_ROLLING")
	b.becomes("d1", adg.Succeeded)
	b.becomes("t0", adg.Held)
	b.until("live, after one has ended", live, "d2 STATE_PENDING")
	b.until("all, after one has ended", all, "d0 STATE_SUCCEEDED", "d1 STATE_SUCCEEDED", "d2 STATE_PENDING")
	b.until("rolling, in the end", rolling)
	// With nothing to tell there are signs of life, and nothing is complete twice.
	for range 2 {
		if sign := b.told(live); len(sign.GetChanged())+len(sign.GetGone()) > 0 || sign.GetComplete() || !sign.GetTime().IsValid() {
			t.Errorf("a sign of life: %v", sign)
		}
	}
}

func TestWatchedDeploymentIsSentUntilItHasEnded(t *testing.T) {
	b := newBench(t)
	b.stored("d0", "shop", "production", time.Now())
	stream, err := adgv1.NewDeploymentServiceClient(b.grpc()).WatchDeployment(as(t.Context(), b.viewer), &adgv1.WatchDeploymentRequest{Id: "d0"})
	b.must(err)
	var states []string
	for next := map[adgv1.State]adg.State{adgv1.State_STATE_PENDING: adg.Rolling, adgv1.State_STATE_ROLLING: adg.Succeeded}; ; {
		answer, err := stream.Recv()
		if err != nil {
			break
		}
		if d := answer.GetDeployment(); d != nil {
			state := d.GetStatus().GetState()
			if states = append(states, state.String()); state != adgv1.State_STATE_SUCCEEDED {
				b.becomes("d0", next[state])
			}
		}
	}
	if want := []string{"STATE_PENDING", "STATE_ROLLING", "STATE_SUCCEEDED"}; !slices.Equal(states, want) {
		t.Errorf("%v", states)
	}
}

func TestWatchedDeploymentIsSentAgainWhenOnlyItsHealthHasChanged(t *testing.T) {
	b := newBench(t)
	b.stored("d0", "shop", "production", time.Now())
	ctx, cancel := context.WithTimeout(as(t.Context(), b.viewer), time.Minute)
	defer cancel()
	stream, err := adgv1.NewDeploymentServiceClient(b.grpc()).WatchDeployment(ctx, &adgv1.WatchDeploymentRequest{Id: "d0"})
	b.must(err)
	var etags []string
	for len(etags) < 3 {
		answer, err := stream.Recv()
		b.must(err)
		if d := answer.GetDeployment(); d != nil {
			etags = append(etags, d.GetEtag())
			b.ticks("d0", func(next *adg.Status, _ time.Time) { next.Health, next.Score = adg.Degraded, next.Score+1 })
		}
	}
	if etags[0] != etags[1] || etags[1] != etags[2] {
		t.Errorf("its state has changed: %v", etags)
	}
}

func TestDeadDeliveriesAreListedAndTriedAgain(t *testing.T) {
	b := newBench(t)
	b.stored("shop", "shop", "production", time.Now())
	b.stored("till", "till", "production", time.Now())
	b.becomes("shop", adg.Pending, fact("shop/held/1", "shop", time.Now()))
	b.becomes("till", adg.Pending, fact("till/held/1", "till", time.Now()))
	abandon := func() {
		all, err := b.store.Undelivered(t.Context(), "test", time.Minute, 10)
		b.must(err)
		for _, d := range all {
			b.must(b.store.Abandon(t.Context(), d, "nobody is there"))
		}
	}
	abandon()
	client := b.events()
	page, err := client.ListDeadDeliveries(as(t.Context(), b.viewer), &adgv1.ListDeadDeliveriesRequest{Notifier: "chat"})
	b.must(err)
	if all := page.GetDeliveries(); len(all) != 1 || all[0].GetFact().GetService() != "shop" || all[0].GetError() != "nobody is there" || !all[0].GetTime().IsValid() || all[0].GetTries() != 1 {
		t.Fatalf("a viewer of the shop sees %v", all)
	}
	shop := page.GetDeliveries()[0]
	first, err := client.ListDeadDeliveries(as(t.Context(), b.admin), &adgv1.ListDeadDeliveriesRequest{PageSize: 1})
	b.must(err)
	second, err := client.ListDeadDeliveries(as(t.Context(), b.admin), &adgv1.ListDeadDeliveriesRequest{PageSize: 1, PageToken: first.GetNextPageToken()})
	b.must(err)
	till := second.GetDeliveries()[0]
	if first.GetDeliveries()[0].GetId() != shop.GetId() || till.GetFact().GetService() != "till" || second.GetNextPageToken() != "" {
		t.Errorf("%v %v", first, second)
	}
	for what, c := range map[string]struct {
		token string
		r     *adgv1.RetryDeliveryRequest
		code  codes.Code
	}{
		"without a reason":           {b.admin, &adgv1.RetryDeliveryRequest{Id: shop.GetId()}, codes.InvalidArgument},
		"what is no id":              {b.admin, &adgv1.RetryDeliveryRequest{Id: "x", Reason: "r"}, codes.InvalidArgument},
		"by a viewer":                {b.viewer, &adgv1.RetryDeliveryRequest{Id: shop.GetId(), Reason: "r"}, codes.PermissionDenied},
		"what a viewer may not see":  {b.viewer, &adgv1.RetryDeliveryRequest{Id: till.GetId(), Reason: "r"}, codes.NotFound},
		"what is not any more as it": {b.admin, &adgv1.RetryDeliveryRequest{Id: shop.GetId(), Reason: "r", Etag: "v7"}, codes.Aborted},
	} {
		if _, err := client.RetryDelivery(as(t.Context(), c.token), c.r); status.Code(err) != c.code {
			t.Errorf("%s: %v", what, err)
		}
	}
	again := &adgv1.RetryDeliveryRequest{Id: shop.GetId(), Reason: "the chat is back", Etag: shop.GetEtag(), IdempotencyKey: "once"}
	for range 2 {
		answer, err := client.RetryDelivery(as(t.Context(), b.admin), again)
		b.must(err)
		if answer.GetId() != shop.GetId() || answer.GetTries() != 0 || answer.GetEtag() == shop.GetEtag() {
			t.Errorf("%v", answer)
		}
	}
	all, err := b.store.Undelivered(t.Context(), "test", time.Minute, 10)
	b.must(err)
	if len(all) != 1 || all[0].Fact.ID != "shop/held/1" {
		t.Errorf("on its way: %v", all)
	}
	entries, err := b.store.Audit(t.Context(), adg.AuditFilter{Action: "delivery.retry"})
	b.must(err)
	denied := slices.DeleteFunc(slices.Clone(entries), func(e adg.AuditEntry) bool { return e.Outcome != adg.AuditDenied })
	if last := entries[len(entries)-1]; len(entries) != 3 || len(denied) != 2 || last.Reason != "the chat is back" || last.Outcome != adg.AuditDone {
		t.Errorf("on record: %+v", entries)
	}
}

func TestIfMatchIsTheEtagOfAChange(t *testing.T) {
	b := newBench(t)
	b.furnish()
	_, d := b.ask(b.admin, "POST", "/v1/deployments", start)
	path := "/v1/deployments/" + d["id"].(string)
	send := func(method, path, match, body string) (int, http.Header) {
		t.Helper()
		r, err := http.NewRequestWithContext(t.Context(), method, "http://"+b.address+path, strings.NewReader(body))
		b.must(err)
		r.Header.Set("Authorization", "Bearer "+b.admin)
		if match != "" {
			r.Header.Set("If-Match", match)
		}
		answer, err := http.DefaultClient.Do(r)
		b.must(err)
		_ = answer.Body.Close()
		return answer.StatusCode, answer.Header
	}
	_, head := send("GET", path, "", "")
	etag := head.Get("ETag")
	if etag != `"`+d["etag"].(string)+`"` {
		t.Fatalf("the etag is %q", etag)
	}
	for _, c := range []struct {
		name, method, path, match, body string
		code                            int
	}{
		{"a list in the header", "POST", path + ":hold", etag + `, "b"`, `{"reason": "wait"}`, 400},
		{"anything", "POST", path + ":hold", "*", `{"reason": "wait"}`, 400},
		{"another one than the body's", "POST", path + ":hold", etag, `{"reason": "wait", "etag": "other"}`, 400},
		{"an old one", "POST", path + ":hold", `"old"`, `{"reason": "wait"}`, 409},
		{"the one that was looked at", "POST", path + ":hold", etag, `{"reason": "wait"}`, 200},
		{"the same as the body's", "POST", path + ":hold", etag, `{"reason": "wait", "etag": ` + etag + `}`, 200},
		{"where there is no etag", "POST", "/v1/deployments:plan", etag, `{"environment": "production", "release": {"service": "shop", "version": "v2"}}`, 400},
		{"where nothing is changed", "GET", path, `"old"`, "", 200},
		{"an old policy", "PUT", "/v1/policies/shop/production", `"v7"`, `{"reason": "r", "text": "` + policy + `"}`, 409},
		{"a connection that is dropped, and old", "DELETE", "/v1/connections/prom?reason=r", `"v7"`, "", 409},
	} {
		if code, _ := send(c.method, c.path, c.match, c.body); code != c.code {
			t.Errorf("%s: %d", c.name, code)
		}
	}
}
