package flagr

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/flag/flagtest"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// world is a flag of its own in a server.
type world struct {
	server  string
	key     string
	id      string
	segment string
}

var flags atomic.Int64

func newWorld(t *testing.T, server string) *world {
	w := &world{server: server, key: fmt.Sprintf("checkout-%d", flags.Add(1))}
	w.id = w.make(t, "POST", "/flags", map[string]any{"key": w.key, "description": "the new checkout"})
	variant := w.make(t, "POST", "/flags/"+w.id+"/variants", map[string]any{"key": "on"})
	w.segment = w.make(t, "POST", "/flags/"+w.id+"/segments", map[string]any{"description": "everybody", "rolloutPercent": 0})
	n, err := strconv.Atoi(variant)
	if err != nil {
		t.Fatal(err)
	}
	w.call(t, "PUT", "/flags/"+w.id+"/segments/"+w.segment+"/distributions", map[string]any{
		"distributions": []map[string]any{{"percent": 100, "variantKey": "on", "variantID": n}},
	}, nil)
	return w
}

func (w *world) make(t *testing.T, method, path string, in any) string {
	t.Helper()
	var made struct{ ID int64 }
	w.call(t, method, path, in, &made)
	return strconv.FormatInt(made.ID, 10)
}

// call is a request of somebody who is not ADG.
func (w *world) call(t *testing.T, method, path string, in, out any) {
	t.Helper()
	body, err := json.Marshal(in)
	if err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(t.Context(), method, w.server+"/api/v1"+path, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/json")
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	said, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %d %s, %v", method, path, answer.StatusCode, said, err)
	}
	if out != nil {
		if err := json.Unmarshal(said, out); err != nil {
			t.Fatalf("%s %s: %s, %v", method, path, said, err)
		}
	}
}

func (w *world) Share(t *testing.T) float64 {
	var all []struct {
		Enabled  bool
		Segments []struct{ RolloutPercent float64 }
	}
	w.call(t, "GET", "/flags?preload=true&key="+w.key, nil, &all)
	if !all[0].Enabled {
		return 0
	}
	return all[0].Segments[0].RolloutPercent
}

func (w *world) Set(t *testing.T, share float64) {
	if share == 0 {
		w.call(t, "PUT", "/flags/"+w.id+"/enabled", map[string]any{"enabled": false}, nil)
		return
	}
	var all []found
	w.call(t, "GET", "/flags?preload=true&key="+w.key, nil, &all)
	w.call(t, "PUT", "/flags/"+w.id+"/segments/"+w.segment, map[string]any{"description": all[0].Segments[0].Description, "rolloutPercent": share}, nil)
	w.call(t, "PUT", "/flags/"+w.id+"/enabled", map[string]any{"enabled": true}, nil)
}

func (w *world) Archive(t *testing.T) { w.call(t, "DELETE", "/flags/"+w.id, nil, nil) }

func fixture(t *testing.T, server string) (flagtest.Fixture, *world) {
	p := newWorld(t, server)
	front := flagtest.NewWorld(t, p, flagtest.Proxy(t, server), func(r *http.Request) bool { return strings.HasSuffix(r.URL.Path, "/evaluation") })
	return flagtest.Fixture{World: front, Open: func(t *testing.T, dir string) adg.Target {
		o := Driver.Options.(Options)
		o.URL, o.Flag, o.On, o.Off = front.URL, p.key, flagtest.On, flagtest.Off
		o.BearerToken = adg.NewSecret(targettest.Planted)
		target, err := Driver.Open(t.Context(), o, adg.Host{Name: "checkout", Dir: dir})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = target.(io.Closer).Close() })
		return target
	}}, p
}

// servers are the stand-in, and the real one where it is installed.
func servers(t *testing.T) map[string]string {
	t.Helper()
	imitated := httptest.NewServer(newStandIn())
	t.Cleanup(imitated.Close)
	all := map[string]string{"stand-in": imitated.URL}
	program, err := exec.LookPath("flagr")
	if err != nil {
		return all
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := listener.Addr().(*net.TCPAddr).Port
	_ = listener.Close() // the port is for the server
	command := exec.CommandContext(t.Context(), program)
	command.Dir = t.TempDir()
	command.Env = append(os.Environ(), "HOST=127.0.0.1", fmt.Sprintf("PORT=%d", port), "FLAGR_DB_DBDRIVER=sqlite3", "FLAGR_DB_DBCONNECTIONSTR=flagr.sqlite",
		"FLAGR_DB_DBCONNECTION_DEBUG=false", "FLAGR_LOGRUS_LEVEL=error", "FLAGR_EVALCACHE_REFRESHINTERVAL=200ms", "FLAGR_RECORDER_ENABLED=false")
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = command.Process.Kill(); _ = command.Wait() })
	all["flagr"] = fmt.Sprintf("http://127.0.0.1:%d", port)
	for deadline := time.Now().Add(30 * time.Second); ; {
		answer, err := http.Get(all["flagr"] + "/api/v1/health")
		if err == nil {
			_ = answer.Body.Close()
			return all
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
	}
}

