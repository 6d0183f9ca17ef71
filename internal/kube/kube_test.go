package kube

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

var pods = Resource{Version: "v1", Plural: "pods"}

// served is a client of a server that answers like that.
func served(t *testing.T, answer http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	o := Defaults()
	o.Server, o.Token, o.Namespace = server.URL, adg.NewSecret("planted-token"), "shop"
	c, err := Open(o, adg.Host{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func TestListsAreReadPageByPage(t *testing.T) {
	c := served(t, func(w http.ResponseWriter, r *http.Request) {
		next := map[string]string{"": "a", "a": "b"}[r.URL.Query().Get("continue")]
		fmt.Fprintf(w, `{"kind":"PodList","metadata":{"continue":%q},"items":[%q]}`, next, r.URL.Query().Get("labelSelector")+r.URL.Query().Get("continue"))
	})
	got, err := List[string](t.Context(), c, pods, Selection{Labels: "x=y "})
	if diff := cmp.Diff([]string{"x=y ", "x=y a", "x=y b"}, got); diff != "" || err != nil {
		t.Error(err, diff)
	}
}

func TestEndlessListIsRefused(t *testing.T) {
	asked := 0
	c := served(t, func(w http.ResponseWriter, _ *http.Request) {
		asked++
		fmt.Fprint(w, `{"kind":"PodList","metadata":{"continue":"more"},"items":[]}`)
	})
	_, err := List[string](t.Context(), c, pods, Selection{})
	if !adg.IsPermanent(err) || adg.CodeOf(err) != adg.Invalid && !strings.Contains(err.Error(), "more than") || asked != maxPages {
		t.Errorf("asked %d times: %v", asked, err)
	}
}

func TestWhatIsGoneNeedsNoDeleting(t *testing.T) {
	for status, code := range map[int]adg.Code{200: adg.Internal, 404: adg.Internal, 409: adg.Internal, 403: adg.Unauthorized} {
		c := served(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) })
		err := c.Delete(t.Context(), pods, "p", "uid")
		if (code == adg.Internal) != (err == nil) {
			t.Errorf("%d gives %v", status, err)
		}
	}
}

func TestTokenThatTheServerRepeatsIsNotRepeated(t *testing.T) {
	c := served(t, func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusForbidden)
		fmt.Fprintf(w, `{"message":"no: %s"}`, r.Header.Get("Authorization"))
	})
	err := c.Get(t.Context(), pods, "p", nil)
	if err == nil || strings.Contains(err.Error(), "planted-token") || !strings.Contains(err.Error(), "no: ") {
		t.Errorf("%v", err)
	}
}

