package app

import (
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

func TestLatenessIsOfTheLastFiveMinutes(t *testing.T) {
	var d delays
	now := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	tick := func(late time.Duration) adg.Tick {
		return adg.Tick{Before: adg.Status{Due: now}, Input: adg.Input{Now: now.Add(late)}}
	}
	if got := d.worst(now); got != 0 {
		t.Errorf("without a tick: %v", got)
	}
	d.committed(tick(time.Hour), now)
	for range 99 {
		d.committed(tick(time.Second), now)
	}
	d.committed(adg.Tick{Before: adg.Status{Due: now}, Input: adg.Input{Now: now.Add(time.Hour), Command: &adg.Command{}}}, now)
	if got := d.worst(now); got != time.Second {
		t.Errorf("one of a hundred is late: %v", got)
	}
	d.committed(tick(time.Hour), now)
	if got := d.worst(now); got != time.Hour {
		t.Errorf("two of a hundred are late: %v", got)
	}
	now = now.Add(5 * time.Minute)
	if got := d.worst(now); got != 0 {
		t.Errorf("five minutes later: %v", got)
	}
	for range 10 * keptDelays {
		d.committed(tick(time.Minute), now)
	}
	if got := d.worst(now); got != time.Minute || len(d.minutes[now.Unix()/60%delayMinutes].kept) != keptDelays {
		t.Errorf("of many: %v", got)
	}
}
