package identity

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

const wrongLogin = "the name or the password is wrong: correct them, and try again"

func TestALocalUserLogsInWithHisPasswordAndHoldsHisRoles(t *testing.T) {
	h := newHouse(t)
	h.user(t, "ann", Deployer)
	o, err := h.login(t, " Ann ", good)
	h.must(t, err)
	got := h.caller(t, o.Credential)
	if got.Kind != KindSession || got.Subject != "user:ann" || got.Person != "ann" || Allowed(got.Identity, DeploymentStart, "shop-a", "staging") != nil {
		t.Errorf("got %+v", got)
	}
	if e := h.audit(t, "session.start"); len(e) != 1 || e[0].From != "192.0.2.7:4711" {
		t.Errorf("on record: %+v", e)
	}
	users, err := h.Users(t.Context(), h.root, "", 0)
	if len(users) != 2 || users[0].Name != "ann" || users[0].Login.IsZero() || err != nil {
		t.Errorf("got %+v, %v", users, err)
	}
}

func TestAWrongNameAndAWrongPasswordAreTheSameError(t *testing.T) {
	h := newHouse(t)
	h.user(t, "ann", Viewer)
	h.user(t, "off", Viewer)
	h.must(t, h.DisableUser(t.Context(), h.root, "off"))
	_, err := h.Admit(t.Context(), External{Name: "sso", Issuer: "https://id.example.com", Subject: "1"}, "")
	h.must(t, err)
	for name, a := range map[string][2]string{
		"a wrong password":           {"ann", other},
		"no password":                {"ann", ""},
		"a password without end":     {"ann", strings.Repeat("x", 1<<20)},
		"an unknown name":            {"eve", good},
		"a disabled user":            {"off", good},
		"somebody from the provider": {"sso", ""},
		"what is no name":            {"../etc", good},
		"no name":                    {"", ""},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := h.login(t, a[0], a[1])
			if adg.CodeOf(err) != adg.Unauthorized || err.Error() != wrongLogin {
				t.Errorf("got %v", err)
			}
		})
	}
}

func TestFailedLoginsOfANameWaitLongerAndLonger(t *testing.T) {
	h := newHouse(t)
	h.user(t, "ann", Viewer)
	try := func(password string) error {
		_, err := h.Login(t.Context(), Attempt{Name: "ann", Password: adg.NewSecret(password)})
		return err
	}
	for range freeForUser {
		refused(t, try(other), adg.Unauthorized, wrongLogin)
	}
	h.Directory = h.replica(t, h.store, cheap) // the count survives a restart, and replicas share it
	var waits []time.Duration
	for range 7 {
		err := try(good)
		wait, throttled := adg.RetryAfter(err)
		if !throttled {
			t.Fatalf("not locked: %v", err)
		}
		refused(t, err, adg.Unauthorized, "too many failed logins")
		waits = append(waits, wait.Round(time.Second))
		h.wait(wait + time.Second)
		refused(t, try(other), adg.Unauthorized, wrongLogin)
	}
	for i, want := range []time.Duration{30, 60, 120, 240, 480, 960, 1920} {
		if waits[i] != want*time.Second {
			t.Errorf("wait %d is %v, not %ds", i, waits[i], want)
		}
	}
	if e := h.audit(t, "login.lock"); len(e) != 8 || e[0].Outcome != adg.AuditDenied || e[0].Resource != "login/user/ann" {
		t.Errorf("%d locks on record: %+v", len(e), e)
	}
	h.wait(longestWait + time.Second)
	h.must(t, try(good))
	for range freeForUser - 1 { // success forgets
		refused(t, try(other), adg.Unauthorized, wrongLogin)
	}
	h.must(t, try(good))
	for range freeForUser {
		refused(t, try(other), adg.Unauthorized, wrongLogin)
	}
	h.wait(failureMemory + time.Second) // and so does a day
	refused(t, try(other), adg.Unauthorized, wrongLogin)
	h.must(t, try(good))
}

func TestNamesThatDoNotExistAreLockedLikeOthers(t *testing.T) {
	h := newHouse(t)
	for range freeForUser {
		_, err := h.Login(t.Context(), Attempt{Name: "nobody"})
		refused(t, err, adg.Unauthorized, wrongLogin)
	}
	_, err := h.Login(t.Context(), Attempt{Name: "nobody"})
	refused(t, err, adg.Unauthorized, "too many")
}

