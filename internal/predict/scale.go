package predict

import "math"

// Scale turns raw features into numbers that one ridge fits all of: the signed logarithm, standardised over every
// row that was seen (no outcome is needed for that), a missing value at the mean. A feature that is missing now and
// then gets a second, standardised number that says so.
type Scale struct {
	Mean    []float64 `json:"mean"`
	Dev     []float64 `json:"dev"`     // 0: the feature is constant or was never there, and counts for nothing
	Missing []float64 `json:"missing"` // the share of the rows without it
	Usual   []float64 `json:"usual"`   // the raw value in the middle, for the words
	flags   []int     // features with a second number, in their order; made by index
}

// Private

// fitScale standardises over the rows; the prior's moments count as a few rows of their own until there are enough.
func fitScale(rows [][]float64, width int, prior func(feature int) (mean, dev float64, known bool)) Scale {
	s := Scale{Mean: make([]float64, width), Dev: make([]float64, width), Missing: make([]float64, width), Usual: make([]float64, width)}
	values := make([]float64, 0, len(rows))
	for j := range width {
		values = values[:0]
		for _, row := range rows {
			if !math.IsNaN(row[j]) {
				values = append(values, signedLog(row[j]))
			}
		}
		s.Mean[j], s.Dev[j] = moments(values)
		if len(rows) > 0 {
			s.Missing[j] = 1 - float64(len(values))/float64(len(rows))
		}
		s.Usual[j] = 0
		if len(values) > 0 {
			s.Usual[j] = unsignedLog(median(values))
		}
		if mean, dev, known := prior(j); known && len(values) < fewRows {
			n := float64(len(values))
			own := n / (n + pseudoRows)
			shift := s.Mean[j] - mean
			if n == 0 {
				s.Usual[j] = unsignedLog(mean)
			}
			s.Mean[j] = own*s.Mean[j] + (1-own)*mean
			s.Dev[j] = math.Sqrt(own*s.Dev[j]*s.Dev[j] + (1-own)*dev*dev + own*(1-own)*shift*shift)
		}
	}
	s.index()
	return s
}

// The prior's moments count as pseudoRows rows, and no more once fewRows are there.
const (
	pseudoRows = 10
	fewRows    = 50
)

func (s *Scale) index() {
	s.flags = nil
	for j, share := range s.Missing {
		if share > 0 && share < 1 {
			s.flags = append(s.flags, j)
		}
	}
}

// width is how many numbers a row becomes.
func (s *Scale) width() int { return len(s.Mean) + len(s.flags) }

// apply writes the scaled row to z, which has the length width.
func (s *Scale) apply(raw, z []float64) {
	for j, v := range raw {
		z[j] = 0
		if s.Dev[j] > 0 && !math.IsNaN(v) {
			z[j] = (signedLog(v) - s.Mean[j]) / s.Dev[j]
		}
	}
	for i, j := range s.flags {
		missing := 0.0
		if math.IsNaN(raw[j]) {
			missing = 1
		}
		share := s.Missing[j]
		z[len(raw)+i] = (missing - share) / math.Sqrt(share*(1-share))
	}
}

// origin is the feature that the i-th scaled number is about.
func (s *Scale) origin(i int) int {
	if i < len(s.Mean) {
		return i
	}
	return s.flags[i-len(s.Mean)]
}

func signedLog(v float64) float64 { return math.Copysign(math.Log1p(math.Abs(v)), v) }

func unsignedLog(v float64) float64 { return math.Copysign(math.Expm1(math.Abs(v)), v) }

// moments are the mean and the deviation of the whole, not of a sample.
func moments(values []float64) (mean, dev float64) {
	if len(values) == 0 {
		return 0, 0
	}
	n := float64(len(values))
	for _, v := range values {
		mean += v / n
	}
	for _, v := range values {
		dev += (v - mean) * (v - mean) / n
	}
	if dev = math.Sqrt(dev); dev < 1e-9*(1+math.Abs(mean)) {
		dev = 0
	}
	return mean, dev
}