func TestTheFlagrTargetKeepsTheContract(t *testing.T) {
	for name, server := range servers(t) {
		t.Run(name, func(t *testing.T) {
			flagtest.Run(t, flagtest.Case{
				Fixture: func(t *testing.T) flagtest.Fixture { f, _ := fixture(t, server); return f }, Whole: true,
			})
		})
	}
}

func TestARollbackIsNotDoneBeforeEvaluationsAreMadeFromIt(t *testing.T) {
	for name, server := range servers(t) {
		f, _ := fixture(t, server)
		target := f.Open(t, t.TempDir())
		seen, err := target.Apply(t.Context(), targettest.Want("shop-v2-abc/1", 1, 100))
		for ; err == nil && !seen.Done; seen, err = target.Current(t.Context()) {
		}
		begin := time.Now()
		seen, err = target.Apply(t.Context(), targettest.Rollback("shop-v2-abc/2", 1))
		applied := time.Since(begin)
		if err != nil || seen.Done || !strings.Contains(seen.Text, "snapshot") {
			t.Errorf("%s: %+v, %v", name, seen, err)
		}
		for ; err == nil && !seen.Done; seen, err = target.Current(t.Context()) {
		}
		if share, _ := seen.Share(flagtest.On); err != nil || share != 0 {
			t.Errorf("%s: %+v, %v", name, seen, err)
		}
		t.Logf("%s: off at the server after %s, and in evaluations after %s", name, applied, time.Since(begin))
	}
}

func TestAnotherDistributionIsInTheWayAndSwitchedOffAllTheSame(t *testing.T) {
	for name, server := range servers(t) {
		f, p := fixture(t, server)
		target := f.Open(t, t.TempDir())
		if _, err := target.Apply(t.Context(), targettest.Want("shop-v2-abc/1", 1, 40)); err != nil {
			t.Fatal(err)
		}
		p.call(t, "PUT", "/flags/"+p.id+"/segments/"+p.segment+"/distributions", map[string]any{"distributions": p.half(t)}, nil)
		seen, err := target.Current(t.Context())
		if share, _ := seen.Share(flagtest.On); err != nil || share != 20 || seen.Done {
			t.Errorf("%s: half of 40 %%: %+v, %v", name, seen, err)
		}
		if _, err := target.Apply(t.Context(), targettest.Want("shop-v2-abc/2", 1, 50)); adg.CodeOf(err) != adg.Conflict || !strings.Contains(err.Error(), "give it 100 %") {
			t.Errorf("%s: a step forward: %v", name, err)
		}
		if seen, err = target.Apply(t.Context(), targettest.Rollback("shop-v2-abc/3", 1)); err != nil || seen.Failed {
			t.Errorf("%s: rollback: %+v, %v", name, seen, err)
		}
	}
}

// half gives half of the segment's users the variant on, and the others one of their own.
func (w *world) half(t *testing.T) []map[string]any {
	var all []struct {
		Segments []struct {
			Distributions []struct {
				VariantID int64
			}
		}
	}
	w.call(t, "GET", "/flags?preload=true&key="+w.key, nil, &all)
	other, err := strconv.Atoi(w.make(t, "POST", "/flags/"+w.id+"/variants", map[string]any{"key": "other"}))
	if err != nil {
		t.Fatal(err)
	}
	on := all[0].Segments[0].Distributions[0].VariantID
	return []map[string]any{{"percent": 50, "variantKey": "on", "variantID": on}, {"percent": 50, "variantKey": "other", "variantID": other}}
}

func TestEveryProblemOfTheOptionsIsReportedAtOnce(t *testing.T) {
	o := Driver.Options.(Options)
	o.Flag, o.EvaluationURL, o.Off = "a/b", "there", "on"
	_, err := Driver.Open(t.Context(), o, adg.Host{})
	for _, part := range []string{"url:", "evaluation_url:", "flag:", "are the same", "directory"} {
		if err == nil || !strings.Contains(err.Error(), part) || adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%q is missing in: %v", part, err)
		}
	}
}
