package predict

import (
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Private

// phrases say a value of a feature that is known by its name; others are said as "name value".
var phrases = map[string]string{
	"nf": "%s files", "nd": "%s directories", "ns": "%s subsystems", "la": "%s lines added", "ld": "%s lines deleted",
	"lt": "files of %s lines", "entropy": "a spread of %s over the files", "ndev": "%s developers before", "nuc": "%s changes before",
	"age": "%s days since the last change", "exp": "%s changes by the author before", "n_commits": "%s commits", "n_authors": "%s authors",
	"newfiles": "%s new files", "versions_skipped": "%s versions since the live one", "hour": "at %s o'clock", "migrations": "%s migrations",
	"npriorchanges": "%s earlier changes of the files", "tests": "%s test files", "config": "%s configuration files", "docs": "%s files of documentation",
	"bot_share": "a share of %s of the commits by bots", "fix": "a share of %s of the commits are fixes", "oldest_commit_h": "%s hours since the oldest commit",
	"min_exp": "%s changes by the least experienced author before", "reverts": "%s reverts", "dow": "on day %s of the week (0 is Monday)", "deploy_no": "the deployment number %s",
	"rexp": "%s recent changes by the author before", "sexp": "%s changes by the author to these subsystems before", "deps_changed": "%s dependencies changed",
	"deps_major": "%s dependencies with a new major version", "complexity_delta": "%s branches more in the code", "generated": "%s generated files",
	"h_deploys_24h": "%s deployments within a day", "h_sub_fail": "a share of %s of the service's deployments failed", "batch_age_h": "%s hours since the live commit",
	"deleted_files": "%s files removed", "renames": "%s files renamed", "functions_touched": "%s functions touched", "pipelines": "%s pipeline files",
	"deps": "%s dependency files", "infra": "%s infrastructure files", "h_since_last_deploy": "%s hours since the last deployment",
	"h_reverts_7d": "%s failed deployments within a week", "under_way": "%s deployments of others under way",
	"actor_deploys": "%s deployments by the same person before", "actor_fail": "a share of %s of this person's deployments failed",
	"file_fail": "a share of %s of the deployments that touched these files failed", "author_fail": "a share of %s of these authors' deployments failed",
	"base_error_rate": "a share of %s of the requests failed before", "base_latency_s": "a latency of %s seconds before", "base_health_score": "a health score of %s before",
	"base_failing_checks": "%s checks failed before", "base_saturation": "a share of %s of a limit used before", "open_incidents": "%s open incidents",
	"tests_total": "%s tests", "tests_failed": "%s failed tests", "tests_flaky": "%s flaky tests", "tests_duration_s": "tests that took %s seconds",
	"coverage_change": "%s points of coverage gained", "steps": "%s steps", "bake_min": "%s minutes of baking",
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
		f.Words = fmt.Sprintf("%s: %s in %s, usual is %s", inPoints(f.Points), counted(short(*f.Value)+" files"), counted(short(*d.Value)+" directories"), short(f.Usual))
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
		return counted(fmt.Sprintf(phrase, value)) + ", usual is " + usual
	}
	return c.Feature + " " + value + ", usual is " + usual
}

// counted says one of something in the singular.
func counted(text string) string {
	rest, one := strings.CutPrefix(text, "1 ")
	if !one {
		return text
	}
	for i, word := range strings.Fields(rest) {
		switch {
		case strings.HasSuffix(word, "ies"):
			return strings.Replace(text, word, strings.TrimSuffix(word, "ies")+"y", 1)
		case strings.HasSuffix(word, "s") && (i == 0 || !strings.HasSuffix(strings.Fields(rest)[0], "s")):
			return strings.Replace(text, word, strings.TrimSuffix(word, "s"), 1)
		}
	}
	return text
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
