package control

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"fmt"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/guard"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/trace"
)

// Start is what a caller wants deployed.
type Start struct {
	Release     adg.Release
	Environment string
	Policy      int64  // the version of the policy that the caller knows; another one in force is a Conflict. 0: whichever is
	Previous    string // the version that a rollback goes to; empty: the last good one on record, else what is live and healthy
	Reason      string
	Features    map[string]float64 // what the caller knows about the change, for the prediction
	Paths       []string           // what it touches, as far as the caller says
	Authors     []string
	Author      string            // who wrote the change
	Labels      map[string]string // what else there is to say, such as the build's address
	Emergency   string            // why no freeze window may hold it up; empty: they do
	Key         string            // the same key and the same request again is the same deployment; empty: a new one
}

// StartDeployment starts a deployment under the policy in force. The same idempotency key by the same person for the same
// service and environment again gives the deployment that it began, as long as that is on record; with another release it
// is a Conflict.
func (c *Control) StartDeployment(ctx context.Context, who identity.Caller, s Start) (adg.Deployment, error) {
	scope := adg.Scope{Service: s.Release.Service, Environment: s.Environment}
	entry := adg.AuditEntry{
		Action: "deployment.start", Resource: "deployment/" + scope.Service + "/" + scope.Environment, Service: scope.Service, Environment: scope.Environment, Reason: s.Reason,
		Detail: map[string]string{"version": s.Release.Version, "artifact": s.Release.Artifact, "emergency": s.Emergency, "previous": s.Previous},
	}
	if err := c.allowed(ctx, who, identity.DeploymentStart, scope, entry); err != nil {
		return adg.Deployment{}, err
	}
	if s.Emergency != "" {
		if err := c.allowed(ctx, who, identity.FreezeWrite, scope, entry); err != nil {
			return adg.Deployment{}, err
		}
	}
	spec, err := c.spec(ctx, who, s)
	if err != nil {
		return adg.Deployment{}, err
	}
	if before, err := c.begun(ctx, spec); err != nil || before.ID != "" {
		return before, err
	}
	if err := c.mayTrust(ctx, who, spec, entry); err != nil {
		return adg.Deployment{}, err
	}
	if spec.Prediction, err = c.expected(ctx, who, spec, s); err != nil {
		return adg.Deployment{}, err
	}
	var d adg.Deployment
	err = c.done(ctx, who, entry, func() error {
		d, err = c.o.Starter.Start(ctx, spec)
		return err
	})
	if adg.CodeOf(err) == adg.Conflict && s.Key != "" {
		// The same key may have come twice at once.
		if before, again := c.begun(ctx, spec); again != nil || before.ID != "" {
			return before, again
		}
	}
	return d, err
}

// DeploymentID is the id of the deployment that somebody starts with a key.
func DeploymentID(who identity.Caller, s Start) string {
	return strings.Join([]string{s.Release.Service, s.Release.Version, digest(who.Person, s.Environment, s.Key)}, "-")
}

// Plan is what would happen.
type Plan struct {
	Spec       adg.Spec   // as it would be stored: the policy as the risk steers it, the prediction, where a rollback goes
	Gates      []adg.Gate // that it would have to pass
	Supersedes []string   // live deployments that would have to make way
}

// Plan is what would happen if the deployment were started now. What its start would refuse is refused in the same words.
// Nothing is changed.
func (c *Control) Plan(ctx context.Context, who identity.Caller, s Start) (Plan, error) {
	scope := adg.Scope{Service: s.Release.Service, Environment: s.Environment}
	entry := adg.AuditEntry{Action: "deployment.plan", Resource: "deployment/" + scope.Service}
	if err := c.allowed(ctx, who, identity.DeploymentRead, scope, entry); err != nil {
		return Plan{}, err
	}
	spec, err := c.spec(ctx, who, s)
	if err != nil {
		return Plan{}, err
	}
	if may(who, identity.DeploymentStart, scope) == nil {
		if err := c.mayTrust(ctx, who, spec, entry); err != nil {
			return Plan{}, err
		}
	}
	if spec.Prediction, err = c.expected(ctx, who, spec, s); err != nil {
		return Plan{}, err
	}
	if spec, err = c.begins(ctx, spec); err != nil {
		return Plan{}, err
	}
	plan := Plan{Spec: spec}
	if plan.Gates, err = c.o.Starter.Gates(ctx, adg.Deployment{Spec: spec}); err != nil {
		return plan, err
	}
	live, err := c.o.Store.ListDeployments(ctx, adg.DeploymentFilter{Service: scope.Service, Environment: scope.Environment, Live: true})
	for _, d := range live {
		plan.Supersedes = append(plan.Supersedes, d.ID)
	}
	return plan, err
}

