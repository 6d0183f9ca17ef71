package identity_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/identity/device"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

const secret = "correct horse battery"

// town is a directory on a real store, with an admin called root and a user called ann.
type town struct {
	*identity.Directory
	store adg.Store
	root  identity.Caller
	mu    sync.Mutex
	ahead time.Duration
}

func newTown(t *testing.T) *town {
	t.Helper()
	w, begin := &town{}, time.Now()
	store, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{Clock: func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return begin.Add(w.ahead)
	}})
	ok(t, err)
	t.Cleanup(func() { store.Close() })
	w.store = store
	w.Directory, err = identity.New(store, identity.Options{Argon: identity.Argon{Memory: 8, Passes: 1, Threads: 1}})
	ok(t, err)
	first, err := w.Bootstrap(t.Context())
	ok(t, err)
	by := w.shows(t, first)
	ok(t, w.CreateUser(t.Context(), by, "root", adg.NewSecret(secret)))
	ok(t, w.CreateUserWith(t.Context(), by, "ann", adg.NewSecret(secret), identity.Profile{DisplayName: "Ann", Email: "ann@example.com"}))
	ok(t, w.Grant(t.Context(), by, identity.Binding{Subject: "user:root", Role: identity.Admin, Service: "*", Environment: "*"}))
	w.root = w.shows(t, w.opens(t, "root", "browser").Credential)
	return w
}

func (w *town) wait(d time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.ahead += d
}

func (w *town) shows(t *testing.T, credential adg.Secret) identity.Caller {
	t.Helper()
	who, err := w.Authenticate(t.Context(), credential.Reveal())
	ok(t, err)
	return identity.Caller{Identity: who, From: "192.0.2.7"}
}

func (w *town) opens(t *testing.T, name, agent string) identity.Opened {
	t.Helper()
	o, err := w.Login(t.Context(), identity.Attempt{Name: name, Password: adg.NewSecret(secret), From: "192.0.2.7", Agent: agent})
	ok(t, err)
	return o
}

func ok(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func says(t *testing.T, err error, code adg.Code, text string) {
	t.Helper()
	if err == nil || adg.CodeOf(err) != code || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v (%v), want %v with %q", err, adg.CodeOf(err), code, text)
	}
}

func on[T any](v T) *T { return &v }

func TestAUserSeesHimselfAndOnlyAdminsSeeOthers(t *testing.T) {
	w := newTown(t)
	ann := w.shows(t, w.opens(t, "ann", "").Credential)
	got, err := w.User(t.Context(), ann, "ann")
	if err != nil || got.DisplayName != "Ann" || got.Email != "ann@example.com" || got.Locked || got.Version == 0 {
		t.Errorf("got %+v %v", got, err)
	}
	_, err = w.User(t.Context(), ann, "root")
	says(t, err, adg.Unauthorized, "identity.read")
	_, err = w.User(t.Context(), ann, "nobody")
	says(t, err, adg.Unauthorized, "identity.read")
	_, err = w.User(t.Context(), w.root, "nobody")
	says(t, err, adg.NotFound, "nobody")
	listed, err := w.Users(t.Context(), w.root, "", 0)
	ok(t, err)
	if diff := cmp.Diff(got, listed[0]); diff != "" {
		t.Error(diff)
	}
}

func TestAnUpdateChangesWhatItNamesAndNothingElse(t *testing.T) {
	w := newTown(t)
	tests := map[string]struct {
		update identity.Update
		want   func(*identity.User)
		record []string
	}{
		"his address":          {identity.Update{Email: on("a@example.com")}, func(u *identity.User) { u.Email = "a@example.com" }, []string{"user.update"}},
		"no name for people":   {identity.Update{DisplayName: on("")}, func(u *identity.User) { u.DisplayName = "" }, []string{"user.update"}},
		"kept out":             {identity.Update{Disabled: on(true)}, func(u *identity.User) { u.Disabled = true }, []string{"user.disable"}},
		"let in with a secret": {identity.Update{Disabled: on(false), Password: on(adg.NewSecret("staple of another kind"))}, func(*identity.User) {}, []string{"user.enable", "user.password"}},
		"nothing":              {identity.Update{}, func(*identity.User) {}, nil},
	}
	for name, tt := range tests {
		ok(t, w.CreateUserWith(t.Context(), w.root, "bob", adg.NewSecret(secret), identity.Profile{DisplayName: "Bob"}))
		want, err := w.User(t.Context(), w.root, "bob")
		ok(t, err)
		before := len(recorded(t, w))
		by := w.root
		by.Version = want.Version
		got, err := w.UpdateUser(t.Context(), by, "bob", tt.update)
		ok(t, err)
		tt.want(&want)
		want.Version = got.Version
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
		if diff := cmp.Diff(tt.record, recorded(t, w)[before:]); diff != "" && len(tt.record) > 0 {
			t.Errorf("%s: on record: %s", name, diff)
		}
		ok(t, w.RemoveUser(t.Context(), w.root, "bob"))
	}
}

