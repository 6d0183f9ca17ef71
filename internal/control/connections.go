package control

import (
	"cmp"
	"context"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/config"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/seal"
	"github.com/deployguardian/adg/internal/strictyaml"
)

// Connection is a source, a target or a notifier with its credentials, registered for some services and environments.
// Its options may hold $service and $environment, which stand for the deployment's: one connection serves many.
type Connection struct {
	Seam         string    `json:"seam"` // source, target or notifier
	Name         string    `json:"name"` // unique among all seams
	Type         string    `json:"type"`
	Options      string    `json:"options"`      // JSON; secrets are sealed, or named
	Services     []string  `json:"services"`     // exact, or a prefix with a final '*'; none: all
	Environments []string  `json:"environments"` // the same
	Created      time.Time `json:"created,omitzero"`
	Changed      time.Time `json:"changed,omitzero"`
	Actor        string    `json:"actor,omitempty"` // who changed it last
	Version      int64     `json:"-"`
}

// Secrets are what connections may name of the server's own: an admin of the API is not one of the machine.
type Secrets struct {
	Env       func(name string) (string, bool) // environment; nil: none
	EnvPrefix string                           // which variables, by the beginning of their names
	Dir       string                           // the folder whose files may be named; empty: none
}

// Covers tells whether a service in an environment may use the connection.
func (k Connection) Covers(service, environment string) bool {
	return matchesAny(k.Services, service) && matchesAny(k.Environments, environment)
}

// PutConnection registers a connection, or changes it: version is the one that is there, 0 for a new one. Options are
// YAML or JSON, in which a secret is {value: SECRET}, {env: NAME}, {file: NAME}, or {keep: "true"} for the one that is
// sealed there already. It comes back as Connection does it.
func (c *Control) PutConnection(ctx context.Context, who identity.Caller, k Connection, version int64) (Connection, error) {
	entry := adg.AuditEntry{Action: "connection.put", Resource: k.resource(), Detail: map[string]string{"type": k.Type}}
	if err := c.allowed(ctx, who, identity.ConnectionWrite, adg.Scope{}, entry); err != nil {
		return k, err
	}
	if err := k.validPatterns(); err != nil {
		return k, err
	}
	now, err := c.o.Store.Now(ctx)
	if err != nil {
		return k, err
	}
	k.Created, k.Changed, k.Actor = now, now, who.Name()
	var old Connection
	var before map[string]string
	if version != 0 {
		old, _, err = read[Connection](ctx, c, kindConnection, k.Name)
		if err != nil {
			return k, err
		}
		if old.Seam != k.Seam || old.Type != k.Type {
			return k, adg.Advised(adg.Errorf(adg.Invalid, "%s is a %s of type %s, and stays one", k.Name, old.Seam, old.Type), "register another under a name of its own")
		}
		if before, err = c.sealedIn(old); err != nil {
			return k, err
		}
		k.Created = old.Created
	}
	if k.Options, err = c.sealed(ctx, k, old, before); err != nil {
		return k, err
	}
	d, err := c.put(ctx, who, kindConnection, k.Name, k, version, entry)
	c.lately.forget(k.Name)
	if err != nil {
		return k, err
	}
	k.Version = d.Version
	return c.shown(k)
}

// Connection is one connection; sealed secrets are shown as {keep: "true"}, so that what was read can be written.
func (c *Control) Connection(ctx context.Context, who identity.Caller, name string) (Connection, error) {
	k := Connection{Name: name}
	if err := c.allowed(ctx, who, identity.ConnectionRead, adg.Scope{}, adg.AuditEntry{Action: "connection.get", Resource: k.resource()}); err != nil {
		return k, err
	}
	k, version, err := read[Connection](ctx, c, kindConnection, k.Name)
	if err != nil {
		return k, err
	}
	k.Version = version
	return c.shown(k)
}

// Connections are all of them, by name.
func (c *Control) Connections(ctx context.Context, who identity.Caller) ([]Connection, error) {
	if err := c.allowed(ctx, who, identity.ConnectionRead, adg.Scope{}, adg.AuditEntry{Action: "connection.list", Resource: "connection"}); err != nil {
		return nil, err
	}
	every, versions, err := all[Connection](ctx, c.o.Store, kindConnection, "")
	for i := range every {
		every[i].Version = versions[i]
		if err == nil {
			every[i], err = c.shown(every[i])
		}
	}
	return every, err
}

// DropConnection forgets a connection that no policy in force and no live deployment needs; one that is needed is a
// Conflict.
func (c *Control) DropConnection(ctx context.Context, who identity.Caller, name string, version int64) error {
	k := Connection{Name: name}
	entry := adg.AuditEntry{Action: "connection.drop", Resource: k.resource()}
	if err := c.allowed(ctx, who, identity.ConnectionWrite, adg.Scope{}, entry); err != nil {
		return err
	}
	if _, err := c.o.Store.Document(ctx, kindConnection, k.Name); err != nil {
		if adg.CodeOf(err) == adg.NotFound {
			err = adg.Advised(adg.Errorf(adg.NotFound, "there is no connection %.80q", name), "adg connection list names those that there are")
		}
		return err
	}
	if err := c.unused(ctx, name); err != nil {
		return err
	}
	defer c.lately.forget(k.Name)
	return c.drop(ctx, who, kindConnection, k.Name, version, entry)
}

