package identity

import (
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

// with is the house as another replica with other settings sees it.
func (h *house) with(t *testing.T, o Options) {
	t.Helper()
	o.Argon = cheap
	d, err := New(h.store, o)
	h.must(t, err)
	h.Directory = d
}

func TestWhoHasTooManySessionsLosesTheOldestThatIsStillOpen(t *testing.T) {
	h := newHouse(t)
	h.with(t, Options{Sessions: 3})
	var open []adg.Secret
	for range 4 {
		o, err := h.login(t, "root", good)
		h.must(t, err)
		open = append(open, o.Credential)
		h.wait(time.Second)
	}
	valid := func(want ...bool) {
		t.Helper()
		for i, c := range open {
			if _, err := h.Authenticate(t.Context(), c.Reveal()); (err == nil) != want[i] {
				t.Errorf("session %d: %v", i, err)
			}
		}
	}
	valid(false, true, true, true)
	h.must(t, h.EndSession(t.Context(), h.root, open[3].Reveal())) // makes room, though it is not the oldest
	o, err := h.login(t, "root", good)
	h.must(t, err)
	open = append(open, o.Credential)
	valid(false, true, true, false, true)
}

func TestSessionsAndTokensLastAsLongAsTheSettingsSay(t *testing.T) {
	h := newHouse(t)
	h.with(t, Options{SessionLife: 10 * time.Minute, SessionIdle: 2 * time.Minute, TokenLife: time.Hour, MaxTokenLife: 2 * time.Hour})
	o, err := h.login(t, "root", good)
	h.must(t, err)
	for range 9 { // in use it stays open, to the end of its life
		h.wait(time.Minute)
		h.caller(t, o.Credential)
	}
	h.wait(time.Minute + time.Second)
	_, err = h.Authenticate(t.Context(), o.Credential.Reveal())
	refused(t, err, adg.Unauthorized, "session is over")
	o, err = h.login(t, "root", good)
	h.must(t, err)
	h.wait(2*time.Minute + time.Second)
	_, err = h.Authenticate(t.Context(), o.Credential.Reveal())
	refused(t, err, adg.Unauthorized, "session is over")

	_, made := h.token(t, h.person(t, "root"), NewToken{})
	if life := made.Expires.Sub(made.Created); life != time.Hour || h.LongestToken() != 2*time.Hour {
		t.Errorf("a token lives %s", life)
	}
	_, _, err = h.CreateToken(t.Context(), h.person(t, "root"), NewToken{Label: "x", Life: 2*time.Hour + time.Second})
	refused(t, err, adg.Invalid, "lives between")
}

func TestTheFirstWaitComesAfterAsManyFailuresAsTheSettingsSay(t *testing.T) {
	h := newHouse(t)
	h.with(t, Options{Attempts: 2, Lockout: 2 * time.Minute})
	for range 2 {
		_, err := h.login(t, "root", other)
		refused(t, err, adg.Unauthorized, wrongLogin)
	}
	_, err := h.login(t, "root", good)
	if wait, _ := adg.RetryAfter(err); wait.Round(time.Second) != 2*time.Minute {
		t.Errorf("waits %s: %v", wait, err)
	}
}
