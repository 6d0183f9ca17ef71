package predict

import (
	"fmt"
	"math"
	"strconv"
)

// Private

// phrases say a value of a feature that is known by its name; others are said as "name value".
var phrases = map[string]string{
	"nf": "%s files", "nd": "%s directories", "ns": "%s subsystems", "la": "%s lines added", "ld": "%s lines deleted",
	"lt": "files of %s lines", "entropy": "a spread of %s over the files", "ndev": "%s developers before", "nuc": "%s changes before",
	"age": "%s days since the last change", "exp": "%s changes by the author before", "n_commits": "%s commits", "n_authors": "%s authors",
	"newfiles": "%s new files", "versions_skipped": "%s versions since the live one", "hour": "at %s o'clock", "migrations": "%s migrations",
	"deps": "%s dependency files", "infra": "%s infrastructure files", "h_since_last_deploy": "%s hours since the last deployment",
	recentFeature: "%s of the recent deployments failed", serviceRecentFeature: "%s of the service's recent deployments failed",
}

// worded says each contribution in words; files and directories are said in one breath.
func worded(all []Contribution) []Contribution {
	files, directories := -1, -1
	for i, c := range all {
		switch c.Feature {
		case "nf":
			files = i
		case "nd":
			directories = i
		}
	}
	if files >= 0 && directories >= 0 && all[files].Value != nil && all[directories].Value != nil {
		f, d := all[files], all[directories]
		f.Feature, f.Points = "nf, nd", f.Points+d.Points
		f.Words = fmt.Sprintf("%s: %s files in %s directories, usual is %s", inPoints(f.Points), short(*f.Value), short(*d.Value), short(f.Usual))
		all[files] = f
		all = append(all[:directories:directories], all[directories+1:]...)
	}
	for i := range all {
		if c := &all[i]; c.Words == "" {
			c.Words = inPoints(c.Points) + ": " + said(*c)
		}
	}
	return all
}

func said(c Contribution) string {
	if c.Feature == serviceFeature {
		return "what this service is like"
	}
	if c.Value == nil {
		return c.Feature + " is not known"
	}
	value, usual := short(*c.Value), short(c.Usual)
	if c.Feature == recentFeature || c.Feature == serviceRecentFeature {
		value, usual = percent(*c.Value), percent(c.Usual)
	}
	if phrase, known := phrases[canonical(c.Feature)]; known {
		return fmt.Sprintf(phrase, value) + ", usual is " + usual
	}
	return c.Feature + " " + value + ", usual is " + usual
}

// inPoints is a probability as signed percentage points.
func inPoints(p float64) string {
	p *= 100
	if math.Abs(p) >= 1 {
		return fmt.Sprintf("%+.0f points", p)
	}
	return fmt.Sprintf("%+.1f points", p)
}

func percent(p float64) string { return strconv.FormatFloat(100*p, 'g', 2, 64) + " %" }

func short(v float64) string {
	if math.Abs(v) >= 100 {
		return strconv.FormatFloat(math.Round(v), 'f', -1, 64)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}
