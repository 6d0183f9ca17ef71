package kubernetes

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/kubetest"
	"github.com/deployguardian/adg/internal/source/sourcetest"
)

var cluster *kubetest.Cluster

func TestMain(m *testing.M) { kubetest.Main(m, func(c *kubetest.Cluster) { cluster = c }) }

// deployed is a Deployment with two pods of a version; versions that kwok knows come to a bad end.
func deployed(t *testing.T, versions ...string) Options {
	t.Helper()
	c := kubetest.Need(t, cluster)
	o := Driver.Options.(Options)
	o.Server, o.CAFile, o.Token, o.Namespace = c.Server, c.CAFile, c.Token, c.Namespace(t)
	for _, version := range versions {
		labels := map[string]any{"app": version}
		object := map[string]any{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": map[string]any{"name": version}, "spec": map[string]any{
			"replicas": 2, "selector": map[string]any{"matchLabels": labels}, "template": map[string]any{
				"metadata": map[string]any{"labels": labels},
				"spec":     map[string]any{"containers": []any{map[string]any{"name": "shop", "image": kubetest.Image + ":" + version}}},
			}}}
		if err := c.Admin(t, o.Namespace).Create(t.Context(), kinds["deployment"], object, nil); err != nil {
			t.Fatal(err)
		}
		o.Names = append(o.Names, version)
	}
	return o
}

func opened(t *testing.T, o Options) adg.Source {
	t.Helper()
	s, err := Driver.Open(t.Context(), o, adg.Host{Name: "pods"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func ask(text, version string) adg.Query {
	return adg.Query{Text: text, Vars: map[string]string{"version": version}, At: time.Now(), Window: time.Hour}
}

func TestSourceKeepsTheContract(t *testing.T) {
	o := deployed(t, "v1")
	counts(t, opened(t, o), ask("ready version=$version", "v1"), 2)
	sourcetest.Run(t, sourcetest.Case{
		Open:  func(t *testing.T) adg.Source { return opened(t, o) },
		Good:  ask("pods version=$version", "v1"),
		Empty: ask("pods version=$version", "v2"),
		Bad:   ask("restart version=$version", "v1"),
		Faulty: func(t *testing.T, address string, canary adg.Secret) adg.Source {
			faulty := o
			faulty.Server, faulty.CAFile, faulty.Token, faulty.Timeout = "http://"+address, "", canary, 2*time.Minute
			return opened(t, faulty)
		},
		ErrorBody: `{"kind":"Status","status":"Failure","message":"no"}`,
	})
}

// counts waits until the signal has that value.
func counts(t *testing.T, s adg.Source, q adg.Query, want float64) {
	t.Helper()
	kubetest.Poll(t, func() (bool, any) {
		q.At = time.Now()
		answer, err := s.Query(t.Context(), q)
		if adg.IsPermanent(err) {
			t.Fatalf("%s: %v", q.Text, err)
		}
		return err == nil && len(answer.Series) == 1 && answer.Series[0].Samples[0].Value == want, fmt.Sprintf("%s: %+v, %v", q.Text, answer, err)
	})
}

func TestWhatHappensToPodsIsCountedByVersion(t *testing.T) {
	o := deployed(t, "v1", "crash", "pull", "never")
	s := opened(t, o)
	for _, row := range []struct {
		name, query, version string
		want                 float64
	}{
		{"two pods that ran out of memory five times each", "restarts version=$version", "crash", 10},
		{"the last end of each was for memory", "oom_killed version=$version", "crash", 2},
		{"both restarted within the window", "recent_restarts version=$version", "crash", 2},
		{"both back off", "crash_loops version=$version", "crash", 2},
		{"an image that is not there", "image_pull_errors version=$version", "pull", 2},
		{"pods that run and serve nothing", "unready version=$version", "never", 2},
		{"a good version has restarted nothing", "restarts version=$version", "v1", 0},
		{"a good version is ready", "ready version=$version", "v1", 2},
		{"all versions together", "pods", "v1", 8},
		{"no one is evicted", "evicted", "v1", 0},
		{"all have a node", "unschedulable", "v1", 0},
		{"all could be created", "config_errors", "v1", 0},
	} {
		t.Run(row.name, func(t *testing.T) { counts(t, s, ask(row.query, row.version), row.want) })
	}
}

func TestQueriesThatMeanNothingAreRefused(t *testing.T) {
	o := Driver.Options.(Options)
	o.Server, o.Names = "http://127.0.0.1:1", []string{"shop"}
	s := opened(t, o)
	for name, q := range map[string]adg.Query{
		"no signal":          ask("", "v1"),
		"two signals":        ask("pods restarts", "v1"),
		"an unknown label":   ask("pods pod=$version", "v1"),
		"a hostile version":  ask("pods version=$version", "v1 or true"),
		"three words":        ask("pods version=$version version=v2", "v1"),
		"raw counters":       {Kind: adg.Counters, Text: "restarts", At: time.Now(), Window: time.Minute},
		"a range of history": {Kind: adg.Range, Text: "restarts", At: time.Now(), Window: time.Minute, Step: time.Second},
	} {
		_, err := s.Query(t.Context(), q)
		if !adg.IsPermanent(err) || adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestOptionsAreRefusedAllAtOnce(t *testing.T) {
	o := Options{Options: kube.Options{Server: "ftp://cluster", Namespace: "Shop!", Timeout: -1}, Kind: "pod", Names: []string{"a/../b"}}
	_, err := Driver.Open(t.Context(), o, adg.Host{Name: "pods"})
	for _, option := range []string{"kind", "names", "namespace", "timeout"} {
		if err == nil || !strings.Contains(err.Error(), option) {
			t.Errorf("%v does not name %s", err, option)
		}
	}
	if diff := cmp.Diff(true, adg.IsPermanent(err)); diff != "" {
		t.Error(diff)
	}
}

func FuzzQueriesAreReadOrRefused(f *testing.F) {
	f.Add("restarts version=$version", "v1")
	f.Add("pods", "")
	f.Add("$version", "pods")
	f.Fuzz(func(t *testing.T, text, version string) {
		signal, got, _, err := parse(adg.Query{Text: text, Vars: map[string]string{"version": version}})
		if err != nil && adg.CodeOf(err) != adg.Invalid && !strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", text, err)
		}
		if err == nil && (signal == nil || got != "" && adg.ValidVersion(got) != nil) {
			t.Errorf("%q: version %q is taken", text, got)
		}
	})
}
