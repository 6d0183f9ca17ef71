package judge

import (
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
)

func TestProbesCountEachSampleOnce(t *testing.T) {
	at := func(seconds int) time.Time { return now.Add(time.Duration(seconds) * time.Second) }
	for _, row := range []struct {
		name    string
		before  adg.CheckState
		samples []adg.Sample
		after   adg.CheckState
	}{
		{"a new failure counts", adg.CheckState{Streak: 1, Last: at(-15)}, []adg.Sample{{At: at(0)}}, adg.CheckState{Streak: 2, Last: at(0)}},
		{"the same failure seen again does not", adg.CheckState{Streak: 1, Last: at(0)}, []adg.Sample{{At: at(0)}}, adg.CheckState{Streak: 1, Last: at(0)}},
		{"of a history only the new part counts", adg.CheckState{Streak: 1, Last: at(-15)}, []adg.Sample{{At: at(-30)}, {At: at(-15)}, {At: at(0)}}, adg.CheckState{Streak: 2, Last: at(0)}},
		{"a success starts over", adg.CheckState{Streak: 5, Last: at(-15)}, []adg.Sample{{At: at(0), Value: 1}}, adg.CheckState{Last: at(0)}},
		{"a success between failures starts over", adg.CheckState{Streak: 5, Last: at(-15)}, []adg.Sample{{At: at(-10)}, {At: at(-5), Value: 1}, {At: at(0)}}, adg.CheckState{Streak: 1, Last: at(0)}},
		{"the order of the samples is their time", adg.CheckState{}, []adg.Sample{{At: at(0)}, {At: at(-10), Value: 1}, {At: at(-5)}}, adg.CheckState{Streak: 2, Last: at(0)}},
		{"passed and failed at the same time is passed", adg.CheckState{Streak: 1}, []adg.Sample{{At: at(0)}, {At: at(0), Value: 1}}, adg.CheckState{Last: at(0)}},
		{"no number neither counts nor starts over", adg.CheckState{Streak: 1, Last: at(-15)}, []adg.Sample{{At: at(-5)}, {At: at(0), Value: math.NaN()}}, adg.CheckState{Streak: 2, Last: at(-5)}},
		{"no answer leaves the count as it is", adg.CheckState{Streak: 2, Last: at(-15)}, nil, adg.CheckState{Streak: 2, Last: at(-15)}},
		{"stale samples leave the count as it is", adg.CheckState{Streak: 2, Last: at(-900)}, []adg.Sample{{At: at(-600)}}, adg.CheckState{Streak: 2, Last: at(-900)}},
		{"samples from the future leave the count as it is", adg.CheckState{Streak: 2, Last: at(-15)}, []adg.Sample{{At: at(600)}}, adg.CheckState{Streak: 2, Last: at(-15)}},
		{"a clock that was set back does not blind the probe", adg.CheckState{Streak: 2, Last: at(3600)}, []adg.Sample{{At: at(0)}}, adg.CheckState{Streak: 3, Last: at(0)}},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, got := Judge(adg.Observation{
				Check: probing, State: row.before,
				Candidate: adg.Measurement{At: now, Values: []adg.Series{{Samples: row.samples}}},
			}, now)
			if diff := cmp.Diff(row.after, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestProbesFailAfterFailuresInARowOnly(t *testing.T) {
	var state adg.CheckState
	said := ""
	for i, value := range []float64{1, 0, 0, 1, 0, 0, 0, 0, 1} {
		at := now.Add(time.Duration(i) * 15 * time.Second)
		var j adg.Judgement
		j, state = Judge(adg.Observation{
			Check: probing, State: state,
			Candidate: adg.Measurement{At: at, Values: []adg.Series{{Samples: []adg.Sample{{At: at, Value: value}}}}},
		}, at)
		said += j.Verdict.String() + " "
	}
	if want := "pass warn warn pass warn warn fail fail pass "; said != want {
		t.Errorf("got  %s\nwant %s", said, want)
	}
}

func TestOtherComparisonsLeaveTheStateAlone(t *testing.T) {
	state := adg.CheckState{Streak: 2, Last: now}
	for _, compare := range []adg.Comparison{adg.Threshold, adg.Relative, adg.Events} {
		if _, got := Judge(adg.Observation{Check: adg.Check{Compare: compare}, State: state, Candidate: values(1)}, now); !cmp.Equal(got, state) {
			t.Errorf("%s: %+v", compare, got)
		}
	}
}
