package embedded_test

import (
	"encoding/base64"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/source/embedded"
)

func TestAReopenedSourceHasItsData(t *testing.T) {
	now := time.Now()
	shop := expose(t, "colour 4\n")
	o := listening()
	o.Scrape = scraping(embedded.Job{Job: "shop", Targets: []string{shop.address()}}).Scrape
	host := adg.Host{Name: "local", Dir: t.TempDir(), Log: testLog(t)}

	first := startIn(t, o, host)
	mustPush(t, first, series(now, time.Second, []float64{1, 2, 3}, "__name__", "pushed"),
		series(now.Add(-time.Minute), time.Second, []float64{9}, "__name__", "pushed"))
	eventuallyIs(t, first, "colour", 4)
	before := ask(t, first, adg.Query{Kind: adg.Counters, Text: "colour"}).Series[0].Samples
	stop(t, first)

	// Fewer series than there are: what is stored stays.
	o.SeriesLimit, o.Scrape = 1, nil
	second := startIn(t, o, host)
	eventuallyIs(t, second, "count_over_time(pushed[5m])", 4)
	after := ask(t, second, adg.Query{Kind: adg.Counters, Text: "colour"}).Series[0].Samples
	if len(after) < len(before) {
		t.Errorf("%d samples of %d are left", len(after), len(before))
	}
}

func TestABrokenLogIsRepairedAndTold(t *testing.T) {
	dir := t.TempDir()
	first := startIn(t, listening(), adg.Host{Dir: dir})
	now := time.Now()
	mustPush(t, first, series(now, time.Second, []float64{1}, "__name__", "early"))
	stop(t, first)
	segments, err := filepath.Glob(filepath.Join(dir, "wal", "0*"))
	if err != nil || len(segments) == 0 {
		t.Fatalf("no log: %v", err)
	}
	log, err := os.OpenFile(segments[len(segments)-1], os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := log.WriteString("\x02garbage that is no record at all"); err != nil {
		t.Fatal(err)
	}
	if err := log.Close(); err != nil {
		t.Fatal(err)
	}

	var told record
	second := startIn(t, listening(), adg.Host{Dir: dir, Log: told.log(slog.LevelWarn)})
	if !strings.Contains(told.String(), "attempting repair") {
		t.Errorf("the repair is not in the log: %q", told.String())
	}
	eventuallyIs(t, second, "early", 1)
	mustPush(t, second, series(now.Add(time.Second), time.Second, []float64{2}, "__name__", "early"))
}

func TestADirectoryInUseIsRefusedWithWhatToDo(t *testing.T) {
	dir := t.TempDir()
	refusedNow := func(t *testing.T) {
		t.Helper()
		_, err := embedded.Driver.Open(t.Context(), options(), adg.Host{Dir: dir})
		refused(t, err, adg.Conflict)
		if !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "stop the other adg") {
			t.Errorf("%q names neither the directory nor the way out", err)
		}
	}
	t.Run("by the same process", func(t *testing.T) {
		s := startIn(t, options(), adg.Host{Dir: dir})
		refusedNow(t)
		stop(t, s)
	})
	t.Run("by another process", func(t *testing.T) {
		child := startChild(t, "hold", dir)
		child.says(t, "open")
		refusedNow(t)
		child.end(t)
	})
	startIn(t, options(), adg.Host{Dir: dir})
}

func TestAClosedSourceLeavesNothingBehind(t *testing.T) {
	hang := make(chan struct{})
	asked := make(chan struct{}, 16)
	hanging := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		asked <- struct{}{}
		select {
		case <-hang:
		case <-r.Context().Done():
		}
	}))
	defer hanging.Close()
	defer close(hang)
	shop := expose(t, "colour 1\n")
	ignore := goleak.IgnoreCurrent()

	o := listening()
	o.Scrape = []embedded.Job{
		{Job: "shop", Targets: []string{shop.address()}, FileSD: []string{filepath.Join(t.TempDir(), "*.yml")}, Interval: interval},
		{Job: "hanging", Targets: []string{address(hanging)}, Interval: 10 * time.Second},
	}
	for _, what := range []string{"after a while", "at once"} {
		opened, err := embedded.Driver.Open(t.Context(), o, adg.Host{Dir: t.TempDir()})
		if err != nil {
			t.Fatal(err)
		}
		s := opened.(*embedded.Source)
		if what == "after a while" {
			eventuallyIs(t, s, "colour", 1)
			<-asked
		}
		begun := time.Now()
		stop(t, s)
		stop(t, s)
		if took := time.Since(begun); took >= o.Scrape[1].Interval {
			t.Errorf("closing took %s: it waited for the hanging target", took)
		}
		_, err = s.Query(t.Context(), adg.Query{Text: "colour", At: time.Now()})
		refused(t, err, adg.Unavailable)
	}
	if err := goleak.Find(ignore); err != nil {
		t.Error(err)
	}
}

