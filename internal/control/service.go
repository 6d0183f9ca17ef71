package control

import (
	"context"
	"net/url"
	"slices"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/identity"
)

// ServiceAbout is what people say about a service.
type ServiceAbout struct {
	Team        string `json:"team,omitempty"`
	Description string `json:"description,omitempty"`
	Repository  string `json:"repository,omitempty"` // address of its source code
}

// Validate says what is wrong with it.
func (a ServiceAbout) Validate() error {
	for _, field := range []struct {
		name, text string
		most       int
	}{{"team", a.Team, 100}, {"description", a.Description, 2000}, {"repository", a.Repository, 500}} {
		if utf8.RuneCountInString(field.text) > field.most || field.text != adg.Printable(field.text) {
			return adg.Errorf(adg.Invalid, "%s: write at most %d characters that can be shown", field.name, field.most)
		}
	}
	if a.Repository == "" {
		return nil
	}
	// It is shown as a link.
	u, err := url.Parse(a.Repository)
	if err != nil || u.Host == "" || !slices.Contains([]string{"https", "http", "ssh", "git"}, u.Scheme) {
		return adg.Errorf(adg.Invalid, "repository: write an address such as https://git.example.com/shop")
	}
	if _, secret := u.User.Password(); secret {
		return adg.Errorf(adg.Invalid, "repository: leave the password out of the address")
	}
	return nil
}

// UpdateService changes what people say about a service: change makes what is said from what was. Version is that of
// what the caller looked at: another since then is a Conflict.
func (c *Control) UpdateService(ctx context.Context, who identity.Caller, name string, version int64, change func(ServiceAbout) ServiceAbout) (Service, error) {
	entry := adg.AuditEntry{Action: "service.update", Resource: kindService + "/" + name, Service: name}
	environments, err := c.environmentsOf(ctx, who, name, entry.Action)
	if err != nil {
		return Service{}, err
	}
	if err := c.allowed(ctx, who, identity.PolicyWrite, adg.Scope{Service: name}, entry); err != nil {
		return Service{}, err
	}
	before, now, err := read[ServiceAbout](ctx, c, kindService, name)
	if err != nil && adg.CodeOf(err) != adg.NotFound {
		return Service{}, err
	}
	if now != version {
		return Service{}, adg.Errorf(adg.Conflict, "somebody else said something about %s since you looked at it", name)
	}
	after := change(before)
	if err := after.Validate(); err != nil {
		return Service{}, err
	}
	entry.Detail = map[string]string{"team": after.Team, "description": after.Description, "repository": after.Repository}
	if _, err := c.put(ctx, who, kindService, name, after, version, entry); err != nil {
		return Service{}, err
	}
	c.teams.forget()
	above, err := c.above(ctx)
	if err != nil {
		return Service{}, err
	}
	return c.service(ctx, name, environments, above)
}

// Teams tells which team owns a service; empty where nobody said. What other replicas were told is known after a few
// seconds.
func (c *Control) Teams(ctx context.Context) (func(service string) string, error) {
	now := time.Now() //nolint:forbidigo // how old a cache is: each row of a list looks here, so the store is not asked
	known, err := c.teams.get(now, func() (map[string]string, error) {
		found := map[string]string{}
		n := 0
		for d, err := range adg.AllDocuments(ctx, c.o.Store, adg.DocumentFilter{Kind: kindService, Limit: 1000}) {
			if err != nil {
				return nil, err
			}
			var about ServiceAbout
			if err := decode(d, &about); err != nil {
				return nil, err
			}
			if about.Team != "" {
				found[d.Key] = about.Team
			}
			if n++; n == maxPlaces {
				break
			}
		}
		return found, nil
	})
	return func(service string) string { return known[service] }, err
}

// Private

const kindService = "service"

// teamsLife is for how long the teams of services are remembered.
const teamsLife = 5 * time.Second

// teams remembers which team owns which service.
type teams struct {
	mu    sync.Mutex
	known map[string]string // never changed
	at    time.Time
}

func (t *teams) get(now time.Time, load func() (map[string]string, error)) (map[string]string, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if age := now.Sub(t.at); t.known != nil && age >= 0 && age < teamsLife {
		return t.known, nil
	}
	known, err := load()
	if err == nil {
		t.known, t.at = known, now
	}
	return known, err
}

func (t *teams) forget() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.known = nil
}
