package importer

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// Private

// page is the text of a policy.
type page struct{ strings.Builder }

// render writes the policy, with a comment wherever a human has to look.
func (d *draft) render() string {
	p := &page{}
	p.comment("", "Imported from %s of %s by adg import.", oneLine(strings.Join(d.files, ", "), 300), toolNames[d.tool])
	p.comment("", "Read it before you trust it: LOOK marks what a human has to decide. adg policy lint says what is doubtful;")
	p.comment("", "adg policy test FILE --version VERSION asks every query once.")
	p.line("", "service: %s", plain(validName(d.service)))
	p.line("", "environment: %s", plain(validName(d.environment)))
	d.renderVariables(p)
	d.renderSources(p)
	p.comment("", "LOOK: the target makes releases live. Without it nothing can be deployed with this policy, for example:")
	p.comment("", "target: {type: command, apply: {path: ./deploy.sh}, current: {path: ./current.sh}, shares: true, idle: true}")
	p.line("", "checks:")
	for _, c := range d.checks {
		if c.out == "" {
			c.render(p)
		} else {
			c.renderOut(p)
		}
	}
	d.renderStrategy(p)
	d.renderRules(p)
	for _, text := range d.asides {
		p.comment("", "%s", text)
	}
	return p.String()
}

var toolNames = map[string]string{"argo": "Argo Rollouts", "flagger": "Flagger", "kayenta": "Kayenta", "keptn": "Keptn"}

func (d *draft) renderVariables(p *page) {
	if len(d.variables) == 0 {
		return
	}
	p.line("", "variables:")
	for _, v := range d.variables {
		note := ""
		if v.note != "" {
			note = "  # " + oneLine(v.note, 150)
		}
		p.line("  ", "%s: %s%s", v.name, quoted(v.value), note)
	}
}

func (d *draft) renderSources(p *page) {
	p.line("", "sources:")
	for _, s := range d.sources {
		for _, note := range s.notes {
			p.comment("  ", "%s", note)
		}
		p.line("  ", "%s:", plain(s.name))
		p.line("    ", "type: %s", s.kind)
		for _, o := range s.options {
			p.line("    ", "%s: %s", o.name, o.value)
		}
	}
}

func (c check) render(p *page) {
	for _, note := range c.notes {
		p.comment("  ", "%s", note)
	}
	p.fields(c)
	if c.instead != nil {
		p.comment("    ", "Better where the stable version serves beside the new one: the same counters, judged as they come in. The promise")
		p.comment("    ", "about false alarms holds however often it looks. To use it, put this in place of the check above:")
		better := &page{}
		for _, note := range c.instead.notes {
			better.comment("  ", "%s", note)
		}
		better.fields(*c.instead)
		p.verbatim("    ", better.String())
	}
}

// renderOut writes a check as a comment, with what it asked.
func (c check) renderOut(p *page) {
	p.comment("  ", "LOOK: check %s is not measured: %s.", c.name, c.out)
	for _, note := range c.notes {
		p.comment("  ", "%s", note)
	}
	whole := &page{}
	whole.fields(c)
	p.verbatim("  ", whole.String())
}

// fields writes what a check says.
func (p *page) fields(c check) {
	p.line("  - ", "name: %s", plain(c.name))
	field := func(name, value string) {
		if value != "" {
			p.line("    ", "%s: %s", name, value)
		}
	}
	field("source", plain(c.source))
	p.query("query", c.query)
	p.query("bad", c.bad)
	p.query("total", c.total)
	field("compare", c.compare)
	c.ranks.render(p)
	field("baseline", c.baseline)
	field("aggregate", c.aggregate)
	for _, limit := range []option{{"warn", c.warn}, {"fail", c.fail}} {
		if limit.value != "" {
			field(limit.name, strconv.Quote(limit.value))
		}
	}
	for _, long := range []struct {
		name string
		time time.Duration
	}{{"window", c.window}, {"interval", c.interval}} {
		if long.time > 0 {
			field(long.name, span(long.time))
		}
	}
	if c.failures > 0 {
		field("failures", strconv.Itoa(c.failures))
	}
	if c.weight > 0 {
		field("weight", strconv.FormatFloat(c.weight, 'f', -1, 64))
	}
	if c.critical {
		field("critical", "true")
	}
}

func (d *draft) renderStrategy(p *page) {
	s := d.strategy
	p.line("", "strategy:")
	for _, note := range s.notes {
		p.comment("  ", "%s", note)
	}
	switch s.kind {
	case "blue-green":
		p.line("  ", "blue-green: {preview: %s, bake: %s, keep: %s}", span(s.preview), span(s.bake), span(s.keep))
	case "recreate":
		p.line("  ", "recreate: {bake: %s}", span(s.bake))
	default:
		list := map[string]string{"rolling": "batches"}[s.kind]
		if list == "" {
			list = "steps"
		}
		p.line("  ", "%s:", s.kind)
		p.line("    ", "%s:", list)
		for _, one := range s.steps {
			pause, note := "", ""
			if one.pause {
				pause = ", pause: true"
			}
			if one.note != "" {
				note = "  # " + oneLine(one.note, 150)
			}
			p.line("      - ", "{share: %s%%, bake: %s%s}%s", strconv.FormatFloat(one.share, 'f', -1, 64), span(one.bake), pause, note)
		}
	}
}

