package intake_test

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/intake"
)

const good = `{"service":"shop","environment":"production","version":"v2","artifact":"registry/shop@sha256:1","commit":"abc","config_revision":"7","actor":"alice","reason":"a fix","idempotency_key":"build-7"}`

// event is a CloudEvent with that data.
func event(data string) string {
	return `{"specversion":"1.0","id":"1","source":"/ci","type":"` + intake.DefaultType + `","data":` + data + `}`
}

func TestEventBecomesAnAnnouncement(t *testing.T) {
	got, err := intake.FromEvent([]byte(event(good)), intake.DefaultType)
	want := intake.Announcement{
		Service: "shop", Environment: "production", Version: "v2", Artifact: "registry/shop@sha256:1", Commit: "abc", ConfigRevision: "7",
		Actor: "alice", Reason: "a fix", IdempotencyKey: "build-7", Origin: "/ci",
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v %s", err, diff)
	}
}

func TestEventWithoutAKeyHasOneOfItsOwn(t *testing.T) {
	const least = `{"service":"shop","environment":"production","version":"v2"}`
	keys := map[string]bool{}
	for _, text := range []string{event(least), strings.Replace(event(least), `"id":"1"`, `"id":"2"`, 1), strings.Replace(event(least), `"/ci"`, `"/ci2"`, 1), event(least)} {
		a, err := intake.FromEvent([]byte(text), intake.DefaultType)
		if err != nil {
			t.Fatal(err)
		}
		keys[a.IdempotencyKey] = true
	}
	if len(keys) != 3 {
		t.Errorf("three events and a repeat have %d keys", len(keys))
	}
}

func TestEventThatIsNoAnnouncementIsRefused(t *testing.T) {
	replace := func(old, by string) string { return event(strings.Replace(good, old, by, 1)) }
	for _, c := range []struct{ name, text, want string }{
		{"no JSON", `deploy!`, "no JSON object"},
		{"an array", `[]`, "no JSON object"},
		{"something after the event", event(good) + "{}", "after the JSON"},
		{"an attribute given twice", strings.Replace(event(good), `"id":"1"`, `"id":"1","id":"2"`, 1), "given twice"},
		{"an event of another type", strings.Replace(event(good), ".announce.", ".rolled_back.", 1), "of type"},
		{"an event of another version", strings.Replace(event(good), `"1.0"`, `"0.3"`, 1), "specversion"},
		{"no id", strings.Replace(event(good), `"id":"1",`, ``, 1), "id is missing"},
		{"a time that is none", strings.Replace(event(good), `"id":"1"`, `"id":"1","time":"noon"`, 1), "time"},
		{"no data", `{"specversion":"1.0","id":"1","source":"/ci","type":"` + intake.DefaultType + `"}`, "data"},
		{"data that is text", event(`"shop"`), "no JSON object"},
		{"an unknown field", replace(`"commit"`, `"comit"`), `unknown field "comit"`},
		{"a field in capitals", replace(`"commit"`, `"Commit"`), "unknown field"},
		{"a field given twice", replace(`"commit":"abc"`, `"commit":"abc","commit":"abd"`), "given twice"},
		{"a version that is a number", replace(`"v2"`, `2`), "version is no text"},
		{"a version that is null", replace(`"v2"`, `null`), "version is no text"},
		{"no service", replace(`"service":"shop",`, ``), "service"},
		{"a service with a slash", replace(`"shop"`, `"shop/x"`), "service"},
		{"an environment that is a command", replace(`"production"`, `"$(id)"`), "environment"},
		{"a version that is an option", replace(`"v2"`, `"--force"`), "version"},
		{"an artifact with a space", replace(`registry/shop`, `registry/ shop`), "artifact"},
		{"a reason with an escape", replace(`a fix`, `a \u001b[31mfix`), "reason"},
		{"a reason that is a book", replace(`a fix`, strings.Repeat("x", 1025)), "reason"},
		{"an actor that reorders what is read", replace(`alice`, `a\u202elice`), "actor"},
		{"a key with a space", replace(`build-7`, `build 7`), "idempotency_key"},
		{"an event as large as a film", event(good) + strings.Repeat(" ", 256<<10), "bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := intake.FromEvent([]byte(c.text), intake.DefaultType)
			if adg.CodeOf(err) != adg.Invalid || !strings.Contains(fmt.Sprint(err), c.want) {
				t.Errorf("got %v, want it to be about %s", err, c.want)
			}
		})
	}
}

func FuzzFromEvent(f *testing.F) {
	f.Add(event(good))
	f.Add(event(`{}`))
	f.Add(event(`{"service":"\ud800"}`))
	f.Add(`{"data_base64":"e30="}`)
	f.Add("{\"a\":1}\xff")
	f.Fuzz(func(t *testing.T, text string) {
		a, err := intake.FromEvent([]byte(text), intake.DefaultType)
		if err != nil {
			if adg.CodeOf(err) != adg.Invalid {
				t.Errorf("a bad event is %s: %v", adg.CodeOf(err), err)
			}
			return
		}
		if err := a.Validate(); err != nil {
			t.Errorf("an invalid announcement came through: %v", err)
		}
		origin := a.Origin
		a.Origin = ""
		data, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		again, err := intake.FromEvent([]byte(event(string(data))), intake.DefaultType)
		again.Origin = ""
		if err != nil || again != a {
			t.Errorf("%+v of %q became %+v: %v", a, origin, again, err)
		}
	})
}

