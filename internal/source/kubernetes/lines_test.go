package kubernetes

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	corev1 "k8s.io/api/core/v1"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/kubetest"
	"github.com/deployguardian/adg/internal/source/sourcetest"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

// apiServer answers for a Deployment with a pod of v1, and two of v2 of which one was restarted, as the API is documented to; it
// sees what it is asked, and writes the token that it was shown into a log. The pod of v1 writes so many lines, one a second.
func apiServer(t *testing.T, chatter int) *httptest.Server {
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
		case query.Get("timestamps") != "true" || query.Get("container") != "shop" || query.Get("tailLines") != "5000" || query.Get("sinceTime") != "2026-03-01T11:59:00Z":
			t.Errorf("asked for %s", r.URL)
		case strings.HasSuffix(path, "/pods/a/log"):
			for i := range chatter {
				line(i-40, "INFO v1")
			}
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

func lineSource(t *testing.T, chatter int) adg.Source {
	t.Helper()
	o := Driver.Options.(Options)
	o.Server, o.Namespace, o.Names, o.Token = apiServer(t, chatter).URL, "shop", []string{"shop"}, adg.NewSecret("planted-token")
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
	answer, err := adg.AskLines(t.Context(), lineSource(t, 1), q)
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
	answer, err := adg.AskLines(t.Context(), lineSource(t, 1), q)
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.Lines) != 1 || answer.Lines[0].Text != "INFO started" || answer.Since.Before(noon.Add(-20*time.Second)) {
		t.Errorf("%+v", answer)
	}
}

func TestOfALogThatWentOnLongAfterTheWindowNothingIsTakenForComplete(t *testing.T) {
	q := adg.LinesQuery{Text: "logs version=v1", At: noon, Window: time.Minute}
	for chatter, since := range map[int]time.Time{adg.MaxLines - 1: {}, adg.MaxLines: noon.Add(-40*time.Second + 1)} {
		answer, err := adg.AskLines(t.Context(), lineSource(t, chatter), q)
		if err != nil {
			t.Fatal(err)
		}
		if len(answer.Lines) != 40 || !answer.Since.Equal(since) {
			t.Errorf("of %d lines %d, complete since %s, want %s", chatter, len(answer.Lines), answer.Since, since)
		}
	}
}

func TestQuestionsForLogsThatMeanNothingAreRefused(t *testing.T) {
	s := lineSource(t, 1)
	for _, text := range []string{"", "restarts", "logs of v1", "logs version=", "logs version=$nobody", "logs version=v1 v2"} {
		if _, err := adg.AskLines(t.Context(), s, adg.LinesQuery{Text: text, At: noon, Window: time.Minute}); !adg.IsPermanent(err) || adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%q: %v", text, err)
		}
	}
}

// logged gives each pod of a cluster's Deployments a log, of the minute before the time that is given, by their version.
func logged(t *testing.T, o Options) time.Time {
	t.Helper()
	end := time.Now().UTC().Truncate(time.Second)
	line := func(ago int, text string) adg.LogLine {
		return adg.LogLine{At: end.Add(-time.Duration(ago) * time.Second), Text: text}
	}
	admin := cluster.Admin(t, o.Namespace)
	var pods []corev1.Pod
	kubetest.Poll(t, func() (bool, any) {
		var err error
		if pods, err = kube.List[corev1.Pod](t.Context(), admin, kube.Resource{Version: "v1", Plural: "pods"}, kube.Selection{}); err != nil {
			t.Fatal(err)
		}
		idle := func(p corev1.Pod) bool { return len(p.Status.ContainerStatuses) == 0 }
		return len(pods) == 2*len(o.Names) && !slices.ContainsFunc(pods, idle), len(pods)
	})
	slices.SortFunc(pods, func(a, b corev1.Pod) int { return strings.Compare(a.Name, b.Name) })
	for i, p := range pods {
		version := p.Labels["app"]
		running := []adg.LogLine{line(70, "INFO too old"), line(40-i, "INFO "+version+" started"), line(10-i, "ERROR order 7 of "+version+" is lost"), line(-5, "INFO too new")}
		cluster.Log(t, o.Namespace, p.Name, running, []adg.LogLine{line(50-i, "panic: "+version+" has no map")})
	}
	return end
}

// read asks until the nodes serve the logs.
func read(t *testing.T, s adg.Source, q adg.LinesQuery) (answer adg.LinesAnswer) {
	t.Helper()
	kubetest.Poll(t, func() (bool, any) {
		var err error
		answer, err = adg.AskLines(t.Context(), s, q)
		return err == nil, err
	})
	return answer
}

