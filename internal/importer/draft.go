package importer

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/importer/manifest"
)

// Private

// The bounds of what comes out.
const (
	maxChecks    = 200
	maxVariables = 200
	maxLosses    = 1_000
	maxPolicy    = 1 << 20
)

// draft is the policy as it grows, and what is lost on the way.
type draft struct {
	tool  string
	files []string
	given Options

	service, environment string
	variables            []variable
	sources              []source
	checks               []check
	strategy             strategy
	phases               []phase
	rollback             rollback
	scoring              scoring
	settle, warmUp       time.Duration
	approve              string // why a human approves before the first step; empty: none does
	asides               []string
	losses               []Loss
	cut                  int // losses past maxLosses
}

type variable struct{ name, value, note string }

type source struct {
	name, kind string
	options    []option
	notes      []string
}

// option is one option of a source; value is YAML.
type option struct{ name, value string }

type check struct {
	name, source      string
	query, bad, total string
	compare, baseline string
	aggregate         string
	warn, fail        string
	window, interval  time.Duration
	failures          int
	weight            float64
	critical          bool
	ranks             *ranks
	notes             []string
	instead           *check // what would be better, as a comment
	out               string // why the whole check is a comment; empty: it is measured
	from              *manifest.Node
}

type strategy struct {
	kind                string // canary, rolling, blue-green, recreate; empty: not known
	guessed             bool   // the source does not say it
	steps               []step
	preview, bake, keep time.Duration
	notes               []string
}

type step struct {
	share float64 // percent
	bake  time.Duration
	pause bool
	note  string
}

type phase struct {
	name string
	long time.Duration
	note string
}

type rollback struct {
	trust, why string
	rules      []rule
}

type rule struct {
	when, note string
	long       time.Duration
}

type scoring struct {
	healthy, degraded float64
	note              string
}

func newDraft(tool string, o Options) *draft {
	return &draft{tool: tool, given: o, service: o.Service, environment: o.Environment}
}

// lose puts on record that something of the source is not in the policy.
func (d *draft) lose(at *manifest.Node, format string, args ...any) {
	d.record(at, Lost, format, args...)
}

// change puts on record that something means another thing in the policy.
func (d *draft) change(at *manifest.Node, format string, args ...any) {
	d.record(at, Changed, format, args...)
}

// assume puts on record that the policy says something that the source does not.
func (d *draft) assume(at *manifest.Node, format string, args ...any) {
	d.record(at, Assumed, format, args...)
}

func (d *draft) record(at *manifest.Node, effect Effect, format string, args ...any) {
	loss := Loss{Effect: effect, Text: oneLine(fmt.Sprintf(format, args...), 500)}
	if at != nil {
		loss.File, loss.Line, loss.Path = at.Place.File, at.Place.Line, oneLine(at.Place.Path, 300)
	}
	if slices.Contains(d.losses, loss) {
		return
	}
	if len(d.losses) == maxLosses {
		d.cut++
		return
	}
	d.losses = append(d.losses, loss)
}

// name gives the policy its service and environment, unless it has them.
func (d *draft) name(service, namespace *manifest.Node) {
	if d.service == "" {
		d.service = validName(service.Text())
	}
	if d.environment == "" && d.given.Environment == "" && namespace.Text() != "" {
		d.environment = validName(namespace.Text())
		d.assume(namespace, "the environment is named %s, after the namespace", d.environment)
	}
}

// set tells whether a variable has this value from now on: it may have another one already, and a policy refuses some.
func (d *draft) set(name, value, note string) bool {
	if !variableName.MatchString(name) || !variableValue.MatchString(value) || len(d.variables) == maxVariables {
		return false
	}
	for _, v := range d.variables {
		if v.name == name {
			return v.value == value
		}
	}
	d.variables = append(d.variables, variable{name, value, note})
	return true
}

// ask gives the name of the source with these options, which it has from now on.
func (d *draft) ask(kind, name string, options []option, notes ...string) string {
	for _, s := range d.sources {
		if s.kind == kind && slices.Equal(s.options, options) {
			return s.name
		}
	}
	name = validName(name)
	free := name
	for n := 2; slices.ContainsFunc(d.sources, func(s source) bool { return s.name == free }); n++ {
		free = fmt.Sprintf("%s-%d", cutName(name, 57), n)
	}
	d.sources = append(d.sources, source{free, kind, options, notes})
	return free
}

// add takes a check, under a name that no other has.
func (d *draft) add(c check) (name string) {
	if len(d.checks) == maxChecks {
		d.lose(c.from, "a policy made by import has at most %d checks", maxChecks)
		return ""
	}
	c.name = validName(c.name)
	free := c.name
	for n := 2; slices.ContainsFunc(d.checks, func(o check) bool { return o.name == free }); n++ {
		free = fmt.Sprintf("%s-%d", cutName(c.name, 57), n)
	}
	c.name = free
	if c.instead != nil {
		c.instead.name = free
	}
	if c.out != "" {
		d.lose(c.from, "check %s: %s", c.name, c.out)
	}
	d.checks = append(d.checks, c)
	return free
}

