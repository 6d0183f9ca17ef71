package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/config"
	"github.com/deployguardian/adg/internal/identity"
)

// Policy is one version of the policy of a service in an environment.
type Policy struct {
	Service     string           `json:"service"`
	Environment string           `json:"environment"`
	Number      int64            `json:"number"` // counts the versions, from 1
	Text        string           `json:"text"`   // YAML, as it was written
	Actor       string           `json:"actor"`
	Person      string           `json:"person"`
	Reason      string           `json:"reason,omitempty"`
	At          time.Time        `json:"at"`
	Weakens     []string         `json:"weakens,omitempty"` // how it guards less than the one before
	Approved    string           `json:"approved,omitempty"`
	Trust       adg.Trust        `json:"trust"`          // how far it lets ADG act alone
	Uses        []string         `json:"uses,omitempty"` // connections that it names
	InForce     bool             `json:"-"`
	Waits       bool             `json:"-"` // for the approval of somebody other than its author
	Warnings    []config.Problem `json:"-"` // what is doubtful about it
	Promise     string           `json:"-"` // what its sequential checks promise
}

// ErrOtherPlace is in the error of a policy that is for another service or environment than it was put for.
var ErrOtherPlace = errors.New("the policy is for another place")

// PutPolicy adds a version. place is what it has to be for; what of it is empty the text says. after is the number of the
// newest one that the writer has seen, 0 for none. A version that guards less than the one in force waits until somebody
// else approves it. The text of the newest version makes no other one: it is that version, as it is.
func (c *Control) PutPolicy(ctx context.Context, who identity.Caller, place adg.Scope, text, reason string, after int64) (Policy, error) {
	if err := c.mayPut(ctx, who, place, reason); err != nil { // before the text is looked at: that is work
		return Policy{}, err
	}
	said, err := c.about(ctx, text)
	if err != nil {
		return Policy{}, err
	}
	scope := adg.Scope{Service: cmp.Or(place.Service, said.Service), Environment: cmp.Or(place.Environment, said.Environment)}
	p := Policy{Service: scope.Service, Environment: scope.Environment, Text: text, Actor: who.Name(), Person: who.Person, Reason: reason, Number: after + 1}
	entry := adg.AuditEntry{Action: "policy.put", Resource: p.resource(), Service: p.Service, Environment: p.Environment, Reason: reason}
	// Who may write no policy there learns nothing from the errors of one.
	if err := c.allowed(ctx, who, identity.PolicyWrite, scope, entry); err != nil {
		return Policy{}, err
	}
	if err := fits(said, scope); err != nil {
		return Policy{}, err
	}
	parsed, err := c.parsePolicy(ctx, "policy", text, scope)
	if err != nil {
		return Policy{}, err
	}
	p.Trust = parsed.Policy.Rollback.Trust
	head, version, err := read[head](ctx, c, kindPolicyHead, p.place())
	if err != nil && adg.CodeOf(err) != adg.NotFound {
		return p, err
	}
	if head.Newest != after {
		return p, adg.Advised(adg.Errorf(adg.Conflict, "version %d of the policy is the newest, and yours follows version %d", head.Newest, after), "look at what was changed (adg policy diff), and put yours again")
	}
	if same, err := c.newest(ctx, p, head); err != nil || same.Text == text {
		same.Warnings, same.Promise = parsed.Warnings, parsed.Promise
		return same, err
	}
	if p.Weakens, err = c.weakens(ctx, p, head, parsed.Policy); err != nil {
		return p, err
	}
	if p.At, err = c.o.Store.Now(ctx); err != nil {
		return p, err
	}
	head.Newest, p.Uses = p.Number, uses(parsed.Policy)
	if len(p.Weakens) == 0 {
		head.InForce, head.Uses = p.Number, p.Uses
	}
	p.Warnings, p.Promise = parsed.Warnings, parsed.Promise
	p = p.under(head)
	entry.Detail = map[string]string{"number": fmt.Sprint(p.Number), "weakens": strings.Join(p.Weakens, "; ")}
	return p, c.writePolicy(ctx, who, p, head, version, entry)
}