func TestAnAddressThatTriesManyNamesIsLockedAndOthersAreNot(t *testing.T) {
	h := newHouse(t)
	h.user(t, "ann", Viewer)
	from := func(address, name, password string) error {
		_, err := h.Login(t.Context(), Attempt{Name: name, Password: adg.NewSecret(password), From: address})
		return err
	}
	for range 2 * usersOfOne * freeForUser { // many good ones from one office are no attack
		h.must(t, from("[2001:db8:1:2::9]:1", "ann", good))
	}
	for i := range usersOfOne * freeForUser {
		refused(t, from("[2001:db8:1:2::1]:1", "name"+string(rune('a'+i)), other), adg.Unauthorized, wrongLogin)
	}
	refused(t, from("2001:db8:1:2:ffff::", "ann", good), adg.Unauthorized, "too many") // of the same network
	h.must(t, from("2001:db8:1:3::1", "ann", good))
	h.wait(firstWait + time.Second)
	h.must(t, from("2001:db8:1:2::1", "ann", good))
	h.must(t, from("2001:db8:1:2::1", "ann", good)) // success is not counted
	refused(t, from("2001:db8:1:2::1", "ann", other), adg.Unauthorized, wrongLogin)
	refused(t, from("2001:db8:1:2::1", "ann", good), adg.Unauthorized, "too many") // and forgives no other failure
}

func TestNobodyKeepsAnAdminOutOfTheNetworksThatAreHis(t *testing.T) {
	h := newHouse(t)
	h.user(t, "ann", Viewer)
	from := func(address, password string) error {
		_, err := h.Login(t.Context(), Attempt{Name: "ann", Password: adg.NewSecret(password), From: address})
		return err
	}
	h.must(t, from("192.0.2.7:1", good))
	for range freeForUser {
		refused(t, from("198.51.100.1:1", other), adg.Unauthorized, wrongLogin)
	}
	refused(t, from("198.51.100.99:1", good), adg.Unauthorized, "too many") // the network of who guesses
	h.must(t, from("203.0.113.1:1", good))
	// Many networks, each of which stays within its own limit, are slowed down together.
	guesses := freeForUser
	for i := 0; guesses < networksOfOne*freeForUser+1; i++ {
		for range freeForUser - 1 {
			err := from(fmt.Sprintf("10.%d.%d.1:1", i/250, i%250), other)
			if _, throttled := adg.RetryAfter(err); throttled {
				guesses = networksOfOne*freeForUser + 1
				break
			}
			guesses++
		}
		if i > 100 {
			t.Fatal("a hundred networks may guess as they like")
		}
	}
	err := from("10.99.99.1:1", good)
	wait, throttled := adg.RetryAfter(err)
	if !throttled || wait > longestForAll {
		t.Errorf("a network that is new: %v", err)
	}
	h.must(t, from("192.0.2.200:1", good)) // he has logged in from there
	h.must(t, from("203.0.113.77:1", good))
	for range 40 { // who goes on to guess waits five minutes at most
		h.wait(longestForAll + time.Second)
		refused(t, from("10.77.77.1:1", other), adg.Unauthorized, "")
	}
	h.wait(longestForAll + time.Second)
	h.must(t, from("10.99.99.1:1", good))
	users, err := h.Users(t.Context(), h.root, "", 0)
	h.must(t, err)
	if !users[0].Locked {
		t.Error("nobody sees that some have to wait")
	}
	unlock := Update{Unlock: true}
	_, err = h.UpdateUser(t.Context(), h.root, "ann", unlock)
	h.must(t, err)
	h.must(t, from("10.77.77.1:1", good))
	if e := h.audit(t, "login.lock"); e[0].Detail["network"] != "198.51.100.0/24" || e[0].Detail["user"] != "ann" {
		t.Errorf("on record: %+v", e[0])
	}
	now, err := h.store.Now(t.Context())
	h.must(t, err)
	if (account{Places: []familiar{{"192.0.2.0/24", now.Add(-placeMemory - time.Second)}}}).knows("192.0.2.0/24", now) {
		t.Error("a place is his for good")
	}
}

func TestManyGuessesAtTheSameTimeAreNotMoreThanTheLimit(t *testing.T) {
	h := newHouse(t)
	h.user(t, "ann", Viewer)
	const guesses = 12
	results := make([]error, guesses)
	var all sync.WaitGroup
	for i := range results {
		there := h.replica(t, h.store, cheap)
		all.Go(func() {
			_, results[i] = there.Login(t.Context(), Attempt{Name: "ann", Password: adg.NewSecret(other)})
		})
	}
	all.Wait()
	compared := 0
	for _, err := range results {
		if err != nil && err.Error() == wrongLogin {
			compared++
		} else if _, throttled := adg.RetryAfter(err); !throttled {
			t.Errorf("got %v", err)
		}
	}
	if compared > freeForUser {
		t.Errorf("%d of %d passwords were compared, %d are allowed", compared, guesses, freeForUser)
	}
}

