package control

import (
	"cmp"
	"context"
	"iter"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/identity"
)

// Private

const (
	placesAtOnce = 200 // that are read of the store
	lastPlace    = "~" // comes after every name of an environment
)

// eachService visits the services that the caller may see and whose names begin with a prefix, after that name, by name,
// each with those of its environments that he may see: what has a policy, and what was ever deployed. It reads what it
// visits, and little of what he may not see.
func (c *Control) eachService(ctx context.Context, who identity.Caller, prefix, after string, visit func(service string, environments []string) (enough bool, err error)) error {
	if prefix != "" && adg.ValidName("service", prefix+"x") != nil {
		return nil // no name begins so
	}
	name, environments := "", []string(nil)
	for _, names := range identity.Within(who.Identity, identity.DeploymentRead, prefix) {
		for place, err := range merged(c.deployedIn(ctx, names, after), c.governedIn(ctx, names, after)) {
			if err != nil {
				return err
			}
			if may(who, identity.DeploymentRead, place) != nil {
				continue
			}
			if place.Service != name && name != "" {
				if enough, err := visit(name, environments); enough || err != nil {
					return err
				}
				environments = nil
			}
			name, environments = place.Service, append(environments, place.Environment)
		}
	}
	if name == "" {
		return nil
	}
	_, err := visit(name, environments)
	return err
}

// everywhere are the places that the caller may see, in no order.
func (c *Control) everywhere(ctx context.Context, who identity.Caller) (map[adg.Scope]bool, error) {
	found := map[adg.Scope]bool{}
	add := func(place adg.Scope) {
		if may(who, identity.DeploymentRead, place) == nil {
			found[place] = true
		}
	}
	for _, names := range identity.Within(who.Identity, identity.DeploymentRead, "") {
		for place, err := range c.deployedIn(ctx, names, "") {
			if err != nil {
				return nil, err
			}
			add(place)
		}
		for d, err := range adg.AllDocuments(ctx, c.o.Store, policiesOf(names)) {
			if err != nil {
				return nil, err
			}
			add(placeOfKey(d.Key))
		}
	}
	return found, nil
}

// deployedIn are the places where something of these services was ever deployed, in order, of services after that name.
func (c *Control) deployedIn(ctx context.Context, names identity.Names, after string) iter.Seq2[adg.Scope, error] {
	from := adg.Scope{Service: names.Text}
	if after >= names.Text {
		from = adg.Scope{Service: after, Environment: lastPlace}
	}
	return func(yield func(adg.Scope, error) bool) {
		for names.Mean(from.Service) {
			page, err := c.o.Store.Places(ctx, from, placesAtOnce)
			if err != nil {
				yield(adg.Scope{}, err)
				return
			}
			for _, from = range page {
				if !names.Mean(from.Service) || !yield(from, nil) {
					return
				}
			}
			if len(page) < placesAtOnce {
				return
			}
		}
	}
}

// governedIn are the places for which these services have a policy, in order, of services after that name. The store
// has them in the order of "service/environment", in which a name comes after those that go on with '-' or '.': such a
// name is looked for when the first of these comes.
func (c *Control) governedIn(ctx context.Context, names identity.Names, after string) iter.Seq2[adg.Scope, error] {
	f := policiesOf(names)
	f.After = after
	return func(yield func(adg.Scope, error) bool) {
		var early []string // names that were looked for before their keys came
		for d, err := range adg.AllDocuments(ctx, c.o.Store, f) {
			place := placeOfKey(d.Key)
			if err != nil {
				yield(place, err)
				return
			}
			if place.Service <= after || slices.Contains(early, place.Service) {
				continue
			}
			early = slices.DeleteFunc(early, func(name string) bool { return name+"0" <= place.Service }) // '0' follows '/'
			for _, shorter := range shorterNames(place.Service) {
				if shorter <= after || !names.Mean(shorter) || slices.Contains(early, shorter) {
					continue
				}
				early = append(early, shorter)
				for d, err := range adg.AllDocuments(ctx, c.o.Store, policiesOf(identity.Names{Text: shorter})) {
					if !yield(placeOfKey(d.Key), err) || err != nil {
						return
					}
				}
			}
			if !yield(place, nil) {
				return
			}
		}
	}
}

// policiesOf are the policies of these services.
func policiesOf(names identity.Names) adg.DocumentFilter {
	f := adg.DocumentFilter{Kind: kindPolicyHead, Prefix: names.Text, Limit: placesAtOnce, Bare: true}
	if !names.Open {
		f.Prefix += "/"
	}
	return f
}

func placeOfKey(key string) adg.Scope {
	service, environment, _ := strings.Cut(key, "/")
	return adg.Scope{Service: service, Environment: environment}
}

// shorterNames are the names that a name is a continuation of, whose keys come after its own.
func shorterNames(name string) []string {
	var all []string
	for i := 1; i < len(name); i++ {
		if name[i] < '/' && adg.ValidName("service", name[:i]) == nil {
			all = append(all, name[:i])
		}
	}
	return all
}

// merged are the places of both, which are in order, each once and in order.
func merged(a, b iter.Seq2[adg.Scope, error]) iter.Seq2[adg.Scope, error] {
	return func(yield func(adg.Scope, error) bool) {
		nextA, stopA := iter.Pull2(a)
		defer stopA()
		nextB, stopB := iter.Pull2(b)
		defer stopB()
		x, errX, anyX := nextA()
		y, errY, anyY := nextB()
		for anyX || anyY {
			if err := cmp.Or(errX, errY); err != nil {
				yield(adg.Scope{}, err)
				return
			}
			order := cmp.Or(cmp.Compare(x.Service, y.Service), cmp.Compare(x.Environment, y.Environment))
			takeX, takeY := anyX && (!anyY || order <= 0), anyY && (!anyX || order >= 0)
			one := x
			if !takeX {
				one = y
			}
			if !yield(one, nil) {
				return
			}
			if takeX {
				x, errX, anyX = nextA()
			}
			if takeY {
				y, errY, anyY = nextB()
			}
		}
	}
}
