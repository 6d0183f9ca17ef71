package control

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/config"
	"github.com/deployguardian/adg/internal/guard"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/strictyaml"
)

// Trial is what came of trying a connection out.
type Trial struct {
	OK          bool
	Text        string // what was tried and what came of it, free of secrets
	WayOut      string // what to do where it does not work
	Took        time.Duration
	Measurement *adg.Measurement // what a source answered; nil for others
	Observed    *adg.Observed    // what a target reported; nil for others
}

// TestConnection tries a connection out: a source is asked, a target is read, a notifier sends a test message. instead
// is tried in place of the stored one, with what is sealed there where it keeps a secret; nil: the stored one. query is
// for a source; empty: whether it answers at all. A connection that does not work is no error. It takes 15 s at most, and
// is on record whatever comes of it.
func (w *World) TestConnection(ctx context.Context, who identity.Caller, name string, instead *Connection, query string) (Trial, error) {
	k := Connection{Name: name}
	entry := adg.AuditEntry{Action: "connection.test", Resource: k.resource(), Detail: map[string]string{"query": strictyaml.Cut(query)}}
	if err := w.c.allowed(ctx, who, identity.ConnectionWrite, adg.Scope{}, entry); err != nil {
		return Trial{}, err
	}
	leave, err := enter(w.c.trials, "tests of connections")
	if err != nil {
		return Trial{}, err
	}
	defer leave()
	stored, version, err := read[Connection](ctx, w.c, kindConnection, name)
	if err != nil && (instead == nil || adg.CodeOf(err) != adg.NotFound) {
		return Trial{}, err
	}
	stored.Version = version
	k = stored
	if instead != nil {
		if k, err = w.c.instead(ctx, stored, version, *instead); err != nil {
			return Trial{}, err
		}
	}
	if k.Seam != "source" && query != "" {
		return Trial{}, adg.Errorf(adg.Invalid, "only a source is asked a query, and %s is a %s", name, k.Seam)
	}
	entry.Detail["type"] = k.Type
	ctx, cancel := context.WithTimeoutCause(ctx, trialLimit, adg.Errorf(adg.Unavailable, "no answer within %s", adg.Short(trialLimit)))
	defer cancel()
	var trial Trial
	tried := false
	err = w.c.done(ctx, who, entry, func() error {
		begin := asked()
		tried = true
		err := w.try(ctx, k, instead == nil, query, &trial)
		trial.Took = asked().Sub(begin)
		return err
	})
	if !tried {
		return Trial{}, err // it could not be put on record
	}
	trial.OK = err == nil
	if err != nil {
		trial.Text, trial.WayOut = err.Error(), remedy(k, err)
	}
	return trial, nil
}

// Private

const (
	trialLimit = 15 * time.Second
	trialLines = 5 * time.Minute // of a log
)

// instead is a connection that is not stored, as it would be: what it keeps is sealed in the stored one.
func (c *Control) instead(ctx context.Context, stored Connection, version int64, k Connection) (Connection, error) {
	if k.Name != stored.Name && version != 0 {
		return k, adg.Errorf(adg.Invalid, "what is tried in place of %s has its name, not %.80q", stored.Name, k.Name)
	}
	if err := k.validPatterns(); err != nil {
		return k, err
	}
	var before map[string]string
	if version != 0 && stored.Seam == k.Seam && stored.Type == k.Type {
		var err error
		if before, err = c.sealedIn(stored); err != nil {
			return k, err
		}
	}
	var err error
	k.Options, err = c.sealed(ctx, k, stored, before)
	return k, err
}

// try tries a connection out: the one that deployments use, or one that is opened for this and closed.
func (w *World) try(ctx context.Context, k Connection, registered bool, query string, trial *Trial) error {
	whose, err := k.example()
	if err != nil {
		return err
	}
	switch k.Seam {
	case "source":
		return trying(ctx, w, k, registered, whose, w.openSource, func(s adg.Source) error { return trySource(ctx, s, k, whose, query, trial) })
	case "target":
		return trying(ctx, w, k, registered, whose, w.openTarget, func(t adg.Target) error { return tryTarget(ctx, t, trial) })
	}
	return trying(ctx, w, k, registered, whose, w.openNotifier, func(n adg.Notifier) error { return tryNotifier(ctx, n, whose, trial) })
}

func trying[T any](ctx context.Context, w *World, k Connection, registered bool, whose adg.Policy, open opener[T], try func(T) error) (err error) {
	var it T
	if registered {
		if it, err = shared(ctx, w, k, whose, open); err != nil {
			return err
		}
		return try(it)
	}
	if k.personal() {
		k.Options = personalised(k.Options, whose)
	}
	dir := "trial-" + newID()
	defer func() { err = errors.Join(err, os.RemoveAll(filepath.Join(w.c.o.Host.Dir, dir))) }()
	if it, err = opening(ctx, w, k, dir, &history{}, open); err != nil {
		return err
	}
	return errors.Join(try(it), closeIt(it))
}

