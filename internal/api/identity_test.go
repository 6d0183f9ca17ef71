package api_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"

	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

func TestAUserIsMadeChangedAndRemovedByWhatWasLookedAt(t *testing.T) {
	h := newHouse(t, nil)
	b := h.browser()
	b.logIn("root", password)
	var made, changed adgv1.User
	b.rest(http.StatusOK, http.MethodPost, "/v1/users", &adgv1.CreateUserRequest{Name: "bob", DisplayName: "Bob B.", Email: "bob@example.com", Password: another}, &made)
	if made.GetDisplayName() != "Bob B." || made.GetEmail() != "bob@example.com" || made.GetDisabled() || made.GetEtag() == "" {
		t.Errorf("got %v", &made)
	}
	b.rest(http.StatusBadRequest, http.MethodPatch, "/v1/users/bob", &adgv1.UpdateUserRequest{Email: proto.String("b@example.com")}, nil)
	b.rest(http.StatusOK, http.MethodPatch, "/v1/users/bob", &adgv1.UpdateUserRequest{Etag: made.GetEtag(), Email: proto.String("b@example.com"), Disabled: proto.Bool(true)}, &changed)
	if changed.GetDisplayName() != "Bob B." || changed.GetEmail() != "b@example.com" || !changed.GetDisabled() || changed.GetEtag() == made.GetEtag() {
		t.Errorf("got %v", &changed)
	}
	b.rest(http.StatusConflict, http.MethodPatch, "/v1/users/bob", &adgv1.UpdateUserRequest{Etag: made.GetEtag(), DisplayName: proto.String("x")}, nil)
	b.rest(http.StatusConflict, http.MethodDelete, "/v1/users/bob?etag="+made.GetEtag(), nil, nil)
	b.rest(http.StatusOK, http.MethodDelete, "/v1/users/bob?etag="+changed.GetEtag(), nil, nil)
	b.rest(http.StatusNotFound, http.MethodGet, "/v1/users/bob", nil, nil)
}

func TestAnAdminUnlocksWhoMistypedTooOften(t *testing.T) {
	h := newHouse(t, nil)
	root := h.as("root")
	b := h.browser()
	for range 5 {
		b.rest(http.StatusUnauthorized, http.MethodPost, "/v1/login", &adgv1.LogInRequest{Name: "ann", Password: "wrong wrong wrong"}, nil)
	}
	if _, text := b.send(http.MethodPost, "/v1/login", "application/json", []byte(`{"name":"ann","password":"`+password+`"}`)); !strings.Contains(message(t, text), "too many failed logins") {
		t.Errorf("got %s", text)
	}
	ann, err := h.people.GetUser(root, &adgv1.GetUserRequest{Name: "ann"})
	if err != nil || !ann.GetLocked() {
		t.Fatalf("got %v %v", ann, err)
	}
	_, err = h.people.UpdateUser(root, &adgv1.UpdateUserRequest{Name: "ann", Etag: ann.GetEtag(), Locked: proto.Bool(true)})
	refused(t, err, codes.InvalidArgument, "disable him")
	ann, err = h.people.UpdateUser(root, &adgv1.UpdateUserRequest{Name: "ann", Etag: ann.GetEtag(), Locked: proto.Bool(false)})
	if err != nil || ann.GetLocked() {
		t.Fatalf("got %v %v", ann, err)
	}
	b.logIn("ann", password)
}

func TestUsersAreListedByNameAPageAtATime(t *testing.T) {
	h := newHouse(t, nil)
	root := h.as("root")
	for _, name := range []string{"shop-b", "shop-a", "shop-c"} {
		_, err := h.people.CreateUser(root, &adgv1.CreateUserRequest{Name: name, Password: another})
		h.must(err)
	}
	var names []string
	r := &adgv1.ListUsersRequest{Prefix: "shop-", PageSize: 2}
	for range 2 {
		page, err := h.people.ListUsers(root, r)
		h.must(err)
		for _, u := range page.GetUsers() {
			names = append(names, u.GetName())
		}
		r.PageToken = page.GetNextPageToken()
	}
	if !slices.Equal(names, []string{"shop-a", "shop-b", "shop-c"}) || r.GetPageToken() != "" {
		t.Errorf("got %v and %q", names, r.GetPageToken())
	}
	_, err := h.people.ListUsers(h.as("ann"), &adgv1.ListUsersRequest{})
	refused(t, err, codes.PermissionDenied, "identity.read")
}

