package control

import (
	"cmp"
	"context"
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
	Service     string    `json:"service"`
	Environment string    `json:"environment"`
	Number      int64     `json:"number"` // counts the versions, from 1
	Text        string    `json:"text"`   // YAML, as it was written
	Actor       string    `json:"actor"`
	Person      string    `json:"person"`
	Reason      string    `json:"reason,omitempty"`
	At          time.Time `json:"at"`
	Weakens     []string  `json:"weakens,omitempty"` // how it guards less than the one before
	Approved    string    `json:"approved,omitempty"`
	InForce     bool      `json:"-"`
	Warnings    []string  `json:"-"` // what is doubtful about it
	Promise     string    `json:"-"` // what its sequential checks promise
}

// PutPolicy adds a version. after is the number of the newest one that the writer has seen, 0 for none. A version that
// guards less than the one in force waits until somebody else approves it.
func (c *Control) PutPolicy(ctx context.Context, who identity.Caller, text, reason string, after int64) (Policy, error) {
	parsed, err := c.parsePolicy(ctx, "policy", text, adg.Scope{})
	scope := adg.Scope{Service: parsed.Policy.Service, Environment: parsed.Policy.Environment}
	if err != nil {
		// Who may write no policy at all learns nothing from the errors of one.
		if denied := c.allowed(ctx, who, identity.PolicyWrite, scope, adg.AuditEntry{Action: "policy.put", Resource: "policy"}); denied != nil {
			return Policy{}, denied
		}
		return Policy{}, err
	}
	p := Policy{Service: scope.Service, Environment: scope.Environment, Text: text, Actor: who.Subject, Person: who.Person, Reason: reason, Number: after + 1}
	entry := adg.AuditEntry{Action: "policy.put", Resource: p.resource(), Service: p.Service, Environment: p.Environment, Reason: reason}
	if err := c.allowed(ctx, who, identity.PolicyWrite, scope, entry); err != nil {
		return p, err
	}
	head, version, err := read[head](ctx, c, kindPolicyHead, p.place())
	if err != nil && adg.CodeOf(err) != adg.NotFound {
		return p, err
	}
	if head.Newest != after {
		return p, adg.Errorf(adg.Conflict, "version %d of the policy is the newest, and yours follows version %d: look at what was changed (adg policy diff), and put yours again", head.Newest, after)
	}
	if p.Weakens, err = c.weakens(ctx, p, head, parsed.Policy); err != nil {
		return p, err
	}
	if p.At, err = c.o.Store.Now(ctx); err != nil {
		return p, err
	}
	head.Newest = p.Number
	if len(p.Weakens) == 0 {
		head.InForce = p.Number
	}
	p.InForce, p.Warnings, p.Promise = head.InForce == p.Number, warnings(parsed), parsed.Promise
	entry.Detail = map[string]string{"number": fmt.Sprint(p.Number), "weakens": strings.Join(p.Weakens, "; ")}
	return p, c.writePolicy(ctx, who, p, head, version, entry)
}

// ApprovePolicy puts a version in force that guards less; not by who wrote it.
func (c *Control) ApprovePolicy(ctx context.Context, who identity.Caller, service, environment string, number int64, reason string) (Policy, error) {
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
	switch {
	case number <= head.InForce:
		return p, adg.Errorf(adg.Conflict, "version %d is in force: version %d comes too late", head.InForce, number)
	case p.Person == who.Person:
		return p, adg.Errorf(adg.Unauthorized, "you wrote version %d: it guards less than the one in force, so somebody else has to approve it", number)
	}
	p.Approved, head.InForce = who.Subject, number
	p.InForce = true
	return p, c.writePolicy(ctx, who, p, head, version, entry)
}

// Policy is one version; number 0 is the one in force.
func (c *Control) Policy(ctx context.Context, who identity.Caller, service, environment string, number int64) (Policy, error) {
	p := Policy{Service: service, Environment: environment, Number: number}
	if err := c.allowed(ctx, who, identity.PolicyRead, adg.Scope{Service: service, Environment: environment}, adg.AuditEntry{Action: "policy.get", Resource: p.resource()}); err != nil {
		return p, err
	}
	return c.policy(ctx, p)
}