func TestAddressesAreCountedByWhoHasThem(t *testing.T) {
	for from, want := range map[string]string{"192.0.2.1": "192.0.2.1", "192.0.2.1:80": "192.0.2.1", "[::ffff:192.0.2.1]:80": "192.0.2.1",
		"2001:db8::1": "2001:db8::/64", "[fe80::1%eth0]:80": "fe80::/64", "": "", "example.com:80": ""} {
		if got := addressKey(from); got != want {
			t.Errorf("%q is counted as %q, not %q", from, got, want)
		}
	}
}

func TestAPasswordHashedWithOldParametersIsHashedAnewAtLogin(t *testing.T) {
	h := newHouse(t)
	h.user(t, "ann", Viewer)
	hash := func() string {
		a, _, err := load[account](t.Context(), h.Directory, kindUser, "ann")
		h.must(t, err)
		return a.Hash
	}
	before := hash()
	h.Directory = h.replica(t, h.store, Argon{Memory: 16, Passes: 2, Threads: 1})
	_, err := h.login(t, "ann", other)
	refused(t, err, adg.Unauthorized, wrongLogin)
	if hash() != before {
		t.Error("a wrong password renewed the hash")
	}
	_, err = h.login(t, "ann", good)
	h.must(t, err)
	renewed := hash()
	if !strings.HasPrefix(renewed, "$argon2id$v=19$m=16,t=2,p=1$") {
		t.Errorf("the hash is %s", renewed)
	}
	_, err = h.login(t, "ann", good)
	h.must(t, err)
	if hash() != renewed {
		t.Error("a hash that is up to date was renewed")
	}
}

func TestAnotherPasswordEndsTheSessionsAndTakesTheOldOne(t *testing.T) {
	h := newHouse(t)
	h.user(t, "ann", Viewer)
	session := func() adg.Secret {
		o, err := h.login(t, "ann", good)
		h.must(t, err)
		return o.Credential
	}
	s := session()
	ann := h.caller(t, s)
	refused(t, h.ChangePassword(t.Context(), ann, adg.NewSecret(other), adg.NewSecret(other)), adg.Unauthorized, wrongLogin)
	refused(t, h.ChangePassword(t.Context(), ann, adg.NewSecret(good), adg.NewSecret("short")), adg.Invalid, "too short")
	h.caller(t, s)
	token, _, err := h.CreateToken(t.Context(), ann, NewToken{Label: "x"})
	h.must(t, err)
	refused(t, h.ChangePassword(t.Context(), h.caller(t, token), adg.NewSecret(good), adg.NewSecret(other)), adg.Unauthorized, "by the person himself")
	h.must(t, h.ChangePassword(t.Context(), ann, adg.NewSecret(good), adg.NewSecret(other)))
	_, err = h.Authenticate(t.Context(), s.Reveal())
	refused(t, err, adg.Unauthorized, "session is over")
	_, err = h.login(t, "ann", good)
	refused(t, err, adg.Unauthorized, wrongLogin)
	h.must(t, h.SetPassword(t.Context(), h.root, "ann", adg.NewSecret(good)))
	session()

	_, err = h.Admit(t.Context(), External{Name: "sso", Issuer: "https://id.example.com", Subject: "1"}, "")
	h.must(t, err)
	refused(t, h.SetPassword(t.Context(), h.root, "sso", adg.NewSecret(good)), adg.Conflict, "no password here")
}

func TestASessionEndsAfterAnHourWithoutRequestsAndAfterTwelveAtAll(t *testing.T) {
	h := newHouse(t)
	o, err := h.login(t, "root", good)
	h.must(t, err)
	h.wait(SessionIdle - time.Minute)
	h.caller(t, o.Credential)
	h.wait(SessionIdle - time.Minute)
	h.caller(t, o.Credential)
	h.wait(SessionIdle + time.Second)
	_, err = h.Authenticate(t.Context(), o.Credential.Reveal())
	refused(t, err, adg.Unauthorized, "session is over")

	o, err = h.login(t, "root", good)
	h.must(t, err)
	for spent := time.Duration(0); spent < SessionLife-SessionIdle; spent += SessionIdle / 2 {
		h.wait(SessionIdle / 2)
		h.caller(t, o.Credential)
	}
	h.wait(SessionIdle/2 + SessionIdle/2)
	_, err = h.Authenticate(t.Context(), o.Credential.Reveal())
	refused(t, err, adg.Unauthorized, "session is over")
}

