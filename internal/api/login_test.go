package api_test

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/reflect/protoreflect"
	"google.golang.org/protobuf/types/dynamicpb"

	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

func TestAPasswordOpensASessionThatOnlyABrowserGets(t *testing.T) {
	h := newHouse(t, nil)
	b := h.browser()
	answer := b.logIn("ann", password)
	for _, c := range answer.Cookies() {
		if !c.HttpOnly || c.SameSite != http.SameSiteLaxMode || c.Path != "/" {
			t.Errorf("the cookie is not kept from scripts and other sites: %v", c)
		}
	}
	if who, _ := b.me(); who != "user:ann" {
		t.Errorf("the browser is %q", who)
	}

	// Over gRPC nobody would receive the session, so none is opened.
	ann := h.as("ann")
	sessions := func() int {
		all, err := h.people.ListSessions(ann, &adgv1.ListSessionsRequest{})
		h.must(err)
		return len(all.GetSessions())
	}
	before := sessions()
	var header metadata.MD
	_, err := h.login.LogIn(t.Context(), &adgv1.LogInRequest{Name: "ann", Password: password}, grpc.Header(&header))
	refused(t, err, codes.InvalidArgument, "POST /v1/login")
	if after := sessions(); len(header.Get("adg-set-session")) > 0 || after != before {
		t.Errorf("%d sessions, and then %d, with %v", before, after, header)
	}
}

func TestAWrongLoginDoesNotSayWhatWasWrong(t *testing.T) {
	h := newHouse(t, nil)
	b := h.browser()
	said := map[string]bool{}
	for _, try := range []string{`{"name":"ann","password":"wrong wrong wrong"}`, `{"name":"nobody","password":"correct horse battery"}`, `{"name":"","password":""}`} {
		answer, text := b.send(http.MethodPost, "/v1/login", "application/json", []byte(try))
		if answer.StatusCode != http.StatusUnauthorized || len(answer.Cookies()) > 0 {
			t.Errorf("%s: got %d %v", try, answer.StatusCode, answer.Cookies())
		}
		said[message(t, text)] = true
	}
	if len(said) != 1 {
		t.Errorf("the answers differ: %v", said)
	}
}

func TestLoggingOutEndsTheSessionAndTakesTheCookieBack(t *testing.T) {
	h := newHouse(t, nil)
	b := h.browser()
	b.logIn("ann", password)
	credential := b.session()
	b.rest(http.StatusOK, http.MethodPost, "/v1/logout", &adgv1.LogOutRequest{}, nil)
	if b.session() != "" {
		t.Error("the browser still has its cookie")
	}
	_, err := h.people.WhoAmI(with(t, credential), &adgv1.WhoAmIRequest{})
	refused(t, err, codes.Unauthenticated, "session is over")
}

func TestADeviceIsLetInByAPersonAndGetsATokenOfHis(t *testing.T) {
	h := newHouse(t, nil)
	begun, err := h.login.StartDeviceLogin(t.Context(), &adgv1.StartDeviceLoginRequest{Client: "adg on\nbuild-7"})
	h.must(err)
	if want := "https://adg.example.com/device?user_code=" + begun.GetUserCode(); begun.GetVerificationUriComplete() != want || begun.GetInterval().AsDuration() != 5*time.Second {
		t.Errorf("got %v", begun)
	}
	poll := func(want adgv1.DeviceLoginState) *adgv1.PollDeviceLoginResponse {
		t.Helper()
		got, err := h.login.PollDeviceLogin(t.Context(), &adgv1.PollDeviceLoginRequest{DeviceCode: begun.GetDeviceCode()})
		h.must(err)
		if got.GetState() != want {
			t.Fatalf("got %v, want %v", got.GetState(), want)
		}
		return got
	}
	poll(adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_PENDING)
	poll(adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_SLOW_DOWN)

	b := h.browser()
	b.logIn("ann", password)
	var asked adgv1.DeviceLogin
	b.rest(http.StatusOK, http.MethodGet, "/v1/login/device/"+begun.GetUserCode(), nil, &asked)
	if asked.GetAddress() != "127.0.0.1" || !strings.HasPrefix(asked.GetClient(), "adg on") || asked.GetExpireTime().AsTime().Sub(asked.GetCreateTime().AsTime()) != 10*time.Minute {
		t.Errorf("got %v", &asked)
	}
	b.rest(http.StatusOK, http.MethodPost, "/v1/login/device/"+begun.GetUserCode()+":approve", &adgv1.ApproveDeviceLoginRequest{}, nil)
	h.wait(time.Minute)
	got := poll(adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_APPROVED)
	me, err := h.people.WhoAmI(with(t, got.GetToken()), &adgv1.WhoAmIRequest{})
	h.must(err)
	if me.GetIdentity().GetPerson() != "ann" || me.GetIdentity().GetKind() != adgv1.IdentityKind_IDENTITY_KIND_TOKEN || !me.GetExpireTime().AsTime().Equal(got.GetExpireTime().AsTime()) {
		t.Errorf("got %v", me)
	}
	tokens, err := h.people.ListTokens(h.as("ann"), &adgv1.ListTokensRequest{})
	h.must(err)
	if one := tokens.GetTokens()[0]; one.GetName() != "adg on build-7" || one.GetExpireTime().AsTime().Sub(one.GetCreateTime().AsTime()) != 30*24*time.Hour {
		t.Errorf("got %v", one)
	}
	poll(adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_EXPIRED)

	_, err = h.login.LogOut(with(t, got.GetToken()), &adgv1.LogOutRequest{})
	h.must(err)
	_, err = h.people.WhoAmI(with(t, got.GetToken()), &adgv1.WhoAmIRequest{})
	refused(t, err, codes.Unauthenticated, "revoked")
}

