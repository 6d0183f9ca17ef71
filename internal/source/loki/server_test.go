package loki

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/source/sourcetest"
)

// program finds Loki, or skips the test.
func program(t *testing.T) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	for _, candidate := range []string{filepath.Join(cache, "adg-test", "loki"), "loki"} {
		if found, err := exec.LookPath(candidate); err == nil {
			return found
		}
	}
	if os.Getenv("CI") == "true" {
		t.Fatal("there is no Loki: run scripts/test-loki")
	}
	t.Skip("there is no Loki: run scripts/test-loki")
	return ""
}

// settings of a Loki that is alone, tells tenants apart, and answers as soon as it can.
const settings = `
auth_enabled: true
server: {http_listen_address: 127.0.0.1, http_listen_port: %[2]s, grpc_listen_address: 127.0.0.1, grpc_listen_port: %[3]s, log_level: warn}
common:
  instance_addr: 127.0.0.1
  path_prefix: %[1]s
  storage: {filesystem: {chunks_directory: %[1]s/chunks, rules_directory: %[1]s/rules}}
  replication_factor: 1
  ring: {kvstore: {store: inmemory}}
schema_config:
  configs: [{from: 2024-01-01, store: tsdb, object_store: filesystem, schema: v13, index: {prefix: index_, period: 24h}}]
analytics: {reporting_enabled: false}
limits_config: {reject_old_samples: false}
runtime_config: {file: %[1]s/overrides.yaml}
`

// overrides give a tenant fewer lines at once than others.
const overrides = "overrides: {small: {max_entries_limit_per_query: 100}}\n"

// realServer starts a Loki and waits until it answers.
func realServer(t *testing.T) Options {
	t.Helper()
	command := program(t)
	dir := t.TempDir()
	address := sourcetest.FreeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	_, internal, _ := net.SplitHostPort(sourcetest.FreeAddress(t))
	config := filepath.Join(dir, "loki.yaml")
	if err := os.WriteFile(config, fmt.Appendf(nil, settings, dir, port, internal), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "overrides.yaml"), []byte(overrides), 0o600); err != nil {
		t.Fatal(err)
	}
	sourcetest.Serve(t, command, "-config.file="+config)
	o := at("http://" + address)
	o.Tenant = "shop"
	push := func(ctx context.Context) error {
		return pushed(ctx, o, map[string]string{"app": "probe"}, entry(time.Now(), "started"))
	}
	sourcetest.Until(t, 3*time.Minute, push)
	source := opened(t, o)
	sourcetest.Until(t, 3*time.Minute, func(ctx context.Context) error {
		answer, err := adg.AskLines(ctx, source, adg.LinesQuery{Text: `{app="probe"}`, At: time.Now(), Window: time.Hour})
		if err == nil && len(answer.Lines) == 0 {
			err = fmt.Errorf("no line yet")
		}
		return err
	})
	return o
}

func entry(when time.Time, text string) [2]string { return [2]string{nanos(when), text} }

// pushed writes lines of one stream.
func pushed(ctx context.Context, o Options, labels map[string]string, entries ...[2]string) error {
	type stream struct {
		Stream map[string]string `json:"stream"`
		Values [][2]string       `json:"values"`
	}
	body, err := json.Marshal(map[string][]stream{"streams": {{labels, entries}}})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, o.URL+"/loki/api/v1/push", bytes.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("X-Scope-OrgID", o.Tenant)
	answer, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusNoContent {
		said, _ := io.ReadAll(answer.Body)
		return fmt.Errorf("pushing: %s: %s", answer.Status, said)
	}
	return nil
}

