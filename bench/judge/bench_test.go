package main

import (
	"testing"

	"github.com/deployguardian/adg/bench/judge/rules"
)

// BenchmarkATraceIsMadeAndJudged is what the length of a run is made of.
func BenchmarkATraceIsMadeAndJudged(b *testing.B) {
	for _, s := range setups() {
		b.Run(s.world.Name, func(b *testing.B) {
			bench := small(1)
			var settings []setting
			for _, rule := range rules.All() {
				settings = append(settings, setting{rule: rule, knobs: rule.Defaults()})
			}
			if _, err := bench.play(b.Context(), &s.world, &healthy, healthyTraces, b.N, settings); err != nil {
				b.Fatal(err)
			}
		})
	}
}