func TestSecretsStayOutOfErrorsLogsAndTargets(t *testing.T) {
	const scrapeToken, pushToken = "canary-of-scrapes", "canary-of-pushes"
	var told record
	redirecting := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusForbidden) }))
	defer redirecting.Close()
	o := scraping(
		embedded.Job{Job: "refusing", Targets: []string{address(redirecting)}, BearerToken: adg.NewSecret(scrapeToken)},
		embedded.Job{Job: "nobody", Targets: []string{"127.0.0.1:1"}, BearerToken: adg.NewSecret(scrapeToken)})
	o.Listen, o.Token = "127.0.0.1:0", adg.NewSecret(pushToken)
	s := startIn(t, o, adg.Host{Dir: t.TempDir(), Log: told.log(slog.LevelDebug)})
	good := writeV1(t, series(time.Now(), time.Second, []float64{1}, "__name__", "n"))
	good.token = "Bearer " + pushToken
	if status, text := send(t, s, good); status/100 != 2 {
		t.Fatalf("push: %d %s", status, text)
	}
	good.token, good.body = "Bearer "+pushToken, []byte("garbage")
	_, pushAnswer := send(t, s, good)
	eventually(t, "both were scraped", func() bool {
		all := s.Targets()
		return len(all) == 2 && all[0].Err != "" && all[1].Err != ""
	})
	_, queryErr := s.Query(t.Context(), adg.Query{Text: "sum("})
	stop(t, s)

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	o.Listen = taken.Addr().String()
	_, openErr := embedded.Driver.Open(t.Context(), o, adg.Host{Dir: t.TempDir(), Log: told.log(slog.LevelDebug)})
	if openErr == nil {
		t.Fatal("an address in use was opened")
	}
	all := fmt.Sprintf("%s %+v %+v %+v %s %+v %#v", told.String(), s.Targets(), queryErr, openErr, pushAnswer, o, s.Addr())
	for _, canary := range []string{scrapeToken, pushToken} {
		for _, form := range []string{canary, base64.StdEncoding.EncodeToString([]byte(canary)), fmt.Sprintf("%x", canary)} {
			if strings.Contains(all, form) {
				t.Errorf("%s got out as %s", canary, form)
			}
		}
	}
}

func TestTheLibrarysChatterIsNoNews(t *testing.T) {
	var told record
	startIn(t, options(), adg.Host{Dir: t.TempDir(), Log: told.log(slog.LevelInfo)})
	if told.String() != "" {
		t.Errorf("opening says %q", told.String())
	}
}

func TestEveryProblemOfTheOptionsIsReportedAtOnce(t *testing.T) {
	o := options()
	o.Retention, o.MaxBytes, o.SeriesLimit, o.MaxBody, o.OutOfOrderWindow = time.Minute, 1, 0, 1<<40, -1
	o.Listen = "9099"
	o.Scrape = []embedded.Job{
		{Targets: []string{"http://shop:9000/metrics"}, Interval: time.Millisecond, Timeout: time.Hour, Path: "//elsewhere/metrics", Scheme: "ftp"},
		{Job: "twice", FileSD: []string{"targets.txt", "*/a.json"}, Labels: map[string]string{"__address__": "x"}, SampleLimit: -1, BodySizeLimit: -1},
		{Job: "twice"},
	}
	_, err := embedded.Driver.Open(t.Context(), o, adg.Host{Dir: t.TempDir()})
	if adg.CodeOf(err) != adg.Invalid {
		t.Fatalf("got %v, want an invalid one", err)
	}
	for _, field := range []string{
		"retention:", "max_bytes:", "series_limit:", "max_body:", "out_of_order_window:", "listen:", "token:",
		"scrape[0].job:", "scrape[0].targets:", "scrape[0].interval:", "scrape[0].timeout:", "scrape[0].path:", "scrape[0].scheme:",
		"scrape[1].file_sd: \"targets.txt\"", "scrape[1].file_sd: \"*/a.json\"", "scrape[1].labels:", "scrape[1].sample_limit:",
		"scrape[1].body_size_limit:", "scrape[2].job: \"twice\"", "scrape[2].targets:",
	} {
		if !strings.Contains(err.Error(), field) {
			t.Errorf("no word on %s in %v", field, err)
		}
	}
}

func TestOpeningNeedsADirectoryAndReadableCertificates(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	write(t, file, "")
	broken := scraping(embedded.Job{Job: "shop", Targets: []string{"127.0.0.1:1"}, Scheme: "https", TLS: embedded.TLS{CAFile: file + ".missing"}})
	for name, test := range map[string]struct {
		options embedded.Options
		dir     string
		says    string
	}{
		"no directory":        {options(), "", "data directory"},
		"a file in its place": {options(), file, "data directory"},
		"no certificate":      {broken, t.TempDir(), "file.missing"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := embedded.Driver.Open(t.Context(), test.options, adg.Host{Dir: test.dir})
			if adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want an invalid one with %q", err, test.says)
			}
			if test.dir != "" && test.dir != file {
				startIn(t, options(), adg.Host{Dir: test.dir}) // nothing was left locked
			}
		})
	}
}

func TestEveryOptionIsDocumented(t *testing.T) {
	for _, of := range []reflect.Type{reflect.TypeFor[embedded.Options](), reflect.TypeFor[embedded.Job](), reflect.TypeFor[embedded.TLS]()} {
		for i := range of.NumField() {
			f := of.Field(i)
			if f.Tag.Get("yaml") == "" || !strings.HasSuffix(f.Tag.Get("doc"), ".") {
				t.Errorf("%s.%s has no name or no sentence", of.Name(), f.Name)
			}
		}
	}
}
