package wire

import (
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/backtest"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// BacktestCase is a recorded deployment, and what a policy would have done with it.
func BacktestCase(c backtest.Case) *adgv1.BacktestCase {
	made := &adgv1.BacktestCase{
		Deployment: text(c.Name), Version: text(c.Release), BeginTime: Timestamp(c.Began), Truth: text(string(c.Truth)), WouldBe: text(string(c.WouldBe)),
		WasFound: seconds(c.WasFound), Found: seconds(c.Found), Decided: seconds(c.Decided), WasServed: c.WasServed, Served: c.Served,
		Reasons: texts(c.Reasons), Missing: texts(c.Missing), Notes: texts(c.Notes),
	}
	var was adg.State
	if was.UnmarshalText([]byte(strings.ReplaceAll(c.Was, " ", "_"))) == nil {
		made.Was = states.to(was)
	}
	return made
}

// BacktestSummary is what the cases come to.
func BacktestSummary(s backtest.Summary) *adgv1.BacktestSummary {
	return &adgv1.BacktestSummary{
		Cases: count(s.Cases), Skipped: count(s.Skipped), FalseRollbacks: rate(s.FalseRollbacks), Detections: rate(s.Detections), Early: count(s.Early),
		DetectMedian: seconds(s.Median), DetectP95: seconds(s.P95), Served: s.Served, Promoted: count(s.Promoted), Open: count(s.Open),
		WasMedian: seconds(s.WasMedian), WasServed: s.WasServed,
	}
}

// Private

func rate(r backtest.Rate) *adgv1.BacktestRate {
	return &adgv1.BacktestRate{Count: count(r.N), Of: count(r.Of), Low: r.Low, High: r.High}
}

// seconds is a length of time that may not exist; one of zero does.
func seconds(s *float64) *durationpb.Duration {
	if s == nil {
		return nil
	}
	return durationpb.New(time.Duration(*s * float64(time.Second)))
}
