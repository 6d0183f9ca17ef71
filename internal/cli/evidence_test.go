package cli

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/genproto/googleapis/api/httpbody"
	"google.golang.org/protobuf/proto"

	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

func TestReportOfAServerGoesWhereItIsWanted(t *testing.T) {
	documents := map[adgv1.ReportFormat]string{
		adgv1.ReportFormat_REPORT_FORMAT_MARKDOWN: "# checkout \x1b[31m1.4.2\n", adgv1.ReportFormat_REPORT_FORMAT_HTML: "<h1>checkout</h1>\n",
		adgv1.ReportFormat_REPORT_FORMAT_JSON: `{ "title": "checkout" }`,
	}
	serve(t, &fakeServer{answers: map[string]func(proto.Message) (proto.Message, error){"GetReport": func(m proto.Message) (proto.Message, error) {
		return &httpbody.HttpBody{Data: []byte(documents[m.(*adgv1.GetReportRequest).GetFormat()])}, nil
	}}})
	file := filepath.Join(t.TempDir(), "report")
	for _, c := range []struct{ name, args, out, written string }{
		{"Markdown to the screen, harmless", "", "# checkout ·[31m1.4.2\n", ""},
		{"HTML to a file, as it came", "--format html --out " + file, "", "<h1>checkout</h1>\n"},
		{"Markdown to a file, as it came", "--out " + file, "", documents[adgv1.ReportFormat_REPORT_FORMAT_MARKDOWN]},
		{"an object on a line for programs", "--output json", `{"title":"checkout"}` + "\n", ""},
		{"the same to a file", "--output json --out " + file, "", `{"title":"checkout"}` + "\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			exit, out, errOut := command(t, "", append([]string{"deploy", "report", "d1"}, strings.Fields(c.args)...)...)
			if exit != 0 || out != c.out {
				t.Errorf("exit code %d, out %q, err %q", exit, out, errOut)
			}
			if c.written == "" {
				return
			}
			if text, err := os.ReadFile(file); err != nil || string(text) != c.written || errOut != "written: "+file+"\n" {
				t.Errorf("%v, %q, %q", err, text, errOut)
			}
		})
	}
	documents[adgv1.ReportFormat_REPORT_FORMAT_JSON] = "<html>"
	if exit, out, errOut := command(t, "", "deploy", "report", "d1", "--output", "json"); exit != ExitError || out != "" || !strings.Contains(errOut, "no JSON") {
		t.Errorf("exit code %d, out %q, err %q", exit, out, errOut)
	}
	if exit, _, errOut := command(t, "", "deploy", "report", "d1", "--out", filepath.Join(file, "nowhere")); exit != ExitError || !strings.Contains(errOut, "writing the report") {
		t.Errorf("exit code %d, err %q", exit, errOut)
	}
}
