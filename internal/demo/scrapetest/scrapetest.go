// Package scrapetest reads metrics as Prometheus does, for the demo's tests.
package scrapetest

import (
	"context"
	"net/http"
	"testing"
	"time"

	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
)

// Metrics is one scrape.
type Metrics map[string]*dto.MetricFamily

// Read scrapes a URL.
func Read(t *testing.T, url string) Metrics {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s answers %s", url, response.Status)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return families
}

// Sum adds up the series of a counter or gauge that have these labels, given as name, value, name, value. A family
// that is not there fails the test.
func (m Metrics) Sum(t *testing.T, name string, labels ...string) float64 {
	t.Helper()
	sum := 0.0
	for _, x := range m.series(t, name, labels) {
		sum += x.GetCounter().GetValue() + x.GetGauge().GetValue()
	}
	return sum
}

// Mean is the mean of a histogram's observations, and how many there are.
func (m Metrics) Mean(t *testing.T, name string, labels ...string) (mean, n float64) {
	t.Helper()
	sum := 0.0
	for _, x := range m.series(t, name, labels) {
		sum += x.GetHistogram().GetSampleSum()
		n += float64(x.GetHistogram().GetSampleCount())
	}
	return sum / n, n
}

// Private

func (m Metrics) series(t *testing.T, name string, labels []string) []*dto.Metric {
	t.Helper()
	family := m[name]
	if family == nil {
		t.Fatalf("there is no metric %s", name)
	}
	var found []*dto.Metric
	for _, x := range family.GetMetric() {
		if has(x, labels) {
			found = append(found, x)
		}
	}
	return found
}

func has(x *dto.Metric, labels []string) bool {
	for i := 0; i < len(labels); i += 2 {
		found := false
		for _, l := range x.GetLabel() {
			found = found || l.GetName() == labels[i] && l.GetValue() == labels[i+1]
		}
		if !found {
			return false
		}
	}
	return true
}
