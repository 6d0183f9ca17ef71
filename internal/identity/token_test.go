package identity

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
)

func (h *house) token(t *testing.T, by Caller, n NewToken) (adg.Secret, Token) {
	t.Helper()
	if n.Label == "" {
		n.Label = "pipeline"
	}
	secret, made, err := h.CreateToken(t.Context(), by, n)
	h.must(t, err)
	return secret, made
}

func TestATokenMayWhatItsScopeAndItsMakerMay(t *testing.T) {
	h := newHouse(t)
	ann := h.user(t, "ann", Deployer)
	narrow, made := h.token(t, ann, NewToken{Scope: []Binding{at(Deployer, "shop-cart", "staging")}})
	wide, _ := h.token(t, ann, NewToken{})
	bot := h.caller(t, narrow)
	if bot.Kind != KindToken || bot.Subject != "token:"+made.ID || bot.Person != "ann" {
		t.Errorf("got %+v", bot)
	}
	may := func(secret adg.Secret, p Permission, service string) bool {
		t.Helper()
		return Allowed(h.caller(t, secret).Identity, p, service, "staging") == nil
	}
	for _, tt := range []struct {
		name string
		got  bool
		want bool
	}{
		{"within the scope", may(narrow, DeploymentStart, "shop-cart"), true},
		{"outside of it", may(narrow, DeploymentStart, "shop-search"), false},
		{"without a scope, all that ann may", may(wide, DeploymentStart, "shop-search"), true},
		{"and nothing else", may(wide, DeploymentStart, "pay"), false},
	} {
		if tt.got != tt.want {
			t.Errorf("%s: %v", tt.name, tt.got)
		}
	}

	h.must(t, h.Grant(t.Context(), h.root, Binding{"token:" + made.ID, Admin, "*", "*"}))
	if !may(narrow, DeploymentStart, "shop-search") || may(narrow, PolicyWrite, "shop-search") || may(narrow, DeploymentRead, "pay") {
		t.Error("a role given to a token counts as far as its maker holds it")
	}
	h.must(t, h.Revoke(t.Context(), h.root, Binding{"user:ann", Deployer, "shop-*", "staging"}))
	if may(narrow, DeploymentRead, "shop-cart") || may(wide, DeploymentRead, "shop-cart") {
		t.Error("the tokens kept what ann has lost")
	}
	h.must(t, h.Grant(t.Context(), h.root, Binding{"user:ann", Viewer, "shop-*", "staging"}))
	if !may(narrow, DeploymentRead, "shop-cart") || may(narrow, DeploymentStart, "shop-cart") {
		t.Error("ann is a viewer now, and so is her token")
	}
	h.must(t, h.DisableUser(t.Context(), h.root, "ann"))
	_, err := h.Authenticate(t.Context(), wide.Reveal())
	refused(t, err, adg.Unauthorized, "disabled")
	h.must(t, h.RemoveUser(t.Context(), h.root, "ann"))
	h.user(t, "ann", Viewer) // somebody else
	_, err = h.Authenticate(t.Context(), wide.Reveal())
	refused(t, err, adg.Unauthorized, "does not exist any more")
}

func TestATokenMakesNoToken(t *testing.T) {
	h := newHouse(t)
	secret, _ := h.token(t, h.root, NewToken{})
	_, _, err := h.CreateToken(t.Context(), h.caller(t, secret), NewToken{Label: "child"})
	refused(t, err, adg.Unauthorized, "made by people")
}

func TestWhoLoggedInAtACommandLineMindsHisTokensThere(t *testing.T) {
	h := newHouse(t)
	ann := h.user(t, "ann", Deployer)
	login, own := h.token(t, ann, NewToken{Login: true})
	_, foreign := h.token(t, h.root, NewToken{Label: "root's"})
	by := h.caller(t, login)
	secret, made := h.token(t, by, NewToken{Scope: []Binding{at(Deployer, "shop-cart", "staging")}})
	if made.Person != "ann" || Allowed(h.caller(t, secret).Identity, DeploymentStart, "shop-cart", "staging") != nil {
		t.Errorf("made %+v", made)
	}
	_, _, err := h.CreateToken(t.Context(), by, NewToken{Label: "x", Scope: []Binding{at(Admin, "*", "*")}})
	refused(t, err, adg.Unauthorized, "does not hold the role admin")
	_, _, err = h.CreateToken(t.Context(), h.caller(t, secret), NewToken{Label: "child"})
	refused(t, err, adg.Unauthorized, "made by people")

	list, err := h.Tokens(t.Context(), by, TokenFilter{Person: "ann"})
	if len(list) != 2 || err != nil {
		t.Errorf("sees %v, %v instead of %s and %s", list, err, own.ID, made.ID)
	}
	if _, err := h.Tokens(t.Context(), by, TokenFilter{Person: "root"}); err == nil {
		t.Error("sees the tokens of others")
	}
	h.must(t, h.RevokeToken(t.Context(), by, made.ID))
	if err := h.RevokeToken(t.Context(), by, foreign.ID); err == nil {
		t.Error("ends the tokens of others")
	}
}