// example is whose deployment a connection is tried for, where its options depend on that.
func (k Connection) example() (adg.Policy, error) {
	whose := adg.Policy{Service: firstExact(k.Services), Environment: firstExact(k.Environments)}
	if k.personal() && (whose.Service == "" || whose.Environment == "") {
		return whose, adg.Advised(adg.Errorf(adg.Invalid, "the options of %s name $service or $environment, and it is registered for no service and environment by their whole names", k.Name), "try a policy that uses it")
	}
	return whose, nil
}

func firstExact(patterns []string) string {
	for _, p := range patterns {
		if !strings.HasSuffix(p, "*") {
			return p
		}
	}
	return ""
}

// harmless is what sources are asked to see whether they answer; those of other types take no query for that.
var harmless = map[string]string{"prometheus": "vector(1)", "embedded": "vector(1)", "loki": "vector(1)", "kubernetes": "restarts"}

func trySource(ctx context.Context, s adg.Source, k Connection, whose adg.Policy, query string, trial *Trial) error {
	text := cmp.Or(query, harmless[k.Type])
	begin := asked()
	vars := map[string]string{"service": whose.Service, "environment": whose.Environment, "version": "", "baseline": ""}
	if adg.ForLines(s, text) {
		return tryLines(ctx, s, text, vars, trial)
	}
	answer, err := s.Query(ctx, adg.Query{Kind: adg.Instant, Text: text, Vars: vars, At: begin.UTC(), Window: time.Minute})
	m := &adg.Measurement{At: begin.UTC(), Took: asked().Sub(begin), Values: answer.Series, Warnings: answer.Warnings}
	if answer.Sent != "" {
		m.Sent = []string{answer.Sent}
	}
	trial.Measurement = m
	if err != nil {
		m.Err = err.Error()
		return err
	}
	value, found := firstValue(answer.Series)
	if config.Probes(k.Type) && found && value == 0 {
		return adg.Errorf(adg.Unavailable, "%s: %s", answer.Sent, cmp.Or(strings.Join(answer.Warnings, "; "), "the probe failed"))
	}
	trial.Text = fmt.Sprintf("asked %s: no series", answer.Sent)
	if found {
		trial.Text = fmt.Sprintf("asked %s: %d series, the first is %s", answer.Sent, len(answer.Series), strconv.FormatFloat(value, 'g', 6, 64))
	}
	return nil
}

// tryLines asks for lines of whatever level, and tells how many there are; their patterns are the measurement's.
func tryLines(ctx context.Context, s adg.Source, text string, vars map[string]string, trial *Trial) error {
	m, err := guard.TryLines(ctx, s, text, vars, trialLines)
	trial.Measurement = &m
	if err != nil {
		return err
	}
	trial.Text = fmt.Sprintf("asked %s: no line in the last %s", strings.Join(m.Sent, ""), adg.Short(trialLines))
	if log := m.Log; log.Lines > 0 {
		trial.Text = fmt.Sprintf("asked %s: lines of the last %s: %d, replicas: %d, patterns: %d", strings.Join(m.Sent, ""), adg.Short(trialLines), log.Lines, len(log.Replicas), len(log.Patterns))
	}
	return nil
}

// firstValue is the newest value of the first series that has one.
func firstValue(all []adg.Series) (float64, bool) {
	for _, s := range all {
		if n := len(s.Samples); n > 0 {
			return s.Samples[n-1].Value, true
		}
	}
	return 0, false
}

func tryTarget(ctx context.Context, t adg.Target, trial *Trial) error {
	seen, err := t.Current(ctx)
	if err != nil {
		return err
	}
	trial.Observed = &seen
	var live []string
	for _, p := range seen.Releases {
		live = append(live, fmt.Sprintf("%s with %g %%", p.Release.Version, p.Share))
	}
	trial.Text = "the target reports " + cmp.Or(strings.Join(live, ", "), "no release")
	if !t.Can().Reports {
		trial.Text += "; it does not read the real state, so a rollback could not be verified there"
	}
	return nil
}

func tryNotifier(ctx context.Context, n adg.Notifier, whose adg.Policy, trial *Trial) error {
	err := n.Notify(ctx, adg.Fact{
		ID: "trial/" + newID(), Kind: adg.FactWarning, At: asked().UTC(), Service: cmp.Or(whose.Service, "none"), Environment: cmp.Or(whose.Environment, "none"),
		Text: "This is a test message of ADG: somebody tries this connection out. Nothing was deployed.",
	})
	if err == nil {
		trial.Text = "a test message was sent"
	}
	return err
}

// remedy is what to do about a connection that does not work.
func remedy(k Connection, err error) string {
	switch adg.CodeOf(err) {
	case adg.Unauthorized:
		return "look at its credentials, and at what the server may reach and start (egress.allow and commands.allow in its configuration)"
	case adg.Invalid:
		return "correct its options, or the query"
	case adg.NotFound, adg.Conflict, adg.Internal:
		return "look at the server's log"
	case adg.Unavailable:
	}
	return fmt.Sprintf("look whether the %s runs and can be reached from the server, at the address in the options", k.Seam)
}

// enter takes a place where only so many may be at once.
func enter(places chan struct{}, what string) (leave func(), err error) {
	select {
	case places <- struct{}{}:
		return func() { <-places }, nil
	default:
		return nil, adg.Throttled(adg.Errorf(adg.Unavailable, "%d %s are under way, which is the limit", cap(places), what), 5*time.Second)
	}
}
