// Package watchdog tells people when ADG itself is late, blind or not heard: by a webhook of its own, because what it
// tells of may be what everything else is told through.
package watchdog

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

// Store is what the watchdog looks at.
type Store interface {
	Backlog(ctx context.Context) (adg.Backlog, error)
}

// Options are a watchdog's settings; zero fields take the defaults.
type Options struct {
	Server  string        // that tells it
	Webhook adg.Secret    // address that alarms are posted to; zero: they stand in the log only
	Late    time.Duration // a deployment that is due for so long; zero: 10 s
	Blind   time.Duration // one whose sources do not answer, or an event that nobody takes, for so long; zero: 5 m
	Again   time.Duration // when people are told again; zero: 1 h
	Every   time.Duration // how often it looks; zero: 5 s
	Log     *slog.Logger  // zero: discard
	Seen    func(b adg.Backlog, blind int)
}

// Alarm is what is posted, as JSON.
type Alarm struct {
	Name     string    `json:"alarm"` // store, late, blind or unheard
	Text     string    `json:"text"`
	Server   string    `json:"server"`
	Since    time.Time `json:"since"`
	Resolved bool      `json:"resolved"`
}

// Watchdog looks at the store and tells. Run it once.
type Watchdog struct {
	store  Store
	o      Options
	client *remote.Client // nil: nobody is posted to
	raised map[string]*raised

	mu    sync.Mutex
	blind map[string]time.Time // deployments, and until when that counts
}

// New makes a watchdog, or says what is wrong with the options.
func New(store Store, o Options) (*Watchdog, error) {
	w := &Watchdog{store: store, o: o.withDefaults(), raised: map[string]*raised{}, blind: map[string]time.Time{}}
	if o.Webhook.IsZero() {
		return w, nil
	}
	if err := remote.ValidURL(o.Webhook.Reveal()); err != nil {
		return nil, fmt.Errorf("the watchdog's webhook: %w", err)
	}
	var err error
	w.client, err = remote.New(remote.Defaults(), o.Webhook)
	return w, err
}

// Ticked notes a deployment after its tick, by the clock of this process. It costs nothing where the sources answer, so
// that a large fleet need not be read again and again.
func (w *Watchdog) Ticked(d adg.Deployment, now time.Time) {
	unanswered := func(c adg.Watch) bool { return c.Last.Verdict == adg.Unknown && c.Last.Why == adg.SourceError }
	blind := d.Status.Blind >= w.o.Blind && len(d.Status.Checks) > 0 && !d.Status.State.Ended() &&
		!slices.ContainsFunc(d.Status.Checks, func(c adg.Watch) bool { return !unanswered(c) })
	w.mu.Lock()
	defer w.mu.Unlock()
	if !blind {
		delete(w.blind, d.ID)
		return
	}
	w.blind[d.ID] = now.Add(max(d.Status.Due.Sub(d.Status.Ticked), 0) + lateTick)
}

// Run looks until the context ends. It decides by the clock of this process: the store's may be what is wrong.
func (w *Watchdog) Run(ctx context.Context) {
	if w.client != nil {
		defer func() { _ = w.client.Close() }() // it holds idle connections only
	}
	every := time.NewTicker(w.o.Every)
	defer every.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-every.C:
			w.tell(ctx, now, w.look(ctx, now))
		}
	}
}

// Private

// lateTick is how late a tick may be and still be this server's.
const lateTick = time.Minute

// raised is an alarm that was raised, and when people were told last.
type raised struct {
	since time.Time
	told  time.Time // zero: not yet
	text  string
}

