package control_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/control"
	"github.com/deployguardian/adg/internal/identity"
)

// place puts a service in an environment on record: by a deployment, or by a policy.
func (b *bench) place(service, environment string, deployed bool) {
	b.Helper()
	if !deployed {
		_, err := b.store.WriteDocuments(b.Context(), []adg.Write{{Document: adg.Document{Kind: "policy-head", Key: service + "/" + environment, Data: []byte("{}")}}})
		b.must(err)
		return
	}
	b.must(b.store.CreateDeployment(b.Context(), adg.Deployment{ID: service + " " + environment, Spec: adg.Spec{
		Release: adg.Release{Service: service, Version: "v1"}, Policy: adg.Policy{Service: service, Environment: environment, Target: "hook"},
	}}))
}

// within is a person who may look at what these patterns mean.
func within(patterns ...string) identity.Caller {
	who := reader("")
	who.Bindings = nil
	for _, p := range patterns {
		service, environment, found := strings.Cut(p, "/")
		if !found {
			environment = "*"
		}
		who.Bindings = append(who.Bindings, identity.Binding{Subject: "user:reader", Role: identity.Viewer, Service: service, Environment: environment})
	}
	return who
}

// Names are chosen so that their order and that of the keys of policies differ: '-' and '.' come before '/'.
func TestServicesComeInPagesByNameWhateverTheyAreKnownBy(t *testing.T) {
	b := newBench(t)
	var all []adg.Scope
	for i, service := range []string{"A", "a", "a-1", "a-1-b", "a-1.c", "a.b", "a_b", "ab", "b", "b-", "b-x-y-z", "b0", "c-1", "shop", "shop-web", "shop.eu", "z-a", "z-a-a"} {
		if adg.ValidName("service", service) != nil {
			continue
		}
		for j, environment := range []string{"production", "staging", "staging-2"} {
			switch kind := (i + j) % 4; kind {
			case 0: // not there
				continue
			case 1, 2:
				b.place(service, environment, kind == 1)
			default:
				b.place(service, environment, true)
				b.place(service, environment, false)
			}
			all = append(all, adg.Scope{Service: service, Environment: environment})
		}
	}
	callers := map[string]identity.Caller{
		"everything": b.admin, "nothing": within(), "one service": within("a"), "the beginnings of two": within("shop*", "a-1*"), "one in another": within("a-*", "a*", "a"),
		"one environment": within("*/staging"), "a mixture": within("a-1/production", "b*/staging*", "z-a"), "one that is not there": within("a-2", "nobody*"),
	}
	for name, who := range callers {
		for _, prefix := range []string{"", "a", "a-", "a-1", "shop", "z", "q", "-", "\x00", "*"} {
			var want []string
			for _, p := range all {
				if strings.HasPrefix(p.Service, prefix) && identity.Allowed(who.Identity, identity.DeploymentRead, p.Service, p.Environment) == nil {
					want = append(want, p.Service+" in "+p.Environment)
				}
			}
			for _, size := range []int{1, 3} {
				var got []string
				for after, pages := "", 0; ; pages++ {
					list, next, err := b.Services(t.Context(), who, prefix, nil, after, size)
					b.must(err)
					if len(list) > size || next != "" && len(list) < size || pages > len(all) {
						t.Fatalf("%s, %q: a page of %d services, and the next begins after %q", name, prefix, len(list), next)
					}
					for _, s := range list {
						for _, e := range s.Environments {
							got = append(got, s.Name+" in "+e.Environment)
						}
					}
					if after = next; after == "" {
						break
					}
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("who sees %s, names that begin with %q, pages of %d:\n%s", name, prefix, size, diff)
				}
			}
		}
	}
}

// counted counts what is read of places.
type counted struct {
	adg.Store
	rows int
}

func (c *counted) Places(ctx context.Context, after adg.Scope, limit int) ([]adg.Scope, error) {
	page, err := c.Store.Places(ctx, after, limit)
	c.rows += len(page)
	return page, err
}

func (c *counted) ListDocuments(ctx context.Context, f adg.DocumentFilter) ([]adg.Document, error) {
	page, err := c.Store.ListDocuments(ctx, f)
	c.rows += len(page)
	return page, err
}

func TestAPageOfServicesCostsWhatItHolds(t *testing.T) {
	b := newBench(t)
	const services = 900
	for i := range services {
		b.place(fmt.Sprintf("team%d-service%03d", i%3, i), "production", i%2 == 0)
	}
	store := &counted{Store: b.store}
	c := control.New(control.Options{Store: store})
	for name, ask := range map[string]struct {
		who    identity.Caller
		prefix string
		after  string
		rows   int // services on the page
	}{
		"the first page":                  {b.admin, "", "", 10},
		"a page in the middle":            {b.admin, "", "team1-service500", 10},
		"names that begin so":             {b.admin, "team2-service89", "", 4},
		"somebody who sees one":           {within("team2-service899"), "", "", 1},
		"somebody who sees what is last":  {within("team2-service89*"), "", "", 4},
		"somebody who sees what is not":   {within("nobody"), "", "", 0},
		"what is after the last of names": {b.admin, "", "team2-service899", 0},
	} {
		store.rows = 0
		list, _, err := c.Services(t.Context(), ask.who, ask.prefix, nil, ask.after, 10)
		b.must(err)
		if len(list) != ask.rows || store.rows > 450 {
			t.Errorf("%s: %d services, for which %d places and documents were read", name, len(list), store.rows)
		}
	}
}

func TestEnvironmentsComeInPagesWithTheirOwnCounts(t *testing.T) {
	b := newBench(t)
	for i, environment := range []string{"a", "b", "c", "d", "e"} {
		for n := range i + 1 {
			b.place(fmt.Sprint("shop", n), environment, n%2 == 0)
		}
	}
	for _, c := range []struct {
		name string
		who  identity.Caller
		want []string
	}{
		{"everything", b.admin, []string{"a 1 1", "b 2 1", "c 3 2", "d 4 2", "e 5 3"}},
		{"one service", within("shop2"), []string{"c 1 1", "d 1 1", "e 1 1"}},
		{"one service in one environment, and all of another", within("shop0/b", "*/d"), []string{"b 1 1", "d 4 2"}},
		{"nothing", within(), nil},
	} {
		for size := 1; size <= 3; size++ {
			var got []string
			for after := ""; ; {
				list, next, err := b.Environments(t.Context(), c.who, after, size)
				b.must(err)
				if len(list) > size {
					t.Fatalf("%s: %d on a page of %d", c.name, len(list), size)
				}
				for _, e := range list {
					got = append(got, fmt.Sprint(e.Name, " ", e.Services, " ", e.Live))
				}
				if after = next; after == "" {
					break
				}
			}
			if diff := cmp.Diff(c.want, got); diff != "" || !slices.IsSorted(got) {
				t.Errorf("who sees %s, in pages of %d:\n%s", c.name, size, diff)
			}
		}
	}
}
