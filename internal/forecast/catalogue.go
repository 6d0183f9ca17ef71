package forecast

import (
	"slices"

	"github.com/deployguardian/adg/internal/change"
)

// Catalogue describes the features that deployments have besides the measures of their change (change.Catalogue), in the
// order of the reference page: those that an installation knows by itself, and those that pipelines tell under names of
// which everybody knows what they mean.
func Catalogue() []change.Measure { return slices.Clone(catalogue) }

// Unknown are those of the names that no catalogue describes, in alphabetical order.
func Unknown(features map[string]float64) []string {
	described := map[string]bool{}
	for _, m := range slices.Concat(change.Catalogue(), catalogue) {
		described[m.Name] = true
	}
	var unknown []string
	for _, name := range sorted(features) {
		if !described[name] {
			unknown = append(unknown, name)
		}
	}
	return unknown
}

// Private

var catalogue = []change.Measure{
	{Name: "hour", Unit: "hour", Source: "clock", Text: "of the start, in UTC; 0 is midnight"},
	{Name: "dow", Unit: "day", Source: "clock", Text: "of the week, in UTC; 0 is Monday"},
	{Name: "h_since_last_deploy", Unit: "hours", Source: "records", Text: "since the service's last deployment in this environment"},
	{Name: "h_deploys_24h", Unit: "deployments", Source: "records", Text: "in this environment within a day"},
	{Name: "h_sub_fail", Unit: "share", Source: "records", Text: "of the service's deployments that failed"},
	{Name: "h_reverts_7d", Unit: "deployments", Source: "records", Text: "in this environment within seven days, that failed"},
	{Name: "under_way", Unit: "deployments", Source: "records", Text: "of other services in this environment that have not ended"},
	{Name: "deploy_no", Unit: "number", Source: "records", Text: "of the service's deployment, among the last 1,000 of the environment"},
	{Name: "actor_deploys", Unit: "deployments", Source: "records", Text: "that the same person or pipeline began, among these"},
	{Name: "actor_fail", Unit: "share", Source: "records", Text: "of the last 200 deployments, those of the same person or pipeline that failed, of all of theirs; mixed with four of the usual kind, as the two that follow"},
	{Name: "file_fail", Unit: "share", Source: "records", Text: "of the last 200 deployments, those of this service that touched one of the same files and failed, of all that did"},
	{Name: "author_fail", Unit: "share", Source: "records", Text: "of the last 200 deployments, those with a commit of one of the same authors that failed, of all with one"},
	{Name: "production", Unit: "0 or 1", Source: "policy", Text: "the environment's name says that customers use it"},
	{Name: "auto", Unit: "0 or 1", Source: "run", Text: "a pipeline begins the deployment, not a person"},
	{Name: "steps", Unit: "steps", Source: "policy", Text: "of the strategy, before the risk steers it"},
	{Name: "strategy_rolling", Unit: "0 or 1", Source: "policy", Text: "the strategy is rolling"},
	{Name: "strategy_blue_green", Unit: "0 or 1", Source: "policy", Text: "the strategy is blue-green"},
	{Name: "strategy_canary", Unit: "0 or 1", Source: "policy", Text: "the strategy is canary"},
	{Name: "strategy_feature_flag", Unit: "0 or 1", Source: "policy", Text: "the strategy is feature-flag"},
	{Name: "strategy_recreate", Unit: "0 or 1", Source: "policy", Text: "the strategy is recreate"},
	{Name: "bake_min", Unit: "minutes", Source: "policy", Text: "that the steps bake, added up"},
	{Name: "verify_min", Unit: "minutes", Source: "policy", Text: "that the phases after the last step take"},
	{Name: "base_error_rate", Unit: "share", Source: "checks", Text: "of the live release's requests that were bad just before, by the check (bad and total) with the largest one"},
	{Name: "base_latency_s", Unit: "seconds", Source: "checks", Text: "its 95th percentile just before, by the slowest histogram, in the histogram's own unit"},
	{Name: "base_saturation", Unit: "share", Source: "checks", Text: "of a fixed upper limit (fail) that was used just before, by the check that is nearest to its own; 1 is at the limit"},
	{Name: "base_health_score", Unit: "0 to 100", Source: "checks", Text: "the live release's score just before"},
	{Name: "base_failing_checks", Unit: "checks", Source: "checks", Text: "that failed just before"},

	{Name: "open_incidents", Unit: "incidents", Source: "pipeline", Text: "open for the service, or for what it depends on"},
	{Name: "tests_total", Unit: "tests", Source: "pipeline", Text: "that ran"},
	{Name: "tests_failed", Unit: "tests", Source: "pipeline", Text: "that failed"},
	{Name: "tests_flaky", Unit: "tests", Source: "pipeline", Text: "that failed and passed when they were run again"},
	{Name: "tests_duration_s", Unit: "seconds", Source: "pipeline", Text: "that the tests took"},
	{Name: "coverage_change", Unit: "percentage points", Source: "pipeline", Text: "of coverage gained since the live release; below zero: lost"},
}
