package judge

import (
	"fmt"
	"math"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/judge/sequential"
)

// Combined is the name of the judgement on what all sequential checks find together.
const Combined = "combined"

// Evidence is the logarithm of what all sequential checks together say against the release: the mean of their evidence,
// by their weights. It says false where there is no such check.
func Evidence(checks []adg.Check, judgements []adg.Judgement) (logE float64, found bool) {
	logs, weights, _ := evidences(checks, judgements)
	if len(logs) == 0 {
		return 0, false
	}
	return sequential.Combine(weights, logs), true
}

// Private

// evidences are those of the sequential checks, by their numbers.
func evidences(checks []adg.Check, judgements []adg.Judgement) (logs, weights []float64, of []int) {
	for i, c := range checks {
		if c.Compare != adg.Sequential {
			continue
		}
		log := 0.0 // as long as nothing is known, the bet is where it began
		if e := judgementOf(judgements, i).LogE; e != nil {
			log = *e
		}
		logs, weights, of = append(logs, log), append(weights, weight(c)), append(of, i)
	}
	return logs, weights, of
}

// combined is the verdict on the mean evidence of all sequential checks, by their weights, where it is decisive. A
// fault that shows a little in each of them is found by it before any of them finds it.
func combined(now time.Time, checks []adg.Check, judgements []adg.Judgement, alpha float64) (adg.Judgement, bool) {
	if !(alpha > 0 && alpha < 1) {
		return adg.Judgement{}, false
	}
	logs, weights, of := evidences(checks, judgements)
	if len(of) < 2 {
		return adg.Judgement{}, false
	}
	logE, limit := sequential.Combine(weights, logs), -math.Log(alpha)
	if !(logE >= limit) {
		return adg.Judgement{}, false
	}
	guilty := sequential.Guilty(alpha, logs, nil)
	if len(guilty) == 0 {
		guilty = append(guilty, strongest(logs))
	}
	j := adg.Judgement{Check: Combined, Verdict: adg.Fail, Why: adg.Worse, Final: true, Weak: true, LogE: finite(logE), LogLimit: finite(limit), At: now}
	names := make([]string, len(guilty))
	for i, at := range guilty {
		names[i] = checks[of[at]].Name
		j.Weak = j.Weak && judgementOf(judgements, of[at]).Weak
	}
	j.Text = fmt.Sprintf("worse by what %d checks say together: the evidence against it is %s, and %s decides; it comes from %s",
		len(of), odds(logE), odds(limit), strings.Join(names, ", "))
	return j, true
}

func strongest(logs []float64) int {
	best := 0
	for i := range logs {
		if logs[i] > logs[best] {
			best = i
		}
	}
	return best
}
