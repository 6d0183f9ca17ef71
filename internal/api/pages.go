package api

import (
	"bytes"
	"context"
	_ "embed"
	"html/template"
	"net/http"
	"net/url"
	"time"

	"github.com/grpc-ecosystem/grpc-gateway/v2/runtime"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/dashboard"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// Private

//go:embed pages/pages.html
var pagesHTML string

var pageTemplates = template.Must(template.New("").Parse(pagesHTML))

// pages are the few that people need before they are logged in. They work without scripts, and ask the same server as
// everybody else.
type pages struct{ *API }

// servePages adds them to what is served.
func (a *API) servePages(mux *http.ServeMux) {
	p := pages{a}
	mux.HandleFunc("GET /login", p.login)
	mux.HandleFunc("POST /login", p.logIn)
	mux.HandleFunc("GET /login/oidc/{provider}", p.startOIDC)
	mux.HandleFunc("GET /login/oidc/{provider}/callback", p.completeOIDC)
	mux.HandleFunc("GET /device", p.device)
	mux.HandleFunc("POST /device", p.answerDevice)
	mux.Handle("/", p.known(dashboard.Handler()))
}

// page is what a page shows.
type page struct {
	Title, Error, Text, Back string

	Local      bool
	Providers  []*adgv1.LoginProvider
	Next, Name string

	Code, Client, Address, Since string
}

// known sends whoever wants a page of the dashboard and is not logged in to the login, and from there back. What pages
// are made of is no secret.
func (p pages) known(inner http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if dashboard.IsPage(r.URL.Path) {
			_, err := adgv1.NewIdentityServiceClient(p.conn).WhoAmI(p.asking(r), &adgv1.WhoAmIRequest{})
			if status.Code(err) == codes.Unauthenticated {
				toLogin(w, r, r.URL.RequestURI())
				return
			}
		}
		inner.ServeHTTP(w, r)
	})
}

func toLogin(w http.ResponseWriter, r *http.Request, back string) {
	http.Redirect(w, r, "/login?"+url.Values{"return_to": {back}}.Encode(), http.StatusSeeOther)
}

func (p pages) login(w http.ResponseWriter, r *http.Request) {
	p.showLogin(w, r, http.StatusOK, page{Next: nextOf(r.URL.Query().Get("return_to"))})
}

func (p pages) logIn(w http.ResponseWriter, r *http.Request) {
	next, name := nextOf(r.PostFormValue("return_to")), r.PostFormValue("name")
	var md metadata.MD
	_, err := p.client().LogIn(p.asking(r), &adgv1.LogInRequest{Name: valid(name), Password: valid(r.PostFormValue("password"))}, grpc.Header(&md))
	if err != nil {
		p.showLogin(w, r, statusOf(err), page{Next: next, Name: name, Error: sentence(err)})
		return
	}
	p.goOn(w, r, md, next)
}

func (p pages) showLogin(w http.ResponseWriter, r *http.Request, code int, at page) {
	ways, err := p.client().ListLoginProviders(p.asking(r), &adgv1.ListLoginProvidersRequest{})
	if err != nil {
		p.failed(w, err, "")
		return
	}
	at.Title = "Log in"
	for _, way := range ways.GetProviders() {
		if way.GetName() == "" {
			at.Local = true
		} else {
			at.Providers = append(at.Providers, way)
		}
	}
	p.show(w, code, "login", at)
}

func (p pages) startOIDC(w http.ResponseWriter, r *http.Request) {
	var md metadata.MD
	answer, err := p.client().StartOidcLogin(p.asking(r), &adgv1.StartOidcLoginRequest{
		Provider: valid(r.PathValue("provider")), ReturnTo: nextOf(r.URL.Query().Get("return_to")),
	}, grpc.Header(&md))
	if err != nil {
		p.failed(w, err, "/login")
		return
	}
	p.goOn(w, r, md, answer.GetUrl())
}

func (p pages) completeOIDC(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	var md metadata.MD
	answer, err := p.client().CompleteOidcLogin(p.asking(r), &adgv1.CompleteOidcLoginRequest{
		Provider: valid(r.PathValue("provider")), Code: valid(query.Get("code")), State: valid(query.Get("state")),
	}, grpc.Header(&md))
	if err != nil {
		p.failed(w, err, "/login")
		return
	}
	p.goOn(w, r, md, nextOf(answer.GetReturnTo()))
}