func TestSessionsAreEndedOneByOneOrAllOfAUser(t *testing.T) {
	h := newHouse(t)
	h.user(t, "ann", Viewer)
	var all []adg.Secret
	for range 3 {
		o, err := h.login(t, "ann", good)
		h.must(t, err)
		all = append(all, o.Credential)
	}
	ann := h.caller(t, all[0])
	over := func(s adg.Secret) {
		t.Helper()
		_, err := h.Authenticate(t.Context(), s.Reveal())
		refused(t, err, adg.Unauthorized, "")
	}
	guess := newCredential(sessionPrefix).text
	forged := all[1].Reveal()[:26] + guess[25:len(guess)-checkDigits]
	h.must(t, h.EndSession(t.Context(), ann, guess))
	refused(t, h.EndSession(t.Context(), ann, forged), adg.Unauthorized, "no session")
	h.must(t, h.EndSession(t.Context(), ann, all[0].Reveal()))
	h.must(t, h.EndSession(t.Context(), ann, all[0].Reveal()))
	over(all[0])
	h.caller(t, all[1])
	h.must(t, h.EndSessions(t.Context(), ann, "ann"))
	over(all[1])
	o, err := h.login(t, "ann", good)
	h.must(t, err)
	h.must(t, h.EndSessions(t.Context(), h.root, "ann"))
	over(o.Credential)
	o, err = h.login(t, "ann", good)
	h.must(t, err)
	h.must(t, h.DisableUser(t.Context(), h.root, "ann"))
	over(o.Credential)
	h.must(t, h.EnableUser(t.Context(), h.root, "ann"))
	over(o.Credential)
	if e := h.audit(t, "session.end"); len(e) != 1 {
		t.Errorf("%d ends on record", len(e))
	}
}

func TestNobodyComesInByANameThatIsSomebodyElses(t *testing.T) {
	h := newHouse(t)
	h.user(t, "ann", Admin)
	sso := External{Name: "bob", Issuer: "https://id.example.com", Subject: "1"}
	_, err := h.Admit(t.Context(), sso, "")
	h.must(t, err)
	for name, who := range map[string]External{
		"a local user's":                      {Name: "ann", Issuer: sso.Issuer, Subject: "2"},
		"another person of the same provider": {Name: "bob", Issuer: sso.Issuer, Subject: "2"},
		"the same number at another provider": {Name: "bob", Issuer: "https://evil.example.com", Subject: "1"},
	} {
		_, err := h.Admit(t.Context(), who, "")
		if adg.CodeOf(err) != adg.Unauthorized {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, who := range map[string]External{
		"no name":          {Issuer: sso.Issuer, Subject: "1"},
		"no provider":      {Name: "eve", Subject: "1"},
		"no number":        {Name: "eve", Issuer: sso.Issuer},
		"a group too many": {Name: "eve", Issuer: sso.Issuer, Subject: "1", Groups: make([]string, maxGroups+1)},
		"a group of bytes": {Name: "eve", Issuer: sso.Issuer, Subject: "1", Groups: []string{"a\xff"}},
	} {
		if _, err := h.Admit(t.Context(), who, ""); adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	refused(t, h.CreateUser(t.Context(), h.root, "bob", adg.NewSecret(good)), adg.Conflict, "already")
	h.must(t, h.DisableUser(t.Context(), h.root, "bob"))
	_, err = h.Admit(t.Context(), sso, "")
	refused(t, err, adg.Unauthorized, "disabled")
}

func TestWhoIsCalledOtherwiseByHisProviderIsNoSecondPerson(t *testing.T) {
	h := newHouse(t)
	h.user(t, "ann", Admin)
	sso := External{Name: "bob", Issuer: "https://id.example.com", Subject: "1"}
	_, err := h.Admit(t.Context(), sso, "")
	h.must(t, err)
	renamed := sso
	renamed.Name = "robert"
	o, err := h.Admit(t.Context(), renamed, "")
	h.must(t, err)
	if o.Identity.Person != "bob" {
		t.Errorf("he comes in as %s", o.Identity.Person)
	}
	_, err = h.Identify(t.Context(), "robert")
	refused(t, err, adg.Unauthorized, "robert")
	other := External{Name: "robert", Issuer: sso.Issuer, Subject: "2"}
	o, err = h.Admit(t.Context(), other, "")
	h.must(t, err)
	if o.Identity.Person != "robert" {
		t.Errorf("another one comes in as %s", o.Identity.Person)
	}
	// An admin who wants him to have the new name removes the old one.
	renamed.Name = "rob"
	h.must(t, h.RemoveUser(t.Context(), h.root, "bob"))
	o, err = h.Admit(t.Context(), renamed, "")
	h.must(t, err)
	if o.Identity.Person != "rob" {
		t.Errorf("after he was removed he comes in as %s", o.Identity.Person)
	}
}
