package webhook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// receiver is an endpoint that keeps the contract, on a target that lives in memory.
type receiver struct {
	*targettest.Memory
	server *httptest.Server
	silent bool // answers with nothing

	mu    sync.Mutex
	fault *targettest.Fault
	last  *http.Request
}

func startReceiver(t *testing.T) *receiver {
	r := &receiver{Memory: targettest.NewMemory()}
	r.server = httptest.NewServer(r)
	t.Cleanup(r.server.Close)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(io.LimitReader(req.Body, 1<<20))
	if err != nil {
		return
	}
	stamp, _, _ := strings.Cut(strings.TrimPrefix(req.Header.Get("Adg-Signature"), "t="), ",")
	unix, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil || req.Header.Get("Adg-Signature") != remote.Sign(targettest.Planted, time.Unix(unix, 0), body) || time.Since(time.Unix(unix, 0)).Abs() > time.Minute {
		http.Error(w, "bad signature", http.StatusUnauthorized)
		return
	}
	r.mu.Lock()
	fault := r.fault
	r.last = req
	r.mu.Unlock()
	if fault != nil && *fault == targettest.Unreachable {
		http.Error(w, "no backend for "+targettest.Planted, http.StatusBadGateway)
		return
	}
	var seen adg.Observed
	if req.Method == http.MethodGet {
		seen, err = r.Current(req.Context())
	} else {
		var want adg.Desired
		if err = json.Unmarshal(body, &want); err == nil && req.Header.Get("Idempotency-Key") != want.OpID {
			err = errors.New("another key")
		}
		if err == nil {
			seen, err = r.Apply(req.Context(), want)
		}
	}
	switch {
	case errors.Is(err, adg.ErrFenced):
		w.WriteHeader(http.StatusPreconditionFailed)
	case err != nil:
		http.Error(w, err.Error()+" "+targettest.Planted, http.StatusServiceUnavailable)
	case r.silent && req.Method == http.MethodPost:
		w.WriteHeader(http.StatusNoContent)
	default:
		seen.Text = "done with " + targettest.Planted
		_ = json.NewEncoder(w).Encode(seen)
	}
}

func (r *receiver) Break(t *testing.T, fault targettest.Fault) func() {
	if fault != targettest.Unreachable {
		return r.Memory.Break(t, fault)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.fault = &fault
	return func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.fault = nil
	}
}

func (r *receiver) options() Options {
	o := Driver.Options.(Options)
	o.URL, o.CurrentURL, o.Secret = r.server.URL+"/apply", r.server.URL+"/current", adg.NewSecret(targettest.Planted)
	o.Headers = map[string]adg.Secret{"X-Token": adg.NewSecret(targettest.Planted)}
	o.Shares, o.Idle = true, true
	return o
}

func openTarget(t *testing.T, o Options) adg.Target {
	t.Helper()
	target, err := Driver.Open(t.Context(), o, adg.Host{Name: "shop"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = target.(io.Closer).Close() })
	return target
}

func TestTheWebhookTargetKeepsTheContract(t *testing.T) {
	for name, shape := range map[string]func(*receiver, *Options){
		"answers with the state": func(*receiver, *Options) {},
		"answers with nothing":   func(r *receiver, _ *Options) { r.silent = true },
		"cannot be asked":        func(r *receiver, o *Options) { r.silent, o.CurrentURL = true, "" },
	} {
		t.Run(name, func(t *testing.T) {
			targettest.Run(t, targettest.Case{
				Open: func(t *testing.T) targettest.Fixture {
					r := startReceiver(t)
					o := r.options()
					shape(r, &o)
					return targettest.Fixture{
						Target: openTarget(t, o), World: r, Reopen: func(t *testing.T) adg.Target { return openTarget(t, o) },
					}
				},
				Faults: []targettest.Fault{targettest.Unreachable, targettest.Hang, targettest.Halfway, targettest.Lie},
				Fences: true,
			})
		})
	}
}