// ApprovePolicy puts a version in force that guards less; not by who wrote it. check looks at the version before, and may
// refuse; nil: whatever it is.
func (c *Control) ApprovePolicy(ctx context.Context, who identity.Caller, service, environment string, number int64, reason string, check func(Policy) error) (Policy, error) {
	scope := adg.Scope{Service: service, Environment: environment}
	p := Policy{Service: service, Environment: environment, Number: number}
	entry := adg.AuditEntry{Action: "policy.approve", Resource: p.resource(), Service: service, Environment: environment, Reason: reason}
	if err := c.allowed(ctx, who, identity.DeploymentApprove, scope, entry); err != nil {
		return p, err
	}
	head, version, err := read[head](ctx, c, kindPolicyHead, p.place())
	if err != nil {
		return p, err
	}
	if p, _, err = read[Policy](ctx, c, kindPolicy, p.key()); err != nil {
		return p, err
	}
	if check != nil {
		if err := check(p); err != nil {
			return p, err
		}
	}
	if number <= head.InForce {
		return p, adg.Errorf(adg.Conflict, "version %d is in force: version %d comes too late", head.InForce, number)
	}
	if refusal := p.anotherThan(who); refusal != nil {
		return Policy{}, c.refused(ctx, who, refusal, entry)
	}
	p.Approved, head.InForce, head.Uses = who.Name(), number, p.Uses
	p = p.under(head)
	return p, c.writePolicy(ctx, who, p, head, version, entry)
}

// MayApprovePolicy is nil where the caller may approve that version, and else says why he may not.
func (c *Control) MayApprovePolicy(who identity.Caller, p Policy) error {
	if !p.Waits {
		return adg.Errorf(adg.Conflict, "version %d does not wait for an approval", p.Number)
	}
	if err := may(who, identity.DeploymentApprove, adg.Scope{Service: p.Service, Environment: p.Environment}); err != nil {
		return err
	}
	return p.anotherThan(who)
}

// Policy is one version; number 0 is the one in force.
func (c *Control) Policy(ctx context.Context, who identity.Caller, service, environment string, number int64) (Policy, error) {
	p := Policy{Service: service, Environment: environment, Number: number}
	if err := c.allowed(ctx, who, identity.PolicyRead, adg.Scope{Service: service, Environment: environment}, adg.AuditEntry{Action: "policy.get", Resource: p.resource()}); err != nil {
		return p, err
	}
	return c.policy(ctx, p)
}

// PolicyFilter selects policies; zero fields select all, and several values of one field any of them.
type PolicyFilter struct {
	Services     []string
	Environments []string
	Pending      bool   // only those whose newest version waits for an approval
	After        string // only those after this one: what was given as the next
	Limit        int    // 1 or more
}

// Policies are the newest versions, of all policies that the caller may see, by service and environment. next is what the
// page after this one comes after; empty: there is none.
func (c *Control) Policies(ctx context.Context, who identity.Caller, f PolicyFilter) (list []Policy, next string, err error) {
	for d, err := range adg.AllDocuments(ctx, c.o.Store, adg.DocumentFilter{Kind: kindPolicyHead, After: f.After, Limit: 1000, Bare: true}) {
		if err != nil {
			return nil, "", err
		}
		service, environment, _ := strings.Cut(d.Key, "/")
		if may(who, identity.PolicyRead, adg.Scope{Service: service, Environment: environment}) != nil ||
			len(f.Services) > 0 && !slices.Contains(f.Services, service) || len(f.Environments) > 0 && !slices.Contains(f.Environments, environment) {
			continue
		}
		p, err := c.version(ctx, Policy{Service: service, Environment: environment})
		if err != nil {
			return nil, "", err
		}
		if f.Pending && !p.Waits {
			continue
		}
		if len(list) == f.Limit {
			return list, list[f.Limit-1].place(), nil
		}
		list = append(list, p)
	}
	return list, "", nil
}

