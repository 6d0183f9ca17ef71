package importer

import (
	"strings"

	"github.com/deployguardian/adg/internal/importer/manifest"
)

// Private

const (
	successRate = "request-success-rate"
	duration    = "request-duration"
)

// mesh is what a service mesh or an ingress counts of the canary: written after Flagger's documentation of its builtin
// metrics (https://docs.flagger.app/faq#metrics). In selectors the names of Flagger's variables stand in double braces.
type mesh struct {
	counter string // of requests
	code    string // the matcher of those that failed
	buckets string // of how long requests took; empty: sum and count of total, the mean
	total   string
	of      string // matchers of the canary
	factor  string // that makes milliseconds
	version string // matcher that tells the versions apart, where the mesh has such a label
}

const (
	envoyCounter = "envoy_cluster_upstream_rq"
	envoyBuckets = "envoy_cluster_upstream_rq_time_bucket"
	envoyCode    = `envoy_response_code=~"5.*"`
	podOf        = `kubernetes_namespace="{{namespace}}",kubernetes_pod_name=~"{{target}}-[0-9a-zA-Z]+(-[0-9a-zA-Z]+)"`
)

var meshes = map[string]mesh{
	"istio": {counter: "istio_requests_total", code: `response_code=~"5.*"`, buckets: "istio_request_duration_milliseconds_bucket",
		of: `reporter="destination",destination_workload_namespace="{{namespace}}",destination_workload=~"{{target}}"`, version: `destination_version="$version"`},
	"linkerd": {counter: "response_total", code: `classification="failure"`, buckets: "response_latency_ms_bucket",
		of: `namespace="{{namespace}}",deployment=~"{{target}}",direction="inbound"`},
	"nginx": {counter: "nginx_ingress_controller_requests", code: `status=~"5.*"`, total: "nginx_ingress_controller_response_duration_seconds",
		of: `namespace="{{namespace}}",ingress="{{ingress}}",canary!=""`, factor: "1000 * "},
	"contour": {counter: envoyCounter, code: envoyCode, buckets: envoyBuckets, of: `envoy_cluster_name=~"{{namespace}}_{{service}}-canary_[0-9a-zA-Z-]+"`},
	"gloo":    {counter: envoyCounter, code: envoyCode, buckets: envoyBuckets, of: `envoy_cluster_name=~"{{namespace}}-{{target}}-canaryupstream-[0-9a-zA-Z-]+_[0-9a-zA-Z-]+"`},
	"kuma":    {counter: envoyCounter, code: envoyCode, buckets: envoyBuckets, of: `service=~"{{target}}-canary_{{namespace}}_svc_[0-9a-zA-Z-]+"`},
	"knative": {counter: envoyCounter, code: envoyCode, buckets: envoyBuckets, of: `envoy_cluster_name=~"{{namespace}}/{{route}}"`},
	"appmesh": {counter: envoyCounter, code: envoyCode, buckets: envoyBuckets, of: podOf},
	"traefik": {counter: "traefik_service_request_duration_seconds_count", code: `code=~"5.."`, buckets: "traefik_service_request_duration_seconds_bucket",
		of: `service=~"{{namespace}}-{{target}}-canary-[0-9a-zA-Z-]+@kubernetescrd"`, factor: "1000 * "},
	"apisix": {counter: "apisix_http_status", code: `code=~"5.."`, buckets: "apisix_http_latency_bucket",
		of: `route=~"{{namespace}}_{{route}}-{{target}}-canary_.+"`},
	"osm": {counter: "osm_request_total", code: `response_code=~"5.*"`, buckets: "osm_request_duration_ms_bucket",
		of: `destination_namespace="{{namespace}}",destination_kind="Deployment",destination_name="{{target}}"`},
	"kubernetes": {counter: "http_request_duration_seconds_count", code: `status=~"5.*"`, buckets: "http_request_duration_seconds_bucket", of: podOf, factor: "1000 * "},
}

// meshOf is what the provider of a canary counts; false for one whose builtin metrics are not known here.
func meshOf(provider string) (mesh, bool) {
	name, _, _ := strings.Cut(provider, ":")
	if strings.HasPrefix(name, "gatewayapi") {
		name = "kubernetes"
	}
	if name == "" {
		name = "istio"
	}
	m, known := meshes[name]
	return m, known
}

// builtin makes a check of a builtin metric: the share of bad requests from the counters, or how long requests take.
func (f *flagger) builtin(c *check, provider string, server *manifest.Node, low float64, plainLow bool) {
	m, known := meshOf(provider)
	if !known {
		c.source = "prometheus"
		c.keepOut("what the provider " + oneLine(provider, 40) + " counts is not known here: give the check bad and total, or a query")
		return
	}
	if provider == "" {
		f.d.assume(c.from, "the Canary names no provider: the metrics of Istio are asked")
	}
	c.source = f.d.prometheus(server, server.Text())
	args := f.arguments(c.from, nil)
	of := args.inQuery(m.of)
	if c.name == duration {
		c.query = m.factor + "histogram_quantile(0.99, sum by (le) (rate(" + m.buckets + "{" + of + "}[$window])))"
		if m.buckets == "" {
			c.query = m.factor + "sum(rate(" + m.total + "_sum{" + of + "}[$window])) / sum(rate(" + m.total + "_count{" + of + "}[$window]))"
		}
		c.notes = append(c.notes, "In milliseconds.")
		return
	}
	c.bad, c.total = m.counter+"{"+of+","+m.code+"}", m.counter+"{"+of+"}"
	if !plainLow || low < 0 || low > 100 {
		c.keepOut("a success rate has a minimum between 0 and 100 percent here")
		return
	}
	c.fail = "> " + share(low) + "%"
	c.notes = append(c.notes, "At least "+trim(low)+" % had to succeed: the same, said of what fails.")
	instead := check{name: c.name, source: c.source, bad: c.bad, total: c.total, compare: compareSequential, critical: true}
	if m.version != "" {
		instead.bad, instead.total = m.counter+"{"+m.version+","+withoutWorkload(of)+","+m.code+"}", m.counter+"{"+m.version+","+withoutWorkload(of)+"}"
		instead.notes = []string{"Here the version is a label of the mesh's metrics, whose workloads are named -primary and without."}
	} else {
		instead.notes = []string{`Both counters need a label that tells the versions apart, as in version="$version".`}
	}
	c.instead = &instead
}

// withoutWorkload lets a selector of Istio find the stable version, too: Flagger runs it under the name with -primary.
func withoutWorkload(of string) string {
	return strings.Replace(of, `destination_workload=~"$target"`, `destination_workload=~"$target(-primary)?"`, 1)
}

// share is what is left of 100 percent, without the noise of the subtraction.
func share(percent float64) string {
	return trim(round(100 - percent))
}

// round leaves nine decimals.
func round(x float64) float64 { return float64(int64(x*1e9+0.5)) / 1e9 }
