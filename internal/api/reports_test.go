package api_test

import (
	"encoding/json"
	"strings"
	"testing"

	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

func TestReportIsTheSameStoryInEachFormat(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	id, _ := g.rolledBack()
	for _, c := range []struct{ name, query, kind, want, never string }{
		{"no format", "", "text/markdown; charset=utf-8", "# shop v2-bad in production: rolled back", "<script>"},
		{"Markdown", "?format=REPORT_FORMAT_MARKDOWN", "text/markdown; charset=utf-8", "## Decisions and their evidence", "<script>"},
		{"HTML", "?format=REPORT_FORMAT_HTML", "text/html; charset=utf-8", "<h1>shop v2-bad in production: rolled back</h1>", "<script>"},
		{"JSON", "?format=REPORT_FORMAT_JSON", "application/json", `"title":"shop v2-bad in production: rolled back"`, "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, kind, body := g.text(g.viewer, "/v1/deployments/"+id+"/report"+c.query)
			if code != 200 || kind != c.kind || !strings.Contains(body, c.want) || strings.Contains(body, c.never) {
				t.Errorf("%d %s %s", code, kind, body)
			}
			if !strings.Contains(body, "errors as sent") {
				t.Error("the queries are not told")
			}
		})
	}
	_, _, body := g.text(g.viewer, "/v1/deployments/"+id+"/report?format=REPORT_FORMAT_JSON")
	var told struct {
		State     string
		Decisions []struct {
			From, To   string
			Judgements []struct{ Value *float64 }
		}
		Checks []struct{ Points []struct{ Value *float64 } }
	}
	g.must(json.Unmarshal([]byte(body), &told))
	if told.State != "rolled_back" || len(told.Decisions) < 4 || len(told.Checks) != 3 || len(told.Checks[0].Points) < 3 || told.Checks[0].Points[0].Value == nil {
		t.Errorf("%+v", told)
	}
	answer, err := adgv1.NewReportServiceClient(g.grpc()).GetReport(as(t.Context(), g.viewer), &adgv1.GetReportRequest{Deployment: id, Format: adgv1.ReportFormat_REPORT_FORMAT_HTML})
	if g.must(err); answer.GetContentType() != "text/html; charset=utf-8" || !strings.Contains(string(answer.GetData()), "&lt;script&gt;") {
		t.Errorf("by gRPC: %s", answer.GetContentType())
	}
}

func TestReportCanBeHadWhileTheDeploymentGoesOn(t *testing.T) {
	t.Parallel()
	g := newGuarded(t)
	s := spec("shop", "v2")
	s.Policy.Strategy.Steps[0].Bake = 3600e9
	id := g.begin(s)
	g.until(id, func(d *adgv1.Deployment) bool { return d.GetStatus().GetReached() })
	if code, _, body := g.text(g.viewer, "/v1/deployments/"+id+"/report"); code != 200 || !strings.Contains(body, "shop v2 in production: rolling") {
		t.Errorf("%d %s", code, body)
	}
}
