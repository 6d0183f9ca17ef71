package judge

import (
	"time"

	"github.com/deployguardian/adg"
)

// threshold compares the window's value, or its events, with fixed limits.
func threshold(o adg.Observation, now time.Time) adg.Judgement {
	if o.Check.Warn.Relative || o.Check.Fail.Relative {
		return adg.Judgement{Why: adg.NoBaseline, Text: "nothing to compare with: a limit with 'baseline' needs compare: relative"}
	}
	r := read(o.Check, o.Candidate, now)
	if !r.known() {
		return r.unknown()
	}
	return decide(o, r, nil)
}
