package importer

import (
	"strings"
	"time"

	"github.com/deployguardian/adg/internal/importer/manifest"
)

// Private

// keptn reads the files of Keptn's quality gates, and the resources of its metrics operator.
type keptn struct {
	d         *draft
	docs      []*manifest.Node
	queries   map[string]*manifest.Node // of SLI files, by indicator
	providers map[string]*manifest.Node
	templates map[string]*manifest.Node // AnalysisValueTemplates
	metrics   map[string]*manifest.Node // KeptnMetrics
}

func readKeptn(d *draft, docs []*manifest.Node) bool {
	k := &keptn{d: d, queries: map[string]*manifest.Node{}, providers: map[string]*manifest.Node{},
		templates: map[string]*manifest.Node{}, metrics: map[string]*manifest.Node{}}
	found := k.collect(items(docs))
	gates := 0
	for _, doc := range k.docs {
		switch kind := doc.Get("kind").Text(); kind {
		case "":
			k.slo(doc)
		case "AnalysisDefinition":
			k.definition(doc)
		case "KeptnEvaluationDefinition":
			k.evaluation(doc)
		}
		if gates++; gates > 1 {
			d.change(doc, "a policy has one set of checks: those of all documents are in it, and the scores of the last")
		}
	}
	if gates == 0 {
		k.alone(docs)
	}
	for _, doc := range items(docs) {
		if doc.Get("kind").Text() != "" {
			doc.Skip("apiVersion", "kind", "metadata", "status")
		}
		if kind := doc.Get("kind").Text(); kind == "AnalysisValueTemplate" || kind == "KeptnMetric" || kind == "KeptnMetricsProvider" {
			doc.Skip("spec")
		}
	}
	if !found {
		return false
	}
	if d.rollback.trust == "" {
		d.rollback = rollback{trust: "suggest", why: "Keptn only gives a result; auto acts on it",
			rules: []rule{{when: "unhealthy", long: time.Minute, note: "Keptn evaluates once, at the end: ADG goes by how long the result has been bad."}}}
	}
	if d.strategy.kind == "" {
		d.strategy = strategy{kind: "rolling", guessed: true, steps: []step{{share: 100, bake: 5 * time.Minute}},
			notes: []string{"LOOK: the source says nothing of how a release becomes live; a rolling update is a guess."}}
		d.assume(nil, "the documents say nothing of the rollout: it is a rolling update that bakes 5m")
	}
	return true
}

// collect sorts the documents; false if none is Keptn's.
func (k *keptn) collect(docs []*manifest.Node) bool {
	found := false
	for _, doc := range docs {
		name := doc.Get("metadata", "name").Text()
		kind := doc.Get("kind").Text()
		switch {
		case kind == "" && doc.Has("objectives"), kind == "AnalysisDefinition", kind == "KeptnEvaluationDefinition":
			k.docs = append(k.docs, doc)
		case kind == "" && doc.Has("indicators"):
			doc.Skip("spec_version")
			for _, f := range doc.Get("indicators").Fields() {
				k.queries[f.Name] = f.Value
			}
		case kind == "AnalysisValueTemplate":
			k.templates[name] = doc
		case kind == "KeptnMetric":
			k.metrics[name] = doc
		case kind == "KeptnMetricsProvider":
			k.providers[name] = doc
		default:
			if strings.Contains(doc.Get("apiVersion").Text(), "keptn.sh/") {
				k.d.lose(doc, "documents of kind %s are not read", kind)
			}
			skipAll(doc)
			continue
		}
		found = true
	}
	return found
}

// alone makes comments of queries that no objective uses: there is no limit to judge them by.
func (k *keptn) alone(docs []*manifest.Node) {
	const why = "no objective with a limit names it: import it together with the SLO or the AnalysisDefinition"
	for _, doc := range items(docs) {
		for _, f := range doc.Get("indicators").Fields() {
			c := check{name: f.Name, from: f.Value, out: why, source: "prometheus"}
			c.query, c.window = k.sliQuery(f.Value)
			k.d.add(c)
		}
		name := doc.Get("metadata", "name").Text()
		if k.templates[name] == doc || k.metrics[name] == doc {
			c := check{name: name, from: doc}
			k.resource(&c, doc)
			c.out = why
			k.d.add(c)
		}
	}
}

// slo makes checks of an SLO file.
func (k *keptn) slo(doc *manifest.Node) {
	d := k.d
	doc.Skip("spec_version")
	if filter := doc.Get("filter"); filter != nil {
		d.lose(filter, "a filter goes into the queries")
		doc.Skip("filter")
	}
	for _, o := range doc.Get("objectives").Items() {
		k.objective(o)
	}
	if comparison := doc.Get("comparison"); comparison != nil {
		d.change(comparison, "Keptn compares with earlier evaluations (%s of %s): ADG with this service before the deployment, or with baseline: concurrent with the version beside it; without a baseline Keptn passes, ADG does not know",
			or(comparison.Get("aggregate_function").Text(), "avg"), or(comparison.Get("compare_with").Text(), "single_result"))
		doc.Skip("comparison")
	}
	total := doc.Get("total_score")
	k.total(total, total.Get("pass"), total.Get("warning"))
	d.change(nil, "a value that is missing fails its objective in Keptn: in ADG it is unknown, which promotes nothing and rolls nothing back, and people are told")
}

// total is the score from which on a result passes.
func (k *keptn) total(at, pass, warning *manifest.Node) {
	percent := func(n *manifest.Node, usual float64) float64 {
		text := strings.TrimSpace(strings.TrimLeft(strings.TrimSuffix(strings.TrimSpace(n.Text()), "%"), ">= "))
		if v, ok := number(text); ok && v > 0 && v <= 100 {
			return v
		}
		if n != nil || usual > 0 {
			k.d.assume(n, "the score %q cannot be had: it is %s", n.Text(), trim(usual))
		}
		return usual
	}
	s := scoring{note: "total score: pass and warning"}
	s.healthy = percent(pass, 90)
	s.degraded = s.healthy
	if warning != nil {
		s.degraded = min(percent(warning, 75), s.healthy)
	} else {
		k.d.change(at, "there is no warning score: below pass is unhealthy")
	}
	k.d.scoring = s
}

func or(text, other string) string {
	if text == "" {
		return other
	}
	return text
}