// Policies are the versions in force, of all that the caller may see, by service and environment. After and limit page.
func (c *Control) Policies(ctx context.Context, who identity.Caller, after string, limit int) (list []Policy, next string, err error) {
	f := adg.DocumentFilter{Kind: kindPolicyHead, After: after, Limit: 1000, Bare: true}
	for {
		page, err := c.o.Store.ListDocuments(ctx, f)
		if err != nil {
			return nil, "", err
		}
		for _, d := range page {
			service, environment, _ := strings.Cut(d.Key, "/")
			if may(who, identity.PolicyRead, adg.Scope{Service: service, Environment: environment}) != nil {
				continue
			}
			p, err := c.policy(ctx, Policy{Service: service, Environment: environment})
			if adg.CodeOf(err) == adg.NotFound {
				continue // none is in force yet
			}
			if err != nil {
				return nil, "", err
			}
			list = append(list, p)
			if len(list) == limit {
				return list, d.Key, nil
			}
		}
		if len(page) < f.Limit {
			return list, "", nil
		}
		f.After = page[len(page)-1].Key
	}
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
		versions[i].InForce = versions[i].Number == head.InForce
	}
	slices.Reverse(versions)
	return versions, err
}

// LintPolicy says what a policy would be taken as, without putting it. A policy that cannot be used is Invalid, with
// everything that is wrong.
func (c *Control) LintPolicy(ctx context.Context, who identity.Caller, text string) (config.File, error) {
	if err := c.allowed(ctx, who, identity.PolicyRead, adg.Scope{}, adg.AuditEntry{Action: "policy.lint", Resource: kindPolicy}); err != nil {
		return config.File{}, err
	}
	return c.parsePolicy(ctx, "policy", text, adg.Scope{})
}

// Private

const (
	kindPolicy     = "policy"
	kindPolicyHead = "policy-head"
)

// head is which versions there are of a policy.
type head struct {
	Newest  int64 `json:"newest"`
	InForce int64 `json:"in_force"` // 0: none yet
}

func (p Policy) place() string { return p.Service + "/" + p.Environment }

// key sorts by number.
func (p Policy) key() string      { return fmt.Sprintf("%s/%012d", p.place(), p.Number) }
func (p Policy) resource() string { return kindPolicy + "/" + p.place() }

func (c *Control) policy(ctx context.Context, p Policy) (Policy, error) {
	head, _, err := read[head](ctx, c, kindPolicyHead, p.place())
	if adg.CodeOf(err) == adg.NotFound || err == nil && p.Number == 0 && head.InForce == 0 {
		return p, adg.Errorf(adg.NotFound, "there is no policy for %s in %s: adg policy push puts one", p.Service, p.Environment)
	}
	if err != nil {
		return p, err
	}
	p.Number = cmp.Or(p.Number, head.InForce)
	p, _, err = read[Policy](ctx, c, kindPolicy, p.key())
	p.InForce = p.Number == head.InForce
	return p, err
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

// parsePolicy reads a policy against the connections that its service may use. A scope that is not empty is the one that
// it has to be for.
func (c *Control) parsePolicy(ctx context.Context, name, text string, scope adg.Scope) (config.File, error) {
	service, environment := config.About([]byte(text))
	known, err := c.usable(ctx, service, environment)
	if err != nil {
		return config.File{}, err
	}
	file, err := config.ParseRegistered(name, []byte(text), known)
	if err != nil {
		file.Policy.Service, file.Policy.Environment = service, environment
		return file, err
	}
	if scope != (adg.Scope{}) && scope != (adg.Scope{Service: service, Environment: environment}) {
		return file, adg.Errorf(adg.Invalid, "the policy is for %s in %s, not for %s in %s", service, environment, scope.Service, scope.Environment)
	}
	if file.Policy.Target == "" {
		return file, adg.Errorf(adg.Invalid, "the policy names no target: add one, as in target: %s", firstName(known.Targets))
	}
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
	parsed, err := c.parsePolicy(ctx, "policy", before.Text, adg.Scope{})
	if err != nil {
		// The one in force cannot be read any more, a connection is gone: nobody can tell what the new one changes.
		return []string{"the version in force cannot be compared with: " + err.Error()}, nil
	}
	return Weakened(parsed.Policy, next), nil
}

func warnings(f config.File) []string {
	var all []string
	for _, w := range f.Warnings {
		all = append(all, w.String())
	}
	return all
}

func firstName(all []config.Instance) string {
	if len(all) == 0 {
		return "NAME (none is registered for this service yet: ask an admin)"
	}
	return all[0].Name
}
