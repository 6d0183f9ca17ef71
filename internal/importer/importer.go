// Package importer makes an ADG policy of what other tools were told: Argo Rollouts, Flagger, Kayenta and Keptn. What
// they say is carried over where a policy can say it; what it cannot, and what it says differently, is listed with the
// place in the source. Nothing is asked over a network, and no secret of a source reaches the policy.
package importer

import (
	"fmt"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/importer/manifest"
)

// Tools are the tools whose documents are read.
var Tools = []string{"argo", "flagger", "kayenta", "keptn"}

// Options are what the documents do not say.
type Options struct {
	Service     string // empty: as the documents name it
	Environment string // empty: the documents' namespace, else production
}

// File is one file of the other tool.
type File struct {
	Name string // as places call it
	Text []byte
}

// Effect is what became of something in a source.
type Effect string

// The effects: Lost is not in the policy; Changed is there with another meaning; Assumed is in the policy without being
// in the source, because a policy needs it.
const (
	Lost    Effect = "lost"
	Changed Effect = "changed"
	Assumed Effect = "assumed"
)

// Loss is one thing that a human has to look at, and where it stands in the source.
type Loss struct {
	File   string `json:"file,omitempty"`
	Line   int    `json:"line,omitempty"` // from 1; zero: the whole import
	Path   string `json:"path,omitempty"` // of the field, as in spec.metrics[0].interval
	Effect Effect `json:"effect"`
	Text   string `json:"text"`
}

// String is the loss on one line, with the place as editors read it.
func (l Loss) String() string {
	where := ""
	if l.File != "" {
		where = fmt.Sprintf("%s:%d: ", adg.Printable(l.File), l.Line)
	}
	if l.Path != "" {
		where += l.Path + ": "
	}
	return where + string(l.Effect) + ": " + l.Text
}

// Result is the policy and what it does not say.
type Result struct {
	Policy []byte // YAML that config reads
	Losses []Loss // in the order of the files
	Checks int    // that the policy measures and the source did, too
	Steps  bool   // whether the way of the rollout came over
}

// Usable tells whether anything of the source does something in the policy.
func (r Result) Usable() bool { return r.Checks > 0 || r.Steps }

// Import reads the files of a tool, all of them together: a template in one is found by what names it in another. The
// error is adg.Invalid: an unknown tool, a file that cannot be read as YAML or JSON, or none with a document of that
// tool. What is read and cannot be carried over is no error but a loss.
func Import(tool string, files []File, o Options) (Result, error) {
	read, known := readers[tool]
	if !known {
		return Result{}, adg.Errorf(adg.Invalid, "there is no tool %q: choose one of %s", tool, strings.Join(Tools, ", "))
	}
	if len(files) > maxFiles {
		return Result{}, adg.Errorf(adg.Invalid, "more than %d files", maxFiles)
	}
	d := newDraft(tool, o)
	var docs []*manifest.Node
	for _, f := range files {
		found, err := manifest.Read(f.Name, f.Text)
		if err != nil {
			return Result{}, err
		}
		docs = append(docs, found...)
		d.files = append(d.files, f.Name)
	}
	found := read(d, docs)
	if !found {
		return Result{}, adg.Errorf(adg.Invalid, "no document of %s in %s: %s", tool, strings.Join(d.files, ", "), wanted[tool])
	}
	for _, doc := range docs {
		for _, f := range doc.Unread() {
			d.lose(f.Value, "%s has no counterpart in a policy", f.Name)
		}
	}
	return d.finish()
}

// Private

const maxFiles = 100

// readers lay documents over a draft; false if none of them is the tool's.
var readers = map[string]func(*draft, []*manifest.Node) bool{
	"argo": readArgo, "flagger": readFlagger, "kayenta": readKayenta, "keptn": readKeptn,
}

// wanted are the documents of each tool, for who brought another one.
var wanted = map[string]string{
	"argo":    "AnalysisTemplate, ClusterAnalysisTemplate and Rollout are read",
	"flagger": "Canary, MetricTemplate and AlertProvider are read",
	"kayenta": "canary configs and the requests that hold one are read, as JSON",
	"keptn":   "SLO and SLI files, AnalysisDefinition, AnalysisValueTemplate, KeptnMetric, KeptnMetricsProvider and KeptnEvaluationDefinition are read",
}