// aside keeps a text as a comment at the end of the policy.
func (d *draft) aside(format string, args ...any) {
	d.asides = append(d.asides, fmt.Sprintf(format, args...))
}

// finish fills in what every policy needs, and writes it.
func (d *draft) finish() (Result, error) {
	r := Result{Steps: d.strategy.kind != "" && !d.strategy.guessed}
	for _, c := range d.checks {
		if c.out == "" {
			r.Checks++
		}
	}
	d.complete(r.Checks)
	text := d.render()
	if len(text) > maxPolicy {
		return Result{}, adg.Errorf(adg.Invalid, "the policy would be larger than %d bytes: import fewer files at once", maxPolicy)
	}
	r.Policy, r.Losses = []byte(text), d.sortedLosses()
	return r, nil
}

func (d *draft) complete(checks int) {
	if d.service == "" {
		d.service = "my-service"
		d.assume(nil, "no document names the service: it is called my-service")
	}
	if d.environment == "" {
		d.environment = "production"
		d.assume(nil, "no document names an environment: it is called production")
	}
	if checks == 0 {
		d.assume(nil, "no check came over: a placeholder is there that finds nothing, so that every deployment is held until you replace it")
		name := d.anyPrometheus()
		d.add(check{name: "replace-me", source: name, query: `no_metric_chosen_yet{version="$version"}`, fail: "> 0", critical: true,
			notes: []string{"LOOK: no check came over. This one finds nothing, and what is not known promotes nothing: every deployment is held until you write a check."}})
	}
	if d.strategy.kind == "" {
		d.assume(nil, "the documents say nothing of the rollout's steps: the policy has some")
		d.strategy = strategy{kind: "canary", bake: max(d.strategy.bake, 5*time.Minute), notes: append(d.strategy.notes, "LOOK: the source says nothing of the steps of a rollout; these are ADG's usual ones."),
			steps: []step{{share: 5}, {share: 25}, {share: 50}, {share: 100}}}
		for i := range d.strategy.steps {
			d.strategy.steps[i].bake = d.strategy.bake
		}
	}
	if d.rollback.trust == "" {
		d.rollback = rollback{trust: "suggest", why: "people are told what would be rolled back; auto does it", rules: d.rollback.rules}
	}
	d.lose(nil, "what makes a release live is not known to these documents: add a target to the policy")
}

// anyPrometheus is the name of a source that speaks PromQL, whichever.
func (d *draft) anyPrometheus() string {
	for _, s := range d.sources {
		if s.kind == "prometheus" {
			return s.name
		}
	}
	return d.ask("prometheus", "prometheus", []option{{"url", placeholderURL}}, "LOOK: where your Prometheus is.")
}

// sortedLosses are the losses by file and line, those of the whole import first.
func (d *draft) sortedLosses() []Loss {
	slices.SortStableFunc(d.losses, func(a, b Loss) int {
		if order := slices.Index(d.files, a.File) - slices.Index(d.files, b.File); order != 0 {
			return order
		}
		return a.Line - b.Line
	})
	if d.cut > 0 {
		d.losses = append(d.losses, Loss{Effect: Lost, Text: fmt.Sprintf("and %d more", d.cut)})
	}
	return d.losses
}

const placeholderURL = "http://prometheus:9090"

var (
	variableName  = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]{0,62}$`)
	variableValue = regexp.MustCompile(`^[A-Za-z0-9_.+@:/][A-Za-z0-9_.+@:/-]{0,255}$`)
	notInName     = regexp.MustCompile(`[^A-Za-z0-9._-]+`)
	notInWord     = regexp.MustCompile(`[^A-Za-z0-9_]+`)
)

// standing are the variables that every policy has.
var standing = []string{"baseline", "environment", "service", "version", "window"}

// validName is a name that a policy takes, as near to text as can be.
func validName(text string) string {
	name := strings.Trim(cutName(notInName.ReplaceAllString(text, "-"), 63), ".-_")
	if name == "" {
		return "unnamed"
	}
	return name
}

func cutName(name string, longest int) string {
	if len(name) > longest {
		return strings.TrimRight(name[:longest], ".-_")
	}
	return name
}

// word is the name of a variable, as near to text as can be.
func word(text string) string {
	name := notInWord.ReplaceAllString(text, "_")
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		name = "v_" + name
	}
	if name = name[:min(len(name), 60)]; slices.Contains(standing, name) {
		name += "_arg"
	}
	return name
}

// oneLine is foreign text as it is shown: short and on one line.
func oneLine(text string, longest int) string {
	text = strings.Join(strings.Fields(adg.Printable(text)), " ")
	if runes := []rune(text); len(runes) > longest {
		return string(runes[:longest]) + "…"
	}
	return text
}
