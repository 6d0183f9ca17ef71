package prometheus

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"strconv"
	"time"

	"github.com/deployguardian/adg"
)

// Private

// histograms are the native histograms of one series, each written as
// [seconds, {"count": "9", "sum": "1.5", "buckets": [[rule, "lower", "upper", "count"], …]}].
type histograms []adg.HistogramSample

var errHistogram = errors.New("a histogram is [seconds, {count, sum, buckets}]")

// UnmarshalJSON counts before it makes room.
func (h *histograms) UnmarshalJSON(text []byte) error {
	if bytes.Count(text, []byte("[")) > maxSamples {
		return errTooManySamples
	}
	var all [][2]json.RawMessage
	if err := json.Unmarshal(text, &all); err != nil {
		return errHistogram
	}
	*h = make(histograms, len(all))
	for i, pair := range all {
		if err := (*h)[i:i+1].one(pair[0], pair[1]); err != nil {
			return err
		}
	}
	return nil
}

// one reads into the first element.
func (h histograms) one(stamp, body []byte) error {
	var written struct {
		Count   string               `json:"count"`
		Buckets [][4]json.RawMessage `json:"buckets"`
	}
	at, err := strconv.ParseFloat(string(bytes.TrimSpace(stamp)), 64)
	const year9999 = 253402300799
	if err != nil || !(math.Abs(at) <= year9999) || json.Unmarshal(body, &written) != nil {
		return errHistogram
	}
	h[0].At = time.UnixMilli(int64(math.Round(at * 1000))).UTC()
	if h[0].Count, err = strconv.ParseFloat(written.Count, 64); err != nil {
		return errHistogram
	}
	for _, b := range written.Buckets {
		var numbers [3]float64
		for k := range numbers {
			text, err := strconv.Unquote(string(bytes.TrimSpace(b[k+1])))
			if err == nil {
				numbers[k], err = strconv.ParseFloat(text, 64)
			}
			if err != nil {
				return errHistogram
			}
		}
		h[0].Buckets = append(h[0].Buckets, adg.HistogramBucket{Lower: numbers[0], Upper: numbers[1], Count: numbers[2]})
	}
	return nil
}
