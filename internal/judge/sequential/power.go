package sequential

import "math"

// Traffic is what a test has to work with, per second.
type Traffic struct {
	Canary, Control float64 // requests per second
	Bad             float64 // the baseline's share of bad ones
	Phi             float64 // over-dispersion; zero: 1
	Lasting         float64 // factor by which replicas are off for good; zero: 1
}

// Wait is how many seconds it takes on average to find a canary that is worse by a ratio: what the test asks for,
// divided by the information of one second (Wald). +Inf: it cannot be found.
func (d Design) Wait(t Traffic, ratio float64) float64 {
	d = d.withDefaults()
	lasting := max(t.Lasting, 1)
	mean, _ := information(t.Canary, t.Control, t.Bad, ratio, d.Ratio*lasting)
	if !(mean > 0) {
		return math.Inf(1)
	}
	return d.needed() * max(t.Phi, 1) / mean
}

// Private

// information is the mean and the variance of the evidence of one bucket if the canary's bad rate is worse by a ratio.
// Large rates rise by their odds, as a rate above 1 is none.
func information(canary, control, bad, ratio, tolerated float64) (mean, variance float64) {
	if !(canary > 0 && control > 0 && bad > 0 && bad < 1 && ratio > 0) {
		return 0, 0
	}
	worse := ratio * bad / (1 + (ratio-1)*bad)
	odds := canary / control
	null, alternative := odds*tolerated, odds*max(worse/bad, tolerated)
	down := math.Log((1 + null) / (1 + alternative))
	up := math.Log(alternative/null) + down
	k, m := canary*worse, control*bad
	return k*up + m*down, k*up*up + m*down*down
}

// expect adds up what the evidence would be if the canary were worse by Detect.
func (s *State) expect(d Design, b *Bucket, phi, lasting float64) {
	bad := (s.Control.Bad + 0.5) / (s.Control.All + 1)
	mean, variance := information(b.Canary.All, b.Control.All, bad, d.Detect, d.Ratio*lasting)
	s.Reach[0] += mean / phi
	s.Reach[1] += variance / phi
}

// able tells whether that evidence would have sufficed, taken as normal: its mean less as many standard deviations as
// the power asks for.
func (d Design) able(s *State) bool {
	return s.Reach[0]-math.Sqrt2*math.Erfinv(2*d.Power-1)*math.Sqrt(s.Reach[1]) >= d.needed()
}

// needed is the evidence that one ratio of the mixture has to give by itself.
func (d Design) needed() float64 {
	return -math.Log(d.Alpha) + math.Log(float64(len(worseBy))/(1-lateShare))
}
