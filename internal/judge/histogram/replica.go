package histogram

import (
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// Replica is the histograms that one target showed, scrape by scrape.
type Replica struct {
	Labels  map[string]string // without le
	Samples []adg.HistogramSample
	Skipped int // scrapes of a classic histogram that lacked the bucket le="+Inf"
}

// Read makes histograms of series as a source answers with them: classic ones, a series per le label and replica, and
// native ones, a series per replica. They come in the order in which each replica was first seen. Scrapes that were
// marked stale are left out, as are the buckets that a scrape lacks: those around them then are one. Series that
// are no buckets, or hold what no counter shows, are Invalid. A replica has 1024 buckets at most; how many
// series and samples there may be is up to the source.
func Read(series []adg.Series) ([]Replica, error) {
	var order []*classic
	groups := map[string]*classic{}
	for _, s := range series {
		key := keyOf(s.Labels)
		g := groups[key]
		if g == nil {
			g = &classic{labels: s.Labels}
			groups[key] = g
			order = append(order, g)
		}
		if err := g.add(s); err != nil {
			return nil, adg.Errorf(adg.Invalid, "series %s: %w", name(s.Labels), err)
		}
	}
	replicas := make([]Replica, 0, len(order))
	for _, g := range order {
		r, err := g.replica()
		if err != nil {
			return nil, adg.Errorf(adg.Invalid, "histogram %s: %w", name(g.labels), err)
		}
		replicas = append(replicas, r)
	}
	return replicas, nil
}

// Private

// classic gathers what belongs to one replica, whichever kind it turns out to be.
type classic struct {
	labels map[string]string
	bounds int
	counts []counted
	native []adg.HistogramSample
}

// counted is one sample of one bucket's counter.
type counted struct {
	at time.Time
	Cumulative
}

func (g *classic) add(s adg.Series) error {
	if len(s.Histograms) > 0 {
		for _, h := range s.Histograms {
			h.Buckets = slices.Clone(h.Buckets)
			for i, b := range h.Buckets {
				h.Buckets[i] = point(b)
			}
			if err := validate(h.Buckets); err != nil {
				return err
			}
			g.native = append(g.native, h)
		}
		return nil
	}
	if len(s.Samples) == 0 {
		return nil
	}
	text, found := s.Labels["le"]
	if !found {
		return adg.Errorf(adg.Invalid, "it has no label le: select the series whose names end in _bucket, with le left in, or a native histogram")
	}
	le, err := strconv.ParseFloat(text, 64)
	if err != nil || le != le {
		return adg.Errorf(adg.Invalid, "le=%q is no number", adg.Printable(text))
	}
	if g.bounds++; g.bounds > maxBuckets {
		return adg.Errorf(adg.Invalid, "it has more than %d buckets", maxBuckets)
	}
	for _, v := range s.Samples {
		if v.Value != v.Value { // stale
			continue
		}
		g.counts = append(g.counts, counted{v.At, Cumulative{le, v.Value}})
	}
	return nil
}

func (g *classic) replica() (Replica, error) {
	r := Replica{Labels: maps.Clone(g.labels), Samples: g.native}
	delete(r.Labels, "le")
	if len(g.native) > 0 && len(g.counts) > 0 {
		return Replica{}, adg.Errorf(adg.Invalid, "it comes as a classic and as a native histogram: select one of them")
	}
	slices.SortStableFunc(r.Samples, func(a, b adg.HistogramSample) int { return a.At.Compare(b.At) })
	slices.SortStableFunc(g.counts, func(a, b counted) int { return a.at.Compare(b.at) })
	var scrape []Cumulative
	for i := 0; i < len(g.counts); {
		at := g.counts[i].at
		scrape = scrape[:0]
		whole := false
		for ; i < len(g.counts) && g.counts[i].at.Equal(at); i++ {
			scrape = append(scrape, g.counts[i].Cumulative)
			whole = whole || g.counts[i].Le > maxFinite
		}
		if !whole {
			r.Skipped++
			continue
		}
		sample, err := FromCumulative(at, scrape)
		if err != nil {
			return Replica{}, err
		}
		r.Samples = append(r.Samples, sample)
	}
	if len(r.Samples) == 0 && r.Skipped > 0 {
		return Replica{}, adg.Errorf(adg.Invalid, "there is no bucket with le=\"+Inf\": how many requests there were is not known without it")
	}
	return r, nil
}

// keyOf tells replicas apart: all labels but le.
func keyOf(labels map[string]string) string {
	var key strings.Builder
	for _, k := range slices.Sorted(maps.Keys(labels)) {
		if k != "le" {
			key.WriteString(strconv.Quote(k) + strconv.Quote(labels[k]))
		}
	}
	return key.String()
}

// name shows labels to people, bounded.
func name(labels map[string]string) string {
	var text strings.Builder
	for i, k := range slices.Sorted(maps.Keys(labels)) {
		if i > 0 {
			text.WriteString(", ")
		}
		text.WriteString(k + "=" + strconv.Quote(labels[k]))
	}
	out := adg.Printable(text.String())
	if runes := []rune(out); len(runes) > 200 {
		out = string(runes[:200]) + "…"
	}
	return "{" + out + "}"
}
