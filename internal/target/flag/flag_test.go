package flag

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

func TestANoteIsReadAsItWasWrittenAndLeavesWhatPeopleWrote(t *testing.T) {
	var n notes
	for _, name := range []string{"a", "b", "c", "d", "b"} {
		n = n.with(note{OpID: name + "/1", Deployment: name, Fence: 7, Share: 12.5})
	}
	text := n.onto("everybody, slowly")
	if !strings.HasPrefix(text, "everybody, slowly adg:[") {
		t.Errorf("the text is %q", text)
	}
	if diff := cmp.Diff(n, notesIn(text)); diff != "" {
		t.Error(diff)
	}
	var order []string
	for _, e := range n {
		order = append(order, e.Deployment)
	}
	if diff := cmp.Diff([]string{"b", "d", "c"}, order); diff != "" {
		t.Errorf("the deployments that are remembered:\n%s", diff)
	}
	again := notes{{OpID: "e/1", Deployment: "e"}}.onto(text)
	if strings.Count(again, opening) != 1 || !strings.HasPrefix(again, "everybody, slowly adg:[") {
		t.Errorf("the next text is %q", again)
	}
}

func TestTextThatOnlyLooksLikeANoteIsKept(t *testing.T) {
	for _, text := range []string{"adg:[who knows", "see adg:[1,2", "adg:[] and more"} {
		if found := notesIn(text); len(found) != 0 {
			t.Errorf("%q is read as %+v", text, found)
		}
		if again := (notes{{OpID: "e/1"}}).onto(text); !strings.HasPrefix(again, text) {
			t.Errorf("%q became %q", text, again)
		}
	}
}

func FuzzNote(f *testing.F) {
	f.Add(`everybody adg:[{"op":"d/1","deployment":"d","fence":1,"share":25}]`)
	f.Add(`adg:[`)
	f.Add(`adg:[adg:[{}]`)
	f.Fuzz(func(t *testing.T, text string) {
		n := notes{{OpID: "d/2", Deployment: "d", Fence: 2, Share: 50}}
		got, found := notesIn(n.onto(text)).of("d")
		if !found || got != n[0] {
			t.Errorf("after %q the note is %+v", text, got)
		}
	})
}

// TestADialNeverGivesTheReleaseToMoreThanItWasOrWillBe breaks a way off at every step.
func TestADialNeverGivesTheReleaseToMoreThanItWasOrWillBe(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		on, percent := rapid.Bool().Draw(t, "on"), float64(rapid.IntRange(0, 100).Draw(t, "percent"))
		want := float64(rapid.IntRange(0, 100).Draw(t, "want"))
		left := rapid.IntRange(0, 4).Draw(t, "steps")
		share := func() float64 {
			if !on {
				return 0
			}
			return percent
		}
		was, noted := share(), "before"
		step := func() error {
			if left--; left < 0 {
				return errors.New("killed")
			}
			return nil
		}
		check := func() {
			if now := share(); now != was && now != 0 && now != want {
				t.Fatalf("on the way from %g %% to %g %%, %g %% have it on", was, want, now)
			}
		}
		err := Dial{
			On: on, Percent: percent, Text: noted,
			Switch: func(_ context.Context, to bool) error {
				if err := step(); err != nil {
					return err
				}
				on = to
				check()
				return nil
			},
			Set: func(_ context.Context, to float64, text string) error {
				if err := step(); err != nil {
					return err
				}
				percent, noted = to, text
				check()
				return nil
			},
		}.Turn(t.Context(), want, "after")
		if err == nil && (share() != want || noted != "after") {
			t.Fatalf("%g %% have it on, want %g %%; the text is from %s", share(), want, noted)
		}
		if err != nil && noted == "after" {
			t.Fatal("the text says that all of it was written")
		}
	})
}

func TestTheQueryOfTheBaseIsPartOfEveryRequest(t *testing.T) {
	for _, c := range []struct {
		name, base string
		query      url.Values
		want       string
	}{
		{"none at all", "", nil, ""},
		{"the base's alone, as it was written", "?b=2&a=%2f", nil, "b=2&a=%2f"},
		{"the request's alone", "", url.Values{"env": {"production"}}, "env=production"},
		{"both", "?b=2", url.Values{"env": {"production"}}, "b=2&env=production"},
	} {
		asked := "nothing"
		server := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { asked = r.URL.RawQuery }))
		client, err := remote.New(remote.Defaults())
		if err != nil {
			t.Fatal(err)
		}
		base, err := url.Parse(server.URL + "/base" + c.base)
		if err != nil {
			t.Fatal(err)
		}
		api := API{Client: client, Base: base}
		if _, err := api.Do(t.Context(), Request{Method: http.MethodGet, Path: []string{"a"}, Query: c.query}); err != nil || asked != c.want {
			t.Errorf("%s: asked for %q, want %q, %v", c.name, asked, c.want, err)
		}
		server.Close()
		_ = client.Close()
	}
}

func TestAnswersOfAPlatformAreErrorsOfTheirKind(t *testing.T) {
	for _, c := range []struct {
		name      string
		status    int
		body      string
		code      adg.Code
		permanent bool
		changed   bool
		wait      time.Duration
	}{
		{"all is well", 200, `{}`, adg.Internal, false, false, 0},
		{"not there", 404, ``, adg.NotFound, true, false, 0},
		{"gone for good", 410, ``, adg.NotFound, true, false, 0},
		{"a conflict", 409, `busy`, adg.Unavailable, false, true, 0},
		{"not as it was read", 412, ``, adg.Unavailable, false, true, 0},
		{"too many requests", 429, ``, adg.Unavailable, false, false, 4 * time.Second},
		{"no rights", 403, ``, adg.Unauthorized, true, false, 0},
		{"a page for people", 200, `<html>`, adg.Unavailable, false, false, 0},
		{"broken", 500, ``, adg.Unavailable, false, false, 0},
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.EscapedPath() != "/base/a%2Fb" {
				t.Errorf("%s: the path is %s", c.name, r.URL.EscapedPath())
			}
			w.WriteHeader(c.status)
			_, _ = fmt.Fprint(w, c.body)
		}))
		client, err := remote.New(remote.Defaults())
		if err != nil {
			t.Fatal(err)
		}
		base, err := url.Parse(server.URL + "/base")
		if err != nil {
			t.Fatal(err)
		}
		api := API{Client: client, Base: base, Wait: func(http.Header) (time.Duration, bool) { return 4 * time.Second, true }}
		var out map[string]any
		_, err = api.Do(t.Context(), Request{Method: http.MethodGet, Path: []string{"a/b"}, Out: &out})
		if adg.CodeOf(err) != c.code || adg.IsPermanent(err) != c.permanent || errors.Is(err, ErrChanged) != c.changed || (err == nil) != (c.name == "all is well") {
			t.Errorf("%s: %v (%s)", c.name, err, adg.CodeOf(err))
		}
		if wait, told := adg.RetryAfter(err); told != (c.wait > 0) || wait != c.wait {
			t.Errorf("%s: wait %s", c.name, wait)
		}
		server.Close()
		_ = client.Close()
	}
}