// PolicyVersions are all versions, the newest first.
func (c *Control) PolicyVersions(ctx context.Context, who identity.Caller, service, environment string) ([]Policy, error) {
	p := Policy{Service: service, Environment: environment}
	if err := c.allowed(ctx, who, identity.PolicyRead, adg.Scope{Service: service, Environment: environment}, adg.AuditEntry{Action: "policy.list", Resource: p.resource()}); err != nil {
		return nil, err
	}
	head, _, err := read[head](ctx, c, kindPolicyHead, p.place())
	if err != nil {
		return nil, err
	}
	versions, _, err := all[Policy](ctx, c.o.Store, kindPolicy, p.place()+"/")
	for i := range versions {
		versions[i] = versions[i].under(head)
	}
	slices.Reverse(versions)
	return versions, err
}

// LintPolicy says what a policy would be taken as, without putting it: to who may read that of the service and environment
// that it is for. A policy that cannot be used is Invalid, with
// everything that is wrong.
func (c *Control) LintPolicy(ctx context.Context, who identity.Caller, text string) (config.File, error) {
	entry := adg.AuditEntry{Action: "policy.lint", Resource: kindPolicy}
	if err := c.allowedSomewhere(ctx, who, identity.PolicyRead, entry); err != nil {
		return config.File{}, err
	}
	place, err := c.about(ctx, text)
	if err != nil {
		return config.File{}, err
	}
	if err := c.allowed(ctx, who, identity.PolicyRead, place, entry); err != nil {
		return config.File{}, err
	}
	return c.parsePolicy(ctx, "policy", text, place)
}

// PolicySchema is the JSON Schema of policies as this server takes them. It names the connections that somebody's services
// may use; who may read no policy at all gets none.
func (c *Control) PolicySchema(ctx context.Context, who identity.Caller) ([]byte, error) {
	if err := c.allowedSomewhere(ctx, who, identity.PolicyRead, adg.AuditEntry{Action: "policy.schema", Resource: kindPolicy}); err != nil {
		return nil, err
	}
	every, _, err := all[Connection](ctx, c.o.Store, kindConnection, "")
	if err != nil {
		return nil, err
	}
	var known config.Connections
	for _, k := range every {
		if !k.reached(who.Bindings) {
			continue
		}
		known.Add(k.Seam, config.Instance{Name: k.Name, Type: k.Type})
	}
	return config.RegisteredSchema(known)
}

// Private

const (
	kindPolicy     = "policy"
	kindPolicyHead = "policy-head"
)

// head is which versions there are of a policy.
type head struct {
	Newest  int64    `json:"newest"`
	InForce int64    `json:"in_force"`       // 0: none yet
	Uses    []string `json:"uses,omitempty"` // connections that the one in force names
}

func (p Policy) place() string { return p.Service + "/" + p.Environment }

// key sorts by number.
func (p Policy) key() string      { return fmt.Sprintf("%s/%012d", p.place(), p.Number) }
func (p Policy) resource() string { return kindPolicy + "/" + p.place() }

func (c *Control) policy(ctx context.Context, p Policy) (Policy, error) {
	head, _, err := read[head](ctx, c, kindPolicyHead, p.place())
	if adg.CodeOf(err) == adg.NotFound || err == nil && p.Number == 0 && head.InForce == 0 {
		return p, adg.Advised(adg.Errorf(adg.NotFound, "there is no policy for %s in %s", p.Service, p.Environment), "adg policy push puts one")
	}
	if err != nil {
		return p, err
	}
	p.Number = cmp.Or(p.Number, head.InForce)
	p, _, err = read[Policy](ctx, c, kindPolicy, p.key())
	return p.under(head), err
}

// newest is the newest version of a policy; zero if there is none.
func (c *Control) newest(ctx context.Context, p Policy, h head) (Policy, error) {
	if h.Newest == 0 {
		return Policy{}, nil
	}
	p.Number = h.Newest
	p, _, err := read[Policy](ctx, c, kindPolicy, p.key())
	return p.under(h), err
}

