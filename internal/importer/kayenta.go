package importer

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg/internal/importer/manifest"
)

// Private

// kayenta reads canary configs, and the requests that hold one.
type kayenta struct {
	d         *draft
	templates map[string]string
	groups    [][]string // of each check of the draft
}

func readKayenta(d *draft, docs []*manifest.Node) bool {
	found := false
	for _, doc := range docs {
		config := doc
		if doc.Has("canaryConfig") {
			config = doc.Get("canaryConfig")
		}
		request := doc.Get("executionRequest")
		if !config.Has("metrics") {
			d.lose(doc, "this document holds no canary config")
			skipAll(doc)
			continue
		}
		if found {
			d.lose(doc, "a policy is made of one canary config: import the second one by itself")
			skipAll(doc)
			continue
		}
		found = true
		k := &kayenta{d: d, templates: map[string]string{}}
		k.config(config)
		k.request(request)
		k.scores(config, request)
	}
	return found
}

func (k *kayenta) config(config *manifest.Node) {
	d := k.d
	for _, name := range []string{"id", "description", "configVersion", "createdTimestamp", "updatedTimestamp", "createdTimestampIso", "updatedTimestampIso", "services", "isNew"} {
		config.Skip(name)
	}
	name := config.Get("name")
	if apps := config.Get("applications").Items(); len(apps) > 0 && apps[0].Text() != "ad-hoc" {
		name = apps[0]
	}
	d.name(name, nil)
	if judge := config.Get("judge", "name"); judge != nil && judge.Text() != "NetflixACAJudge-v1.0" && judge.Text() != "dredd-v1.0" {
		d.change(judge, "the judge %s is not known: the metrics are judged as NetflixACAJudge-v1.0 does", judge.Text())
	}
	config.Get("judge").Skip("judgeConfigurations")
	for _, t := range config.Get("templates").Fields() {
		k.templates[t.Name] = t.Value.Text()
	}
	for _, m := range config.Get("metrics").Items() {
		k.metric(m)
	}
	k.weigh(config.Get("classifier", "groupWeights"))
	d.change(nil, "Kayenta looks at the end of an interval, and judges a pass by a score: ADG compares the two versions all the time, and an error in every metric is no pass")
	d.change(nil, "a metric without data does not count in a group's score in Kayenta: in ADG it is unknown, which promotes nothing and rolls nothing back")
}

// weigh shares the weight of each group out over its checks: a group's score is the share of them that pass. What is
// not measured takes nothing from the others of its group.
func (k *kayenta) weigh(weights *manifest.Node) {
	sizes := map[string]int{} // of what is measured
	for i, groups := range k.groups {
		for _, g := range groups {
			n := sizes[g]
			if k.d.checks[i].out == "" {
				n++
			}
			sizes[g] = n
		}
	}
	left, unweighted := 100.0, 0
	given := map[string]float64{}
	for _, f := range weights.Fields() {
		weight, ok := f.Value.Number()
		if !ok || !(weight >= 0 && weight <= 1e6) {
			k.d.lose(f.Value, "%q is no weight", f.Value.Text())
			continue
		}
		given[f.Name] = weight
		left -= weight
		if sizes[f.Name] == 0 {
			k.d.lose(f.Value, "no metric of the group is measured, so that its weight counts for nothing")
		}
	}
	for name := range sizes {
		if _, known := given[name]; !known {
			unweighted++
		}
	}
	for i, groups := range k.groups {
		c := &k.d.checks[i]
		for _, g := range groups {
			weight, known := given[g]
			if !known {
				weight = max(left, 0) / float64(unweighted)
			}
			if c.out == "" {
				c.weight += weight / float64(sizes[g])
			}
		}
		k.settle(c)
	}
}

// settle rounds the weight of a check; one without weight counts only if it is critical.
func (k *kayenta) settle(c *check) {
	if c.weight = round(c.weight); c.weight > 0 || c.out != "" {
		return
	}
	if c.critical {
		c.weight = 0.001 // a check has some weight
		return
	}
	c.out = "its groups have no weight, so that it counts for nothing"
	k.d.lose(c.from, "check %s: %s", c.name, c.out)
}

