package kubernetes

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// apiServer answers for a Deployment with a pod of v1, and two of v2 of which one was restarted, as the API is documented to: the
// nodes of the cluster that other tests have run nothing that could write a log.
func apiServer(t *testing.T) *httptest.Server {
	t.Helper()
	pod := func(name, version string, restarts int) string {
		return fmt.Sprintf(`{"metadata":{"name":%q},"spec":{"containers":[{"name":"shop","image":"shop:%s"}]},
			"status":{"containerStatuses":[{"name":"shop","restartCount":%d,"state":{"running":{}}}]}}`, name, version, restarts)
	}
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, query := r.URL.Path, r.URL.Query()
		line := func(seconds int, text string) {
			fmt.Fprintf(w, "%s %s\n", noon.Add(time.Duration(seconds)*time.Second).Format(time.RFC3339Nano), text)
		}
		switch {
		case strings.HasSuffix(path, "/deployments/shop"):
			fmt.Fprint(w, `{"kind":"Deployment","spec":{"selector":{"matchLabels":{"app":"shop"}}}}`)
		case strings.HasSuffix(path, "/pods"):
			fmt.Fprintf(w, `{"kind":"PodList","metadata":{},"items":[%s,%s,%s]}`, pod("a", "v1", 0), pod("b", "v2", 0), pod("c", "v2", 1))
		case query.Get("timestamps") != "true" || query.Get("container") != "shop" || query.Get("sinceTime") != "2026-03-01T11:59:00Z":
			t.Errorf("asked for %s", r.URL)
		case strings.HasSuffix(path, "/pods/a/log"):
			line(-40, "INFO v1")
		case strings.HasSuffix(path, "/pods/b/log"):
			line(-70, "INFO too old")
			line(-30, "ERROR x with token planted-token")
		case strings.HasSuffix(path, "/pods/c/log") && query.Get("previous") == "true":
			line(-20, "panic: nil map")
		case strings.HasSuffix(path, "/pods/c/log"):
			line(-10, "INFO started")
			line(0, "INFO too new")
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	t.Cleanup(s.Close)
	return s
}

func lineSource(t *testing.T) adg.Source {
	t.Helper()
	o := Driver.Options.(Options)
	o.Server, o.Namespace, o.Names, o.Token = apiServer(t).URL, "shop", []string{"shop"}, adg.NewSecret("planted-token")
	s := opened(t, o)
	t.Cleanup(func() {
		if err := s.(*source).Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestLogsOfPodsAreReadByVersionAndAcrossARestart(t *testing.T) {
	q := adg.LinesQuery{Text: "logs version=$version", Vars: map[string]string{"version": "v2"}, At: noon, Window: time.Minute}
	answer, err := adg.AskLines(t.Context(), lineSource(t), q)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, l := range answer.Lines {
		got = append(got, l.Replica+" "+l.Text)
	}
	if len(got) > 0 && strings.Contains(got[0], "planted-token") {
		t.Error("the token is in a line")
	} else if len(got) > 0 {
		got[0] = got[0][:strings.Index(got[0], " with")]
	}
	if diff := cmp.Diff([]string{"b ERROR x", "c panic: nil map", "c INFO started"}, got); diff != "" {
		t.Error(diff)
	}
	if answer.Sent != "logs version=v2" || !answer.Since.IsZero() {
		t.Errorf("%+v", answer)
	}
}

func TestWhatMayBeMissingOfALogIsSaid(t *testing.T) {
	q := adg.LinesQuery{Text: "logs", At: noon, Window: time.Minute, Limit: 1}
	answer, err := adg.AskLines(t.Context(), lineSource(t), q)
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.Lines) != 1 || answer.Lines[0].Text != "INFO started" || answer.Since.Before(noon.Add(-20*time.Second)) {
		t.Errorf("%+v", answer)
	}
}

func TestQuestionsForLogsThatMeanNothingAreRefused(t *testing.T) {
	s := lineSource(t)
	for _, text := range []string{"", "restarts", "logs of v1", "logs version=", "logs version=$nobody", "logs version=v1 v2"} {
		if _, err := adg.AskLines(t.Context(), s, adg.LinesQuery{Text: text, At: noon, Window: time.Minute}); !adg.IsPermanent(err) || adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%q: %v", text, err)
		}
	}
}
