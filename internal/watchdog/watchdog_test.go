package watchdog

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// store is a backlog, or an error.
type store struct {
	backlog adg.Backlog
	err     error
}

func (s *store) Backlog(context.Context) (adg.Backlog, error) { return s.backlog, s.err }

// bench is a watchdog and what it has posted.
type bench struct {
	*testing.T
	*store
	dog    *Watchdog
	posted []Alarm
	refuse bool
	now    time.Time
	blind  int
}

func newBench(t *testing.T) *bench {
	t.Helper()
	b := &bench{T: t, store: &store{}, now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC)}
	hook := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var a Alarm
		if err := json.NewDecoder(r.Body).Decode(&a); err != nil || r.Header.Get("Content-Type") != "application/json" {
			t.Errorf("posted %v as %s", err, r.Header.Get("Content-Type"))
		}
		if b.refuse {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		b.posted = append(b.posted, a)
	}))
	t.Cleanup(hook.Close)
	var err error
	b.dog, err = New(b.store, Options{Server: "adg-1", Webhook: adg.NewSecret(hook.URL + "/planted"), Seen: func(_ adg.Backlog, blind int) { b.blind = blind }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = b.dog.client.Close() })
	return b
}

// wants looks once more, after that time, and wants exactly those alarms to be posted: a name, and "over" for its end.
func (b *bench) wants(what string, after time.Duration, want ...string) {
	b.Helper()
	b.posted, b.now = nil, b.now.Add(after)
	b.dog.tell(b.Context(), b.now, b.dog.look(b.Context(), b.now))
	var got []string
	for _, a := range b.posted {
		name := a.Name
		if a.Resolved {
			name += " over"
		}
		if a.Server != "adg-1" || a.Since.IsZero() || a.Text == "" {
			b.Errorf("%s: %+v", what, a)
		}
		got = append(got, name)
	}
	if strings.Join(got, ", ") != strings.Join(want, ", ") {
		b.Errorf("%s: told %v, want %v", what, got, want)
	}
}

// unseen is a deployment of which no source has answered for that time.
func unseen(blind time.Duration, why ...adg.Why) adg.Deployment {
	d := adg.Deployment{ID: "shop-v2", Status: adg.Status{Blind: blind}}
	for _, w := range why {
		d.Status.Checks = append(d.Status.Checks, adg.Watch{Last: adg.Judgement{Verdict: adg.Unknown, Why: w}})
	}
	return d
}

func TestPeopleAreToldOnceThenAgainAndWhenItIsOver(t *testing.T) {
	b := newBench(t)
	b.wants("all is well", time.Second)
	b.backlog = adg.Backlog{Due: 3, Late: 9 * time.Second}
	b.wants("nearly late", time.Second)
	b.backlog.Late = 10 * time.Second
	b.wants("late", time.Second, "late")
	b.wants("still late", 30*time.Minute)
	b.wants("an hour later", 30*time.Minute, "late")
	b.backlog = adg.Backlog{}
	b.wants("in time again", time.Second, "late over")
	b.wants("still in time", time.Hour)
	b.backlog.Late = time.Minute
	b.wants("late once more", time.Second, "late")
}

func TestStoreThatDoesNotAnswerIsAnAlarmOfItsOwn(t *testing.T) {
	b := newBench(t)
	b.backlog.Late = time.Minute
	b.wants("late", time.Second, "late")
	b.err = errors.New("no route to host")
	b.wants("and now nobody knows", time.Second, "store", "late over")
	b.err = nil
	b.wants("it answers again", time.Second, "late", "store over")
}

func TestDeploymentIsBlindWhenNoSourceAnswersAtAll(t *testing.T) {
	for _, c := range []struct {
		name string
		d    adg.Deployment
		want int
	}{
		{"no source answers for long enough", unseen(5*time.Minute, adg.SourceError, adg.SourceError), 1},
		{"not long enough", unseen(4*time.Minute, adg.SourceError), 0},
		{"one of two answers", unseen(time.Hour, adg.SourceError, adg.TooFew), 0},
		{"there are no requests", unseen(time.Hour, adg.NoData), 0},
		{"there are no checks yet", unseen(time.Hour), 0},
	} {
		b := newBench(t)
		b.dog.Ticked(c.d, b.now)
		var want []string
		if c.want > 0 {
			want = []string{"blind"}
		}
		b.wants(c.name, time.Second, want...)
		if b.blind != c.want {
			t.Errorf("%s: %d are blind", c.name, b.blind)
		}
	}
}

func TestDeploymentIsBlindUntilItSeesOrNobodyHereTicksIt(t *testing.T) {
	b := newBench(t)
	blind := unseen(5*time.Minute, adg.SourceError)
	blind.Status.Ticked, blind.Status.Due = b.now, b.now.Add(2*time.Minute)
	b.dog.Ticked(blind, b.now)
	b.wants("blind", time.Second, "blind")
	b.wants("still, its next tick is not due", 2*time.Minute)
	b.dog.Ticked(unseen(0, adg.TooFew), b.now)
	b.wants("it sees", time.Second, "blind over")
	b.dog.Ticked(blind, b.now)
	b.wants("blind again", time.Second, "blind")
	b.wants("another server has it", 4*time.Minute, "blind over")
	b.dog.Ticked(blind, b.now)
	b.wants("blind again", time.Second, "blind")
	blind.Status.State = adg.Cancelled
	b.dog.Ticked(blind, b.now)
	b.wants("it has ended", time.Second, "blind over")
}

func TestWhatNobodyTakesIsUnheard(t *testing.T) {
	b := newBench(t)
	b.backlog = adg.Backlog{Undelivered: 2, Oldest: 5 * time.Minute}
	b.wants("unheard", time.Second, "unheard")
}

func TestAlarmThatCouldNotBeToldIsToldLater(t *testing.T) {
	b := newBench(t)
	b.backlog.Late = time.Minute
	b.refuse = true
	b.wants("refused", time.Second)
	b.refuse = false
	b.wants("taken", 5*time.Second, "late")
	b.backlog, b.refuse = adg.Backlog{}, true
	b.wants("the end is refused", time.Second)
	b.refuse = false
	b.wants("the end is taken", time.Second, "late over")
	b.backlog.Late, b.refuse = time.Minute, true
	b.wants("refused", time.Second)
	b.backlog, b.refuse = adg.Backlog{}, false
	b.wants("what nobody was told of ends in silence", time.Second)
}

func TestWatchdogRunsUntilItsContextEnds(t *testing.T) {
	told := make(chan Alarm, 1)
	hook := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		var a Alarm
		if json.NewDecoder(r.Body).Decode(&a) == nil {
			told <- a
		}
	}))
	defer hook.Close()
	dog, err := New(&store{backlog: adg.Backlog{Late: time.Minute}}, Options{Webhook: adg.NewSecret(hook.URL), Every: time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan struct{})
	go func() {
		dog.Run(ctx)
		close(ended)
	}()
	if a := <-told; a.Name != "late" {
		t.Errorf("told %+v", a)
	}
	cancel()
	<-ended
}

func TestAddressOfAlarmsIsCheckedAndNeverShown(t *testing.T) {
	if _, err := New(&store{}, Options{Webhook: adg.NewSecret("ftp://planted-secret")}); err == nil || strings.Contains(err.Error(), "planted-secret") {
		t.Errorf("got %v", err)
	}
	if dog, err := New(&store{}, Options{}); err != nil || dog.client != nil {
		t.Errorf("without an address: %v", err)
	}
}
