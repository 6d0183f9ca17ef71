package control

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/freeze"
	"github.com/deployguardian/adg/internal/identity"
)

// Service is something that is deployed, as far as the caller may see it.
type Service struct {
	Name         string
	About        ServiceAbout
	Version      int64 // of what people say about it; 0: nobody said anything
	Environments []ServiceEnvironment
}

// ServiceEnvironment is a service in one environment.
type ServiceEnvironment struct {
	Environment string
	Live        *adg.Release    // as far as is known; nil: nothing is
	LastGood    *adg.Release    // where a rollback would go; nil: nowhere
	Latest      *adg.Deployment // nil: there was none
	Policy      int64           // the version in force; 0: none is
	Trust       adg.Trust       // of that policy
	Holds       int             // in force
	Stop        *adg.Stop       // the widest that holds; nil: none
	Freeze      *Freeze         // the one that holds for longest now; nil: none
}

// Freeze is a freeze window and the version of its document.
type Freeze struct {
	freeze.Window
	Version int64
}

// Environment is where services are deployed, as far as the caller may see them.
type Environment struct {
	Name      string
	Services  int // that are deployed there
	Live      int // deployments that have not ended
	Unhealthy int // of these
	Stop      *adg.Stop
	Freeze    *Freeze
}

// ServiceBaseline is what a check said before the newest deployment that froze something.
type ServiceBaseline struct {
	Environment string
	Deployment  string
	Baseline    adg.Baseline
	Unit        string // of its values, by the policy of that deployment
}

// Services are those that the caller may see, after that name, by name. It costs a few reads for each environment of
// those on the page; where teams are named, it reads the names of the services of others between them, too.
func (c *Control) Services(ctx context.Context, who identity.Caller, prefix string, teams []string, after string, limit int) (list []Service, next string, err error) {
	teamOf, err := c.Teams(ctx)
	if err != nil {
		return nil, "", err
	}
	above, err := c.above(ctx)
	if err != nil {
		return nil, "", err
	}
	err = c.eachService(ctx, who, prefix, after, func(name string, environments []string) (enough bool, err error) {
		if len(teams) > 0 && !slices.Contains(teams, teamOf(name)) {
			return false, nil
		}
		if len(list) == limit {
			next = list[limit-1].Name
			return true, nil
		}
		s, err := c.service(ctx, name, environments, above)
		list = append(list, s)
		return false, err
	})
	return list, next, err
}

// Service is one service.
func (c *Control) Service(ctx context.Context, who identity.Caller, name string) (Service, error) {
	environments, err := c.environmentsOf(ctx, who, name, "service.get")
	if err != nil {
		return Service{}, err
	}
	above, err := c.above(ctx)
	if err != nil {
		return Service{}, err
	}
	return c.service(ctx, name, environments, above)
}

// Environments are those that the caller may see something of, after that name, by name. How many services are deployed
// where is counted anew for each page, which costs what there are services that he may see; and of the deployments that
// are under way in those on the page, 10,000 at most are counted.
func (c *Control) Environments(ctx context.Context, who identity.Caller, after string, limit int) (list []Environment, next string, err error) {
	places, err := c.everywhere(ctx, who)
	if err != nil {
		return nil, "", err
	}
	services := map[string]int{}
	for place := range places {
		services[place.Environment]++
	}
	above, err := c.above(ctx)
	if err != nil {
		return nil, "", err
	}
	names := slices.Sorted(maps.Keys(services))
	names = slices.DeleteFunc(names, func(name string) bool { return name <= after })
	if len(names) > limit {
		names, next = names[:limit], names[limit-1]
	}
	at := map[string]int{}
	for i, name := range names {
		at[name] = i
		list = append(list, Environment{
			Name: name, Services: services[name], Stop: above.stop(adg.Scope{Environment: name}), Freeze: above.freeze("", name),
		})
	}
	if len(names) == 0 {
		return nil, "", nil
	}
	return list, next, c.live(ctx, who, names, func(d adg.Deployment) {
		e := &list[at[d.Spec.Policy.Environment]]
		e.Live++
		if d.Status.Health == adg.Unhealthy {
			e.Unhealthy++
		}
	})
}

// Baselines are those frozen last, by environment and check; of all environments that the caller may see where none is
// named. The last twenty deployments of each are looked through.
func (c *Control) Baselines(ctx context.Context, who identity.Caller, service, environment string) ([]ServiceBaseline, error) {
	environments, err := c.environmentsOf(ctx, who, service, "service.baselines")
	if err != nil {
		return nil, err
	}
	var all []ServiceBaseline
	for _, e := range environments {
		if environment != "" && environment != e {
			continue
		}
		list, err := c.o.Store.ListDeployments(ctx, adg.DeploymentFilter{Service: service, Environment: e, Limit: 20})
		if err != nil {
			return nil, err
		}
		for _, d := range list {
			frozen, err := c.o.Store.Baselines(ctx, d.ID)
			if err != nil {
				return nil, err
			}
			slices.SortFunc(frozen, func(a, b adg.Baseline) int { return cmp.Compare(a.Check, b.Check) })
			for _, b := range frozen {
				all = append(all, ServiceBaseline{Environment: e, Deployment: d.ID, Baseline: b, Unit: d.Spec.Policy.CountedIn(b.Check)})
			}
			if len(frozen) > 0 {
				break
			}
		}
	}
	return all, nil
}

// Private

// maxPlaces bounds what is remembered of services: what was said about more is left out.
const maxPlaces = 100_000

// mostLive bounds how many deployments under way are counted.
const mostLive = 10_000

