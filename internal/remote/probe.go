package remote

import (
	"context"
	"errors"
	"maps"

	"github.com/deployguardian/adg"
)

// ProbeText is what a probe asks: text with the variables of q, $window among them, expanded. Queries for a range
// are refused, for a probe knows the present only. Errors are Invalid and permanent.
func ProbeText(q adg.Query, text string, escape func(before, value string) string) (string, error) {
	switch q.Kind {
	case adg.Instant, adg.Counters:
	case adg.Range:
		return "", invalid("a probe tells how it is now, and cannot tell how it was: use compare: probe, or an aggregate of latest")
	default:
		return "", invalid("a query of the unknown kind %s", q.Kind)
	}
	vars := maps.Clone(q.Vars)
	if vars == nil {
		vars = map[string]string{}
	}
	if q.Window > 0 {
		vars["window"] = q.Window.String()
	}
	expanded, err := adg.Expand(text, vars, escape)
	return expanded, adg.Permanent(err)
}

// ProbeAnswer is what a probe says: one series with one sample at the time of the query, 1 if there was no failure and
// otherwise 0 with the failure as a warning. A failure is news about the service; it is an error instead if it says
// nothing about the service: if ctx is done, or if the failure is permanent, which means that the probe is set up wrong.
func ProbeAnswer(ctx context.Context, q adg.Query, sent string, failure error) (adg.Answer, error) {
	cause := context.Cause(ctx)
	switch {
	case failure != nil && cause != nil && !errors.Is(failure, cause):
		return adg.Answer{}, adg.Errorf(adg.Unavailable, "probe %s: %w", excerpt(sent), cause)
	case failure != nil && (cause != nil || adg.IsPermanent(failure)):
		return adg.Answer{}, adg.Errorf(adg.CodeOf(failure), "probe %s: %w", excerpt(sent), failure)
	}
	answer := adg.Answer{Sent: sent, Series: []adg.Series{{Samples: []adg.Sample{{At: q.At.UTC(), Value: 1}}}}}
	if failure != nil {
		answer.Series[0].Samples[0].Value = 0
		answer.Warnings = []string{excerpt(failure.Error())}
	}
	return answer, nil
}