// Drivers are the types that connections may have, by seam and name.
func (c *Control) Drivers(ctx context.Context, who identity.Caller) ([]config.Described, error) {
	if err := c.allowed(ctx, who, identity.ConnectionRead, adg.Scope{}, adg.AuditEntry{Action: "driver.list", Resource: kindConnection}); err != nil {
		return nil, err
	}
	return c.o.Drivers.Describe()
}

// Uses are how many policies in force name each connection.
func (c *Control) Uses(ctx context.Context) (map[string]int, error) {
	heads, _, err := all[head](ctx, c.o.Store, kindPolicyHead, "")
	count := map[string]int{}
	for _, h := range heads {
		for _, name := range h.Uses {
			count[name]++
		}
	}
	return count, err
}

// Private

const kindConnection = "connection"

func (k Connection) resource() string { return kindConnection + "/" + k.Name }

func (k Connection) plain() config.Connection {
	return config.Connection{Seam: k.Seam, Name: k.Name, Type: k.Type, Options: []byte(k.Options)}
}

func (k Connection) validPatterns() error {
	for what, patterns := range map[string][]string{"service": k.Services, "environment": k.Environments} {
		if len(patterns) > 1000 {
			return adg.Advised(adg.Errorf(adg.Invalid, "a connection names at most 1,000 %ss", what), "use a prefix, as in team-*")
		}
		for _, p := range patterns {
			if name := strings.TrimSuffix(p, "*"); name != "" && adg.ValidName(what, strings.TrimRight(name, "-._")) != nil || p == "" {
				return adg.Advised(adg.Errorf(adg.Invalid, "%q names no %s", strictyaml.Cut(p), what), "write a name, or a prefix with a final *")
			}
		}
	}
	return nil
}

// sealing are the changes that make of what a caller writes what is stored.
func (c *Control) sealing(ctx context.Context, k Connection, before map[string]string) map[string]func(path, text string) (any, error) {
	return map[string]func(path, text string) (any, error){
		"value": func(path, text string) (any, error) {
			if c.o.Keyring == nil {
				return nil, adg.Advised(adg.Errorf(adg.Invalid, "this server has no key to seal secrets with"), "give it one (seal: in its configuration), or name the secret: {env: NAME}")
			}
			sealed, err := c.o.Keyring.Seal(ctx, k.place(path), adg.NewSecret(text))
			return map[string]string{"sealed": sealed}, err
		},
		"keep": func(path, _ string) (any, error) {
			sealed, found := before[path]
			if !found {
				return nil, adg.Errorf(adg.Invalid, "there is no secret here to keep")
			}
			return map[string]string{"sealed": sealed}, nil
		},
		"env":  func(_, name string) (any, error) { return map[string]string{"env": name}, c.mayName("env", name) },
		"file": func(_, name string) (any, error) { return map[string]string{"file": name}, c.mayName("file", name) },
	}
}

func (k Connection) place(path string) seal.Place {
	return seal.Place{Kind: kindConnection, Key: k.Name + "/" + path}
}

// mayName refuses secrets of the server's that no connection may see.
func (c *Control) mayName(form, name string) error {
	s := c.o.Secrets
	switch {
	case form == "env" && (s.Env == nil || !strings.HasPrefix(name, s.EnvPrefix)):
		return adg.Errorf(adg.Invalid, "connections may name environment variables that begin with %s only", cmp.Or(s.EnvPrefix, "(none)"))
	case form == "file" && (s.Dir == "" || !filepath.IsLocal(name)):
		return adg.Errorf(adg.Invalid, "connections may name files in the server's folder of secrets only, by their names in it")
	}
	return nil
}

// sealedIn are the sealed secrets of a stored connection, by their places.
func (c *Control) sealedIn(k Connection) (map[string]string, error) {
	found := map[string]string{}
	_, err := k.plain().Rewritten(c.o.Drivers, map[string]func(path, text string) (any, error){
		"sealed": func(path, text string) (any, error) { found[path] = text; return nil, nil },
		"env":    func(string, string) (any, error) { return nil, nil },
		"file":   func(string, string) (any, error) { return nil, nil },
	})
	return found, err
}

// shown is a stored connection as callers see it.
func (c *Control) shown(k Connection) (Connection, error) {
	shown, err := k.plain().Rewritten(c.o.Drivers, map[string]func(path, text string) (any, error){
		"sealed": func(string, string) (any, error) { return map[string]string{"keep": "true"}, nil },
		"env":    func(_, name string) (any, error) { return map[string]string{"env": name}, nil },
		"file":   func(_, name string) (any, error) { return map[string]string{"file": name}, nil },
	})
	k.Options = string(shown.Options)
	return k, err
}