// written is a server with lines of two pods of a shop in the minute before a time, which is given, and of an app with an odd name.
func written(t *testing.T) (Options, time.Time) {
	t.Helper()
	o := realServer(t)
	t.Cleanup(http.DefaultClient.CloseIdleConnections)
	end := time.Now().UTC().Add(-time.Minute).Truncate(time.Second)
	ago := func(seconds int, text string) [2]string {
		return entry(end.Add(-time.Duration(seconds)*time.Second), text)
	}
	pod := func(name string) map[string]string {
		return map[string]string{"app": "shop", "version": "1.2.3", "pod": name}
	}
	var crowd [][2]string
	for i := range adg.MaxLines + 10 {
		crowd = append(crowd, entry(end.Add(time.Duration(i-adg.MaxLines-10)*time.Millisecond), "line "+strconv.Itoa(i)))
	}
	for _, err := range []error{
		pushed(t.Context(), o, pod("shop-a"), ago(60, "INFO begin"), ago(30, "ERROR first"), ago(10, "ERROR third"), ago(0, "ERROR too late")),
		pushed(t.Context(), o, pod("shop-b"), ago(70, "INFO too early"), ago(20, `level=error msg="second"`)),
		pushed(t.Context(), o, map[string]string{"app": `a"b\c`}, ago(2, "odd"), ago(1, strings.Repeat("x", adg.MaxLine+1))),
		pushed(t.Context(), o, map[string]string{"app": "crowd"}, crowd...),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return o, end
}

func TestAgainstARealServer(t *testing.T) {
	o, end := written(t)
	source := opened(t, o)
	vars := map[string]string{"service": "shop", "version": "1.2.3", "odd": `a"b\c`}
	lines := func(t *testing.T, text string, limit int) adg.LinesAnswer {
		t.Helper()
		answer, err := adg.AskLines(t.Context(), source, adg.LinesQuery{Text: text, Vars: vars, At: end, Window: time.Minute, Limit: limit})
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	t.Run("the conformance suite", func(t *testing.T) {
		sourcetest.Run(t, suite(func(t *testing.T) adg.Source {
			s, err := Driver.Open(t.Context(), o, adg.Host{Name: "logs"})
			if err != nil {
				t.Fatal(err)
			}
			return s
		}, end))
	})
	t.Run("lines of several streams and levels come in order, with their pods", func(t *testing.T) {
		answer := lines(t, `{app="$service", version="$version"}`, 0)
		ago := func(seconds int, pod, text string) adg.LogLine {
			return adg.LogLine{At: end.Add(-time.Duration(seconds) * time.Second), Replica: pod, Text: text}
		}
		want := []adg.LogLine{ago(60, "shop-a", "INFO begin"), ago(30, "shop-a", "ERROR first"), ago(20, "shop-b", `level=error msg="second"`), ago(10, "shop-a", "ERROR third")}
		if diff := cmp.Diff(want, answer.Lines); diff != "" || !answer.Since.IsZero() {
			t.Errorf("complete since %s\n%s", answer.Since, diff)
		}
	})
	t.Run("filters and parsers of LogQL", func(t *testing.T) {
		if answer := lines(t, `{app="$service"} |= "ERROR" != "third"`, 0); len(answer.Lines) != 1 || answer.Lines[0].Text != "ERROR first" {
			t.Errorf("%+v", answer)
		}
		if answer := lines(t, `{app="$service"} | logfmt | msg="second" | line_format "{{.msg}}"`, 0); len(answer.Lines) != 1 || answer.Lines[0].Text != "second" {
			t.Errorf("%+v", answer)
		}
	})
	t.Run("of a crowd the latest lines, and since when they are complete", func(t *testing.T) {
		answer := lines(t, `{app="crowd"}`, 0)
		first, last := answer.Lines[0], answer.Lines[len(answer.Lines)-1]
		if len(answer.Lines) != adg.MaxLines || first.Text != "line 10" || last.Text != "line "+strconv.Itoa(adg.MaxLines+9) || !answer.Since.Equal(first.At.Add(1)) {
			t.Errorf("%d lines from %q to %q, complete since %s", len(answer.Lines), first.Text, last.Text, answer.Since)
		}
	})
	t.Run("more lines than the server gives are refused in its words, and max_lines asks for fewer", func(t *testing.T) {
		small := o
		small.Tenant = "small"
		var few [][2]string
		for i := range 110 {
			few = append(few, entry(end.Add(time.Duration(i-110)*time.Millisecond), "line "+strconv.Itoa(i)))
		}
		if err := pushed(t.Context(), small, map[string]string{"app": "crowd"}, few...); err != nil {
			t.Fatal(err)
		}
		q := adg.LinesQuery{Text: `{app="crowd"}`, At: end, Window: time.Minute}
		_, err := adg.AskLines(t.Context(), opened(t, small), q)
		if !adg.IsPermanent(err) || adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), "max_entries_limit") || !strings.Contains(adg.WayOut(err), "max_lines") {
			t.Error(err)
		}
		small.MaxLines = 100
		answer, err := adg.AskLines(t.Context(), opened(t, small), q)
		if err != nil || len(answer.Lines) != 100 || answer.Lines[0].Text != "line 10" || !answer.Since.Equal(answer.Lines[0].At.Add(1)) {
			t.Errorf("%d lines, complete since %s, %v", len(answer.Lines), answer.Since, err)
		}
	})
	t.Run("odd names and long lines", func(t *testing.T) {
		answer := lines(t, `{app="$odd"}`, 0)
		if len(answer.Lines) != 2 || answer.Lines[0].Text != "odd" || len(answer.Lines[1].Text) != adg.MaxLine {
			t.Errorf("%+v", answer)
		}
	})
	t.Run("numbers of lines", func(t *testing.T) {
		answer, err := source.Query(t.Context(), adg.Query{Text: `sum(count_over_time({app="shop"} |= "ERROR" [$window]))`, At: end, Window: time.Minute})
		if err != nil || len(answer.Series) != 1 || answer.Series[0].Samples[0].Value != 3 { // a range of LogQL has its end in it
			t.Errorf("%+v, %v", answer, err)
		}
		answer, err = source.Query(t.Context(), adg.Query{Kind: adg.Range, Text: `sum(count_over_time({app="crowd"}[1s]))`, At: end, Window: time.Minute, Step: time.Second})
		if err != nil || len(answer.Series) != 1 || len(answer.Series[0].Samples) < 5 {
			t.Errorf("%+v, %v", answer, err)
		}
	})
	t.Run("a selector is no query for numbers", func(t *testing.T) {
		if _, err := source.Query(t.Context(), adg.Query{Text: `{app="shop"}`, At: end, Window: time.Minute}); !adg.IsPermanent(err) || adg.CodeOf(err) != adg.Invalid {
			t.Error(err)
		}
	})
	t.Run("another tenant has no lines, and none is refused", func(t *testing.T) {
		for tenant, code := range map[string]adg.Code{"others": 0, "": adg.Unauthorized} {
			other := o
			other.Tenant = tenant
			answer, err := adg.AskLines(t.Context(), opened(t, other), adg.LinesQuery{Text: `{app="shop"}`, At: end, Window: time.Minute})
			if code == 0 && (err != nil || len(answer.Lines) != 0) || code != 0 && adg.CodeOf(err) != code {
				t.Errorf("%q: %+v, %v", tenant, answer, err)
			}
		}
	})
}
