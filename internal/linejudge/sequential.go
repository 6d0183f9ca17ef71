package linejudge

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/judge/sequential"
)

// Private

// sequentialSettings are what a sequential test promises. A ratio is the canary's rate of bad requests divided by the
// control's.
type sequentialSettings struct {
	Alpha    float64 `json:"alpha"`           // probability, at most, that a canary that is no worse is called worse
	Ratio    float64 `json:"ratio"`           // that is tolerated
	RMax     float64 `json:"r_max"`           // that "not worse" excludes; zero: 1.5 times Ratio
	Beta     float64 `json:"beta"`            // probability, at most, that a canary worse by RMax is called not worse
	Seconds  float64 `json:"bucket_s"`        // length of a bucket
	Canaries int     `json:"canary_replicas"` // replicas of the canary
}

var usualSequential = sequentialSettings{Alpha: 0.01, Ratio: 1, Beta: 0.05, Seconds: 1, Canaries: 1}

type sequentialRequest struct {
	sequentialSettings
	Buckets json.RawMessage `json:"buckets"`
}

// bucket is what both sides did in a stretch of time. Neither side may be left out: one that was forgotten would look
// like one without requests.
type bucket struct {
	Canary  *counts  `json:"canary"`
	Control *counts  `json:"control"`
	Groups  []counts `json:"control_groups"`
}

type counts struct {
	Bad float64 `json:"bad"`
	All float64 `json:"all"`
}

type sequentialAnswer struct {
	LogE []number `json:"log_e"` // after each bucket
	outcome
}

// outcome is what a test has come to.
type outcome struct {
	Decision   string `json:"decision"` // worse, not-worse, undecided
	DecidedAt  *int   `json:"decided_at"`
	WorseAt    *int   `json:"worse_at"`
	NotWorseAt *int   `json:"not_worse_at"`
	LogLimit   number `json:"log_limit"` // from which on log_e means worse
	Phi        number `json:"phi"`       // over-dispersion between the control's replicas
	Estimate   number `json:"estimate"`  // of the ratio
	Lower      number `json:"lower"`     // its interval; null: open
	Upper      number `json:"upper"`
	RankLogE   number `json:"rank_log_e"` // what the canary's rank among the control's replicas says; null: nothing
	Robust     bool   `json:"robust"`     // the promise does not need independent requests
	Text       string `json:"text"`
}

var outcomeColumns = []string{"decision", "decided_at", "worse_at", "not_worse_at", "log_limit", "phi", "estimate", "lower", "upper", "rank_log_e", "robust", "text"}

func (o *outcome) row() []string {
	index := func(i *int) string {
		if i == nil {
			return ""
		}
		return strconv.Itoa(*i)
	}
	return []string{o.Decision, index(o.DecidedAt), index(o.WorseAt), index(o.NotWorseAt), o.LogLimit.cell(), o.Phi.cell(), o.Estimate.cell(),
		o.Lower.cell(), o.Upper.cell(), o.RankLogE.cell(), strconv.FormatBool(o.Robust), o.Text}
}

func (r *sequentialRequest) answer() (answer, error) {
	if r.Buckets == nil {
		return nil, adg.Errorf(adg.Invalid, "sequential needs buckets, a list of %s", oneBucket)
	}
	test, err := r.begin()
	if err != nil {
		return nil, err
	}
	a := &sequentialAnswer{LogE: []number{}}
	err = eachBucket(r.Buckets, func(b *bucket) error {
		if err := test.next(b); err != nil {
			return err
		}
		a.LogE = append(a.LogE, test.logE())
		return nil
	})
	if err != nil {
		return nil, err
	}
	a.outcome = test.outcome()
	return a, nil
}

func (r *sequentialRequest) settle(bool) error {
	_, err := r.begin()
	return err
}

const oneBucket = `{"canary": {"bad": 0, "all": 20}, "control": {"bad": 1, "all": 180}}`

// maxBuckets is three days of seconds.
const maxBuckets = 1 << 18

