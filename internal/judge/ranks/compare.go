package ranks

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"

	"github.com/deployguardian/adg"
)

// Class is what a comparison comes to. The zero value is Nodata.
type Class uint8

// The classes, named as Kayenta names them.
const (
	Nodata Class = iota
	Pass
	High
	Low
	Error
)

var classNames = [...]string{"Nodata", "Pass", "High", "Low", "Error"}

// String is the class's name.
func (c Class) String() string {
	if int(c) < len(classNames) {
		return classNames[c]
	}
	return fmt.Sprintf("invalid(%d)", uint8(c))
}

// Method is how the interval was found. The zero value: there is none.
type Method uint8

// The methods.
const (
	None Method = iota
	Exact
	Normal
)

// String is the method's name.
func (m Method) String() string { return [...]string{"none", "exact", "normal"}[min(m, Normal)] }

// Result is what a comparison comes to, and why. Numbers that do not exist are NaN.
type Result struct {
	Class    Class
	Method   Method
	Estimate float64 // by how much the candidate's values are shifted against the baseline's
	Lower    float64 // interval of the shift; never above Upper
	Upper    float64
	Effect   float64
	N, Base  int    // samples that were compared, of the candidate and of the baseline
	Text     string // one sentence for people
}

// The defaults of [adg.RankTest].
const (
	usualConfidence = 0.98
	usualTolerance  = 0.25
)

// Compare classifies the candidate's samples against the baseline's. It takes n·log n steps for n samples, keeps and
// changes nothing of what it is lent, and gives the same result for the same input.
func Compare(t adg.RankTest, candidate, baseline []float64) Result {
	return CompareIn("", t, candidate, baseline)
}

// CompareIn is Compare for values in that unit, which the sentence says.
func CompareIn(unit string, t adg.RankTest, candidate, baseline []float64) Result {
	r := Result{Estimate: math.NaN(), Lower: math.NaN(), Upper: math.NaN(), Effect: math.NaN()}
	t = withDefaults(t)
	if problem := wrong(t); problem != "" {
		r.Class, r.Text = Error, problem
		return r
	}
	x, y := prepare(t, candidate), prepare(t, baseline)
	r.N, r.Base = len(x), len(y)
	if settled(&r, unit, t, x, y) {
		return r
	}
	p := pair{x: x, y: y}
	if !p.reaches(1 - t.Confidence) {
		r.Text = fmt.Sprintf("too few samples: %s can't show a difference with %s %% confidence, whatever they are", sizes(r), digits(100*t.Confidence))
		r.Lower, r.Upper = x[0]-y[len(y)-1], x[len(x)-1]-y[0]
		return r
	}
	r.Method, r.Lower, r.Upper, r.Estimate = p.shift(1 - t.Confidence)
	r.Effect = effect(t, p)
	if !finite(r.Lower) || !finite(r.Upper) || !finite(r.Estimate) {
		r.Class, r.Text = Error, "the values are too large to be subtracted from each other"
		r.Lower, r.Upper, r.Estimate = math.NaN(), math.NaN(), math.NaN()
		return r
	}
	r.Class = classify(t, r)
	r.Text = sentence(unit, t, r)
	return r
}

// Private

func withDefaults(t adg.RankTest) adg.RankTest {
	set := func(v *float64, usual float64) {
		if *v == 0 {
			*v = usual
		}
	}
	neutral := 1.0
	if t.CLES {
		neutral = 0.5
	}
	set(&t.Confidence, usualConfidence)
	set(&t.Tolerance, usualTolerance)
	set(&t.Increase, neutral)
	set(&t.Decrease, neutral)
	return t
}

// wrong says which setting can't be meant.
func wrong(t adg.RankTest) string {
	switch {
	case !(t.Confidence > 0 && t.Confidence < 1):
		return "the confidence is between 0 and 1, such as 0.98, and not " + digits(t.Confidence)
	case !(t.Tolerance >= 0) || !finite(t.Tolerance):
		return "the tolerance is a share of the shift, such as 0.25, and not " + digits(t.Tolerance)
	case !(t.Outliers >= 0) || !finite(t.Outliers):
		return "the factor for outliers is a positive number, such as 3, and not " + digits(t.Outliers)
	case math.IsNaN(t.Increase) || math.IsNaN(t.Decrease):
		return "the allowed effect is a number, and not NaN"
	case t.Direction > adg.Either:
		return "there is no direction " + t.Direction.String()
	}
	return ""
}

// prepare is a sorted copy of the samples without missing values and, where asked for, without outliers.
func prepare(t adg.RankTest, samples []float64) []float64 {
	sorted := make([]float64, 0, len(samples))
	for _, v := range samples {
		switch {
		case !math.IsNaN(v):
			sorted = append(sorted, v+0) // -0 becomes 0: they are the same value, and the ends of an interval are told by their bits
		case t.NaNAsZero:
			sorted = append(sorted, 0)
		}
	}
	slices.Sort(sorted)
	if t.Outliers > 0 && len(sorted) > 0 {
		lower, upper := fences(sorted, t.Outliers)
		sorted = slices.DeleteFunc(sorted, func(v float64) bool { return v < lower || v > upper })
	}
	return sorted
}