// Deployment is one deployment.
func (c *Control) Deployment(ctx context.Context, who identity.Caller, id string) (adg.Deployment, error) {
	d, err := c.o.Store.Deployment(ctx, id)
	if err != nil {
		return adg.Deployment{}, c.hidden(ctx, who, err, id, "deployment.get")
	}
	if err := c.readable(ctx, who, d); err != nil {
		return adg.Deployment{}, err
	}
	return d, nil
}

// Deployments are those that the caller may see, the newest first.
func (c *Control) Deployments(ctx context.Context, who identity.Caller, f adg.DeploymentFilter) (list []adg.Deployment, next string, err error) {
	limit := f.Limit
	if limit <= 0 || limit > 1000 {
		limit = 100
	}
	f.Limit = min(2*limit, 1000)
	for {
		page, err := c.o.Store.ListDeployments(ctx, f)
		if err != nil {
			return nil, "", err
		}
		for _, d := range page {
			f.Before = d.ID
			if may(who, identity.DeploymentRead, scopeOf(d)) != nil {
				continue
			}
			if list = append(list, d); len(list) == limit {
				return list, d.ID, nil
			}
		}
		if len(page) < f.Limit {
			return list, "", nil
		}
	}
}

// MayCommand is nil where the caller has the permission for a command on a deployment.
func MayCommand(who identity.Caller, d adg.Deployment, kind adg.CommandKind) error {
	return may(who, permissionFor(kind), scopeOf(d))
}

// Command is what a person wants done with a deployment. The same key again changes nothing. check looks at the
// deployment before, and may refuse; nil: whatever it is.
func (c *Control) Command(ctx context.Context, who identity.Caller, id string, kind adg.CommandKind, reason, key string, check func(adg.Deployment) error) (adg.Deployment, error) {
	d, err := c.o.Store.Deployment(ctx, id)
	if err != nil {
		return adg.Deployment{}, c.hidden(ctx, who, err, id, "deployment."+kind.String())
	}
	entry := adg.AuditEntry{
		Action: "deployment." + kind.String(), Resource: "deployment/" + d.ID, Service: d.Spec.Policy.Service, Environment: d.Spec.Policy.Environment, Reason: reason,
		Detail: map[string]string{"version": d.Spec.Release.Version, "state": d.Status.State.String()},
	}
	if err := c.seen(ctx, who, d, entry); err != nil {
		return adg.Deployment{}, err
	}
	if err := c.allowed(ctx, who, permissionFor(kind), scopeOf(d), entry); err != nil {
		return adg.Deployment{}, err
	}
	if kind == adg.CommandApprove {
		if err := c.refused(ctx, who, identity.SecondPerson(d.Spec, who.Identity), entry); err != nil {
			return adg.Deployment{}, err
		}
	}
	if check != nil {
		if err := check(d); err != nil {
			return adg.Deployment{}, err
		}
	}
	if key == "" {
		key = newID()
	}
	// The person counts for the second pair of eyes, so that a token does not approve what its owner started.
	command := adg.Command{ID: digest(who.Person, d.ID, kind.String(), key), Deployment: d.ID, Kind: kind, Actor: who.Person, Address: who.Email, Via: who.Via, Reason: reason, Trace: trace.Carried(ctx)}
	if command.At, err = c.o.Store.Now(ctx); err != nil {
		return d, err
	}
	err = c.done(ctx, who, entry, func() error { return c.o.Store.Ask(ctx, command) })
	return d, err
}

// Watch calls for a deployment as it is now, and again each time that it has changed, until it has ended, the context
// ends, or see gives an error. Changes that follow each other closely may be seen as one. Nobody may write to what is seen.
func (c *Control) Watch(ctx context.Context, who identity.Caller, id string, see func(adg.Deployment) error) error {
	d, err := c.Deployment(ctx, who, id)
	if err != nil {
		return err
	}
	return c.watched.Follow(ctx, d, see)
}

// Private

func permissionFor(kind adg.CommandKind) identity.Permission {
	if kind == adg.CommandApprove || kind == adg.CommandReject {
		return identity.DeploymentApprove
	}
	return identity.DeploymentCommand
}

func scopeOf(d adg.Deployment) adg.Scope {
	return adg.Scope{Service: d.Spec.Policy.Service, Environment: d.Spec.Policy.Environment}
}

func (c *Control) readable(ctx context.Context, who identity.Caller, d adg.Deployment) error {
	return c.seen(ctx, who, d, adg.AuditEntry{Action: "deployment.get", Resource: "deployment/" + d.ID})
}

// seen refuses, on record, who may not see a deployment, in the words for one that does not exist.
func (c *Control) seen(ctx context.Context, who identity.Caller, d adg.Deployment, entry adg.AuditEntry) error {
	if c.allowed(ctx, who, identity.DeploymentRead, scopeOf(d), entry) == nil {
		return nil
	}
	return unseen(d.ID)
}