// recorded are the actions on record.
func recorded(t *testing.T, w *town) []string {
	t.Helper()
	entries, err := w.store.Audit(t.Context(), adg.AuditFilter{Limit: 1000})
	ok(t, err)
	var actions []string
	for _, e := range entries {
		actions = append(actions, e.Action)
	}
	return actions
}

func TestAnUpdateThatMayNotBeChangesNothing(t *testing.T) {
	w := newTown(t)
	ann := w.shows(t, w.opens(t, "ann", "").Credential)
	stale := w.root
	stale.Version = 1000
	_, err := w.Admit(t.Context(), identity.External{Name: "sso", Issuer: "https://id.example.com", Subject: "1"}, "")
	ok(t, err)
	before, err := w.Users(t.Context(), w.root, "", 0)
	ok(t, err)
	tests := map[string]struct {
		by     identity.Caller
		name   string
		update identity.Update
		code   adg.Code
		says   string
	}{
		"by oneself":                       {ann, "ann", identity.Update{DisplayName: on("A")}, adg.Unauthorized, "identity.write"},
		"of somebody who is not there":     {w.root, "nobody", identity.Update{DisplayName: on("A")}, adg.NotFound, ""},
		"of what has changed since":        {stale, "ann", identity.Update{DisplayName: on("A")}, adg.Conflict, "changed since"},
		"that keeps the last admin out":    {w.root, "root", identity.Update{Disabled: on(true)}, adg.Conflict, "last admin"},
		"with a name of two lines":         {w.root, "ann", identity.Update{DisplayName: on("A\nB")}, adg.Invalid, "display name"},
		"with an address without end":      {w.root, "ann", identity.Update{Email: on(strings.Repeat("a", 201))}, adg.Invalid, "email"},
		"with a password that is short":    {w.root, "ann", identity.Update{Password: on(adg.NewSecret("short"))}, adg.Invalid, "short"},
		"with a password for a provider's": {w.root, "sso", identity.Update{Password: on(adg.NewSecret(secret))}, adg.Conflict, "no password here"},
	}
	for name, tt := range tests {
		_, err := w.UpdateUser(t.Context(), tt.by, tt.name, tt.update)
		if err == nil || adg.CodeOf(err) != tt.code || !strings.Contains(err.Error(), tt.says) {
			t.Errorf("%s: got %v", name, err)
		}
	}
	says(t, w.RemoveUser(t.Context(), stale, "ann"), adg.Conflict, "changed since")
	after, err := w.Users(t.Context(), w.root, "", 0)
	ok(t, err)
	if diff := cmp.Diff(before, after); diff != "" {
		t.Error(diff)
	}
}

func TestADisabledUserAndOneWithANewPasswordHaveNoSessions(t *testing.T) {
	w := newTown(t)
	for name, u := range map[string]identity.Update{"disabled": {Disabled: on(true)}, "new password": {Password: on(adg.NewSecret(secret + "!"))}} {
		ok(t, w.CreateUser(t.Context(), w.root, "bob", adg.NewSecret(secret)))
		o := w.opens(t, "bob", "")
		_, err := w.UpdateUser(t.Context(), w.root, "bob", u)
		ok(t, err)
		if _, err := w.Authenticate(t.Context(), o.Credential.Reveal()); adg.CodeOf(err) != adg.Unauthorized {
			t.Errorf("%s: the session is answered %v", name, err)
		}
		if open, err := w.Sessions(t.Context(), w.root, "bob"); len(open) > 0 || err != nil {
			t.Errorf("%s: got %v %v", name, open, err)
		}
		ok(t, w.RemoveUser(t.Context(), w.root, "bob"))
	}
}