// eachBucket reads the buckets of a list one by one: as many as there may be take no more memory than one.
func eachBucket(text []byte, take func(*bucket) error) error {
	dec := json.NewDecoder(bytes.NewReader(text))
	dec.DisallowUnknownFields()
	if open, err := dec.Token(); err != nil || open != json.Delim('[') {
		return adg.Errorf(adg.Invalid, "buckets are a list of %s", oneBucket)
	}
	for i := 0; dec.More(); i++ {
		if i == maxBuckets {
			return adg.Errorf(adg.Invalid, "more than %d buckets: make them longer, or give them as CSV", maxBuckets)
		}
		from := dec.InputOffset()
		var b bucket
		err := dec.Decode(&b)
		if err != nil {
			err = explain(err, element(text[from:]), &b, "a bucket")
		} else {
			err = take(&b)
		}
		if err != nil {
			return fmt.Errorf("buckets[%d]: %w", i, err)
		}
	}
	return nil
}

// element is the first one of the rest of a list.
func element(rest []byte) []byte {
	var one json.RawMessage
	if json.NewDecoder(bytes.NewReader(bytes.TrimLeft(rest, ", \t\r\n"))).Decode(&one) != nil {
		return nil
	}
	return one
}

// test is a sequential test that is going on.
type test struct {
	design sequential.Design
	state  sequential.State
	groups []sequential.Counts
}

// begin refuses settings that can't be meant.
func (s sequentialSettings) begin() (*test, error) {
	if s.RMax == 0 {
		s.RMax = 1.5 * s.Ratio
	}
	for _, c := range []struct {
		name  string
		value float64
		good  bool
		want  string
	}{
		{"alpha", s.Alpha, s.Alpha > 0 && s.Alpha < 1, "between 0 and 1, such as 0.01"},
		{"beta", s.Beta, s.Beta > 0 && s.Beta < 1, "between 0 and 1, such as 0.05"},
		{"ratio", s.Ratio, s.Ratio >= 0.001 && s.Ratio <= 1000, "from 0.001 to 1000, such as 1"},
		{"r_max", s.RMax, s.RMax > s.Ratio && s.RMax <= 1500, "above ratio, and at most 1500"},
		{"bucket_s", s.Seconds, s.Seconds >= 0.001 && s.Seconds <= 86400, "seconds, at most a day"},
		{"canary_replicas", float64(s.Canaries), s.Canaries >= 1 && s.Canaries <= 100_000, "1 or more, and at most 100000"},
	} {
		if !c.good {
			return nil, adg.Errorf(adg.Invalid, "%s %g: %s", c.name, c.value, c.want)
		}
	}
	return &test{design: sequential.Design{
		Alpha: s.Alpha, Ratio: s.Ratio, RMax: s.RMax, Beta: s.Beta, Seconds: s.Seconds, Canaries: s.Canaries,
	}}, nil
}

// next takes in one bucket; counts that are none are refused and change nothing.
func (t *test) next(b *bucket) error {
	if b.Canary == nil || b.Control == nil {
		return adg.Errorf(adg.Invalid, "a bucket has both canary and control; who had no requests has {\"bad\": 0, \"all\": 0}")
	}
	if err := b.Canary.check("canary"); err != nil {
		return err
	}
	if err := b.Control.check("control"); err != nil {
		return err
	}
	for i, g := range b.Groups {
		if err := g.check("control_groups[" + strconv.Itoa(i) + "]"); err != nil {
			return err
		}
	}
	t.groups = t.groups[:0]
	for _, g := range b.Groups {
		t.groups = append(t.groups, sequential.Counts(g))
	}
	t.design.Next(&t.state, &sequential.Bucket{Canary: sequential.Counts(*b.Canary), Control: sequential.Counts(*b.Control), Groups: t.groups})
	return nil
}

// pass lets a bucket's time go by of which nothing is known.
func (t *test) pass() {
	clear(t.groups)
	t.design.Next(&t.state, &sequential.Bucket{Groups: t.groups})
}

func (t *test) logE() number { return number(t.design.LogE(&t.state)) }

// The bounds of a count: sums stay exact, and what is divided by one finite.
const leastCounted, mostCounted = 1e-6, 1e12