func TestReleaseOfAPodIsWhatWasWrittenAsLongAsTheImageIsThatOne(t *testing.T) {
	stamp := `{"version":"v2","config":"r7","image":"shop:2"}`
	for _, row := range []struct {
		name, image, stamp, label string
		want                      adg.Release
	}{
		{"what adg wrote", "shop:2", stamp, "", adg.Release{Version: "v2", Artifact: "shop:2", Config: "r7"}},
		{"an image that somebody changed since", "shop:3", stamp, "v2", adg.Release{Version: "3", Artifact: "shop:3"}},
		{"a label of the team's own", "shop:2", "", "2.0", adg.Release{Version: "2.0", Artifact: "shop:2"}},
		{"the tag", "host:5000/shop:2@sha256:0123456789abcdef", "", "", adg.Release{Version: "2", Artifact: "host:5000/shop:2@sha256:0123456789abcdef"}},
		{"a digest alone", "shop@sha256:0123456789abcdef", "", "", adg.Release{Version: "0123456789ab", Artifact: "shop@sha256:0123456789abcdef"}},
		{"a registry with a port and no tag", "host:5000/shop", "", "", adg.Release{Version: "unknown", Artifact: "host:5000/shop"}},
		{"a stamp that is none", "shop:2", "{", "", adg.Release{Version: "2", Artifact: "shop:2"}},
		{"a stamp with a hostile version", "shop:2", `{"version":"$(rm)","image":"shop:2"}`, "", adg.Release{Version: "2", Artifact: "shop:2"}},
	} {
		t.Run(row.name, func(t *testing.T) {
			meta := metav1.ObjectMeta{Annotations: map[string]string{ReleaseAnnotation: row.stamp}, Labels: map[string]string{VersionLabel: row.label}}
			got := ReleaseOf(meta, corev1.PodSpec{Containers: []corev1.Container{{Name: "side", Image: "x:1"}, {Name: "shop", Image: row.image}}}, "shop")
			if diff := cmp.Diff(row.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestTimeIsThatOfTheServersClock(t *testing.T) {
	date := time.Date(2031, 5, 6, 7, 8, 9, 0, time.UTC)
	c := served(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Date", date.Format(http.TimeFormat))
		fmt.Fprint(w, `{}`)
	})
	if err := c.Get(t.Context(), pods, "p", nil); err != nil || !c.Now().Equal(date) {
		t.Errorf("%s, %v", c.Now(), err)
	}
}

func TestProxyIsAskedForWhatThisServerMayReachOnly(t *testing.T) {
	asked := make(chan string, 9)
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked <- r.URL.Host
		fmt.Fprint(w, `{}`)
	}))
	t.Cleanup(proxy.Close)
	t.Cleanup(func() {
		remote.Restrict(func(string, netip.Addr, uint16) bool { return true })
		if err := remote.UseProxy(""); err != nil {
			t.Error(err)
		}
	})
	kubeconfig := filepath.Join(t.TempDir(), "kubeconfig")
	if err := os.WriteFile(kubeconfig, fmt.Appendf(nil, `{"apiVersion":"v1","kind":"Config","current-context":"c","contexts":[{"name":"c","context":{"cluster":"c"}}],
"clusters":[{"name":"c","cluster":{"server":"http://cluster.example:8080","proxy-url":%q}}]}`, proxy.URL), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, general string
		options       Options
	}{
		{"the server's general proxy", proxy.URL, Options{Server: "http://cluster.example:8080"}},
		{"the proxy of a kubeconfig", "", Options{Kubeconfig: kubeconfig}},
	} {
		t.Run(row.name, func(t *testing.T) {
			if err := remote.UseProxy(row.general); err != nil {
				t.Fatal(err)
			}
			row.options.Timeout = 10 * time.Second
			c, err := Open(row.options, adg.Host{})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = c.Close() }()
			remote.Restrict(func(host string, addr netip.Addr, _ uint16) bool {
				return addr.IsLoopback() || host == "cluster.example"
			})
			if err := c.Get(t.Context(), pods, "p", nil); err != nil {
				t.Fatal(err)
			}
			if got := <-asked; got != "cluster.example:8080" {
				t.Errorf("the proxy was asked for %s", got)
			}
			remote.Restrict(func(_ string, addr netip.Addr, _ uint16) bool { return addr.IsLoopback() })
			err = c.Get(t.Context(), pods, "p", nil)
			if !adg.IsPermanent(err) || !strings.Contains(err.Error(), "egress.allow") || len(asked) > 0 {
				t.Errorf("what may not be reached was asked of the proxy %d times: %v", len(asked), err)
			}
		})
	}
}

func FuzzReleaseOfAPodAlwaysHasAValidVersion(f *testing.F) {
	f.Add(`{"version":"v2","image":"shop:2"}`, "v2", "shop:2")
	f.Add("", "", "host:5000/shop@sha256:abc")
	f.Add("null", "a b", "@:")
	f.Fuzz(func(t *testing.T, stamp, label, image string) {
		meta := metav1.ObjectMeta{Annotations: map[string]string{ReleaseAnnotation: stamp}, Labels: map[string]string{VersionLabel: label}}
		got := ReleaseOf(meta, corev1.PodSpec{Containers: []corev1.Container{{Image: image}}}, "")
		if adg.ValidVersion(got.Version) != nil || got.Artifact != image {
			t.Errorf("%+v", got)
		}
		repository, tag, digest := SplitImage(image)
		joined := repository
		if tag != "" {
			joined += ":" + tag
		}
		if digest != "" {
			joined += "@" + digest
		}
		if len(joined) > len(image) || !strings.HasPrefix(image, repository) {
			t.Errorf("%q is cut into %q %q %q", image, repository, tag, digest)
		}
	})
}
