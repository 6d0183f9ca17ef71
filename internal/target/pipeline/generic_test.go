package pipeline_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/target/pipeline"
	"github.com/deployguardian/adg/internal/target/pipeline/pipelinetest"
	"github.com/deployguardian/adg/internal/target/targettest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var stateNames = map[pipeline.State]string{
	pipeline.Queued: "queued", pipeline.Running: "running", pipeline.Waiting: "waiting", pipeline.Succeeded: "succeeded", pipeline.Failed: "failed", pipeline.Cancelled: "cancelled",
}

// endpoint is an HTTP interface as the options of the driver describe it.
func endpoint(w *pipelinetest.World, rw http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	stamp, _, _ := strings.Cut(strings.TrimPrefix(r.Header.Get("Adg-Signature"), "t="), ",")
	unix, _ := strconv.ParseInt(stamp, 10, 64)
	if err != nil || r.Header.Get("Adg-Signature") != remote.Sign(targettest.Planted, time.Unix(unix, 0), body) {
		http.Error(rw, "bad signature", http.StatusUnauthorized)
		return
	}
	switch {
	case r.Method == http.MethodPost && r.URL.Path == "/start":
		var order struct {
			Run       string            `json:"run"`
			Variables map[string]string `json:"variables"`
		}
		if json.Unmarshal(body, &order) != nil {
			http.Error(rw, "no order", http.StatusBadRequest)
			return
		}
		for _, run := range w.Runs() {
			if run.Tag().Op == r.Header.Get("Idempotency-Key") {
				_, _ = fmt.Fprintf(rw, `{"id":"%d"}`, run.ID)
				return
			}
		}
		_, _ = fmt.Fprintf(rw, `{"id":"%d"}`, w.Begin(order.Variables).ID)
	case r.Method == http.MethodPost && strings.HasPrefix(r.URL.Path, "/stop/"):
		w.Cancel(strings.TrimPrefix(r.URL.Path, "/stop/"), "adg")
	case r.Method == http.MethodGet && r.URL.Path == "/runs":
		type run struct {
			ID    string `json:"id"`
			Run   string `json:"run"`
			State string `json:"state"`
			Job   string `json:"job"`
			Text  string `json:"text"`
			Log   string `json:"log"`
		}
		answer := map[string][]run{"runs": {}}
		for _, known := range w.Runs() {
			one := run{ID: fmt.Sprint(known.ID), State: stateNames[known.State], Job: "deploy", Log: pipelinetest.LogText}
			if tag := known.Tag(); !tag.IsZero() {
				one.Run = tag.String()
			}
			if known.State == pipeline.Queued {
				one.Text = "no runner is online"
			}
			answer["runs"] = append(answer["runs"], one)
		}
		_ = json.NewEncoder(rw).Encode(answer)
	default:
		http.NotFound(rw, r)
	}
}

func openGeneric(t *testing.T, url string, frame func(*pipeline.Options), host adg.Host) adg.Target {
	o := pipeline.Driver.Options.(pipeline.GenericOptions)
	o.StartURL, o.FollowURL, o.StopURL, o.Secret = url+"/start", url+"/runs", url+"/stop/$id", adg.NewSecret(targettest.Planted)
	frame(&o.Options)
	target, err := pipeline.Driver.Open(t.Context(), o, host)
	if err != nil {
		t.Fatal(err)
	}
	return target
}

func TestAPipelineWithAnInterfaceOfOnesOwn(t *testing.T) {
	pipelinetest.Conform(t, pipelinetest.Case{
		Serve: endpoint, Open: openGeneric, Others: true, Listed: true, Job: "deploy", Waits: "no runner is online",
		Starts: func(r *http.Request) bool { return r.URL.Path == "/start" },
	})
}