func (k *kayenta) metric(m *manifest.Node) {
	c := check{name: m.Get("name").Text(), from: m, compare: compareRanks, window: time.Hour}
	canary := m.Get("analysisConfigurations", "canary")
	var groups []string
	for _, g := range m.Get("groups").Items() {
		groups = append(groups, g.Text())
	}
	c.critical = canary.Get("critical").True()
	k.ranks(&c, canary)
	k.query(&c, m.Get("query"))
	m.Skip("scopeName", "id")
	if canary.Get("muted").True() {
		c.keepOut("it is muted, and counts for nothing")
	}
	if data := canary.Get("mustHaveData"); data.True() {
		k.d.change(data, "%s: missing data failed the metric, here it is unknown and holds the rollout", c.name)
	}
	if k.d.add(c) != "" {
		k.groups = append(k.groups, groups)
	}
}

// ranks are the settings of the comparison.
func (k *kayenta) ranks(c *check, canary *manifest.Node) {
	r := &ranks{direction: "either", increase: 1, decrease: 1}
	c.ranks = r
	if direction := canary.Get("direction").Text(); direction == "increase" || direction == "decrease" {
		r.direction = direction
	}
	r.replaceNaN = canary.Get("nanStrategy").Text() == "replace"
	outliers := canary.Get("outliers")
	factor := outliers.Get("outlierFactor")
	if outliers.Get("strategy").Text() == "remove" {
		if r.outliers = 3; factor != nil {
			if v, ok := factor.Number(); ok && v > 0 && v <= 1e6 {
				r.outliers = v
			}
		}
	}
	effect := canary.Get("effectSize")
	if r.cles = effect.Get("measure").Text() == "cles"; r.cles {
		r.increase, r.decrease = 0.5, 0.5
	}
	for _, limit := range []struct {
		name string
		into *float64
	}{{"allowedIncrease", &r.increase}, {"allowedDecrease", &r.decrease}} {
		if at := effect.Get(limit.name); at != nil {
			if v, ok := at.Number(); ok && v >= 0 && v <= 1e6 {
				*limit.into = v
			} else {
				k.d.lose(at, "%q is no effect", at.Text())
			}
		}
	}
	for _, name := range []string{"criticalIncrease", "criticalDecrease"} {
		if at := effect.Get(name); at != nil {
			k.d.lose(at, "a critical check fails at its one limit, not at a second one for large changes")
		}
	}
}

// kayentaVariable is ${scope} in a template; in an inline one the brace has a backslash before it.
var kayentaVariable = regexp.MustCompile(`\$\\?\{([A-Za-z0-9_.]{1,100})\}`)

// query writes the query as Kayenta builds it.
func (k *kayenta) query(c *check, q *manifest.Node) {
	kind := q.Get("type").Text()
	q.Skip("serviceType", "aggregationPeriod")
	if kind != "prometheus" {
		c.source = oneLine(kind, 40)
		if kind == "" {
			c.source = "unknown"
		}
		c.out = "ADG has no source for " + oneLine(c.source, 40) + " yet"
		var parts []string
		for _, f := range q.Fields() {
			if f.Name != "type" && f.Name != "serviceType" {
				parts = append(parts, oneLine(f.Name+": "+f.Value.String(), 500))
			}
			q.Skip(f.Name)
		}
		c.query = literal(strings.Join(parts, "\n"))
		return
	}
	c.source = k.d.prometheus(q, "")
	filter := q.Get("customInlineTemplate").Text()
	if name := q.Get("customFilterTemplate"); filter == "" && name != nil {
		var known bool
		if filter, known = k.templates[name.Text()]; !known {
			k.d.lose(name, "there is no template %s", name.Text())
		}
	}
	if old := q.Get("customFilter"); filter == "" && old != nil {
		filter = old.Text()
	}
	if strings.Contains(filter, "<#") {
		c.out = "its template has conditions, which a query of a policy has not"
	}
	if promql, whole := strings.CutPrefix(filter, "PromQL:"); whole {
		q.Skip("metricName", "labelBindings", "groupByFields", "resourceType", "sumByFields")
		c.query, _ = windowed(k.variables(c, q, promql))
		return
	}
	k.built(c, q, filter)
}