// hidden keeps from who may not see everything whether something exists, and puts on record that he looked for it.
func (c *Control) hidden(ctx context.Context, who identity.Caller, err error, id, action string) error {
	if adg.CodeOf(err) != adg.NotFound || c.allowed(ctx, who, identity.DeploymentRead, adg.Scope{}, adg.AuditEntry{Action: action, Resource: "deployment/" + adg.Printable(id)}) == nil {
		return err
	}
	return unseen(id)
}

func unseen(id string) error {
	return adg.Errorf(adg.NotFound, "there is no deployment %q that you may see", id)
}

// spec is what the request comes to under the policy in force.
func (c *Control) spec(ctx context.Context, who identity.Caller, s Start) (adg.Spec, error) {
	p, err := c.policy(ctx, Policy{Service: s.Release.Service, Environment: s.Environment})
	if err != nil {
		return adg.Spec{}, err
	}
	if s.Policy != 0 && s.Policy != p.Number {
		return adg.Spec{}, adg.Advised(adg.Errorf(adg.Conflict, "version %d of the policy is in force, not version %d", p.Number, s.Policy), "look at what was changed, and start again without naming one")
	}
	file, err := c.parsePolicy(ctx, "policy of "+p.place(), p.Text, adg.Scope{Service: p.Service, Environment: p.Environment})
	if err != nil {
		return adg.Spec{}, err
	}
	spec := adg.Spec{Release: s.Release, Policy: file.Policy, PolicyVersion: p.Number, Actor: who.Person, Author: s.Author, Labels: s.Labels, Reason: s.Reason, Emergency: s.Emergency, Trace: trace.Carried(ctx)}
	if s.Previous != "" {
		spec.LastGood = &adg.Release{Service: s.Release.Service, Version: s.Previous}
	}
	if err := spec.ValidWayBack(); err != nil {
		return adg.Spec{}, err
	}
	if s.Key != "" {
		spec.ID, spec.Key = DeploymentID(who, s), digest("start", who.Person, s.Release.Service, s.Environment, s.Key)
	}
	return spec, nil
}

// begins is what a start would store. It may ask the target and the checks what is live and good, so only so many may at once.
func (c *Control) begins(ctx context.Context, spec adg.Spec) (adg.Spec, error) {
	leave, err := enter(c.trials, "plans")
	if err != nil {
		return spec, err
	}
	defer leave()
	return c.o.Starter.Plan(ctx, spec)
}

// mayTrust refuses, on record, a way back to a release that nobody has found good, from who may not mark one good: a start
// that names it says that it is, for this deployment and for those after it.
func (c *Control) mayTrust(ctx context.Context, who identity.Caller, spec adg.Spec, entry adg.AuditEntry) error {
	if spec.LastGood == nil {
		return nil
	}
	scope := adg.Scope{Service: spec.Policy.Service, Environment: spec.Policy.Environment}
	named, err := guard.Recall(ctx, c.o.Store, spec.Policy, *spec.LastGood)
	if err != nil {
		return err
	}
	switch record, err := c.o.Store.Standing(ctx, scope.Service, scope.Environment, named.Identity()); {
	case err == nil && record.Standing == adg.StandingGood:
		return nil
	case err != nil && adg.CodeOf(err) != adg.NotFound:
		return err
	}
	denied := may(who, identity.ReleaseMark, scope)
	if denied != nil {
		denied = fmt.Errorf("nobody has found %s good, and who names it as the way back says that it is: %w", named.Version, denied)
	}
	return c.refused(ctx, who, denied, entry)
}

// begun is the deployment that an idempotency key began; none is zero.
func (c *Control) begun(ctx context.Context, spec adg.Spec) (adg.Deployment, error) {
	if spec.Key == "" {
		return adg.Deployment{}, nil
	}
	all, err := c.o.Store.ListDeployments(ctx, adg.DeploymentFilter{Key: spec.Key, Limit: 1})
	if err != nil {
		return adg.Deployment{}, err
	}
	if len(all) == 0 { // perhaps a replica of the version before began it, which keeps no keys
		d, err := c.o.Store.Deployment(ctx, spec.ID)
		if adg.CodeOf(err) == adg.NotFound {
			return adg.Deployment{}, nil
		}
		if err != nil {
			return adg.Deployment{}, err
		}
		all = append(all, d)
	}
	if d := all[0]; d.Spec.Release != spec.Release {
		return adg.Deployment{}, adg.Advised(adg.Errorf(adg.Conflict, "this idempotency key began the deployment %s, of version %s", d.ID, d.Spec.Release.Version), "take a new key for another release")
	}
	return all[0], nil
}

// digest is a short text that stands for others.
func digest(words ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(words, "\x00")))
	return strings.ToLower(base32.StdEncoding.EncodeToString(sum[:10]))
}
