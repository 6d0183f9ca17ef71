package identity

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/store/sqlite"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	good  = "correct horse battery"
	other = "staple of another kind"
)

// house is a directory on a real store, with a clock that is moved by hand, and an admin called root.
type house struct {
	*Directory
	store adg.Store
	root  Caller
	mu    sync.Mutex
	ahead time.Duration
}

func emptyHouse(t *testing.T) *house {
	t.Helper()
	h := &house{}
	begin := time.Now()
	clock := func() time.Time {
		h.mu.Lock()
		defer h.mu.Unlock()
		return begin.Add(h.ahead)
	}
	store, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	h.store, h.Directory = store, h.replica(t, store, cheap)
	return h
}

func newHouse(t *testing.T) *house {
	t.Helper()
	h := emptyHouse(t)
	first, err := h.Bootstrap(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	by := h.caller(t, first)
	h.must(t, h.CreateUser(t.Context(), by, "root", adg.NewSecret(good)))
	h.must(t, h.Grant(t.Context(), by, Binding{"user:root", Admin, "*", "*"}))
	h.root = h.person(t, "root")
	return h
}

func (h *house) replica(t *testing.T, store Store, cost Argon) *Directory {
	t.Helper()
	d, err := New(store, Options{Argon: cost})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func (h *house) must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (h *house) wait(d time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ahead += d
}

func (h *house) caller(t *testing.T, credential adg.Secret) Caller {
	t.Helper()
	id, err := h.Authenticate(t.Context(), credential.Reveal())
	h.must(t, err)
	return Caller{Identity: id, From: "192.0.2.7:4711"}
}

// person is somebody who is logged in now, with the roles that he holds now.
func (h *house) person(t *testing.T, name string) Caller {
	t.Helper()
	id, err := h.Identify(t.Context(), name)
	h.must(t, err)
	return Caller{Identity: id, From: "192.0.2.7:4711"}
}

// user makes a user with a role for shop-* in staging; RoleNone: without.
func (h *house) user(t *testing.T, name string, r Role) Caller {
	t.Helper()
	h.must(t, h.CreateUser(t.Context(), h.root, name, adg.NewSecret(good)))
	if r != RoleNone {
		h.must(t, h.Grant(t.Context(), h.root, Binding{"user:" + name, r, "shop-*", "staging"}))
	}
	return h.person(t, name)
}

func (h *house) login(t *testing.T, name, password string) (Opened, error) {
	t.Helper()
	return h.Login(t.Context(), Attempt{Name: name, Password: adg.NewSecret(password), From: "192.0.2.7:4711"})
}

func (h *house) audit(t *testing.T, action string) []adg.AuditEntry {
	t.Helper()
	entries, err := h.store.Audit(t.Context(), adg.AuditFilter{Action: action, Limit: 1000})
	h.must(t, err)
	return entries
}

func refused(t *testing.T, err error, code adg.Code, text string) {
	t.Helper()
	if err == nil || adg.CodeOf(err) != code || !strings.Contains(err.Error(), text) {
		t.Fatalf("got %v (%v), want %v with %q", err, adg.CodeOf(err), code, text)
	}
}

func TestTheTokenOfTheFirstStartMakesOneAdminAndEnds(t *testing.T) {
	h := emptyHouse(t)
	secret, err := h.Bootstrap(t.Context())
	h.must(t, err)
	second, err := h.Bootstrap(t.Context()) // of another replica
	h.must(t, err)
	by := h.caller(t, secret)
	if by.Kind != KindBootstrap || by.Person != "" {
		t.Errorf("got %+v", by)
	}
	h.must(t, h.CreateUser(t.Context(), by, "ann", adg.NewSecret(good)))
	h.must(t, h.Grant(t.Context(), by, Binding{"user:ann", Admin, "shop-*", "*"}))
	by = h.caller(t, secret) // an admin of a part is no end of it
	_, _, err = h.CreateToken(t.Context(), by, NewToken{Label: "for later"})
	refused(t, err, adg.Unauthorized, "made by people")
	h.must(t, h.Grant(t.Context(), by, Binding{"user:ann", Admin, "*", "*"}))
	for _, s := range []adg.Secret{secret, second} {
		_, err = h.Authenticate(t.Context(), s.Reveal())
		refused(t, err, adg.Unauthorized, "not valid any more")
	}
	if again, err := h.Bootstrap(t.Context()); !again.IsZero() || err != nil {
		t.Errorf("another token although there is an admin (%v)", err)
	}
	if got := h.audit(t, "bootstrap.end"); len(got) != 1 || got[0].Actor != by.Subject {
		t.Errorf("on record: %+v", got)
	}
}

func TestTheTokenOfTheFirstStartEndsAfterADay(t *testing.T) {
	h := emptyHouse(t)
	secret, err := h.Bootstrap(t.Context())
	h.must(t, err)
	h.wait(firstLife - time.Second)
	h.caller(t, secret)
	late, err := h.Bootstrap(t.Context())
	h.must(t, err)
	h.wait(2 * time.Second)
	_, err = h.Authenticate(t.Context(), secret.Reveal())
	refused(t, err, adg.Unauthorized, "not valid any more")
	h.caller(t, late)
	for range firstTokens {
		_, err := h.Bootstrap(t.Context())
		h.must(t, err)
	}
	_, err = h.Authenticate(t.Context(), late.Reveal())
	refused(t, err, adg.Unauthorized, "not valid any more")
}

func TestTheFirstAdminMayComeFromAProvider(t *testing.T) {
	h := emptyHouse(t)
	secret, err := h.Bootstrap(t.Context())
	h.must(t, err)
	by := h.caller(t, secret)
	h.must(t, h.Grant(t.Context(), by, Binding{"group:sre", Admin, "*", "*"}))
	h.caller(t, secret) // nobody of that group was ever seen
	ann := External{Name: "ann@example.com", Issuer: "https://id.example.com", Subject: "1", Groups: []string{"sre", "sre"}}
	_, err = h.Admit(t.Context(), ann, "192.0.2.1")
	h.must(t, err)
	_, err = h.Authenticate(t.Context(), secret.Reveal())
	refused(t, err, adg.Unauthorized, "not valid any more")
	refused(t, h.Revoke(t.Context(), h.person(t, ann.Name), Binding{"group:sre", Admin, "*", "*"}), adg.Conflict, "last admin")
}

func TestTheLastAdminStays(t *testing.T) {
	h := newHouse(t)
	all := Binding{"user:root", Admin, "*", "*"}
	h.user(t, "ann", Admin) // of a part only
	for name, try := range map[string]func() error{
		"disabled": func() error { return h.DisableUser(t.Context(), h.root, "root") },
		"removed":  func() error { return h.RemoveUser(t.Context(), h.root, "root") },
		"revoked":  func() error { return h.Revoke(t.Context(), h.root, all) },
	} {
		t.Run(name, func(t *testing.T) { refused(t, try(), adg.Conflict, "last admin") })
	}
	h.must(t, h.Grant(t.Context(), h.root, Binding{"user:ghost", Admin, "*", "*"}))
	refused(t, h.DisableUser(t.Context(), h.root, "root"), adg.Conflict, "last admin") // a ghost cannot log in
	h.must(t, h.Grant(t.Context(), h.root, Binding{"user:ann", Admin, "*", "*"}))
	h.must(t, h.DisableUser(t.Context(), h.root, "root"))
	refused(t, h.RemoveUser(t.Context(), h.person(t, "ann"), "ann"), adg.Conflict, "last admin")
	h.must(t, h.EnableUser(t.Context(), h.person(t, "ann"), "root"))
	h.must(t, h.RemoveUser(t.Context(), h.person(t, "root"), "ann"))
	if got, err := h.Bindings(t.Context(), h.root); err != nil || cmp.Diff([]Binding{all, {"user:ghost", Admin, "*", "*"}}, got) != "" {
		t.Errorf("the roles of a removed user are left: %v, %v", got, err)
	}
}

func TestTwoAdminsWhoRemoveEachOtherAtTheSameTimeDoNotBothGo(t *testing.T) {
	h := newHouse(t)
	h.user(t, "ann", RoleNone)
	for round := range 5 {
		h.must(t, h.Grant(t.Context(), h.root, Binding{"user:ann", Admin, "*", "*"}))
		there := h.replica(t, h.store, cheap)
		ann := h.person(t, "ann")
		var one, two error
		var both sync.WaitGroup
		both.Go(func() { one = h.Revoke(t.Context(), h.root, Binding{"user:ann", Admin, "*", "*"}) })
		both.Go(func() { two = there.DisableUser(t.Context(), ann, "root") })
		both.Wait()
		if (one == nil) == (two == nil) {
			t.Fatalf("round %d: one %v, two %v", round, one, two)
		}
		if two == nil {
			h.must(t, h.EnableUser(t.Context(), ann, "root"))
			h.must(t, h.Revoke(t.Context(), h.root, Binding{"user:ann", Admin, "*", "*"}))
		}
	}
}

func TestRolesGivenAtTheSameTimeAreAllThere(t *testing.T) {
	h := newHouse(t)
	var all sync.WaitGroup
	failed := make(chan error, 8)
	for i := range 8 {
		there := h.replica(t, h.store, cheap)
		all.Go(func() {
			failed <- there.Grant(t.Context(), h.root, Binding{"user:u" + string(rune('a'+i)), Viewer, "*", "*"})
		})
	}
	all.Wait()
	for range 8 {
		h.must(t, <-failed)
	}
	if got, err := h.Bindings(t.Context(), h.root); len(got) != 9 || err != nil {
		t.Errorf("%d roles, %v", len(got), err)
	}
}

func TestWhoMayNotIsRefusedOnRecord(t *testing.T) {
	h := newHouse(t)
	ann := h.user(t, "ann", Admin) // of shop-* in staging
	h.user(t, "bob", Viewer)
	for _, tt := range []struct {
		name, action string
		try          func(by Caller) error
	}{
		{"making a user", "user.create", func(by Caller) error { return h.CreateUser(t.Context(), by, "eve", adg.NewSecret(good)) }},
		{"disabling a user", "user.disable", func(by Caller) error { return h.DisableUser(t.Context(), by, "root") }},
		{"enabling a user", "user.enable", func(by Caller) error { return h.EnableUser(t.Context(), by, "bob") }},
		{"removing a user", "user.remove", func(by Caller) error { return h.RemoveUser(t.Context(), by, "bob") }},
		{"another's password", "user.password", func(by Caller) error { return h.SetPassword(t.Context(), by, "root", adg.NewSecret(other)) }},
		{"another's sessions", "session.end_all", func(by Caller) error { return h.EndSessions(t.Context(), by, "root") }},
		{"a role beyond one's own", "role.grant", func(by Caller) error { return h.Grant(t.Context(), by, Binding{"user:ann", Admin, "*", "*"}) }},
		{"taking a role beyond one's own", "role.revoke", func(by Caller) error { return h.Revoke(t.Context(), by, Binding{"user:root", Admin, "*", "*"}) }},
		{"a token beyond one's own roles", "token.create", func(by Caller) error {
			_, _, err := h.CreateToken(t.Context(), by, NewToken{Label: "x", Scope: []Binding{at(Admin, "*", "*")}})
			return err
		}},
		{"a token that does not exist", "token.revoke", func(by Caller) error { return h.RevokeToken(t.Context(), by, "abcdefghij234") }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			before := len(h.audit(t, tt.action))
			err := tt.try(ann)
			if refused(t, err, adg.Unauthorized, ""); !errors.Is(err, ErrDenied) {
				t.Errorf("%v is no refusal", err)
			}
			entries := h.audit(t, tt.action)
			if len(entries) != before+1 {
				t.Fatalf("%d entries, there were %d", len(entries), before)
			}
			if e := entries[before]; e.Outcome != adg.AuditDenied || e.Actor != "user:ann" || e.From != ann.From || e.Reason != err.Error() {
				t.Errorf("on record: %+v", e)
			}
		})
	}
	if _, err := h.Users(t.Context(), ann, "", 0); !errors.Is(err, ErrDenied) {
		t.Errorf("users: %v", err)
	}
	if _, err := h.Tokens(t.Context(), ann, TokenFilter{Person: "root"}); !errors.Is(err, ErrDenied) {
		t.Errorf("tokens: %v", err)
	}
	h.must(t, h.Grant(t.Context(), ann, Binding{"user:bob", Deployer, "shop-cart", "staging"})) // her own place
	seen, err := h.Bindings(t.Context(), ann)
	if want := []Binding{{"user:ann", Admin, "shop-*", "staging"}, {"user:bob", Viewer, "shop-*", "staging"}, {"user:bob", Deployer, "shop-cart", "staging"}}; cmp.Diff(want, seen) != "" {
		t.Errorf("%s %v", cmp.Diff(want, seen), err)
	}
}

func TestWhatIsDoneIsOnRecordWithWhoWhatAndFromWhere(t *testing.T) {
	h := newHouse(t)
	h.user(t, "ann", Deployer)
	by := h.root
	by.Reason = "left the company"
	h.must(t, h.DisableUser(t.Context(), by, "ann"))
	var got []string
	for _, e := range h.audit(t, "") {
		kind, _, _ := strings.Cut(e.Actor, ":")
		got = append(got, strings.Join([]string{kind, e.Action, strings.Split(e.Resource, "/")[0], e.Service, e.Environment, e.Outcome.String(), e.Reason}, " "))
	}
	want := []string{"adg bootstrap.create bootstrap   done there is no admin yet", "bootstrap user.create user   done ", "bootstrap role.grant role * * done ", "bootstrap bootstrap.end bootstrap   done ",
		"user user.create user   done ", "user role.grant role shop-* staging done ", "user user.disable user   done left the company"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// TestNoSecretReachesTheStore looks for what was secret in every document and audit entry.
func TestNoSecretReachesTheStore(t *testing.T) {
	h := newHouse(t)
	ann := h.user(t, "ann", Deployer)
	token, made, err := h.CreateToken(t.Context(), ann, NewToken{Label: "pipeline"})
	h.must(t, err)
	o, err := h.login(t, "ann", good)
	h.must(t, err)
	_, err = h.login(t, "ann", "canary wrong password")
	refused(t, err, adg.Unauthorized, wrongLogin)
	var text strings.Builder
	for _, kind := range []string{kindUser, kindToken, kindSession, kindRole, kindBootstrap, kindFailures} {
		docs, err := h.store.ListDocuments(t.Context(), adg.DocumentFilter{Kind: kind})
		h.must(t, err)
		for _, d := range docs {
			text.WriteString(d.Key + " " + string(d.Data) + "\n")
		}
	}
	entries, err := json.Marshal(h.audit(t, ""))
	h.must(t, err)
	text.Write(entries)
	if !strings.Contains(text.String(), made.ID) {
		t.Fatal("the token is nowhere: this test looks at the wrong place")
	}
	for _, secret := range []string{good, "canary", token.Reveal()[20:], o.Credential.Reveal()[26:]} {
		if strings.Contains(text.String(), secret) {
			t.Errorf("%q is in the store", secret)
		}
	}
}

func TestAStoreThatFailsKeepsEverybodyOut(t *testing.T) {
	h := newHouse(t)
	token, _, err := h.CreateToken(t.Context(), h.root, NewToken{Label: "x"})
	h.must(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if who, err := h.Authenticate(ctx, token.Reveal()); err == nil || who.Subject != "" {
		t.Errorf("got %+v, %v", who, err)
	}
	if _, err := h.Login(ctx, Attempt{Name: "root", Password: adg.NewSecret(good)}); err == nil {
		t.Error("somebody came in")
	}
}

func TestARefusalIsOnRecordThoughWhoeverAskedHasGone(t *testing.T) {
	h := newHouse(t)
	ann := h.user(t, "ann", Viewer)
	gone, leave := context.WithCancel(t.Context())
	leave()
	refused(t, h.EndSessions(gone, ann, "root"), adg.Unauthorized, "identity.write")
	if e := h.audit(t, "session.end_all"); len(e) != 1 || e[0].Outcome != adg.AuditDenied || e[0].Actor != "user:ann" {
		t.Errorf("on record %+v", e)
	}
}

func TestWhoGaveARoleIsKept(t *testing.T) {
	h := newHouse(t)
	h.user(t, "ann", Viewer)
	b := Binding{"group:shop", Deployer, "shop-*", "*"}
	h.must(t, h.Grant(t.Context(), h.root, b))
	now, err := h.store.Now(t.Context())
	h.must(t, err)
	h.must(t, h.Grant(t.Context(), h.root, Binding{"group:pay", Deployer, "pay", "*"})) // the list is written anew
	given, err := h.Given(t.Context())
	if got := given[b]; err != nil || got.By != "root" || got.At.IsZero() || got.At.After(now) || len(given) < 3 {
		t.Errorf("%+v of %d, %v", got, len(given), err)
	}
	h.must(t, h.Revoke(t.Context(), h.root, b))
	if given, err = h.Given(t.Context()); err != nil || given[b] != (Given{}) {
		t.Errorf("taken back, and still %+v (%v)", given[b], err)
	}
}