func TestADeviceThatIsRefusedOrLateOrMadeUpGetsNothing(t *testing.T) {
	h := newHouse(t, nil)
	refusing := h.as("ann")
	tests := map[string]struct {
		before func(*adgv1.StartDeviceLoginResponse)
		want   adgv1.DeviceLoginState
	}{
		"refused by the person": {func(begun *adgv1.StartDeviceLoginResponse) {
			_, err := h.login.ApproveDeviceLogin(refusing, &adgv1.ApproveDeviceLoginRequest{UserCode: begun.GetUserCode(), Deny: true})
			h.must(err)
		}, adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_DENIED},
		"nobody came in time": {func(*adgv1.StartDeviceLoginResponse) { h.wait(11 * time.Minute) }, adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_EXPIRED},
		"a code of its own":   {func(begun *adgv1.StartDeviceLoginResponse) { begun.DeviceCode += "x" }, adgv1.DeviceLoginState_DEVICE_LOGIN_STATE_EXPIRED},
	}
	for name, tt := range tests {
		begun, err := h.login.StartDeviceLogin(t.Context(), &adgv1.StartDeviceLoginRequest{})
		h.must(err)
		tt.before(begun)
		got, err := h.login.PollDeviceLogin(t.Context(), &adgv1.PollDeviceLoginRequest{DeviceCode: begun.GetDeviceCode()})
		if err != nil || got.GetState() != tt.want || got.GetToken() != "" {
			t.Errorf("%s: got %v %v", name, got, err)
		}
	}
}

func TestATokenLetsNoDeviceInAndNobodyDoesWithoutALogin(t *testing.T) {
	h := newHouse(t, nil)
	begun, err := h.login.StartDeviceLogin(t.Context(), &adgv1.StartDeviceLoginRequest{})
	h.must(err)
	made, err := h.people.CreateToken(h.as("ann"), &adgv1.CreateTokenRequest{Name: "ci", Role: "viewer", Service: "shop", Environment: "*"})
	h.must(err)
	_, err = h.login.ApproveDeviceLogin(with(t, made.GetSecret()), &adgv1.ApproveDeviceLoginRequest{UserCode: begun.GetUserCode()})
	refused(t, err, codes.PermissionDenied, "a person who is logged in")
	_, err = h.login.GetDeviceLogin(with(t, made.GetSecret()), &adgv1.GetDeviceLoginRequest{UserCode: begun.GetUserCode()})
	refused(t, err, codes.PermissionDenied, "a person who is logged in")
	_, err = h.login.ApproveDeviceLogin(t.Context(), &adgv1.ApproveDeviceLoginRequest{UserCode: begun.GetUserCode()})
	refused(t, err, codes.Unauthenticated, "login")
}

func TestEveryMethodOfBothServicesAnswers(t *testing.T) {
	h := newHouse(t, nil)
	for _, service := range []protoreflect.ServiceDescriptor{
		adgv1.File_adg_v1_login_service_proto.Services().ByName("LoginService"), adgv1.File_adg_v1_identity_service_proto.Services().ByName("IdentityService"),
	} {
		for i := range service.Methods().Len() {
			m := service.Methods().Get(i)
			answer := dynamicpb.NewMessage(m.Output())
			err := h.conn.Invoke(h.as("root"), "/"+string(service.FullName())+"/"+string(m.Name()), dynamicpb.NewMessage(m.Input()), answer)
			if code := status.Code(err); code == codes.Unimplemented || code == codes.Internal || code == codes.Unknown {
				t.Errorf("%s: %v", m.FullName(), err)
			}
		}
	}
}