// environmentsOf are those of one service that the caller may see. A service of which he sees nothing is NotFound, as
// one that does not exist; that he asked for it is on record, as the action.
func (c *Control) environmentsOf(ctx context.Context, who identity.Caller, service, action string) ([]string, error) {
	missing := adg.Advised(adg.Errorf(adg.NotFound, "there is no service %q that you may see", adg.Printable(service)), "a policy or a deployment makes one")
	if adg.ValidName("service", service) != nil {
		return nil, missing
	}
	var found []string
	own := identity.Names{Text: service}
	for place, err := range merged(c.deployedIn(ctx, own, ""), c.governedIn(ctx, own, "")) {
		if err != nil {
			return nil, err
		}
		if may(who, identity.DeploymentRead, place) == nil {
			found = append(found, place.Environment)
		}
	}
	if len(found) == 0 {
		entry := adg.AuditEntry{Action: action, Resource: kindService + "/" + service}
		// Nobody who may see all of it is refused anything: there is none.
		_ = c.allowed(ctx, who, identity.DeploymentRead, adg.Scope{Service: service}, entry)
		return nil, missing
	}
	return found, nil
}

// live goes through the deployments under way in those environments.
func (c *Control) live(ctx context.Context, who identity.Caller, environments []string, each func(adg.Deployment)) error {
	f := adg.DeploymentFilter{Live: true, Environments: environments, Limit: 1000}
	for n := 0; n < mostLive; n += f.Limit {
		page, next, err := c.Deployments(ctx, who, f)
		if err != nil {
			return err
		}
		for _, d := range page {
			each(d)
		}
		if next == "" {
			return nil
		}
		f.Before = next
	}
	return nil
}

// above is what stands above single services, read once for a page of them.
type above struct {
	stops   []adg.Stop
	freezes []Freeze // those that hold now
	now     time.Time
}

func (c *Control) above(ctx context.Context) (a above, err error) {
	if a.now, err = c.o.Store.Now(ctx); err != nil {
		return a, err
	}
	if a.stops, err = c.o.Store.Stops(ctx); err != nil {
		return a, err
	}
	windows, versions, err := freeze.Load(ctx, c.o.Store)
	for i, w := range windows {
		if active, _ := w.Active(a.now); active {
			a.freezes = append(a.freezes, Freeze{w, versions[i]})
		}
	}
	return a, err
}

// stop is the widest that holds for all of a scope; nil: none does.
func (a above) stop(scope adg.Scope) *adg.Stop {
	for i, s := range a.stops { // the widest comes first
		if (s.Service == "" || s.Service == scope.Service) && (s.Environment == "" || s.Environment == scope.Environment) {
			return &a.stops[i]
		}
	}
	return nil
}

// freeze is the window that holds for longest; nil: none does.
func (a above) freeze(service, environment string) *Freeze {
	var longest *Freeze
	var latest time.Time
	for i, f := range a.freezes {
		if !f.Covers(service, environment) {
			continue
		}
		_, until := f.Active(a.now)
		if longest == nil || !latest.IsZero() && (until.IsZero() || until.After(latest)) {
			longest, latest = &a.freezes[i], until
		}
	}
	return longest
}

func (c *Control) service(ctx context.Context, name string, environments []string, a above) (Service, error) {
	s := Service{Name: name}
	about, version, err := read[ServiceAbout](ctx, c, kindService, name)
	if err != nil && adg.CodeOf(err) != adg.NotFound {
		return s, err
	}
	s.About, s.Version = about, version
	for _, environment := range environments {
		e, err := c.serviceIn(ctx, adg.Scope{Service: name, Environment: environment}, a)
		if err != nil {
			return s, err
		}
		s.Environments = append(s.Environments, e)
	}
	return s, nil
}

func (c *Control) serviceIn(ctx context.Context, place adg.Scope, a above) (ServiceEnvironment, error) {
	e := ServiceEnvironment{Environment: place.Environment, Stop: a.stop(place), Freeze: a.freeze(place.Service, place.Environment)}
	switch p, err := c.policy(ctx, Policy{Service: place.Service, Environment: place.Environment}); {
	case err == nil:
		e.Policy, e.Trust = p.Number, p.Trust
	case adg.CodeOf(err) != adg.NotFound:
		return e, err
	}
	switch good, err := c.o.Store.LastGood(ctx, place.Service, place.Environment); {
	case err == nil:
		e.LastGood = &good.Release
	case adg.CodeOf(err) != adg.NotFound:
		return e, err
	}
	newest, err := c.o.Store.ListDeployments(ctx, adg.DeploymentFilter{Service: place.Service, Environment: place.Environment, Limit: 1})
	if err != nil {
		return e, err
	}
	if len(newest) > 0 {
		e.Latest = &newest[0]
	}
	e.Live = liveRelease(e.Latest, e.LastGood)
	holds, err := c.o.Store.ListHolds(ctx, adg.ReleaseFilter{Service: place.Service, Environment: place.Environment, Limit: 1000})
	e.Holds = len(holds)
	return e, err
}

// liveRelease is what serves most of the users, as far as the newest deployment and the last good release tell; nil:
// they do not.
func liveRelease(newest *adg.Deployment, good *adg.Release) *adg.Release {
	if newest == nil {
		return good
	}
	state := newest.Status.State
	if state == adg.Held || state == adg.RollbackPending {
		state = newest.Status.Resume // nothing was moved since
	}
	switch state {
	case adg.Succeeded, adg.Verifying:
		return &newest.Spec.Release
	case adg.RolledBack:
		return cmp.Or(newest.Spec.LastGood, good)
	case adg.RollbackFailed, adg.Undecided, adg.RollingBack, adg.VerifyingRollback:
		return nil
	case adg.Pending, adg.Gated, adg.Rolling, adg.Blocked, adg.Cancelled, adg.Superseded, adg.Held, adg.RollbackPending:
	}
	return good
}