func (d *draft) renderRules(p *page) {
	if len(d.phases) > 0 {
		p.line("", "verify:")
		for _, ph := range d.phases {
			if ph.note != "" {
				p.comment("  ", "%s", ph.note)
			}
			p.line("  - ", "{phase: %s, for: %s}", ph.name, span(ph.long))
		}
	}
	p.line("", "rollback:")
	p.line("  ", "trust: %s  # %s", d.rollback.trust, oneLine(d.rollback.why, 150))
	if len(d.rollback.rules) > 0 {
		p.line("  ", "rules:")
		for _, r := range d.rollback.rules {
			if r.note != "" {
				p.comment("    ", "%s", r.note)
			}
			p.line("    - ", "{when: %s, for: %s, act: now}", r.when, span(r.long))
		}
	}
	if d.scoring != (scoring{}) {
		p.line("", "scoring: {healthy: %s, degraded: %s}  # %s", trim(d.scoring.healthy), trim(d.scoring.degraded), oneLine(d.scoring.note, 150))
	}
	if d.warmUp > 0 {
		p.line("", "warm_up: %s", span(d.warmUp))
	}
	if d.settle > 0 {
		p.line("", "settle: %s  # how long the target may take to reach a step", span(d.settle))
	}
	if d.approve != "" {
		p.line("", "approve: true  # %s", oneLine(d.approve, 150))
	}
}

func (p *page) line(indent, format string, args ...any) {
	fmt.Fprintf(p, indent+format+"\n", args...)
}

// comment writes text as a comment, wrapped.
func (p *page) comment(indent, format string, args ...any) {
	const width = 118
	text := indent + "#"
	for _, word := range strings.Fields(shown(fmt.Sprintf(format, args...))) {
		if len(text)+len(word) > width && len(text) > len(indent)+1 {
			p.WriteString(text + "\n")
			text = indent + "#"
		}
		text += " " + word
	}
	p.WriteString(text + "\n")
}

// verbatim writes lines as comments, as they are.
func (p *page) verbatim(indent, text string) {
	for _, line := range strings.Split(strings.TrimRight(text, "\n"), "\n") {
		p.WriteString(strings.TrimRight(indent+"# "+shown(line), " ") + "\n")
	}
}

// query writes a query: in quotes, or as a block where it has several lines.
func (p *page) query(name, text string) {
	text = strings.TrimSpace(text)
	switch {
	case text == "":
	case block(text):
		p.line("    ", "%s: |", name)
		for _, line := range strings.Split(text, "\n") {
			if strings.TrimSpace(line) != "" {
				p.line("      ", "%s", strings.TrimRight(strings.ReplaceAll(line, "\t", "  "), " "))
			}
		}
	default:
		p.line("    ", "%s: %s", name, quoted(text))
	}
}

// block tells whether a text can be written as a block of lines; in a raw string of PromQL white space counts.
func block(text string) bool {
	return strings.Contains(text, "\n") && !strings.Contains(text, "`") && text == shown(text) && !strings.HasPrefix(text, "#") && !strings.ContainsRune(text, '\ufeff')
}

// shown is foreign text in which nothing ends a comment.
func shown(text string) string {
	return strings.Map(func(r rune) rune {
		if r == 0x2028 || r == 0x2029 || r == 0xfeff {
			return '·'
		}
		return r
	}, adg.Printable(text))
}

var (
	bare     = regexp.MustCompile(`^[A-Za-z][A-Za-z0-9_./-]*$`)
	reserved = regexp.MustCompile(`(?i)^(?:true|false|yes|no|on|off|y|n|null|nan|inf)$`)
)

// plain is a name as YAML reads it back as text.
func plain(text string) string {
	if bare.MatchString(text) && !reserved.MatchString(text) {
		return text
	}
	return strconv.Quote(text)
}

// quoted is text in quotes as YAML reads it back: in single ones where it holds double ones.
func quoted(text string) string {
	if bare.MatchString(text) && !reserved.MatchString(text) {
		return text
	}
	if strings.ContainsAny(text, `"\`) && !strings.ContainsAny(text, "'\n\r\t") && text == shown(text) {
		return "'" + text + "'"
	}
	return strconv.Quote(shown(text)) // what cannot be printed has no place in a query or an address
}

// span is a time as policies write it, to the millisecond.
func span(d time.Duration) string { return adg.Short(d.Round(time.Millisecond)) }

func trim(number float64) string { return strconv.FormatFloat(number, 'f', -1, 64) }
