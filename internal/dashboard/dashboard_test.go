package dashboard

import (
	"compress/gzip"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

func ask(t *testing.T, path string, header map[string]string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, path, nil)
	for name, value := range header {
		r.Header.Set(name, value)
	}
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, r)
	return w.Result()
}

func body(t *testing.T, r *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(r.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestEveryAddressOfAPageShowsTheDashboard(t *testing.T) {
	for _, path := range []string{"/", "/deployments/shop-v2", "/policies/shop/production", "/settings"} {
		if r := ask(t, path, nil); r.StatusCode != http.StatusOK || !strings.Contains(body(t, r), `<div id="root">`) || r.Header.Get("Cache-Control") != "no-cache" {
			t.Errorf("%s: %s, %v", path, r.Status, r.Header)
		}
	}
	for _, path := range []string{"/nothing", "/v1/nothing", "/assets", "/assets/none.js", "/../dashboard.go", "/favicon.ico"} {
		if r := ask(t, path, nil); r.StatusCode != http.StatusNotFound {
			t.Errorf("%s: %s, want that nothing is there", path, r.Status)
		}
	}
}

func TestPagesAreWhatTheDashboardsSourceSays(t *testing.T) {
	source, err := os.ReadFile("../../web/src/places.ts")
	if err != nil {
		t.Fatal(err)
	}
	var said []string
	for _, place := range regexp.MustCompile(`paths: \[([^\]]*)\]`).FindAllStringSubmatch(string(source), -1) {
		for _, path := range strings.Split(place[1], ",") {
			first, _, _ := strings.Cut(strings.TrimPrefix(strings.Trim(path, ` "`), "/"), "/")
			said = append(said, first)
		}
	}
	slices.Sort(said)
	if said = slices.Compact(said); !slices.Equal(said, pages) {
		t.Errorf("web/src/places.ts has pages at %q, the server shows them at %q", said, pages)
	}
}

func TestWhatThePageIsMadeOfIsKeptByBrowsersForGoodAndIsSmall(t *testing.T) {
	page := body(t, ask(t, "/", nil))
	parts := regexp.MustCompile(`(?:src|href)="(/assets/[^"]+)"`).FindAllStringSubmatch(page, -1)
	if len(parts) < 2 {
		t.Fatalf("the page has no script and no style:\n%s", page)
	}
	const most = 250_000
	total := 0
	for _, part := range parts {
		plain := ask(t, part[1], nil)
		if got := plain.Header.Get("Cache-Control"); !strings.Contains(got, "immutable") {
			t.Errorf("%s: Cache-Control is %q", part[1], got)
		}
		r := ask(t, part[1], map[string]string{"Accept-Encoding": "br, gzip"})
		packed := body(t, r)
		total += len(packed)
		if r.Header.Get("Content-Encoding") == "" { // too small to become smaller
			if len(packed) > 256 || packed != body(t, plain) {
				t.Errorf("%s: %d bytes are not packed", part[1], len(packed))
			}
			continue
		}
		text, err := gzip.NewReader(strings.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		whole, err := io.ReadAll(text)
		if err != nil || string(whole) != body(t, plain) {
			t.Errorf("%s: packed it is something else: %v", part[1], err)
		}
		again := ask(t, part[1], map[string]string{"Accept-Encoding": "gzip", "If-None-Match": r.Header.Get("Etag")})
		if again.StatusCode != http.StatusNotModified || plain.Header.Get("Etag") == r.Header.Get("Etag") {
			t.Errorf("%s: %s for %s", part[1], again.Status, r.Header.Get("Etag"))
		}
	}
	if total > most {
		t.Errorf("the first load is %d bytes, at most %d are wanted", total, most)
	}
	t.Logf("the first load is %d bytes", total)
}

func TestEveryComponentHasItsStyles(t *testing.T) {
	class := regexp.MustCompile(`\bm_[0-9a-f]{6,8}\b`) // as Mantine names its own
	styles, named := map[string]bool{}, map[string]string{}
	for name, f := range files() {
		for _, one := range class.FindAllString(string(f.content), -1) {
			switch path.Ext(name) {
			case ".css":
				styles[one] = true
			case ".js":
				named[one] = name
			}
		}
	}
	if len(named) < 50 {
		t.Errorf("the scripts name %d classes: are these Mantine's?", len(named))
	}
	for one, name := range named {
		if !styles[one] {
			t.Errorf("%s has a component with the class %s, of which no style says anything: web/src/mantine.css misses its file", name, one)
		}
	}
}

func TestPagesHaveNoScriptOrStyleWithinAndLoadNothingFromElsewhere(t *testing.T) {
	page := body(t, ask(t, "/", nil))
	for _, bad := range []string{"<style", "javascript:", "http://", "https://", " on"} {
		if strings.Contains(page, bad) {
			t.Errorf("the page has %q in it:\n%s", bad, page)
		}
	}
	for _, script := range regexp.MustCompile(`<script[^>]*>([^<]*)`).FindAllStringSubmatch(page, -1) {
		if script[1] != "" || !strings.Contains(script[0], `src="/`) {
			t.Errorf("a script within the page: %s", script[0])
		}
	}
	for name := range files() {
		if strings.HasSuffix(name, ".map") {
			t.Errorf("%s is of no use here", name)
		}
	}
}

func TestAPageIsOnlyRead(t *testing.T) {
	w := httptest.NewRecorder()
	Handler().ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/", strings.NewReader("x")))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") != "GET, HEAD" {
		t.Errorf("%d, %v", w.Code, w.Header())
	}
}