func TestLogsThatNodesServe(t *testing.T) {
	o := deployed(t, "v1", "crash")
	end := logged(t, o)
	s := opened(t, o)
	q := adg.LinesQuery{Text: "logs version=$version", Vars: map[string]string{"version": "v1"}, At: end, Window: time.Minute}
	texts := func(answer adg.LinesAnswer) (all []string) {
		for _, l := range answer.Lines {
			if !strings.HasPrefix(l.Replica, q.Vars["version"]+"-") {
				t.Errorf("a line of %q", l.Replica)
			}
			all = append(all, l.Text)
		}
		return all
	}
	want := []string{"INFO v1 started", "INFO v1 started", "ERROR order 7 of v1 is lost", "ERROR order 7 of v1 is lost"}
	if diff := cmp.Diff(want, texts(read(t, s, q))); diff != "" {
		t.Errorf("what runs and was never restarted:\n%s", diff)
	}
	few := q
	few.Limit = 3
	if answer := read(t, s, few); len(answer.Lines) != 3 || !answer.Since.After(end.Add(-time.Minute)) {
		t.Errorf("of more lines than asked for: %+v", answer)
	}
	q.Vars = map[string]string{"version": "crash"}
	want = []string{"panic: crash has no map", "panic: crash has no map", "INFO crash started", "INFO crash started", "ERROR order 7 of crash is lost", "ERROR order 7 of crash is lost"}
	if diff := cmp.Diff(want, texts(read(t, s, q))); diff != "" {
		t.Errorf("what was restarted, with the last words of the container before:\n%s", diff)
	}
	q.Vars = map[string]string{"version": "v1"}
	t.Run("the conformance suite", func(t *testing.T) {
		sourcetest.Run(t, sourcetest.Case{
			Open:  func(t *testing.T) adg.Source { return opened(t, o) },
			Good:  ask("pods version=$version", "v1"),
			Empty: ask("pods version=$version", "v2"),
			Lines: q,
		})
	})
}

func TestTheRoleThatIsShippedReadsLogsAndWithoutItsRightItIsSaid(t *testing.T) {
	o := deployed(t, "v1")
	end := logged(t, o)
	read(t, opened(t, o), adg.LinesQuery{Text: "logs", At: end, Window: time.Minute}) // the nodes serve them
	shipped := granted(t)
	fewer := slices.DeleteFunc(slices.Clone(shipped), func(r kubetest.Rule) bool { return slices.Contains(r.Resources, "pods/log") })
	if len(fewer) != len(shipped)-1 {
		t.Fatalf("%+v", shipped)
	}
	for name, rules := range map[string]func(t *testing.T) []kubetest.Rule{
		"all":   func(*testing.T) []kubetest.Rule { return shipped },
		"fewer": func(*testing.T) []kubetest.Rule { return fewer },
		"chart": func(t *testing.T) []kubetest.Rule {
			t.Helper()
			return kubetest.Chart(t, "rbac.sourceOnly=true", "rbac.logs=true")
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := opened(t, as(t, o, name, rules(t)))
			kubetest.Poll(t, func() (bool, any) { // the API server notices a role some time after it was made
				_, err := s.Query(t.Context(), ask("pods", "v1"))
				return err == nil, err
			})
			answer, err := adg.AskLines(t.Context(), s, adg.LinesQuery{Text: "logs", At: end, Window: time.Minute})
			switch {
			case name != "fewer" && (err != nil || len(answer.Lines) != 4):
				t.Errorf("with the role that is shipped: %+v, %v", answer, err)
			case name == "fewer" && (adg.CodeOf(err) != adg.Unauthorized || !strings.Contains(err.Error(), "log")):
				t.Errorf("without the right to logs: %+v, %v", answer, err)
			}
		})
	}
}

// granted are the rights of the source's role in deploy/kubernetes/rbac.yaml.
func granted(t *testing.T) []kubetest.Rule {
	t.Helper()
	text, err := os.ReadFile("../../../deploy/kubernetes/rbac.yaml")
	if err != nil {
		t.Fatal(err)
	}
	return kubetest.RoleIn(t, text, "adg-source")
}

// as are the options with the token of a new service account that has those rights.
func as(t *testing.T, o Options, name string, rules []kubetest.Rule) Options {
	t.Helper()
	o.Token = cluster.ServiceAccount(t, o.Namespace, name)
	admin := cluster.Admin(t, o.Namespace)
	for plural, object := range map[string]map[string]any{
		"roles": {"kind": "Role", "rules": rules},
		"rolebindings": {"kind": "RoleBinding", "roleRef": map[string]any{"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": name},
			"subjects": []any{map[string]any{"kind": "ServiceAccount", "name": name}}},
	} {
		object["apiVersion"], object["metadata"] = "rbac.authorization.k8s.io/v1", map[string]any{"name": name}
		if err := admin.Create(t.Context(), kube.Resource{Group: "rbac.authorization.k8s.io", Version: "v1", Plural: plural}, object, nil); err != nil {
			t.Fatal(err)
		}
	}
	return o
}