// under is the version as it stands where those versions are there.
func (p Policy) under(h head) Policy {
	p.InForce = p.Number == h.InForce
	p.Waits = len(p.Weakens) > 0 && p.Approved == "" && p.Number > h.InForce
	return p
}

// anotherThan refuses who wrote the version, and whoever has no person behind him.
func (p Policy) anotherThan(who identity.Caller) error {
	switch {
	case who.Person == "":
		return adg.Advised(adg.Errorf(adg.Unauthorized, "%w: an approval is a person's word, and there is none behind %s", identity.ErrDenied, who.Subject), "log in")
	case strings.EqualFold(p.Person, who.Person):
		return adg.Advised(adg.Errorf(adg.Unauthorized, "%w: you wrote version %d, and it guards less than the one in force", identity.ErrDenied, p.Number), "somebody else has to approve it")
	}
	return nil
}

// version is one version; number 0 is the newest, in force or not.
func (c *Control) version(ctx context.Context, p Policy) (Policy, error) {
	if p.Number == 0 {
		head, _, err := read[head](ctx, c, kindPolicyHead, p.place())
		if err != nil && adg.CodeOf(err) != adg.NotFound {
			return p, err
		}
		p.Number = head.Newest
	}
	return c.policy(ctx, p)
}

// mayPut is nil where the caller may write the policy of that place, or, as long as only a text says what it is for, one
// at least.
func (c *Control) mayPut(ctx context.Context, who identity.Caller, place adg.Scope, reason string) error {
	entry := adg.AuditEntry{Action: "policy.put", Resource: kindPolicy, Reason: reason}
	if place.Service == "" || place.Environment == "" {
		return c.allowedSomewhere(ctx, who, identity.PolicyWrite, entry)
	}
	entry.Resource = Policy{Service: place.Service, Environment: place.Environment}.resource()
	return c.allowed(ctx, who, identity.PolicyWrite, place, entry)
}

// allowedSomewhere is nil where the caller has the permission for some service at least.
func (c *Control) allowedSomewhere(ctx context.Context, who identity.Caller, p identity.Permission, entry adg.AuditEntry) error {
	if slices.ContainsFunc(who.Bindings, func(b identity.Binding) bool { return b.Role.Has(p) }) {
		return nil
	}
	return c.allowed(ctx, who, p, adg.Scope{}, entry)
}

// parseFor reads a policy that has to be for a service in an environment. One for another is refused before anything is
// said of the connections there.
func (c *Control) parseFor(ctx context.Context, text string, scope adg.Scope) (config.File, error) {
	said, err := c.about(ctx, text)
	if err != nil {
		return config.File{}, err
	}
	if err := fits(said, scope); err != nil {
		return config.File{}, err
	}
	return c.parsePolicy(ctx, "policy", text, scope)
}

// meant is a policy by its text, or, where there is none, its newest version.
func (c *Control) meant(ctx context.Context, text string, scope adg.Scope) (config.File, error) {
	if text == "" {
		p, err := c.version(ctx, Policy{Service: scope.Service, Environment: scope.Environment})
		if err != nil {
			return config.File{}, err
		}
		text = p.Text
	}
	return c.parseFor(ctx, text, scope)
}

func (c *Control) writePolicy(ctx context.Context, who identity.Caller, p Policy, h head, version int64, entry adg.AuditEntry) error {
	body, err := marshal(p)
	if err != nil {
		return err
	}
	top, err := marshal(h)
	if err != nil {
		return err
	}
	entry = c.entry(who, entry)
	entry.Outcome = adg.AuditDone
	_, err = c.o.Store.WriteDocuments(ctx, []adg.Write{
		{Document: adg.Document{Kind: kindPolicyHead, Key: p.place(), Data: top}, If: version},
		{Document: adg.Document{Kind: kindPolicy, Key: p.key(), Data: body}, If: adg.AnyVersion},
	}, entry)
	return err
}

// maxParsed is how many policies are kept as they were read: reading one takes some milliseconds, and each start and each
// change needs it.
const maxParsed = 2000