func TestBindingAllowsWhatItNamesOnly(t *testing.T) {
	a := intake.Announcement{Service: "shop-eu", Environment: "production", Version: "v2", Ref: "refs/tags/v2", IdempotencyKey: "k"}
	for _, c := range []struct {
		name    string
		binding intake.Binding
		allowed bool
	}{
		{"the names as they are", intake.Binding{Service: "shop-eu", Environment: "production", Ref: "refs/tags/v2"}, true},
		{"patterns", intake.Binding{Service: "shop-*", Environment: "prod*", Ref: "refs/tags/*"}, true},
		{"stars in the middle", intake.Binding{Service: "s*p-*u", Environment: "*", Ref: "*"}, true},
		{"another service", intake.Binding{Service: "shop", Environment: "production", Ref: "*"}, false},
		{"a pattern for others", intake.Binding{Service: "*-us", Environment: "production", Ref: "*"}, false},
		{"another environment", intake.Binding{Service: "*", Environment: "staging", Ref: "*"}, false},
		{"branches, and this is a tag", intake.Binding{Service: "*", Environment: "*", Ref: "refs/heads/*"}, false},
		{"announcements without a ref", intake.Binding{Service: "*", Environment: "*"}, false},
		{"a text that the ends of the pattern would have to share", intake.Binding{Service: "shop-eu*eu", Environment: "*", Ref: "*"}, false},
		{"nothing", intake.Binding{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			err := c.binding.Allows(a)
			if (err == nil) != c.allowed || err != nil && adg.CodeOf(err) != adg.Unauthorized {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestStarStandsForAnyTextAndEverythingElseForItself(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		parts := rapid.SliceOfN(rapid.StringMatching(`[ab.]{0,3}`), 2, 4).Draw(t, "parts")
		fill := rapid.SliceOfN(rapid.StringMatching(`[abc/]{0,3}`), len(parts)-1, len(parts)-1).Draw(t, "fill")
		text := parts[0]
		for i, f := range fill {
			text += f + parts[i+1]
		}
		b := intake.Binding{Service: strings.Join(parts, "*"), Environment: "*", Ref: "*"}
		if err := b.Allows(intake.Announcement{Service: text}); err != nil {
			t.Errorf("%v", err)
		}
		if err := b.Allows(intake.Announcement{Service: "x" + text}); err == nil && parts[0] != "" {
			t.Errorf("%q was taken for %q", "x"+text, b.Service)
		}
	})
}

func TestBindingThatSaysNothingIsRefused(t *testing.T) {
	for _, b := range []intake.Binding{{}, {Service: "*"}, {Service: "a/b", Environment: "*"}, {Service: "*********", Environment: "*"}} {
		if err := b.Check(); adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%+v: %v", b, err)
		}
	}
	if err := (intake.Binding{Service: "shop-*", Environment: "*"}).Check(); err != nil {
		t.Error(err)
	}
}

func TestGateDecidesWhatBecomesOfAMessage(t *testing.T) {
	var aside []string
	g := &intake.Gate{
		Binding: intake.Binding{Service: "shop", Environment: "*"},
		Aside:   func(message []byte, why error) { aside = append(aside, fmt.Sprintf("%.20s: %v", message, why)) },
	}
	says := func(err error) intake.Handler {
		return func(context.Context, intake.Announcement) error { return err }
	}
	for _, c := range []struct {
		name    string
		message string
		handler error
		want    intake.Outcome
	}{
		{"handled", event(good), nil, intake.Done},
		{"the handler cannot now", event(good), adg.Errorf(adg.Unavailable, "no store"), intake.Again},
		{"the handler never can", event(good), adg.Permanent(adg.Errorf(adg.NotFound, "no policy")), intake.Poison},
		{"no announcement", "hello", nil, intake.Poison},
		{"not allowed here", strings.Replace(event(good), "shop", "bank", 1), nil, intake.Poison},
	} {
		got, err := g.Take(t.Context(), []byte(c.message), says(c.handler))
		if got != c.want || (err == nil) != (got == intake.Done) {
			t.Errorf("%s: %d, %v", c.name, got, err)
		}
	}
	if diff := cmp.Diff(intake.Counts{Taken: 1, Aside: 3, Failed: 1}, g.Counts()); diff != "" || len(aside) != 3 {
		t.Errorf("%s %v", diff, aside)
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if got, _ := g.Take(ended, []byte(event(good)), says(adg.Permanent(ended.Err()))); got != intake.Again {
		t.Errorf("what was interrupted became %d", got)
	}
}
