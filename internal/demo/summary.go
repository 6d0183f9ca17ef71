package demo

import (
	"fmt"
	"strings"
	"time"

	"github.com/deployguardian/adg/internal/demo/load"
	"github.com/deployguardian/adg/internal/demo/shop"
	"github.com/deployguardian/adg/internal/demo/tally"
)

// Summary is how the demo went; as JSON it is the last line of `adg demo --output json`.
type Summary struct {
	Kind   string     `json:"kind"` // "summary"
	Good   Ending     `json:"good"`
	Bad    Ending     `json:"bad"`
	Load   load.Stats `json:"load"`
	Report string     `json:"report,omitempty"` // where the reports are

	Counted map[string]Agreement `json:"counted,omitempty"` // by version that still ran at the end
}

// Agreement is how many requests a version has answered: by the router's log, and by its own metrics.
type Agreement struct {
	Router  int64 `json:"router"`
	Metrics int64 `json:"metrics"`
}

// Ending is how one deployment went.
type Ending struct {
	Outcome  string     `json:"outcome"` // the state that it ended in
	Fault    shop.Fault `json:"fault,omitempty"`
	Verified bool       `json:"verified,omitempty"` // the rollback was
	*Harm               // nil: none was done
}

// Harm is what a bad release did to customers. Times are in seconds, from its first request that was bad or slow.
type Harm struct {
	Detected float64 `json:"detected_s"`       // until the guard decided
	Restored float64 `json:"restored_s"`       // until then and until the release had served its last request
	Bad      int64   `json:"bad_requests"`     // bad or slow requests that it served
	Above    int64   `json:"bad_above_normal"` // of them, more than the release before it would have had
	Requests int64   `json:"requests"`         // all that it served
}

// HarmOf measures a release by the router's log beside the release that was live with it. A release that did no harm
// before the decision was detected at once.
func HarmOf(bad, stable tally.Count, decided time.Time) Harm {
	h := Harm{Bad: bad.Harmed(), Requests: bad.Requests}
	if stable.Requests > 0 {
		scale := float64(bad.Requests) / float64(stable.Requests)
		above := func(bad, stable int64) int64 { return max(bad-int64(float64(stable)*scale+.5), 0) }
		h.Above = above(bad.Bad, stable.Bad) + above(bad.Slow, stable.Slow)
	}
	if !bad.FirstHarm.IsZero() {
		h.Detected = max(decided.Sub(bad.FirstHarm).Seconds(), 0)
		h.Restored = max(bad.Last.Sub(bad.FirstHarm).Seconds(), h.Detected)
	}
	return h
}

// Table is the summary for people, in lines of at most 80 columns.
func (s Summary) Table() string {
	var t strings.Builder
	row := func(name, good, bad string) { _, _ = fmt.Fprintf(&t, "  %-22s %-16s %s\n", name, good, bad) }
	row("", "good release", "bad release ("+string(s.Bad.Fault)+")")
	outcome := s.Bad.Outcome
	if s.Bad.Verified {
		outcome += ", verified"
	}
	row("outcome", s.Good.Outcome, outcome)
	if h := s.Bad.Harm; h != nil {
		row("time to detect", "–", fmt.Sprintf("%.1f s", h.Detected))
		row("bad requests served", "–", fmt.Sprintf("%d of %d, %d more than usual", h.Bad, h.Requests, h.Above))
		row("time until restored", "–", fmt.Sprintf("%.1f s", h.Restored))
	}
	failed := 0.0
	if s.Load.Sent > 0 {
		failed = 100 * float64(s.Load.Bad) / float64(s.Load.Sent)
	}
	_, _ = fmt.Fprintf(&t, "  %-22s %d requests, %d failed (%.1f %%)\n", "customers", s.Load.Sent, s.Load.Bad, failed)
	if s.Report != "" {
		_, _ = fmt.Fprintf(&t, "  %-22s %s\n", "report", s.Report)
	}
	return t.String()
}