func TestARequestWithAKeyIsDoneOnceAndAnsweredAgainWithoutItsSecret(t *testing.T) {
	h := newHouse(t, nil)
	ann := h.as("ann")
	r := &adgv1.CreateTokenRequest{Name: "ci", Role: "viewer", Service: "shop", Environment: "*", IdempotencyKey: "k"}
	first, err := h.people.CreateToken(ann, r)
	h.must(err)
	again, err := h.people.CreateToken(ann, r)
	h.must(err)
	if first.GetSecret() == "" || again.GetSecret() != "" || !proto.Equal(first.GetToken(), again.GetToken()) {
		t.Errorf("got %v, then %v", first.GetToken(), again)
	}
	_, err = h.people.CreateToken(ann, &adgv1.CreateTokenRequest{Name: "cd", Role: "viewer", Service: "shop", Environment: "*", IdempotencyKey: "k"})
	refused(t, err, codes.Aborted, "another request")
	root := h.as("root")
	_, err = h.people.CreateToken(root, r)
	h.must(err)
	bad := &adgv1.CreateTokenRequest{Name: "x", Role: "king", Service: "*", Environment: "*", IdempotencyKey: "bad"}
	for range 2 {
		_, err = h.people.CreateToken(root, bad)
		refused(t, err, codes.InvalidArgument, "unknown role")
	}
	for range 2 {
		_, err = h.people.DeleteUser(root, &adgv1.DeleteUserRequest{Name: "ann", IdempotencyKey: "gone"})
		h.must(err)
	}
	_, err = h.people.DeleteUser(root, &adgv1.DeleteUserRequest{Name: "root", IdempotencyKey: strings.Repeat("k", 129)})
	refused(t, err, codes.InvalidArgument, "128")
}

func TestTokensAreListedFromTheNewestAndEndAtOnce(t *testing.T) {
	h := newHouse(t, nil)
	ann := h.as("ann")
	var ids []string
	for i := range 3 {
		made, err := h.people.CreateToken(ann, &adgv1.CreateTokenRequest{Name: fmt.Sprint("t", i), Role: "viewer", Service: "*", Environment: "*"})
		h.must(err)
		ids = append([]string{made.GetToken().GetId()}, ids...)
		h.wait(time.Second)
	}
	var listed []string
	r := &adgv1.ListTokensRequest{PageSize: 2}
	for range 2 {
		page, err := h.people.ListTokens(ann, r)
		h.must(err)
		for _, one := range page.GetTokens() {
			listed = append(listed, one.GetId())
		}
		r.PageToken = page.GetNextPageToken()
	}
	if !slices.Equal(ids, listed) || r.GetPageToken() != "" {
		t.Errorf("made %v, listed %v", ids, listed)
	}
	_, err := h.people.RevokeToken(ann, &adgv1.RevokeTokenRequest{Id: ids[0]})
	h.must(err)
	page, err := h.people.ListTokens(ann, &adgv1.ListTokensRequest{Creator: "ann"})
	if err != nil || len(page.GetTokens()) != 2 {
		t.Errorf("got %v %v", page, err)
	}
	_, err = h.people.CreateToken(ann, &adgv1.CreateTokenRequest{Name: "x", Role: "admin", Service: "*", Environment: "*"})
	refused(t, err, codes.PermissionDenied, "does not hold the role admin")
	_, err = h.people.ListTokens(ann, &adgv1.ListTokensRequest{Creator: "root"})
	refused(t, err, codes.PermissionDenied, "identity.read")
}

func TestAPersonSeesAndEndsHisSessions(t *testing.T) {
	h := newHouse(t, nil)
	old := h.browser()
	old.logIn("ann", password)
	h.wait(time.Minute)
	b := h.browser()
	b.logIn("ann", password)
	var open adgv1.ListSessionsResponse
	b.rest(http.StatusOK, http.MethodGet, "/v1/sessions", nil, &open)
	if len(open.GetSessions()) != 2 {
		t.Fatalf("got %v", &open)
	}
	own, elder := open.GetSessions()[0], open.GetSessions()[1]
	if !own.GetCurrent() || elder.GetCurrent() || own.GetAddress() != "127.0.0.1" || !strings.HasPrefix(own.GetAgent(), "Browser/1 (") || own.GetUser() != "ann" {
		t.Errorf("got %v and %v", own, elder)
	}
	b.rest(http.StatusOK, http.MethodDelete, "/v1/sessions/"+elder.GetId(), nil, nil)
	if _, code := old.me(); code != http.StatusUnauthorized {
		t.Errorf("the session that was ended is answered %d", code)
	}
	_, err := h.people.RevokeSession(h.as("ann"), &adgv1.RevokeSessionRequest{Id: "aaaaaaaaaaaaa"})
	refused(t, err, codes.PermissionDenied, "identity.write")
	_, err = h.people.ListSessions(h.as("ann"), &adgv1.ListSessionsRequest{User: "root"})
	refused(t, err, codes.PermissionDenied, "identity.read")
	b.rest(http.StatusOK, http.MethodDelete, "/v1/sessions/"+own.GetId(), nil, nil)
	if b.session() != "" {
		t.Error("the browser still has the cookie of the session that it has ended")
	}
}