func TestWhatTheEndpointAnswersIsAnErrorOfItsKind(t *testing.T) {
	for _, c := range []struct {
		name      string
		status    int
		header    string // Retry-After
		body      string
		code      adg.Code
		permanent bool
		says      string
	}{
		{"wrong credentials", 401, "", "", adg.Unauthorized, true, "401"},
		{"a right that is missing", 403, "", "", adg.Unauthorized, true, "403"},
		{"a version that is not to be had", 404, "", "no image v2", adg.Invalid, true, "no image v2"},
		{"not understood", 422, "", "no such field", adg.Invalid, true, "no such field"},
		{"busy with another operation", 409, "", "", adg.Unavailable, false, "busy"},
		{"broken", 500, "", "stack trace", adg.Unavailable, false, "500"},
		{"throttled", 429, "7", "", adg.Unavailable, false, "429"},
		{"not JSON", 200, "", "<html>ok</html>", adg.Unavailable, false, "not of the form"},
		{"an error with 200", 200, "", `{"error":"no"}`, adg.Unavailable, false, `unknown field "error"`},
		{"half an answer", 200, "", `{"releases":[{"rel`, adg.Unavailable, false, "not of the form"},
		{"shares of 60 and 60", 200, "", `{"releases":[{"release":{"version":"v1"},"share":60},{"release":{"version":"v2"},"share":60}],"done":true}`, adg.Unavailable, false, "add up to 120"},
		{"a release twice", 200, "", `{"releases":[{"release":{"version":"v1"},"share":50},{"release":{"version":"v1"},"share":50}],"done":true}`, adg.Unavailable, false, "twice"},
		{"nothing live", 200, "", `{"releases":[],"done":true}`, adg.Unavailable, false, "0 releases"},
		{"not done, and nobody to ask", 200, "", `{"releases":[{"release":{"version":"v1"},"share":100}],"done":false}`, adg.Invalid, true, "current_url"},
		{"larger than the limit", 200, "", strings.Repeat(" ", 2000), adg.Invalid, true, ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
				_, _ = io.Copy(io.Discard, req.Body)
				if c.header != "" {
					w.Header().Set("Retry-After", c.header)
				}
				w.WriteHeader(c.status)
				_, _ = io.WriteString(w, c.body)
			}))
			defer server.Close()
			o := Driver.Options.(Options)
			o.URL, o.MaxBytes = server.URL, 1000
			_, err := openTarget(t, o).Apply(t.Context(), targettest.Want("d/1", 1, 100))
			if err == nil || adg.CodeOf(err) != c.code || adg.IsPermanent(err) != c.permanent || !strings.Contains(err.Error(), c.says) {
				t.Errorf("got %v (%s, permanent: %v)", err, adg.CodeOf(err), adg.IsPermanent(err))
			}
			if wait, throttled := adg.RetryAfter(err); throttled != (c.status == 429) || throttled && wait != 7*time.Second {
				t.Errorf("throttled: %v, %s", throttled, wait)
			}
		})
	}
}

func TestWhatIsSaidToHaveFailedHasFailed(t *testing.T) {
	for _, done := range []string{"true", "false"} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			_, _ = io.Copy(io.Discard, req.Body)
			_, _ = io.WriteString(w, `{"releases":[{"release":{"version":"v2"},"share":100}],"failed":true,"text":"v1 does not start","done":`+done+`}`)
		}))
		defer server.Close()
		for name, current := range map[string]string{"in the answer": "", "when it is asked": server.URL} {
			o := Driver.Options.(Options)
			o.URL, o.CurrentURL = server.URL, current
			seen, err := openTarget(t, o).Apply(t.Context(), targettest.Rollback("d/1", 1))
			if err != nil || !seen.Failed || seen.Done || seen.Text != "v1 does not start" {
				t.Errorf("%s, done %s: %+v, %v", name, done, seen, err)
			}
		}
	}
}

func TestATakenStateThatCannotBeReadIsNotBelieved(t *testing.T) {
	r := startReceiver(t)
	o := r.options()
	broken := httptest.NewServer(http.NotFoundHandler())
	defer broken.Close()
	o.CurrentURL = broken.URL
	seen, err := openTarget(t, o).Apply(t.Context(), targettest.Want("d/1", 1, 100))
	if err != nil || seen.Done || seen.Text == "" || len(seen.Releases) != 0 {
		t.Errorf("got %+v, %v", seen, err)
	}
}

func TestTheSignatureCoversTimeAndBody(t *testing.T) {
	// Made by: printf '1700000000.{}' | openssl dgst -sha256 -hmac key
	const want = "t=1700000000,v1=9d713ed406bb7076d4123f0dc2c39d2df5c654ed4b0cd56b52c8b4c940bd63ae"
	at := time.Unix(1700000000, 0)
	got := remote.Sign("key", at, []byte("{}"))
	if got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	for name, other := range map[string]string{
		"key": remote.Sign("kez", at, []byte("{}")), "time": remote.Sign("key", at.Add(time.Second), []byte("{}")), "body": remote.Sign("key", at, []byte("{ }")),
	} {
		if _, mac, _ := strings.Cut(got, ","); strings.HasSuffix(other, mac) {
			t.Errorf("another %s has the same signature", name)
		}
	}
}

func TestEveryProblemOfTheOptionsIsReportedAtOnce(t *testing.T) {
	o := Options{URL: "shop", CurrentURL: "ftp://" + targettest.Planted, Options: remote.Defaults()}
	o.Timeout = -time.Second
	_, err := Driver.Open(context.Background(), o, adg.Host{})
	for _, part := range []string{"url is no address", "current_url is no address", "timeout"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is missing in: %v", part, err)
		}
	}
	if strings.Contains(fmt.Sprint(err), targettest.Planted) || adg.CodeOf(err) != adg.Invalid {
		t.Errorf("error %v", err)
	}
}

func FuzzObserved(f *testing.F) {
	f.Add([]byte(`{"releases":[{"release":{"version":"v1"},"share":100,"role":"stable"}],"done":true}`))
	f.Add([]byte(`{"releases":null}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		seen, err := parseObserved(body)
		if err != nil {
			return
		}
		sum := 0.0
		for _, p := range seen.Releases {
			if adg.ValidVersion(p.Release.Version) != nil || !(p.Share >= 0 && p.Share <= 100) {
				t.Errorf("accepted %+v", p)
			}
			sum += p.Share
		}
		if len(seen.Releases) == 0 || sum > 100.001 {
			t.Errorf("accepted %+v", seen)
		}
	})
}
