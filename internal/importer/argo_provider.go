package importer

import (
	"fmt"
	"net/url"
	"strconv"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/importer/manifest"
)

// Private

// strangers are the providers that ADG has no source for, and the fields that hold what is asked.
var strangers = map[string][]string{
	"datadog": {"query", "queries", "formula"}, "newRelic": {"query"}, "wavefront": {"query"}, "graphite": {"query"}, "influxdb": {"query"},
	"cloudWatch": {"metricDataQueries"}, "skywalking": {"query"}, "kayenta": {"canaryConfigName", "threshold", "scopes"},
}

// provider makes the source of a check, and its query.
func (a *argo) provider(c *check, p *manifest.Node, args arguments, reduce string) {
	switch {
	case p.Has("prometheus"):
		a.prometheus(c, p.Get("prometheus"), args, reduce)
		return
	case p.Has("web"):
		a.web(c, p.Get("web"), args)
		return
	case p.Has("job"):
		job := p.Get("job")
		c.source = "command"
		c.keepOut("it was a Job of Kubernetes: run its program with a source of type command and as: probe")
		for _, container := range job.Get("spec", "template", "spec", "containers").Items() {
			c.notes = append(c.notes, "Its image was "+oneLine(container.Get("image").Text(), 200)+"; exit status 0 was success.")
		}
		p.Skip("job")
		return
	}
	fields := p.Fields()
	if len(fields) == 0 {
		c.keepOut("it names no provider")
		return
	}
	f := fields[0]
	c.source = strings.ToLower(f.Name)
	c.keepOut("ADG has no source for " + oneLine(f.Name, 60) + " yet")
	for _, name := range strangers[f.Name] {
		if f.Value.Has(name) {
			c.query = strings.TrimSpace(c.query + "\n" + args.inQuery(f.Value.Get(name).String()))
		}
	}
	p.Skip(f.Name)
}

// keepOut makes the whole check a comment, for the first reason that there is.
func (c *check) keepOut(why string) {
	if c.out == "" {
		c.out = why
	}
}

func (a *argo) prometheus(c *check, p *manifest.Node, args arguments, reduce string) {
	var more []option
	if seconds, ok := p.Get("timeout").Whole(); ok && seconds > 0 && seconds < 3600 {
		more = append(more, option{"timeout", strconv.Itoa(seconds) + "s"})
	}
	if p.Get("insecure").True() {
		more = append(more, option{"tls", "{insecure_skip_verify: true}"})
	}
	more = append(more, a.headers(p.Get("headers"), args)...)
	more = append(more, a.basicAuth(p.Get("authentication"), args)...)
	c.source = a.d.prometheus(p, args.inText(p.Get("address").Text()), more...)
	query := args.inQuery(p.Get("query").Text())
	c.query, c.window = windowed(query)
	if reduce != "" {
		c.query = reduce + "(" + strings.TrimSpace(c.query) + ")"
	}
	if p.Has("rangeQuery") {
		a.d.change(p.Get("rangeQuery"), "%s was asked as a range: ADG asks for one value at a time", c.name)
		p.Skip("rangeQuery")
	}
	switch {
	case strings.TrimSpace(c.query) == "":
		c.keepOut("it asks nothing")
	case c.fail == "" && c.out == "":
		c.keepOut("it has no condition, and so succeeds whatever the value")
	}
}

// headers are options for the headers of a provider; what they hold is not copied, unless it is the name of a tenant.
func (a *argo) headers(list *manifest.Node, args arguments) []option {
	var named []string
	var made []option
	for _, h := range list.Items() {
		key, value := h.Get("key").Text(), h.Get("value").Text()
		if strings.EqualFold(key, "X-Scope-OrgID") {
			if tenant := args.inText(value); variableValue.MatchString(tenant) {
				made = append(made, option{"tenant", quoted(tenant)})
				continue
			}
		}
		env, known := args.secret(value)
		if !known {
			env = envName(a.d.service, key)
		}
		a.d.assume(h, "what the header %s holds is not copied: the environment variable %s has to hold all of it", key, env)
		named = append(named, quoted(key)+": "+fromEnv(env))
	}
	if len(named) > 0 {
		made = append(made, option{"headers", "{" + strings.Join(named, ", ") + "}"})
	}
	return made
}

func (a *argo) basicAuth(auth *manifest.Node, args arguments) []option {
	for _, name := range []string{"sigv4", "oauth2"} {
		if auth.Has(name) {
			a.d.lose(auth.Get(name), "ADG does not sign in with %s", name)
			auth.Skip(name)
		}
	}
	basic := auth.Get("basicAuth")
	if basic == nil {
		return nil
	}
	user := args.inText(basic.Get("username").Text())
	env, known := args.secret(basic.Get("password").Text())
	if !known {
		env = envName(a.d.service, "password")
	}
	a.d.assume(basic, "the password is not copied: the environment variable %s has to hold it", env)
	return []option{{"basic_auth", fmt.Sprintf("{username: %s, password: %s}", quoted(user), fromEnv(env))}}
}

// web makes a probe of a request that only has to succeed; what it answers is more than a probe looks at.
func (a *argo) web(c *check, p *manifest.Node, args arguments) {
	to, err := url.Parse(args.inText(p.Get("url").Text()))
	method := p.Get("method").Text()
	fixed := err == nil && to.Host != "" && to.User == nil && (to.Scheme == "http" || to.Scheme == "https")
	plain := c.fail == "" && c.out == "" && (method == "" || method == "GET") && !p.Has("headers") && !p.Has("authentication")
	if fixed && plain {
		var more []option
		if seconds, ok := p.Get("timeoutSeconds").Whole(); ok && seconds > 0 && seconds < 3600 {
			more = append(more, option{"timeout", strconv.Itoa(seconds) + "s"})
		}
		if p.Get("insecure").True() {
			more = append(more, option{"tls", "{insecure_skip_verify: true}"})
		}
		p.Skip("jsonPath")
		c.source = a.d.ask("http", to.Hostname(), append([]option{{"url", quoted(shown(to.Scheme + "://" + to.Host))}}, more...))
		c.query, c.failures = literal(to.RequestURI()), 1
		return
	}
	c.source, c.fail, c.warn = "web", "", ""
	c.out = "it read a number or a text out of an answer of a web service: a source of type command can do that, with a program that prints the number"
	address, _ := bareAddress(p.Get("url").Text())
	c.notes = append(c.notes, adg.Printable("It asked "+address+" for "+oneLine(p.Get("jsonPath").Text(), 200)+"."))
	for _, f := range p.Fields() {
		p.Skip(f.Name)
	}
}