func TestSessionsAreSeenWithWhereTheyWereOpenedAndEndOneByOne(t *testing.T) {
	w := newTown(t)
	first := w.shows(t, w.opens(t, "ann", "old\nbrowser").Credential)
	w.wait(time.Minute)
	second := w.opens(t, "ann", strings.Repeat("é", 300))
	ann := w.shows(t, second.Credential)
	if ann.Session == "" || ann.Session == first.Session || !ann.Until.Equal(second.Until) {
		t.Errorf("the sessions are %q and %q until %v", first.Session, ann.Session, ann.Until)
	}
	open, err := w.Sessions(t.Context(), ann, "ann")
	if err != nil || len(open) != 2 {
		t.Fatalf("got %v %v", open, err)
	}
	if open[0].ID != ann.Session || open[1].ID != first.Session || open[1].From != "192.0.2.7" || strings.ContainsAny(open[1].Agent, "\n") || len(open[0].Agent) > 300 || !open[1].Until.Equal(first.Until) {
		t.Errorf("got %+v", open)
	}
	says(t, w.RevokeSession(t.Context(), ann, w.root.Session), adg.Unauthorized, "identity.write")
	says(t, w.RevokeSession(t.Context(), ann, "aaaaaaaaaaaaa"), adg.Unauthorized, "identity.write")
	says(t, w.RevokeSession(t.Context(), w.root, "aaaaaaaaaaaaa"), adg.NotFound, "")
	ok(t, w.RevokeSession(t.Context(), ann, first.Session))
	if open, err := w.Sessions(t.Context(), w.root, "ann"); err != nil || len(open) != 1 || open[0].ID != ann.Session {
		t.Errorf("got %v %v", open, err)
	}
	_, err = w.Sessions(t.Context(), ann, "root")
	says(t, err, adg.Unauthorized, "identity.read")
	w.wait(identity.SessionIdle)
	if open, err := w.Sessions(t.Context(), w.rootAgain(t), "ann"); err != nil || len(open) != 0 {
		t.Errorf("sessions that are over are seen: %v %v", open, err)
	}
}

func (w *town) rootAgain(t *testing.T) identity.Caller {
	t.Helper()
	return w.shows(t, w.opens(t, "root", "").Credential)
}

func TestUnlockingForgetsTheWrongPasswords(t *testing.T) {
	w := newTown(t)
	try := func(ctx context.Context) error {
		_, err := w.Login(ctx, identity.Attempt{Name: "ann", Password: adg.NewSecret("wrong wrong wrong")})
		return err
	}
	for range 5 {
		says(t, try(t.Context()), adg.Unauthorized, "the name or the password")
	}
	if u, err := w.User(t.Context(), w.root, "ann"); err != nil || !u.Locked {
		t.Errorf("got %+v %v", u, err)
	}
	if u, err := w.UpdateUser(t.Context(), w.root, "ann", identity.Update{Unlock: true}); err != nil || u.Locked {
		t.Errorf("got %+v %v", u, err)
	}
	w.opens(t, "ann", "")
}

func TestOnlyAPersonHimselfIsInPerson(t *testing.T) {
	w := newTown(t)
	ok(t, identity.InPerson(w.root.Identity))
	token, made, err := w.CreateToken(t.Context(), w.root, identity.NewToken{Label: "ci"})
	ok(t, err)
	program := w.shows(t, token)
	if err := identity.InPerson(program.Identity); !errors.Is(err, identity.ErrDenied) {
		t.Errorf("a token: got %v", err)
	}
	if err := identity.InPerson(identity.Identity{}); !errors.Is(err, identity.ErrDenied) {
		t.Errorf("nobody: got %v", err)
	}
	if !program.Until.Equal(made.Expires) || program.Session != "" {
		t.Errorf("got %+v", program)
	}
}

func TestADeviceIsKnownByItsCodeUntilItHasItsAnswer(t *testing.T) {
	w := newTown(t)
	f := device.New(w.store)
	begun, err := f.Begin(t.Context(), "adg on build-7", "192.0.2.7")
	ok(t, err)
	if asked, err := f.Asked(t.Context(), begun.DeviceCode.Reveal()); err != nil || asked.Client != "adg on build-7" || asked.From != "192.0.2.7" {
		t.Errorf("got %+v %v", asked, err)
	}
	if _, err := f.Asked(t.Context(), "made up"); !errors.Is(err, device.ErrUnknown) {
		t.Errorf("got %v", err)
	}
}