// opened resolves the secrets of a stored connection.
func (c *Control) opened(ctx context.Context, k Connection) (config.Instance, error) {
	return k.plain().Open(c.o.Drivers, config.SecretForms{
		"sealed": func(path, text string) (string, error) {
			if c.o.Keyring == nil {
				return "", adg.Errorf(adg.Unavailable, "the server has lost its key: what was sealed with it cannot be opened")
			}
			secret, err := c.o.Keyring.Open(ctx, k.place(path), text)
			return secret.Reveal(), err
		},
		"env": func(_, name string) (string, error) {
			if err := c.mayName("env", name); err != nil {
				return "", err
			}
			value, found := c.o.Secrets.Env(name)
			if !found || value == "" {
				return "", adg.Errorf(adg.Invalid, "the server's environment has no %s", name)
			}
			return value, nil
		},
		"file": func(_, name string) (string, error) {
			if err := c.mayName("file", name); err != nil {
				return "", err
			}
			value, _, err := strictyaml.FromFile(filepath.Join(c.o.Secrets.Dir, name))
			return value, err
		},
	})
}

// uses are the connections that a policy names.
func uses(p adg.Policy) []string {
	names := slices.Clone(p.Notify)
	for _, target := range []string{p.Target, p.Rollback.Fallback} {
		if target != "" {
			names = append(names, target)
		}
	}
	for _, check := range p.Checks {
		names = append(names, check.Source)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// noPart is nil where no other target has a connection as a part of it.
func (c *Control) noPart(ctx context.Context, name string) error {
	every, _, err := all[Connection](ctx, c.o.Store, kindConnection, "")
	if err != nil {
		return err
	}
	for _, k := range every {
		if k.Seam != "target" {
			continue
		}
		i, err := k.plain().Open(c.o.Drivers, anySecret)
		if err == nil && slices.Contains(c.o.Drivers.Parts(i), name) { // one that cannot be opened has no part that it needs
			return adg.Advised(adg.Errorf(adg.Conflict, "target %s has %s as a part", k.Name, name), "change it first")
		}
	}
	return nil
}

// unused is nil where nothing needs a connection.
func (c *Control) unused(ctx context.Context, name string) error {
	if err := c.noPart(ctx, name); err != nil {
		return err
	}
	count, err := c.Uses(ctx)
	if err != nil {
		return err
	}
	if n := count[name]; n > 0 {
		return adg.Advised(adg.Errorf(adg.Conflict, "%d policies in force name %s", n, name), "change them first")
	}
	f := adg.DeploymentFilter{Live: true, Limit: 1000}
	for {
		page, err := c.o.Store.ListDeployments(ctx, f)
		if err != nil {
			return err
		}
		for _, d := range page {
			if slices.Contains(uses(d.Spec.Policy), name) {
				return adg.Advised(adg.Errorf(adg.Conflict, "deployment %s is under way and needs %s", d.ID, name), "wait until it has ended, or cancel it")
			}
		}
		if len(page) < f.Limit {
			return nil
		}
		f.Before = page[len(page)-1].ID
	}
}

// usable are the connections that a service in an environment may use, and what tells their state from any other.
func (c *Control) usable(ctx context.Context, service, environment string) (list []Connection, state string, err error) {
	every, versions, err := all[Connection](ctx, c.o.Store, kindConnection, "")
	var words []string
	for i, k := range every {
		if k.Covers(service, environment) {
			list = append(list, k)
			words = append(words, k.Name, strconv.FormatInt(versions[i], 10))
		}
	}
	return list, digest(words...), err
}

// anySecret opens connections whose secrets do not matter.
var anySecret = config.SecretForms{"sealed": nothing, "env": nothing, "file": nothing}

func nothing(string, string) (string, error) { return "x", nil }

// open opens connections as a policy is checked against them: against their options, whose secrets do not matter.
func (c *Control) open(list []Connection) (known config.Connections, err error) {
	for _, k := range list {
		one, err := k.plain().Open(c.o.Drivers, anySecret)
		if err != nil {
			return known, err
		}
		known.Add(k.Seam, one)
	}
	return known, nil
}

// reached tells whether some service in some environment that the bindings are for may use the connection.
func (k Connection) reached(bindings []identity.Binding) bool {
	var own []identity.Binding
	for _, service := range orAll(k.Services) {
		for _, environment := range orAll(k.Environments) {
			own = append(own, identity.Binding{Role: identity.Viewer, Service: service, Environment: environment})
		}
	}
	return len(identity.Intersect(bindings, own)) > 0
}

func orAll(patterns []string) []string {
	if len(patterns) == 0 {
		return []string{"*"}
	}
	return patterns
}

func matchesAny(patterns []string, name string) bool {
	return len(patterns) == 0 || slices.ContainsFunc(patterns, func(p string) bool {
		prefix, open := strings.CutSuffix(p, "*")
		return p == name || open && strings.HasPrefix(name, prefix)
	})
}