func (p pages) device(w http.ResponseWriter, r *http.Request) {
	code := r.URL.Query().Get("user_code")
	ctx := p.asking(r)
	var asked *adgv1.DeviceLogin
	var err error
	if code == "" {
		_, err = adgv1.NewIdentityServiceClient(p.conn).WhoAmI(ctx, &adgv1.WhoAmIRequest{})
	} else {
		asked, err = p.client().GetDeviceLogin(ctx, &adgv1.GetDeviceLoginRequest{UserCode: valid(code)})
	}
	at := page{Title: "Let a program in", Code: code}
	switch {
	case err != nil:
		p.deviceFailed(w, r, err, at)
	case code == "":
		p.show(w, http.StatusOK, "code", at)
	default:
		at.Client, at.Address, at.Since = orElse(asked.GetClient(), "It does not say what it is."), asked.GetAddress(), asked.GetCreateTime().AsTime().Format(time.RFC3339)
		p.show(w, http.StatusOK, "device", at)
	}
}

func (p pages) answerDevice(w http.ResponseWriter, r *http.Request) {
	code, answer := r.PostFormValue("user_code"), r.PostFormValue("answer")
	if answer != "approve" && answer != "deny" {
		p.show(w, http.StatusBadRequest, "code", page{Title: "Let a program in", Code: code, Error: "Say whether the program is let in or refused."})
		return
	}
	_, err := p.client().ApproveDeviceLogin(p.asking(r), &adgv1.ApproveDeviceLoginRequest{UserCode: valid(code), Deny: answer == "deny"})
	switch {
	case err != nil:
		p.deviceFailed(w, r, err, page{Title: "Let a program in", Code: code})
	case answer == "deny":
		p.show(w, http.StatusOK, "message", page{Title: "The program was refused", Text: "You can close this page."})
	default:
		p.show(w, http.StatusOK, "message", page{Title: "The program was let in", Text: "It goes on by itself. You can close this page."})
	}
}

// deviceFailed sends whoever is not logged in to the login, and asks others for the code again.
func (p pages) deviceFailed(w http.ResponseWriter, r *http.Request, err error, at page) {
	if status.Code(err) == codes.Unauthenticated {
		back := "/device"
		if at.Code != "" {
			back += "?" + url.Values{"user_code": {at.Code}}.Encode()
		}
		toLogin(w, r, back)
		return
	}
	at.Error = sentence(err)
	p.show(w, statusOf(err), "code", at)
}

func (p pages) client() adgv1.LoginServiceClient { return adgv1.NewLoginServiceClient(p.conn) }

// asking is the context of what a browser asks, as the gateway would have it.
func (p pages) asking(r *http.Request) context.Context {
	return metadata.NewOutgoingContext(r.Context(), metadata.Join(p.annotate(r.Context(), r), annotateLogin(r.Context(), r)))
}

// goOn gives the browser its cookies and sends it on.
func (p pages) goOn(w http.ResponseWriter, r *http.Request, md metadata.MD, to string) {
	ctx := runtime.NewServerMetadataContext(r.Context(), runtime.ServerMetadata{HeaderMD: md})
	for _, set := range []func() error{
		func() error { return p.setCookie(ctx, w, nil) },
		func() error { return p.setLoginCookie(ctx, w, nil) },
	} {
		if err := set(); err != nil {
			p.failed(w, err, "/login")
			return
		}
	}
	http.Redirect(w, r, to, http.StatusSeeOther)
}

func (p pages) failed(w http.ResponseWriter, err error, back string) {
	p.show(w, statusOf(err), "message", page{Title: "Log in", Error: sentence(err), Back: back})
}

func (p pages) show(w http.ResponseWriter, code int, name string, at page) {
	var body bytes.Buffer
	if err := pageTemplates.ExecuteTemplate(&body, name, at); err != nil {
		p.o.Log.Error("a page was not made", "page", name, "error", err)
		http.Error(w, "something went wrong that is ADG's own fault", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.WriteHeader(code)
	_, _ = body.WriteTo(w) // a browser that has gone needs no page
}

// nextOf is the page to go on at: one of ours.
func nextOf(asked string) string {
	if ownPage(asked) {
		return asked
	}
	return "/"
}

// valid is typed text as a message may hold it.
func valid(text string) string { return string([]rune(text)) }

func statusOf(err error) int {
	code := status.Code(err)
	return orElse(httpStatus(code), runtime.HTTPStatusFromCode(code))
}

// sentence is an error for a person.
func sentence(err error) string { return adg.Printable(status.Convert(err).Message()) }