func (o Options) withDefaults() Options {
	for field, otherwise := range map[*time.Duration]time.Duration{&o.Late: 10 * time.Second, &o.Blind: 5 * time.Minute, &o.Again: time.Hour, &o.Every: 5 * time.Second} {
		if *field == 0 {
			*field = otherwise
		}
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Seen == nil {
		o.Seen = func(adg.Backlog, int) {}
	}
	return o
}

// look is what is wrong now: sentences, by the name of the alarm.
func (w *Watchdog) look(ctx context.Context, now time.Time) map[string]string {
	ctx, cancel := context.WithTimeoutCause(ctx, w.o.Late, adg.Errorf(adg.Unavailable, "no answer within %s", adg.Short(w.o.Late)))
	defer cancel()
	b, err := w.store.Backlog(ctx)
	if err != nil {
		return map[string]string{"store": "the store does not answer, so nothing is decided: " + err.Error()}
	}
	blind := w.sightless(now)
	w.o.Seen(b, len(blind))
	wrong := map[string]string{}
	if b.Late >= w.o.Late {
		wrong["late"] = fmt.Sprintf("%d deployments are due and nobody works on them, one for %s: a bad release is rolled back that much later", b.Due, adg.Span(b.Late))
	}
	if len(blind) > 0 {
		wrong["blind"] = fmt.Sprintf("no source of %d deployments has answered for %s, so nobody knows how they are: %s", len(blind), adg.Short(w.o.Blind), first(blind))
	}
	if b.Oldest >= w.o.Blind {
		wrong["unheard"] = fmt.Sprintf("%d notifications wait, one for %s: people are not told what is decided", b.Undelivered, adg.Span(b.Oldest))
	}
	return wrong
}

// sightless are the deployments that were blind at their last tick here, unless it was so long ago that another server
// has them now, or they have ended elsewhere.
func (w *Watchdog) sightless(now time.Time) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	maps.DeleteFunc(w.blind, func(_ string, until time.Time) bool { return until.Before(now) })
	return slices.Sorted(maps.Keys(w.blind))
}

// tell tells of what is wrong, again after a while, and of what is not wrong any more. What could not be told is tried
// again at the next look.
func (w *Watchdog) tell(ctx context.Context, now time.Time, wrong map[string]string) {
	for _, name := range slices.Sorted(maps.Keys(wrong)) {
		r := w.raised[name]
		if r == nil {
			r = &raised{since: now}
			w.raised[name] = r
		}
		r.text = wrong[name]
		if r.told.IsZero() || now.Sub(r.told) >= w.o.Again {
			if w.post(ctx, Alarm{Name: name, Text: r.text, Server: w.o.Server, Since: r.since}) {
				r.told = now
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(w.raised)) {
		r := w.raised[name]
		if _, still := wrong[name]; still || ctx.Err() != nil {
			continue
		}
		if r.told.IsZero() || w.post(ctx, Alarm{Name: name, Text: "it is over: " + r.text, Server: w.o.Server, Since: r.since, Resolved: true}) {
			delete(w.raised, name)
		}
	}
}

// post tells whether it was told.
func (w *Watchdog) post(ctx context.Context, a Alarm) bool {
	if a.Resolved {
		w.o.Log.Info("the watchdog's alarm is over", "alarm", a.Name, "since", a.Since)
	} else {
		w.o.Log.Error("the watchdog raises an alarm", "alarm", a.Name, "since", a.Since, "what", a.Text)
	}
	if w.client == nil {
		return true
	}
	body, err := json.Marshal(a)
	if err == nil {
		var request *http.Request
		if request, err = http.NewRequestWithContext(ctx, http.MethodPost, w.o.Webhook.Reveal(), bytes.NewReader(body)); err == nil {
			request.Header.Set("Content-Type", "application/json")
			_, err = w.client.Do(ctx, request)
		}
	}
	if err != nil && ctx.Err() == nil {
		w.o.Log.Error("the watchdog's alarm could not be posted, it is tried again", "alarm", a.Name, "error", err)
	}
	return err == nil
}

func first(ids []string) string {
	if len(ids) > 3 {
		return fmt.Sprintf("%s, %s, %s …", ids[0], ids[1], ids[2])
	}
	text := ""
	for i, id := range ids {
		if i > 0 {
			text += ", "
		}
		text += id
	}
	return text
}
