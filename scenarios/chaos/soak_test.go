//go:build linux

package chaos

import (
	"bufio"
	"context"
	"encoding/csv"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"
)

// gauges are what is sampled of the server, by the names of its metrics.
var gauges = []string{
	"process_resident_memory_bytes", "go_memstats_heap_inuse_bytes", "go_goroutines", "process_open_fds", "adg_ticks_total",
}

// allowed is how much more of each gauge there may be in the last quarter than in the second, as a part and at least.
// Memory that was asked for once is given back late, so it has some room; handles and goroutines have next to none.
var allowed = map[string]struct{ part, least float64 }{
	"process_resident_memory_bytes": {0.15, 16 << 20},
	"go_memstats_heap_inuse_bytes":  {0.25, 12 << 20},
	"go_goroutines":                 {0.10, 20},
	"process_open_fds":              {0.10, 15},
}

// sample is one look at the server.
type sample struct {
	at     time.Duration
	values []float64 // as gauges
}

// TestServerUnderLoadDoesNotGrow loads one server with deployments, good and bad, and looks at its memory, goroutines
// and file handles. In CI it is short, and shows that the measuring works; growth is judged from ten minutes on.
func TestServerUnderLoadDoesNotGrow(t *testing.T) {
	lasts := 10 * time.Second
	if text := os.Getenv("ADG_SOAK"); text != "" {
		var err error
		lasts, err = time.ParseDuration(text)
		must(t, err)
	}
	c := assemble(t, scale{services: 16, interval: time.Second, seed: 1}, 1)
	ctx, cancel := context.WithTimeout(t.Context(), lasts)
	defer cancel()
	var load sync.WaitGroup
	for i := range c.scale.services {
		load.Go(func() { c.churn(ctx, i) })
	}
	samples := c.watch(ctx, max(lasts/400, time.Second))
	load.Wait()
	path := os.Getenv("ADG_SOAK_CSV")
	if path == "" {
		path = filepath.Join(t.TempDir(), "soak.csv")
	}
	must(t, write(path, samples))
	if len(samples) < 2 {
		t.Fatalf("%d samples are too few to say anything", len(samples))
	}
	t.Logf("%s, %d samples, %d deployments", lasts, len(samples), len(c.runs))
	for i, name := range gauges {
		t.Logf("%-32s first %12.0f  last %12.0f  slope %+12.1f an hour", name, samples[0].values[i], samples[len(samples)-1].values[i], slope(samples[len(samples)/4:], i))
		limit, judged := allowed[name]
		early, late := mean(samples[len(samples)/4:len(samples)/2], i), mean(samples[len(samples)*3/4:], i)
		if judged && lasts >= 10*time.Minute && late-early > max(limit.part*early, limit.least) {
			t.Errorf("%s grew from %.0f to %.0f", name, early, late)
		}
	}
	if lasts >= 10*time.Minute {
		early, late := samples[len(samples)/4:len(samples)/2], samples[len(samples)*3/4:]
		if before, after := rate(early, "adg_ticks_total"), rate(late, "adg_ticks_total"); after < before/2 {
			t.Errorf("the load went from %.1f to %.1f ticks a second: what was measured says nothing about the end", before, after)
		}
	}
	for _, err := range c.broken {
		t.Error(err)
	}
}

// rate is how much a counter rose per second over samples.
func rate(samples []sample, counter string) float64 {
	i, first, last := slices.Index(gauges, counter), samples[0], samples[len(samples)-1]
	return (last.values[i] - first.values[i]) / (last.at - first.at).Seconds()
}

// churn deploys one release after the other until the time is over.
func (c *chaos) churn(ctx context.Context, service int) {
	for i := 0; ctx.Err() == nil; i++ {
		r := &run{service: fmt.Sprintf("s%d", service), number: i, version: fmt.Sprintf("v%d", i+1), bad: (i+service)%3 == 2}
		if r.bad {
			r.version += "-bad"
		}
		c.mu.Lock()
		c.runs = append(c.runs, r)
		c.mu.Unlock()
		if err := c.deploy(ctx, r); err != nil && ctx.Err() == nil {
			c.check(fmt.Errorf("%s %s: %w", r.service, r.version, err))
			return
		}
	}
}

// watch samples the server until the time is over.
func (c *chaos) watch(ctx context.Context, every time.Duration) (samples []sample) {
	tick := time.NewTicker(every)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return samples
		case <-tick.C:
		}
		values, err := c.scrape(ctx)
		if err != nil {
			if ctx.Err() == nil {
				c.check(err)
			}
			continue
		}
		samples = append(samples, sample{time.Since(c.world.begun), values})
	}
}

// scrape reads the server's own metrics.
func (c *chaos) scrape(ctx context.Context) ([]float64, error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, c.replicas[0].at()+"/metrics", nil)
	if err != nil {
		return nil, err
	}
	r.Header.Set("Authorization", "Bearer "+metricsToken)
	answer, err := c.caller.client.Do(r)
	if err != nil {
		return nil, err
	}
	defer answer.Body.Close()
	values, found := make([]float64, len(gauges)), 0
	lines := bufio.NewScanner(answer.Body)
	for lines.Scan() {
		name, value, _ := strings.Cut(lines.Text(), " ")
		if i := slices.Index(gauges, name); i >= 0 {
			if values[i], err = strconv.ParseFloat(value, 64); err != nil {
				return nil, err
			}
			found++
		}
	}
	if found != len(gauges) {
		return nil, fmt.Errorf("%s: %d of the metrics %v, want all", answer.Status, found, gauges)
	}
	return values, lines.Err()
}

// write leaves the samples for whoever wants to draw them.
func write(path string, samples []sample) error {
	file, err := os.Create(path)
	if err != nil {
		return err
	}
	out := csv.NewWriter(file)
	rows := [][]string{append([]string{"seconds"}, gauges...)}
	for _, s := range samples {
		row := []string{fmt.Sprintf("%.1f", s.at.Seconds())}
		for _, v := range s.values {
			row = append(row, strconv.FormatFloat(v, 'f', -1, 64))
		}
		rows = append(rows, row)
	}
	if err := out.WriteAll(rows); err != nil {
		return err
	}
	return file.Close()
}

// slope is the least squares' line through one gauge, an hour.
func slope(samples []sample, gauge int) float64 {
	n := float64(len(samples))
	var x, y, xx, xy float64
	for _, s := range samples {
		at, v := s.at.Hours(), s.values[gauge]
		x, y, xx, xy = x+at, y+v, xx+at*at, xy+at*v
	}
	return (n*xy - x*y) / (n*xx - x*x)
}

func mean(samples []sample, gauge int) float64 {
	sum := 0.0
	for _, s := range samples {
		sum += s.values[gauge]
	}
	return sum / float64(len(samples))
}
