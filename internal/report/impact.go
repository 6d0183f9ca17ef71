package report

import (
	"context"
	"encoding/json"
	"math"
	"slices"
	"time"

	"github.com/deployguardian/adg"
)

// Impact is what one check counted from the beginning of a deployment to its end.
type Impact struct {
	Check    string
	Bad, All float64 // as the check counts them: requests, mostly
	Usual    float64 // how many of All would have been bad by the frozen baseline; NaN: there is none
}

// Private

// impacts counts what users met, by the checks that count; those whose measurements were forgotten say nothing.
func impacts(ctx context.Context, m Memory, d adg.Deployment, frozen []adg.Baseline) ([]Impact, error) {
	var all []Impact
	for _, check := range d.Spec.Policy.Checks {
		if !check.Counts() {
			continue
		}
		measured, err := m.Measurements(ctx, d.ID, adg.MeasurementFilter{Check: check.Name, From: d.Spec.Created, Limit: maxRows})
		if err != nil {
			return nil, err
		}
		bad, total := counter{}, counter{}
		for _, one := range measured {
			if one.Arm == adg.CandidateArm {
				bad.add(one.Bad, d.Spec.Created)
				total.add(one.Total, d.Spec.Created)
			}
		}
		i := Impact{Check: check.Name, Bad: bad.increase(), All: total.increase(), Usual: math.NaN()}
		for _, b := range frozen {
			if b.Check == check.Name && b.Total > 0 {
				i.Usual = i.All * b.Bad / b.Total
			}
		}
		if i.All > 0 {
			all = append(all, i)
		}
	}
	return all, nil
}

// counter is what the windows of many measurements, which overlap, say of the same counters: by series, by time.
type counter map[string]map[int64]float64

func (c counter) add(all []adg.Series, since time.Time) {
	for _, s := range all {
		key, err := json.Marshal(s.Labels) // maps are written in the order of their keys
		if err != nil {
			continue // a map of strings can always be written
		}
		samples := c[string(key)]
		if samples == nil {
			samples = map[int64]float64{}
			c[string(key)] = samples
		}
		for _, sample := range s.Samples {
			if !sample.At.Before(since) && !math.IsNaN(sample.Value) {
				samples[sample.At.UnixNano()] = sample.Value
			}
		}
	}
}

// increase is how much all series rose; one that falls was set to zero in between.
func (c counter) increase() (sum float64) {
	for _, samples := range c {
		times := make([]int64, 0, len(samples))
		for at := range samples {
			times = append(times, at)
		}
		slices.Sort(times)
		for i := 1; i < len(times); i++ {
			before, after := samples[times[i-1]], samples[times[i]]
			if after < before {
				before = 0
			}
			sum += after - before
		}
	}
	return sum
}