func (c counts) check(what string) error {
	if !(c.Bad >= 0 && c.Bad <= c.All && c.All <= mostCounted && (c.All == 0 || c.All >= leastCounted)) {
		return adg.Errorf(adg.Invalid, "%s: %g bad of %g is no count: 0 ≤ bad ≤ all ≤ %g", what, c.Bad, c.All, mostCounted)
	}
	return nil
}

func (t *test) outcome() outcome {
	r := t.design.Read(&t.state)
	o := outcome{
		Decision: decision(r.Outcome), WorseAt: bucketIndex(r.WorseAt), NotWorseAt: bucketIndex(r.NotWorseAt), LogLimit: number(r.LogLimit),
		Phi: number(r.Phi), Estimate: number(r.Estimate), Lower: number(r.Low), Upper: number(r.High), RankLogE: number(r.RankLogE), Robust: r.Robust,
	}
	switch r.Outcome {
	case sequential.Worse:
		o.DecidedAt = o.WorseAt
	case sequential.NotWorse:
		o.DecidedAt = o.NotWorseAt
	case sequential.Undecided:
	}
	o.Text = t.sentence(r, o)
	return o
}

func decision(o sequential.Outcome) string {
	switch o {
	case sequential.Worse:
		return "worse"
	case sequential.NotWorse:
		return "not-worse"
	case sequential.Undecided:
	}
	return "undecided"
}

func bucketIndex(i int) *int {
	if i < 0 {
		return nil
	}
	return &i
}

// sentence is for a person on call: what was compared, of how many, the ratio with its interval, the evidence and its
// limit, and what the promise rests on.
func (t *test) sentence(r sequential.Result, o outcome) string {
	var text strings.Builder
	switch r.Outcome {
	case sequential.Worse:
		fmt.Fprintf(&text, "worse since bucket %d", *o.DecidedAt)
	case sequential.NotWorse:
		fmt.Fprintf(&text, "not worse by %s, shown in bucket %d", short(t.design.RMax), *o.DecidedAt)
	case sequential.Undecided:
		text.WriteString("undecided" + t.wait(r))
	}
	fmt.Fprintf(&text, ": %s of %s requests of the canary were bad, %s of %s of the control", short(r.Canary.Bad), short(r.Canary.All), short(r.Control.Bad), short(r.Control.All))
	if !math.IsNaN(r.Estimate) {
		fmt.Fprintf(&text, "; ratio %s, interval %s to %s", short(r.Estimate), short(r.Low), short(r.High))
	}
	evidence, limit := r.LogE, r.LogLimit
	if r.Outcome == sequential.NotWorse {
		evidence, limit = r.LogENotWorse, r.LogLimitNotWorse
	}
	fmt.Fprintf(&text, "; log e %s, limit %s", short(evidence), short(limit))
	if r.Robust {
		fmt.Fprintf(&text, "; over-dispersion of %d control replicas %s", r.Replicas, short(r.Phi))
	} else {
		text.WriteString("; holds for independent requests only")
	}
	return text.String()
}

// wait is how long a fault would take to show.
func (t *test) wait(r sequential.Result) string {
	if !(r.Control.Bad > 0 && t.state.Since > 0) {
		return ""
	}
	traffic := sequential.Traffic{
		Canary: r.Canary.All / t.state.Since, Control: r.Control.All / t.state.Since, Bad: r.Control.Bad / r.Control.All,
		Phi: r.Phi, Lasting: r.Tolerated / t.design.Ratio,
	}
	worse := 2 * t.design.Ratio
	seconds := t.design.Wait(traffic, worse)
	if math.IsInf(seconds, 1) {
		return fmt.Sprintf(", and a canary %s times as bad could not be told from what is tolerated", short(worse))
	}
	return fmt.Sprintf(", as at this traffic a canary %s times as bad takes about %s s to find", short(worse), short(math.Ceil(seconds)))
}

// short writes four digits, and whole numbers up to a million million in full.
func short(v float64) string {
	switch {
	case math.IsInf(v, 1):
		return "∞"
	case v == math.Trunc(v) && math.Abs(v) <= mostCounted:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'g', 4, 64)
}