// fences are the values beyond which one is an outlier: the interquartile range widened by a factor on either side,
// and never closer than the 1st and the 99th percentile.
func fences(sorted []float64, factor float64) (lower, upper float64) {
	q1, q3 := percentile(sorted, 25), percentile(sorted, 75)
	reach := factor * (q3 - q1)
	return min(percentile(sorted, 1), q1-reach), max(percentile(sorted, 99), q3+reach)
}

// percentile interpolates between the two nearest of sorted values (R's type 7).
func percentile(sorted []float64, p float64) float64 {
	at := float64(len(sorted)-1) * p / 100
	i := int(at)
	if i+1 >= len(sorted) || sorted[i] == sorted[i+1] {
		return sorted[i]
	}
	return sorted[i] + (at-float64(i))*(sorted[i+1]-sorted[i])
}

// settled answers what needs no interval.
func settled(r *Result, unit string, t adg.RankTest, x, y []float64) bool {
	switch {
	case len(x) == 0 || len(y) == 0:
		r.Text = "no data: there are " + sizes(*r)
		if t.NaNAsZero {
			r.Class = Pass
			r.Text += ", and no data is taken as zero here"
		}
	case infinite(x) || infinite(y):
		r.Class, r.Text = Error, "there is an infinite value among "+sizes(*r)
	case slices.Equal(x, y):
		r.Class, r.Text = Pass, "the same on both sides: "+sizes(*r)
		r.Lower, r.Upper, r.Estimate = 0, 0, 0
	case x[0] == x[len(x)-1] && y[0] == y[len(y)-1] && x[0] == y[0]:
		r.Class, r.Text = Pass, "always "+adg.Amount(x[0], unit, 4)+" on both sides: "+sizes(*r)
		r.Lower, r.Upper, r.Estimate = 0, 0, 0
	default:
		return false
	}
	if len(x) > 0 && len(y) > 0 && r.Class == Pass {
		r.Effect = effect(t, pair{x: x, y: y})
	}
	return true
}

// effect is the effect size; NaN where it can't be told.
func effect(t adg.RankTest, p pair) float64 {
	if t.CLES {
		return 0.5 + p.excess(0)/(float64(len(p.x))*float64(len(p.y)))
	}
	canary, base := mean(p.x), mean(p.y)
	if canary == 0 || base == 0 || !finite(canary/base) {
		return math.NaN()
	}
	return canary / base
}

func classify(t adg.RankTest, r Result) Class {
	bound := t.Tolerance * math.Abs(r.Estimate)
	told := !math.IsNaN(r.Effect)
	switch {
	case t.Direction != adg.Decrease && r.Lower > bound && (!told || r.Effect >= t.Increase):
		return High
	case t.Direction != adg.Increase && r.Upper < -bound && (!told || r.Effect <= t.Decrease):
		return Low
	}
	return Pass
}

func mean(values []float64) float64 {
	sum := 0.0
	for _, v := range values {
		sum += v
	}
	return sum / float64(len(values))
}

func infinite(sorted []float64) bool { return !finite(sorted[0]) || !finite(sorted[len(sorted)-1]) }

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

// sentence says what was found, of how much, and why it is the class that it is.
func sentence(unit string, t adg.RankTest, r Result) string {
	var text strings.Builder
	switch r.Class {
	case High:
		text.WriteString("higher than the control")
	case Low:
		text.WriteString("lower than the control")
	case Pass, Nodata, Error:
		text.WriteString("no difference that counts")
	}
	fmt.Fprintf(&text, ": shifted by %s, %s %% interval %s to %s (%s, %s", adg.Difference(r.Estimate, unit, 4), digits(100*t.Confidence),
		adg.Difference(r.Lower, unit, 4), adg.Difference(r.Upper, unit, 4), sizes(r), r.Method)
	name := "ratio of the means"
	if t.CLES {
		name = "probability to be the larger"
	}
	if !math.IsNaN(r.Effect) {
		fmt.Fprintf(&text, "; %s %s", name, digits(r.Effect))
	}
	text.WriteString(")")
	if r.Class == Pass {
		fmt.Fprintf(&text, "; limit: beyond ±%s", adg.Difference(t.Tolerance*math.Abs(r.Estimate), unit, 4))
	}
	return text.String()
}

func sizes(r Result) string {
	return fmt.Sprintf("%d samples against %d of the control", r.N, r.Base)
}

func digits(v float64) string { return strconv.FormatFloat(v+0, 'g', 4, 64) }
