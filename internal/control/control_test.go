package control_test

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/config"
	"github.com/deployguardian/adg/internal/control"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/notify"
	"github.com/deployguardian/adg/internal/seal"
	"github.com/deployguardian/adg/internal/source"
	"github.com/deployguardian/adg/internal/store/sqlite"
	"github.com/deployguardian/adg/internal/target"
)

// admin is a person who may everything.
func admin(name string) identity.Caller {
	return identity.Caller{From: "192.0.2.1", Identity: identity.Identity{
		Subject: "user:" + name, Kind: identity.KindUser, Person: name, Bindings: []identity.Binding{{Subject: "user:" + name, Role: identity.Admin, Service: "*", Environment: "*"}},
	}}
}

// tokenOf is a program that a person gave everything that he may.
func tokenOf(name string) identity.Caller {
	who := admin(name)
	who.Subject, who.Kind = "token:of"+name, identity.KindToken
	return who
}

// reader is a person who may look at one service.
func reader(service string) identity.Caller {
	who := admin("reader")
	who.Bindings = []identity.Binding{{Subject: "user:reader", Role: identity.Viewer, Service: service, Environment: "*"}}
	return who
}

// starter stores what is started, as the guard does.
type starter struct {
	mu    sync.Mutex
	store adg.Store
	specs []adg.Spec
	err   error
	gates []adg.Gate // as they are now
}

func (s *starter) Start(ctx context.Context, spec adg.Spec) (_ adg.Deployment, err error) {
	if s.err != nil {
		return adg.Deployment{}, s.err
	}
	if spec.Created, err = s.store.Now(ctx); err != nil {
		return adg.Deployment{}, err
	}
	s.mu.Lock()
	s.specs = append(s.specs, spec)
	id := cmp.Or(spec.ID, fmt.Sprintf("d%d", len(s.specs)))
	s.mu.Unlock()
	if err := s.store.CreateDeployment(ctx, adg.Deployment{ID: id, Spec: spec}); err != nil {
		return adg.Deployment{}, err
	}
	return s.store.Deployment(ctx, id)
}

func (s *starter) Plan(_ context.Context, spec adg.Spec) (adg.Spec, error) { return spec, s.err }

func (s *starter) Gates(context.Context, adg.Deployment) ([]adg.Gate, error) { return s.gates, nil }

type bench struct {
	*testing.T
	*control.Control
	store   *sqlite.Store
	starter *starter
	admin   identity.Caller
}

func newBench(t *testing.T) *bench {
	t.Helper()
	store, err := sqlite.Open(t.Context(), t.TempDir(), sqlite.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = store.Close() })
	local, err := seal.ParseKey(adg.NewSecret(seal.NewKey()))
	if err != nil {
		t.Fatal(err)
	}
	ring, err := seal.NewKeyring(local)
	if err != nil {
		t.Fatal(err)
	}
	s := &starter{store: store}
	c := control.New(control.Options{
		Store: store, Starter: s, Keyring: ring, Host: adg.Host{Dir: t.TempDir()},
		Drivers: config.Drivers{Sources: source.All, Targets: target.All, Notifiers: notify.All},
		Secrets: control.Secrets{Env: func(name string) (string, bool) {
			return "https://hooks.slack.com/services/T/B/x", name == "ADG_SECRET_CHAT"
		}, EnvPrefix: "ADG_SECRET_"},
	})
	return &bench{t, c, store, s, admin("ann")}
}

