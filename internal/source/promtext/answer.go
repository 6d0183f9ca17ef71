package promtext

import (
	"bytes"
	"errors"
	"math"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// Sample is one as the APIs of Prometheus and of those that speak like it write it: [seconds, "value"].
type Sample adg.Sample

// UnmarshalJSON refuses everything else, and times that no calendar has.
func (s *Sample) UnmarshalJSON(text []byte) error {
	stamp, value, ok := bytes.Cut(bytes.TrimSuffix(bytes.TrimPrefix(text, []byte("[")), []byte("]")), []byte(","))
	at, err := strconv.ParseFloat(string(bytes.TrimSpace(stamp)), 64)
	const year9999 = 253402300799
	if !ok || err != nil || !(math.Abs(at) <= year9999) {
		return errors.New("a sample is [seconds, \"value\"]")
	}
	unquoted, err := strconv.Unquote(string(bytes.TrimSpace(value)))
	if err != nil {
		return errors.New("a sample is [seconds, \"value\"]")
	}
	s.At = time.UnixMilli(int64(math.Round(at * 1000))).UTC()
	s.Value, err = strconv.ParseFloat(unquoted, 64)
	if err != nil && !errors.Is(err, strconv.ErrRange) { // what is too large for a float64 is an infinity
		return errors.New("the value of a sample is not a number")
	}
	return nil
}

// Excerpt keeps a query recognisable in an error.
func Excerpt(text string) string { return strconv.Quote(Shortened(text)) }

// Shortened is the beginning of a text of strangers that is too long for an error.
func Shortened(text string) string {
	const longest = 200
	if len(text) > longest {
		return strings.ToValidUTF8(text[:longest], "") + "…"
	}
	return text
}
