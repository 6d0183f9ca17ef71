package router

import (
	"math"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/deployguardian/adg"
)

// serving is a router whose releases nobody talks to.
func serving(seed uint64, shares ...float64) *Router {
	r := New(Options{Seed: seed})
	for i, share := range shares {
		release := adg.Release{Service: "shop", Version: string(rune('a' + i))}
		r.shares = append(r.shares, adg.Placement{Release: release, Share: share})
		r.upstreams[release.Version] = &upstream{release: release}
	}
	return r
}

func story(r *Router, n int) []string {
	var picked []string
	for range n {
		picked = append(picked, r.pick().release.Version)
	}
	return picked
}

func TestSharesAreKeptInTheLongRunAndAmongAnyHundredRequests(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		share := rapid.OneOf(rapid.Just(0.), rapid.Just(100.), rapid.Float64Range(0, 100)).Draw(t, "share")
		seed := rapid.Uint64().Draw(t, "seed")
		const n = 3000
		hits := 0
		window := 0
		picked := story(serving(seed, share, 100-share), n)
		for i, version := range picked {
			if version == "a" {
				hits++
				window++
			}
			if i >= 100 && picked[i-100] == "a" {
				window--
			}
			if i >= 99 && math.Abs(float64(window)-share) > 3 {
				t.Fatalf("%d of the hundred requests up to %d went to a release with a share of %g %%", window, i, share)
			}
		}
		p := share / 100
		if math.Abs(float64(hits)-n*p) > 3*math.Sqrt(n*p*(1-p))+1e-6 && math.Abs(float64(hits)-n*p) > 3 {
			t.Fatalf("%d of %d requests went to a release with a share of %g %%", hits, n, share)
		}
	})
}

func TestOneSeedMakesOneStory(t *testing.T) {
	first := story(serving(1, 50, 50), 200)
	if !slices.Equal(first, story(serving(1, 50, 50), 200)) {
		t.Error("the same seed gives another story")
	}
	if slices.Equal(first, story(serving(2, 50, 50), 200)) {
		t.Error("another seed gives the same story")
	}
}

func TestWhoseTurnItIsDoesNotDependOnTheRhythmOfRequests(t *testing.T) {
	const n = 4000
	picked := story(serving(3, 5, 95), n)
	for rhythm := 2; rhythm <= 12; rhythm++ {
		hits := 0
		for i := 0; i < n; i += rhythm {
			if picked[i] == "a" {
				hits++
			}
		}
		if want := .05 * n / float64(rhythm); math.Abs(float64(hits)-want) > .3*want {
			t.Errorf("of every %dth request %d went to the release with 5 %%, want %.0f", rhythm, hits, want)
		}
	}
}