func TestAnotherPasswordEndsTheOtherSessionsAndTheBrowserGoesOn(t *testing.T) {
	h := newHouse(t, nil)
	old, b := h.browser(), h.browser()
	old.logIn("ann", password)
	b.logIn("ann", password)
	b.rest(http.StatusUnauthorized, http.MethodPost, "/v1/me:change-password", &adgv1.ChangePasswordRequest{Current: another, Wanted: another}, nil)
	before := b.session()
	var answer adgv1.ChangePasswordResponse
	b.rest(http.StatusOK, http.MethodPost, "/v1/me:change-password", &adgv1.ChangePasswordRequest{Current: password, Wanted: another}, &answer)
	if who, _ := b.me(); who != "user:ann" || b.session() == before || answer.GetEndedSessions() != 1 {
		t.Errorf("the browser is %q, and %d sessions ended", who, answer.GetEndedSessions())
	}
	if _, code := old.me(); code != http.StatusUnauthorized {
		t.Errorf("another session is answered %d", code)
	}
	b.logIn("ann", another)
}

func TestRolesAreGivenSeenAndTakenAway(t *testing.T) {
	h := newHouse(t, nil)
	root, ann := h.as("root"), h.as("ann")
	check := &adgv1.CheckAccessRequest{Permission: "deployment.start", Service: "shop-cart", Environment: "staging"}
	may, err := h.people.CheckAccess(ann, check)
	if err != nil || may.GetAllowed() || !strings.Contains(may.GetWhyNot(), "deployer") {
		t.Errorf("got %v %v", may, err)
	}
	made, err := h.people.CreateRoleBinding(root, &adgv1.CreateRoleBindingRequest{Subject: "user:ann", Role: "deployer", Service: "shop-*", Environment: "staging"})
	h.must(err)
	if may, err := h.people.CheckAccess(ann, check); err != nil || !may.GetAllowed() || may.GetWhyNot() != "" {
		t.Errorf("got %v %v", may, err)
	}
	me, err := h.people.WhoAmI(ann, &adgv1.WhoAmIRequest{})
	h.must(err)
	if !slices.ContainsFunc(me.GetGrants(), func(g *adgv1.Grant) bool {
		return g.GetPermission() == "deployment.start" && g.GetService() == "shop-*"
	}) {
		t.Errorf("got %v", me.GetGrants())
	}
	for _, b := range me.GetIdentity().GetBindings() {
		if b.GetCreator() == "" || b.GetRole() == "deployer" && b.GetCreator() != "root" || b.GetCreateTime() == nil {
			t.Errorf("%s was given by %q at %v", b.GetRole(), b.GetCreator(), b.GetCreateTime())
		}
	}
	token, err := h.people.CreateToken(ann, &adgv1.CreateTokenRequest{Name: "ci", Role: "deployer", Service: "shop-cart", Environment: "staging"})
	h.must(err)
	me, err = h.people.WhoAmI(with(t, token.GetSecret()), &adgv1.WhoAmIRequest{})
	h.must(err)
	all := me.GetIdentity().GetBindings()
	if len(all) == 0 || slices.ContainsFunc(all, func(b *adgv1.RoleBinding) bool { return b.GetCreator() != "ann" }) {
		t.Errorf("the token's roles are of who made it: %v", all)
	}
	var listed []string
	r := &adgv1.ListRoleBindingsRequest{Subject: "user:ann", PageSize: 1}
	for range 2 {
		page, err := h.people.ListRoleBindings(root, r)
		h.must(err)
		for _, b := range page.GetBindings() {
			listed = append(listed, b.GetRole())
			if b.GetCreator() == "" || b.GetRole() == "deployer" && b.GetCreator() != "root" || b.GetCreateTime() == nil {
				t.Errorf("given by %q at %v", b.GetCreator(), b.GetCreateTime())
			}
		}
		r.PageToken = page.GetNextPageToken()
	}
	if !slices.Equal(listed, []string{"deployer", "viewer"}) {
		t.Errorf("got %v", listed)
	}
	_, err = h.people.DeleteRoleBinding(ann, &adgv1.DeleteRoleBindingRequest{Id: made.GetId()})
	refused(t, err, codes.PermissionDenied, "ask an admin")
	_, err = h.people.DeleteRoleBinding(root, &adgv1.DeleteRoleBindingRequest{Id: made.GetId()})
	h.must(err)
	_, err = h.people.DeleteRoleBinding(root, &adgv1.DeleteRoleBindingRequest{Id: made.GetId()})
	refused(t, err, codes.NotFound, "no role binding")
	_, err = h.people.CheckAccess(ann, &adgv1.CheckAccessRequest{Permission: "everything"})
	refused(t, err, codes.InvalidArgument, "deployment.start")
	roles, err := h.people.ListRoles(ann, &adgv1.ListRolesRequest{})
	if err != nil || len(roles.GetRoles()) != 4 || roles.GetRoles()[0].GetRole() != "viewer" {
		t.Errorf("got %v %v", roles, err)
	}
}