func TestTokensThatCannotBeAreRefused(t *testing.T) {
	h := newHouse(t)
	for name, n := range map[string]NewToken{
		"no label":             {},
		"a label of two lines": {Label: "a\nb"},
		"more than a year":     {Label: "x", Life: MaxTokenLife + time.Second},
		"less than nothing":    {Label: "x", Life: -time.Hour},
		"a role that is none":  {Label: "x", Scope: []Binding{at(RoleNone, "*", "*")}},
		"no service":           {Label: "x", Scope: []Binding{at(Viewer, "", "*")}},
		"too many parts":       {Label: "x", Scope: make([]Binding, maxScope+1)},
	} {
		t.Run(name, func(t *testing.T) {
			_, _, err := h.CreateToken(t.Context(), h.root, n)
			if adg.CodeOf(err) != adg.Invalid {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestATokenExpiresAfterNinetyDaysUnlessSaidOtherwise(t *testing.T) {
	h := newHouse(t)
	usual, made := h.token(t, h.root, NewToken{})
	short, _ := h.token(t, h.root, NewToken{Life: time.Hour})
	if made.Expires.Sub(made.Created) != TokenLife {
		t.Errorf("lives %v", made.Expires.Sub(made.Created))
	}
	h.wait(time.Hour)
	_, err := h.Authenticate(t.Context(), short.Reveal())
	refused(t, err, adg.Unauthorized, "expired on")
	h.caller(t, usual)
	h.wait(TokenLife)
	_, err = h.Authenticate(t.Context(), usual.Reveal())
	refused(t, err, adg.Unauthorized, "expired on")
	h.wait(tokenMemory)
	_, err = h.Authenticate(t.Context(), usual.Reveal())
	refused(t, err, adg.Unauthorized, "not known")
}

func TestTokensAreListedAndRevokedByTheirMakerAndByAdmins(t *testing.T) {
	h := newHouse(t)
	ann := h.user(t, "ann", Viewer)
	secret, made := h.token(t, ann, NewToken{})
	_, foreign := h.token(t, h.root, NewToken{Label: "root's"})
	own, err := h.Tokens(t.Context(), ann, TokenFilter{Person: "ann"})
	if diff := cmp.Diff([]Token{made}, own); diff != "" || err != nil {
		t.Errorf("%s %v", diff, err)
	}
	if all, err := h.Tokens(t.Context(), h.root, TokenFilter{}); len(all) != 2 || err != nil {
		t.Errorf("%v, %v", all, err)
	}
	if page, err := h.Tokens(t.Context(), h.root, TokenFilter{Limit: 1}); len(page) != 1 || err != nil {
		t.Errorf("%v, %v", page, err)
	} else if next, err := h.Tokens(t.Context(), h.root, TokenFilter{After: page[0].ID}); len(next) != 1 || next[0].ID == page[0].ID || err != nil {
		t.Errorf("%v, %v", next, err)
	}
	bot := h.caller(t, secret)
	if _, err := h.Tokens(t.Context(), bot, TokenFilter{Person: "ann"}); adg.CodeOf(err) != adg.Unauthorized {
		t.Errorf("a token sees tokens: %v", err)
	}
	refused(t, h.RevokeToken(t.Context(), ann, foreign.ID), adg.Unauthorized, "not allowed")
	_, sister := h.token(t, ann, NewToken{})
	refused(t, h.RevokeToken(t.Context(), bot, sister.ID), adg.Unauthorized, "not allowed")
	h.must(t, h.RevokeToken(t.Context(), bot, made.ID)) // itself
	_, err = h.Authenticate(t.Context(), secret.Reveal())
	refused(t, err, adg.Unauthorized, "revoked")
	h.must(t, h.RevokeToken(t.Context(), ann, sister.ID))
	h.must(t, h.Grant(t.Context(), h.root, Binding{"token:" + foreign.ID, Viewer, "*", "*"}))
	h.must(t, h.RevokeToken(t.Context(), h.root, foreign.ID))
	if left, err := h.Bindings(t.Context(), h.root); len(left) != 2 || err != nil {
		t.Errorf("the roles of a revoked token are left: %v, %v", left, err)
	}
	refused(t, h.RevokeToken(t.Context(), h.root, foreign.ID), adg.NotFound, "")
}

func TestATokenWithTheRightNumberAndAnotherSecretIsRefused(t *testing.T) {
	h := newHouse(t)
	secret, made := h.token(t, h.root, NewToken{})
	body := "adg_" + made.ID + "_" + randomText(secretBytes)
	_, err := h.Authenticate(t.Context(), body+checksum(body))
	refused(t, err, adg.Unauthorized, "not known")
	_, err = h.Authenticate(t.Context(), newCredential(tokenPrefix).text)
	refused(t, err, adg.Unauthorized, "not known")
	for _, prefix := range []string{sessionPrefix, bootstrapPrefix} {
		body := prefix + "_" + made.ID + "_" + secret.Reveal()[18:18+52]
		if _, err := h.Authenticate(t.Context(), body+checksum(body)); adg.CodeOf(err) != adg.Unauthorized {
			t.Errorf("as %s: %v", prefix, err)
		}
	}
}

func TestTheLastUseIsNotedOnceInFiveMinutes(t *testing.T) {
	h := newHouse(t)
	secret, made := h.token(t, h.root, NewToken{})
	version := func() int64 {
		doc, err := h.store.Document(t.Context(), kindToken, made.ID)
		h.must(t, err)
		return doc.Version
	}
	for _, tt := range []struct {
		wait time.Duration
		want int64
	}{{0, 2}, {time.Minute, 2}, {usedPrecision - 2*time.Minute, 2}, {time.Minute, 3}, {0, 3}} {
		h.wait(tt.wait)
		h.caller(t, secret)
		if got := version(); got != tt.want {
			t.Errorf("after another %v: %d writes, not %d", tt.wait, got, tt.want)
		}
	}
	all, err := h.Tokens(t.Context(), h.root, TokenFilter{Person: "root"})
	if len(all) != 1 || all[0].Used.IsZero() || err != nil {
		t.Errorf("%+v, %v", all, err)
	}
}

func TestAPersonHasAHundredTokensAtMost(t *testing.T) {
	h := newHouse(t)
	h.token(t, h.root, NewToken{})
	var rest []adg.Write
	for range maxTokens - 1 {
		rest = append(rest, tokenRecord{Person: "root", Expires: time.Now().Add(TokenLife)}.write(randomText(idBytes), 0))
	}
	_, err := h.store.WriteDocuments(t.Context(), rest)
	h.must(t, err)
	_, _, err = h.CreateToken(t.Context(), h.root, NewToken{Label: "one more"})
	refused(t, err, adg.Invalid, "the limit")
}

func TestLoggingOutEndsTheTokenOfALoginAndNoOther(t *testing.T) {
	h := newHouse(t)
	ann := h.user(t, "ann", Viewer)
	login, _ := h.token(t, ann, NewToken{Login: true})
	made, _ := h.token(t, ann, NewToken{})
	h.must(t, h.LogOut(t.Context(), h.caller(t, login), login.Reveal()))
	_, err := h.Authenticate(t.Context(), login.Reveal())
	refused(t, err, adg.Unauthorized, "revoked")
	refused(t, h.LogOut(t.Context(), h.caller(t, made), made.Reveal()), adg.Unauthorized, "adg token revoke")
	_ = h.caller(t, made) // still good
}

func TestALoginAtACommandLineEndsAsASessionDoes(t *testing.T) {
	h := newHouse(t)
	for name, end := range map[string]func() error{
		"a new password":     func() error { return h.SetPassword(t.Context(), h.root, "ann", adg.NewSecret("another long password")) },
		"all sessions ended": func() error { return h.EndSessions(t.Context(), h.root, "ann") },
		"kept out for a moment": func() error {
			return errors.Join(h.DisableUser(t.Context(), h.root, "ann"), h.EnableUser(t.Context(), h.root, "ann"))
		},
	} {
		t.Run(name, func(t *testing.T) {
			ann := h.user(t, "ann", Deployer)
			login, _ := h.token(t, ann, NewToken{Login: true})
			pipeline, _ := h.token(t, ann, NewToken{})
			h.must(t, end())
			_, err := h.Authenticate(t.Context(), login.Reveal())
			refused(t, err, adg.Unauthorized, "this login is over")
			_ = h.caller(t, pipeline) // what is no login goes on
			h.must(t, h.RemoveUser(t.Context(), h.root, "ann"))
		})
	}
}

func TestNobodyIsCalledAsTheMachineIs(t *testing.T) {
	h := newHouse(t)
	for _, name := range []string{"adg", "nobody", "restore", "backup"} {
		refused(t, h.CreateUser(t.Context(), h.root, name, adg.NewSecret("correct horse battery")), adg.Invalid, "no person")
		_, err := h.Admit(t.Context(), External{Issuer: "https://id.example.com", Subject: "7", Name: name}, "")
		refused(t, err, adg.Invalid, "no person")
	}
}