// built is avg(metric{filter,bindings}).
func (k *kayenta) built(c *check, q *manifest.Node, filter string) {
	var matchers []string
	if filter != "" {
		matchers = append(matchers, filter)
	}
	for _, b := range q.Get("labelBindings").Items() {
		matchers = append(matchers, b.Text())
	}
	if resource := q.Get("resourceType"); resource != nil && filter == "" {
		k.d.lose(resource, "the filter that Kayenta builds for %s is not carried over: pick the instances of one version", resource.Text())
	}
	q.Skip("sumByFields")
	metric := q.Get("metricName").Text()
	if metric == "" {
		c.keepOut("it names no metric")
	}
	c.query = "avg(" + k.variables(c, q, metric+"{"+strings.Join(matchers, ",")+"}") + ")"
	if by := q.Get("groupByFields").Items(); len(by) > 0 {
		k.d.lose(q.Get("groupByFields"), "one check looks at one series: group by nothing, or make a check of each group")
	}
}

// variables turns Kayenta's variables into those of a policy.
func (k *kayenta) variables(c *check, at *manifest.Node, text string) string {
	a := arguments{d: k.d, braces: kayentaVariable, values: map[string]argument{"scope": {variable: "version"}}}
	a.left = func(name string) {
		k.d.assume(at, "%s comes with each execution: give the variable %s a value", name, word(name))
	}
	apart, other := false, false
	for _, hit := range kayentaVariable.FindAllStringSubmatch(text, 100) {
		apart = apart || hit[1] == "scope"
		other = other || !slices.Contains([]string{"project", "location", "resourceType"}, hit[1])
	}
	switch {
	case apart:
		k.d.change(at, "the scope is the version in ADG: $version stands for the canary, and for the stable version beside it")
	case other:
		k.d.change(at, "one of the query's variables tells the two versions apart: put $version into its place")
	default:
		c.keepOut("the query does not tell the two versions apart: let it pick one with $version")
	}
	return a.inQuery(text)
}

// request takes times from an execution request.
func (k *kayenta) request(r *manifest.Node) {
	minutes := func(name string) time.Duration {
		d, ok := r.Get(name).Duration(time.Minute)
		if !ok {
			return 0
		}
		return d
	}
	k.d.warmUp = minutes("beginAfterMins")
	if every := minutes("analysisIntervalMins"); every > 0 {
		k.d.change(r.Get("analysisIntervalMins"), "a judgement was made every %s: ADG judges all the time", span(every))
	}
	long := minutes("lifetimeDurationMins")
	if long > 0 {
		s := &k.d.strategy
		s.kind, s.guessed = "canary", true
		s.notes = []string{"LOOK: the source has one canary for its whole life and says nothing of its share: 10% is a guess."}
		s.steps = []step{{share: 10, bake: min(long, 30*24*time.Hour)}, {share: 100, bake: time.Minute, note: "added: Kayenta ends before"}}
		for i := range k.d.checks {
			if c := &k.d.checks[i]; c.ranks != nil {
				c.window = max(min(long, 24*time.Hour), time.Minute)
			}
		}
	}
	if scopes := r.Get("scopes"); scopes != nil {
		k.d.lose(scopes, "which instances are the canary and which the baseline comes from the deployment: $version tells them apart")
		r.Skip("scopes")
	}
	r.Skip("metadata", "siteLocal")
}

// scores are the thresholds: those of the request win over those of the config.
func (k *kayenta) scores(config, request *manifest.Node) {
	d := k.d
	at := config.Get("classifier", "scoreThresholds")
	if given := request.Get("thresholds"); given != nil {
		at.Skip("pass", "marginal")
		at = given
	}
	pass, ok1 := at.Get("pass").Number()
	marginal, ok2 := at.Get("marginal").Number()
	if !ok1 || !ok2 || !(marginal > 0 && marginal <= pass && pass <= 100) {
		pass, marginal = 95, 75
		d.assume(at, "no thresholds that a policy can have: 95 and 75 are those of Kayenta's examples")
	}
	d.scoring = scoring{pass, marginal, "pass and marginal"}
	d.change(at, "Kayenta ends a canary at the first score of %s or below: ADG at one below %s that lasts", trim(marginal), trim(marginal))
	d.rollback = rollback{trust: "suggest", why: "Kayenta only gives a score; auto acts on it", rules: []rule{{when: "unhealthy", long: 2 * time.Minute, note: fmt.Sprintf("A score below %s, or a critical check that fails.", trim(marginal))}}}
}