func (b *bench) must(err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

func (b *bench) refused(err error, code adg.Code, say string) {
	b.Helper()
	if err == nil || adg.CodeOf(err) != code || !strings.Contains(err.Error(), say) {
		b.Errorf("%v (%s), want %s with %q", err, adg.CodeOf(err), code, say)
	}
}

// audited are the actions on record with their outcomes.
func (b *bench) audited() []string {
	b.Helper()
	entries, err := b.store.Audit(b.Context(), adg.AuditFilter{Limit: 1000})
	b.must(err)
	b.must(adg.VerifyAudit(0, "", entries))
	var all []string
	for _, e := range entries {
		all = append(all, e.Actor+" "+e.Action+" "+e.Outcome.String())
	}
	return all
}

// connect registers what the policy of the shop names.
func (b *bench) connect() {
	b.Helper()
	for _, k := range []control.Connection{
		{Seam: "source", Name: "prom", Type: "prometheus", Options: `{"url": "http://127.0.0.1:1", "bearer_token": {"value": "hunter2"}}`, Environments: []string{"prod*"}},
		{Seam: "target", Name: "hook", Type: "webhook", Options: `{"url": "http://127.0.0.1:1/$service/$environment"}`},
		{Seam: "notifier", Name: "chat", Type: "slack", Options: `{"webhook": {"env": "ADG_SECRET_CHAT"}}`},
	} {
		_, err := b.PutConnection(b.Context(), b.admin, k, 0)
		b.must(err)
	}
}

const policy = `service: shop
environment: production
target: hook
checks:
- {name: errors, source: prom, query: 'errors{version="$version"}', fail: "> 5%", critical: true}
strategy: recreate
rollback: {trust: auto}
notify: [chat]
`

func (b *bench) putPolicy() {
	b.Helper()
	b.connect()
	_, err := b.PutPolicy(b.Context(), b.admin, adg.Scope{}, policy, "first", 0)
	b.must(err)
}

func TestSecretsOfConnectionsAreSealedAndNeverShown(t *testing.T) {
	b := newBench(t)
	b.connect()
	k, err := b.Connection(t.Context(), b.admin, "prom")
	b.must(err)
	if strings.Contains(k.Options, "hunter2") || !strings.Contains(k.Options, `{"keep":"true"}`) {
		t.Errorf("shown: %s", k.Options)
	}
	stored, err := b.store.Document(t.Context(), "connection", "prom")
	b.must(err)
	if strings.Contains(string(stored.Data), "hunter2") || !strings.Contains(string(stored.Data), "adg.sealed.v1:") {
		t.Errorf("stored: %s", stored.Data)
	}
	// What was read can be written, and the secret is the same.
	k.Environments = nil
	again, err := b.PutConnection(t.Context(), b.admin, k, k.Version)
	b.must(err)
	if again.Version != 2 {
		t.Errorf("version %d", again.Version)
	}
	_, err = b.PutConnection(t.Context(), b.admin, k, k.Version)
	b.refused(err, adg.Conflict, "")
	// It stays with the server that it was given for.
	k, err = b.Connection(t.Context(), b.admin, "prom")
	b.must(err)
	k.Options = strings.NewReplacer("http://", "http://evil.example/?x=").Replace(k.Options)
	_, err = b.PutConnection(t.Context(), b.admin, k, k.Version)
	b.refused(err, adg.Invalid, "give the secret again")
	for name, options := range map[string]string{
		"a file of the machine's":   `{"url": "http://x", "bearer_token": {"file": "/etc/shadow"}}`,
		"a path out of the folder":  `{"url": "http://x", "bearer_token": {"file": "../secret"}}`,
		"a variable of the machine": `{"url": "http://x", "bearer_token": {"env": "AWS_SECRET_ACCESS_KEY"}}`,
		"a stolen seal":             `{"url": "http://x", "bearer_token": {"sealed": "adg.sealed.v1:x:y"}}`,
		"nothing to keep":           `{"url": "http://x", "bearer_token": {"keep": "true"}}`,
	} {
		_, err := b.PutConnection(t.Context(), b.admin, control.Connection{Seam: "source", Name: "evil", Type: "prometheus", Options: options}, 0)
		if adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
	for _, line := range b.audited() {
		if strings.Contains(line, "hunter2") {
			t.Errorf("in the audit log: %s", line)
		}
	}
}

func TestDeploymentReachesOnlyWhatIsRegisteredForIt(t *testing.T) {
	b := newBench(t)
	b.connect()
	w := control.NewWorld(b.Control, control.Wrap{})
	defer func() { b.must(w.Close()) }()
	shop := adg.Deployment{Spec: adg.Spec{Policy: adg.Policy{Service: "shop", Environment: "production", Target: "hook"}}}
	if _, err := w.Source(t.Context(), shop, "prom"); err != nil {
		t.Error(err)
	}
	staging := adg.Deployment{Spec: adg.Spec{Policy: adg.Policy{Service: "shop", Environment: "staging", Target: "gone"}}}
	_, err := w.Source(t.Context(), staging, "prom")
	b.refused(err, adg.Unauthorized, "not registered for shop in staging")
	_, err = w.Target(t.Context(), staging)
	b.refused(err, adg.NotFound, `no target "gone"`)
	one, err := w.Target(t.Context(), shop)
	b.must(err)
	same, err := w.Target(t.Context(), shop)
	b.must(err)
	cart := shop
	cart.Spec.Policy.Service = "cart"
	other, err := w.Target(t.Context(), cart)
	b.must(err)
	if one != same || one == other {
		t.Error("a target with $service is shared by services, or opened anew each time")
	}
	if _, err := w.Notifier(t.Context(), "chat"); err != nil {
		t.Error(err)
	}
	// A connection that was changed is opened anew.
	k, err := b.Connection(t.Context(), b.admin, "hook")
	b.must(err)
	k.Options = strings.Replace(k.Options, "127.0.0.1:1", "127.0.0.1:2", 1)
	_, err = b.PutConnection(t.Context(), b.admin, k, k.Version)
	b.must(err)
	if changed, err := w.Target(t.Context(), shop); err != nil || changed == one {
		t.Errorf("the old target is still used: %v", err)
	}
	b.must(b.DropConnection(t.Context(), b.admin, "hook", adg.AnyVersion))
	_, err = w.Target(t.Context(), shop)
	b.refused(err, adg.NotFound, "registered any more")
}

func TestPartOfATargetIsKeptAndMustBeThere(t *testing.T) {
	b := newBench(t)
	b.connect()
	whole := control.Connection{Name: "both", Seam: "target", Type: "composite", Options: `{"parts": ["hook", "gone"]}`, Services: []string{"*"}, Environments: []string{"*"}}
	whole, err := b.PutConnection(t.Context(), b.admin, whole, 0)
	b.must(err)
	b.refused(b.DropConnection(t.Context(), b.admin, "hook", adg.AnyVersion), adg.Conflict, "target both has hook as a part")
	text := strings.Replace(policy, "target: hook", "target: both", 1)
	_, err = b.PutPolicy(t.Context(), b.admin, adg.Scope{}, text, "two at once", 0)
	b.refused(err, adg.Invalid, "both has a part gone that is not registered for shop in production")
	whole.Options = `{"parts": ["hook"]}`
	_, err = b.PutConnection(t.Context(), b.admin, whole, whole.Version)
	b.must(err)
	_, err = b.PutPolicy(t.Context(), b.admin, adg.Scope{}, text, "two at once", 0)
	b.must(err)
}

func TestTheTextOfTheNewestVersionMakesNoOtherOne(t *testing.T) {
	b := newBench(t)
	b.putPolicy()
	before, err := b.Policy(t.Context(), b.admin, "shop", "production", 1)
	b.must(err)
	p, err := b.PutPolicy(t.Context(), b.admin, adg.Scope{}, policy, "each run of the pipeline puts it", 1)
	if err != nil || p.Number != 1 || !p.InForce || p.Reason != before.Reason || !p.At.Equal(before.At) {
		t.Errorf("%+v %v", p, err)
	}
	weaker := strings.ReplaceAll(policy, "auto", "observe")
	for range 2 {
		p, err = b.PutPolicy(t.Context(), b.admin, adg.Scope{}, weaker, "it pages too often", p.Number)
		if err != nil || p.Number != 2 || !p.Waits || len(p.Weakens) == 0 {
			t.Errorf("one that waits goes on waiting: %+v %v", p, err)
		}
	}
	_, err = b.PutPolicy(t.Context(), b.admin, adg.Scope{}, weaker, "from an old copy", 1)
	b.refused(err, adg.Conflict, "version 2 of the policy is the newest")
	if p, err = b.PutPolicy(t.Context(), b.admin, adg.Scope{}, policy, "back to the one in force", 2); err != nil || p.Number != 3 || !p.InForce {
		t.Errorf("the text of an older version is a new one: %+v %v", p, err)
	}
	versions, err := b.PolicyVersions(t.Context(), b.admin, "shop", "production")
	if err != nil || len(versions) != 3 {
		t.Errorf("%d versions, %v", len(versions), err)
	}
}

func TestWeakerPolicyNeedsSomebodyElse(t *testing.T) {
	b := newBench(t)
	b.putPolicy()
	weaker := strings.ReplaceAll(strings.ReplaceAll(policy, "auto", "observe"), ", critical: true", "")
	p, err := b.PutPolicy(t.Context(), b.admin, adg.Scope{}, weaker, "it pages too often", 1)
	b.must(err)
	if p.InForce || len(p.Weakens) != 2 {
		t.Errorf("%+v", p)
	}
	if p, err := b.Policy(t.Context(), b.admin, "shop", "production", 0); err != nil || p.Number != 1 {
		t.Errorf("in force: %+v %v", p, err)
	}
	_, err = b.ApprovePolicy(t.Context(), tokenOf("ann"), "shop", "production", 2, "me again", nil)
	b.refused(err, adg.Unauthorized, "somebody else")
	if _, err = b.ApprovePolicy(t.Context(), admin("bob"), "shop", "production", 2, "agreed", nil); err != nil {
		t.Error(err)
	}
	if p, err := b.Policy(t.Context(), b.admin, "shop", "production", 0); err != nil || p.Number != 2 || p.Approved != "bob" {
		t.Errorf("in force: %+v %v", p, err)
	}
	_, err = b.PutPolicy(t.Context(), b.admin, adg.Scope{}, policy, "from an old copy", 1)
	b.refused(err, adg.Conflict, "version 2 of the policy is the newest")
	if p, err = b.PutPolicy(t.Context(), b.admin, adg.Scope{}, policy, "back", 2); err != nil || !p.InForce {
		t.Errorf("a stronger policy waits: %+v %v", p, err)
	}
	versions, err := b.PolicyVersions(t.Context(), reader("shop"), "shop", "production")
	if err != nil || len(versions) != 3 || versions[0].Number != 3 || !versions[0].InForce || versions[1].InForce {
		t.Errorf("%+v %v", versions, err)
	}
	if list, next, err := b.Policies(t.Context(), reader("cart"), control.PolicyFilter{Limit: 10}); err != nil || len(list) != 0 || next != "" {
		t.Errorf("somebody who may not sees %+v %v", list, err)
	}
}

func TestSameRequestTwiceIsOneDeployment(t *testing.T) {
	b := newBench(t)
	b.putPolicy()
	s := control.Start{Release: adg.Release{Service: "shop", Version: "v2"}, Environment: "production", Key: "build 7", Reason: "release day"}
	d, err := b.StartDeployment(t.Context(), b.admin, s)
	b.must(err)
	again, err := b.StartDeployment(t.Context(), b.admin, s)
	if err != nil || again.ID != d.ID || len(b.starter.specs) != 1 {
		t.Errorf("%s and %s: %v", d.ID, again.ID, err)
	}
	if d.Spec.Policy.Target != "hook" || d.Spec.Actor != "ann" || d.Spec.Reason != "release day" || !slices.Equal(d.Spec.Policy.Notify, []string{"chat"}) {
		t.Errorf("%+v", d.Spec)
	}
	other := s
	other.Release.Artifact = "registry/shop:2"
	_, err = b.StartDeployment(t.Context(), b.admin, other)
	b.refused(err, adg.Conflict, "another release")
	next := s
	next.Release.Version = "v3"
	_, err = b.StartDeployment(t.Context(), b.admin, next)
	b.refused(err, adg.Conflict, "began the deployment "+d.ID+", of version v2")
	next.Key = "build 8"
	_, err = b.StartDeployment(t.Context(), b.admin, next)
	b.must(err)
	if d, err = b.StartDeployment(t.Context(), admin("bob"), s); err != nil || d.ID == again.ID {
		t.Errorf("another person's key is taken for this one's: %s %v", d.ID, err)
	}
	s.Policy, s.Key = 7, ""
	_, err = b.StartDeployment(t.Context(), b.admin, s)
	b.refused(err, adg.Conflict, "version 1 of the policy is in force")
	s.Policy = 1
	b.starter.err = errors.New("no last good release")
	s.Key = ""
	if _, err := b.StartDeployment(t.Context(), b.admin, s); err == nil {
		t.Error("a start that failed is no error")
	}
	lines := b.audited()
	if last := lines[len(lines)-2:]; !slices.Equal(last, []string{"user:ann deployment.start done", "user:ann deployment.start failed"}) {
		t.Errorf("on record: %q", lines)
	}
}

func TestWhoMayNotIsRefusedOnRecord(t *testing.T) {
	b := newBench(t)
	b.putPolicy()
	d, err := b.StartDeployment(t.Context(), b.admin, control.Start{Release: adg.Release{Service: "shop", Version: "v2"}, Environment: "production"})
	b.must(err)
	who, before := reader("cart"), len(b.audited())
	refusals := map[string]error{}
	_, refusals["start"] = b.StartDeployment(t.Context(), who, control.Start{Release: adg.Release{Service: "shop", Version: "v3"}, Environment: "production"})
	_, refusals["get"] = b.Deployment(t.Context(), who, d.ID)
	_, refusals["roll back"] = b.Command(t.Context(), who, d.ID, adg.CommandRollBack, "", "", nil)
	refusals["stop"] = b.Stop(t.Context(), who, adg.Scope{}, "")
	_, refusals["connections"] = b.Connections(t.Context(), who)
	_, refusals["policy"] = b.PutPolicy(t.Context(), who, adg.Scope{}, policy, "", 1)
	_, refusals["broken policy"] = b.PutPolicy(t.Context(), who, adg.Scope{}, "service: [", "", 1)
	_, refusals["hold"] = b.PutHold(t.Context(), who, adg.ReleaseHold{Service: "shop", Environment: "production", Identity: "v1"})
	hidden := []string{"get", "roll back"} // who may not see it is not told that it is there
	for name, err := range refusals {
		if want := map[bool]adg.Code{true: adg.NotFound, false: adg.Unauthorized}[slices.Contains(hidden, name)]; adg.CodeOf(err) != want {
			t.Errorf("%s: %v", name, err)
		}
	}
	if denied := b.audited()[before:]; len(denied) != len(refusals) || slices.ContainsFunc(denied, func(s string) bool { return !strings.HasSuffix(s, "denied") }) {
		t.Errorf("on record: %q", denied)
	}
	if list, _, err := b.Deployments(t.Context(), who, adg.DeploymentFilter{}); err != nil || len(list) != 0 {
		t.Errorf("sees %d deployments: %v", len(list), err)
	}
	if list, _, err := b.Deployments(t.Context(), reader("shop"), adg.DeploymentFilter{}); err != nil || len(list) != 1 {
		t.Errorf("sees %d deployments: %v", len(list), err)
	}
}

func TestCommandsCarryThePersonAndAreNotRepeated(t *testing.T) {
	b := newBench(t)
	b.putPolicy()
	d, err := b.StartDeployment(t.Context(), b.admin, control.Start{Release: adg.Release{Service: "shop", Version: "v2"}, Environment: "production"})
	b.must(err)
	for range 2 {
		_, err := b.Command(t.Context(), tokenOf("bob"), d.ID, adg.CommandHold, "wait", "click 1", nil)
		b.must(err)
	}
	work, err := b.store.Take(t.Context(), "test", 1e9, 10)
	b.must(err)
	if len(work) != 1 || work[0].Command == nil || work[0].Command.Actor != "bob" || work[0].Command.Reason != "wait" {
		t.Fatalf("%+v", work)
	}
	_, err = b.Command(t.Context(), b.admin, "nothing", adg.CommandHold, "", "", nil)
	b.refused(err, adg.NotFound, "nothing")
}

func TestAChangedConnectionIsOpenedAnewInItsOwnDirectory(t *testing.T) {
	b := newBench(t)
	k := control.Connection{Seam: "source", Name: "own", Type: "embedded", Options: `{"retention": "2h"}`, Services: []string{"shop"}, Environments: []string{"*"}}
	k, err := b.PutConnection(t.Context(), b.admin, k, 0)
	b.must(err)
	w := control.NewWorld(b.Control, control.Wrap{})
	defer func() { b.must(w.Close()) }()
	shop := adg.Deployment{Spec: adg.Spec{Policy: adg.Policy{Service: "shop", Environment: "production"}}}
	first, err := w.Source(t.Context(), shop, "own")
	b.must(err)
	k.Options = `{"retention": "3h"}`
	_, err = b.PutConnection(t.Context(), b.admin, k, k.Version)
	b.must(err)
	second, err := w.Source(t.Context(), shop, "own")
	b.must(err)
	q := adg.Query{Text: "vector(1)", Window: time.Minute, At: time.Now()}
	if _, err := second.Query(t.Context(), q); err != nil {
		t.Error(err)
	}
	if _, err := first.Query(t.Context(), q); err == nil {
		t.Error("the old one is still open")
	}
}

func TestAConnectionThatWasDroppedEndsAlthoughNobodyAsksForIt(t *testing.T) {
	b := newBench(t)
	k := control.Connection{Seam: "source", Name: "own", Type: "embedded", Options: `{"retention": "2h"}`, Services: []string{"shop"}, Environments: []string{"*"}}
	k, err := b.PutConnection(t.Context(), b.admin, k, 0)
	b.must(err)
	w := control.NewWorld(b.Control, control.Wrap{})
	defer func() { b.must(w.Close()) }()
	shop := adg.Deployment{Spec: adg.Spec{Policy: adg.Policy{Service: "shop", Environment: "production"}}}
	source, err := w.Source(t.Context(), shop, "own")
	b.must(err)
	q := adg.Query{Text: "vector(1)", Window: time.Minute, At: time.Now()}
	b.must(w.Tend(t.Context()))
	if _, err := source.Query(t.Context(), q); err != nil {
		t.Errorf("it is closed while it is registered: %v", err)
	}
	b.must(b.DropConnection(t.Context(), b.admin, "own", k.Version))
	b.must(w.Tend(t.Context()))
	if _, err := source.Query(t.Context(), q); err == nil {
		t.Error("it was dropped, and goes on")
	}
	b.refused(b.DropConnection(t.Context(), b.admin, "own", adg.AnyVersion), adg.NotFound, "there is no connection")
}

func TestWhoMayNotWriteAPolicyMakesNoWork(t *testing.T) {
	b := newBench(t)
	text := "service: shop\nenvironment: production\n"
	var large strings.Builder
	large.WriteString(text)
	for i := range 9_000 {
		fmt.Fprintf(&large, "k%d: 1\n", i)
	}
	who, place := reader("cart"), adg.Scope{Service: "shop", Environment: "production"}
	for name, try := range map[string]func() error{
		"put where it says": func() error {
			_, err := b.PutPolicy(t.Context(), who, place, large.String(), "", 0)
			return err
		},
		"put wherever": func() error {
			_, err := b.PutPolicy(t.Context(), who, adg.Scope{}, large.String(), "", 0)
			return err
		},
		"lint": func() error {
			_, err := b.LintPolicy(t.Context(), identity.Caller{Identity: identity.Identity{Subject: "user:eve"}}, large.String())
			return err
		},
	} {
		var err error
		if made := testing.AllocsPerRun(1, func() { err = try() }); made > 10_000 {
			t.Errorf("%s: its 27,000 words were read, with %.0f allocations", name, made)
		}
		if adg.CodeOf(err) != adg.Unauthorized {
			t.Errorf("%s: %v", name, err)
		}
	}
	_, err := b.PutPolicy(t.Context(), b.admin, place, large.String(), "", 0)
	b.refused(err, adg.Invalid, "words and signs")
	_, err = b.PutPolicy(t.Context(), b.admin, adg.Scope{Service: "cart", Environment: "production"}, policy, "", 0)
	if b.refused(err, adg.Invalid, "not cart in production"); !errors.Is(err, control.ErrOtherPlace) {
		t.Errorf("got %v", err)
	}
}