func TestThePageLogsInWithoutAScriptAndSendsNobodyElsewhere(t *testing.T) {
	h := newHouse(t, nil)
	tests := map[string]struct{ next, want string }{
		"a page of ours":           {"/deployments?live=1", "/deployments?live=1"},
		"nothing":                  {"", "/"},
		"another site":             {"https://evil.example", "/"},
		"another site, shortened":  {"//evil.example", "/"},
		"another site, lengthened": {"///evil.example", "/"},
		"another site, disguised":  {`/\evil.example`, "/"},
	}
	for name, tt := range tests {
		b := h.browser()
		answer, _ := b.post("/login", url.Values{"name": {"ann"}, "password": {password}, "return_to": {tt.next}})
		if answer.StatusCode != http.StatusSeeOther || answer.Header.Get("Location") != tt.want || b.session() == "" {
			t.Errorf("%s: got %d %s", name, answer.StatusCode, answer.Header.Get("Location"))
		}
	}
	b := h.browser()
	answer, text := b.post("/login", url.Values{"name": {`"><script>`}, "password": {"wrong wrong wrong"}})
	if answer.StatusCode != http.StatusUnauthorized || !strings.Contains(text, "the name or the password is wrong") || strings.Contains(text, "<script") || strings.Contains(text, "wrong wrong") {
		t.Errorf("got %d %s", answer.StatusCode, text)
	}
	answer, text = b.get("/login?return_to=/x")
	if answer.StatusCode != http.StatusOK || !strings.Contains(answer.Header.Get("Content-Security-Policy"), "form-action 'self'") || !strings.Contains(text, `<label for="password">`) || !strings.Contains(text, `value="/x"`) || !strings.Contains(text, `<link rel="icon" href="/guardian.svg"`) {
		t.Errorf("got %d %v %s", answer.StatusCode, answer.Header, text)
	}
	answer, _ = b.post("/login", url.Values{"name": {"ann"}, "password": {password}}, "Sec-Fetch-Site", "cross-site")
	if answer.StatusCode != http.StatusForbidden || b.session() != "" {
		t.Errorf("another site's form logged the browser in: %d", answer.StatusCode)
	}
}

func TestThePageShowsWhichProgramAsksBeforeItIsLetIn(t *testing.T) {
	h := newHouse(t, nil)
	begun, err := h.login.StartDeviceLogin(t.Context(), &adgv1.StartDeviceLoginRequest{Client: "<script>alert(1)</script>"})
	h.must(err)
	b := h.browser()
	at := "/device?user_code=" + begun.GetUserCode()
	answer, _ := b.get(at)
	if to := answer.Header.Get("Location"); answer.StatusCode != http.StatusSeeOther || to != "/login?return_to="+url.QueryEscape(at) {
		t.Fatalf("got %d to %s", answer.StatusCode, to)
	}
	b.logIn("ann", password)
	if answer, text := b.get("/device"); answer.StatusCode != http.StatusOK || !strings.Contains(text, `name="user_code"`) {
		t.Errorf("got %d %s", answer.StatusCode, text)
	}
	if answer, text := b.get("/device?user_code=BCDF-BCDF"); answer.StatusCode != http.StatusNotFound || !strings.Contains(text, `role="alert"`) {
		t.Errorf("got %d %s", answer.StatusCode, text)
	}
	answer, text := b.get(at)
	if answer.StatusCode != http.StatusOK || !strings.Contains(text, "127.0.0.1") || !strings.Contains(text, "&lt;script&gt;") || strings.Contains(text, "<script") || !strings.Contains(text, `value="`+begun.GetUserCode()+`"`) {
		t.Errorf("got %d %s", answer.StatusCode, text)
	}
	if answer, _ := b.post("/device", url.Values{"user_code": {begun.GetUserCode()}, "answer": {"approve"}}, "Sec-Fetch-Site", "cross-site"); answer.StatusCode != http.StatusForbidden {
		t.Errorf("another site's form was accepted: %d", answer.StatusCode)
	}
	if answer, _ := b.post("/device", url.Values{"user_code": {begun.GetUserCode()}}); answer.StatusCode != http.StatusBadRequest {
		t.Errorf("no answer was taken for one: %d", answer.StatusCode)
	}
	if answer, text := b.post("/device", url.Values{"user_code": {begun.GetUserCode()}, "answer": {"approve"}}); answer.StatusCode != http.StatusOK || !strings.Contains(text, "was let in") {
		t.Errorf("got %d %s", answer.StatusCode, text)
	}
	got, err := h.login.PollDeviceLogin(t.Context(), &adgv1.PollDeviceLoginRequest{DeviceCode: begun.GetDeviceCode()})
	if err != nil || got.GetIdentity().GetPerson() != "ann" {
		t.Errorf("got %v %v", got, err)
	}
}
