package api_test

import (
	"bufio"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/deployguardian/adg/internal/api"
)

func TestAStreamOverRESTSaysThatTheServerGoesDown(t *testing.T) {
	b := newBench(t)
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+b.address+"/v1/deployments:watch", nil)
	b.must(err)
	r.Header.Set("Authorization", "Bearer "+b.admin)
	answer, err := http.DefaultClient.Do(r)
	b.must(err)
	defer func() { _ = answer.Body.Close() }()
	lines := bufio.NewScanner(answer.Body)
	if !lines.Scan() {
		t.Fatal(lines.Err())
	}
	b.end()
	last := lines.Text()
	for lines.Scan() {
		last = lines.Text()
	}
	if !strings.Contains(last, "this server is going down") || !strings.Contains(last, "connect again") {
		t.Errorf("the last line is %s", last)
	}
}

func TestAStreamThatIsAskedForWhileTheServerGoesDownIsUnavailable(t *testing.T) {
	var door *api.API
	b := newBench(t, func(o *api.Options) {
		var err error
		if door, err = api.New(*o); err != nil {
			t.Fatal(err)
		}
	})
	t.Cleanup(func() { _ = door.Close() })
	draining := make(chan struct{})
	close(draining)
	h, err := door.Handler(draining)
	b.must(err)
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/v1/deployments:watch?live=true", nil)
	r.Header.Set("Authorization", "Bearer "+b.admin)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	answer := w.Result()
	text, err := io.ReadAll(answer.Body)
	b.must(err)
	// Where the first message has gone out already, the answer has begun with 200, and ends with why.
	if answer.StatusCode != http.StatusServiceUnavailable && answer.StatusCode != http.StatusOK || !strings.Contains(string(text), "this server is going down") {
		t.Errorf("%s: %s", answer.Status, text)
	}
}