// about is what the text of a policy says that it is for; empty where it does not say so plainly.
func (c *Control) about(ctx context.Context, text string) (adg.Scope, error) {
	leave, err := c.reading(ctx)
	if err != nil {
		return adg.Scope{}, err
	}
	defer leave()
	service, environment := config.About([]byte(text))
	return adg.Scope{Service: service, Environment: environment}, nil
}

// reading takes one of the few places for reading a policy, which is work, and waits for it as long as the caller does.
func (c *Control) reading(ctx context.Context) (leave func(), err error) {
	select {
	case c.readings <- struct{}{}:
		return func() { <-c.readings }, nil
	case <-ctx.Done():
		return nil, adg.Errorf(adg.Unavailable, "%d policies are being read, which is the limit: %w", cap(c.readings), context.Cause(ctx))
	}
}

// fits refuses a policy that says that it is for another place than it should be.
func fits(said, wanted adg.Scope) error {
	if said.Service != "" && said.Service != wanted.Service || said.Environment != "" && said.Environment != wanted.Environment {
		return elsewhere(said, wanted)
	}
	return nil
}

// elsewhere is the error of a policy that is for another place than it should be.
func elsewhere(said, wanted adg.Scope) error {
	return adg.Errorf(adg.Invalid, "%w: %.80q in %.80q, not %s in %s", ErrOtherPlace, said.Service, said.Environment, wanted.Service, wanted.Environment)
}

// parsePolicy reads a policy against the connections that the service that it has to be for may use.
func (c *Control) parsePolicy(ctx context.Context, name, text string, scope adg.Scope) (config.File, error) {
	service, environment := scope.Service, scope.Environment
	usable, state, err := c.usable(ctx, service, environment)
	if err != nil {
		return config.File{}, err
	}
	key := digest(text, service, environment, state) // warnings name the policy as who read it first
	if file, found := c.parsed.Get(key); found {
		return file, nil
	}
	known, err := c.open(usable)
	if err != nil {
		return config.File{}, err
	}
	leave, err := c.reading(ctx)
	if err != nil {
		return config.File{}, err
	}
	file, err := config.ParseRegistered(name, []byte(text), known)
	leave()
	if err != nil {
		file.Policy.Service, file.Policy.Environment = service, environment
		return file, err
	}
	if said := (adg.Scope{Service: file.Policy.Service, Environment: file.Policy.Environment}); said != scope {
		return file, elsewhere(said, scope)
	}
	if file.Policy.Target == "" {
		return file, adg.Errorf(adg.Invalid, "%w", config.Problems{{
			File: name, Line: 1, Column: 1, Path: "target", Text: "the policy names no target: add one, as in target: " + firstName(known.Targets),
		}})
	}
	for _, part := range c.o.Drivers.Parts(file.Target) {
		if !slices.ContainsFunc(known.Targets, func(one config.Instance) bool { return one.Name == part }) {
			return file, adg.Errorf(adg.Invalid, "%w", config.Problems{{
				File: name, Line: 1, Column: 1, Path: "target",
				Text: fmt.Sprintf("%s has a part %s that is not registered for %s in %s: ask an admin", file.Target.Name, part, service, environment),
			}})
		}
	}
	c.parsed.Put(key, file)
	return file, nil
}

func (c *Control) weakens(ctx context.Context, p Policy, h head, next adg.Policy) ([]string, error) {
	if h.InForce == 0 {
		return nil, nil
	}
	before := p
	before.Number = h.InForce
	before, _, err := read[Policy](ctx, c, kindPolicy, before.key())
	if err != nil {
		return nil, err
	}
	parsed, err := c.parsePolicy(ctx, "policy", before.Text, adg.Scope{Service: p.Service, Environment: p.Environment})
	if err != nil {
		// The one in force cannot be read any more, a connection is gone: nobody can tell what the new one changes.
		return []string{"the version in force cannot be compared with: " + err.Error()}, nil
	}
	return Weakened(parsed.Policy, next), nil
}

func firstName(all []config.Instance) string {
	if len(all) == 0 {
		return "NAME (none is registered for this service yet: ask an admin)"
	}
	return all[0].Name
}
