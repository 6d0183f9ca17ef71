package predict

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"maps"
	"math"
	"slices"
)

// Settings say how a Learner learns.
type Settings struct {
	Seed  uint64
	Prior *Prior // what is known before the first outcome; nil: nothing
	Rows  int    // how many rows are remembered to train on; 0 means 60,000
}

// Learner predicts rows in time order, is told their outcomes when they are known, and learns from them. It is
// deterministic, and its memory is bounded by Settings.Rows. It is not safe for concurrent use.
type Learner struct {
	settings    Settings
	model       Model
	rows        []*row // in the order of their arrival
	pending     map[int]*row
	next        int // id of the next row
	judged      []judged
	outcomes    int // so many were learned from
	trees       int // outcomes at the last training of the trees
	calibrated  int // outcomes at the last calibration
	fingerprint [sha256.Size]byte
}

// NewLearner makes a Learner of rows with the named features.
func NewLearner(names []string, s Settings) *Learner {
	if s.Rows == 0 {
		s.Rows = 60_000
	}
	l := &Learner{settings: s, pending: map[int]*row{}, model: newModel(names)}
	l.Refit()
	return l
}

// Add predicts a row and remembers it until its outcome is known. Values has a number per name, NaN where it is
// missing; service may be empty. The id is for Learn.
func (l *Learner) Add(values []float64, service string) (id int, p Prediction) {
	r := &row{id: l.next, service: service, raw: l.model.complete(values, service)}
	l.next++
	in := l.model.input(r.raw, service)
	r.logits = logits(l.model.Experts, in)
	r.calibrated = calibrated(l.model.Experts, r.logits)
	p = l.model.answer(in, r.calibrated)
	r.answer = p.Failure
	l.rows = append(l.rows, r)
	l.pending[r.id] = r
	if keep := l.settings.Rows; len(l.rows) > keep+keep/8+1 {
		for _, old := range l.rows[:len(l.rows)-keep] {
			delete(l.pending, old.id)
		}
		l.rows = slices.Clone(l.rows[len(l.rows)-keep:])
	}
	return r.id, p
}

// Learn tells what became of a row. A row that is not known, or not any more, changes nothing.
func (l *Learner) Learn(id int, failed bool) {
	r := l.pending[id]
	if r == nil {
		return
	}
	delete(l.pending, id)
	r.known, r.failed = true, failed
	base := sigmoid(r.calibrated[baseRate])
	reweigh(l.model.Experts, r.calibrated, failed)
	l.model.Past.count(r.service, failed)
	l.model.Past.Lead = l.model.Past.Lead.count(surprise(logit(base), failed) - surprise(logit(r.answer), failed))
	l.model.rates()
	l.judged = append(l.judged, judged{r.logits, failed, r.answer, base})
	if len(l.judged) > 2*calibrationRows {
		l.judged = slices.Clone(l.judged[calibrationRows:])
	}
	l.stamp(r)
	r.logits, r.calibrated = nil, nil
	l.outcomes++
	if l.outcomes-l.calibrated >= max(calibrationEvery, int(calibrationGrowth*float64(l.outcomes))) {
		l.calibrate()
	}
}

// Refit trains the experts anew on all that is known: linear ones always, trees when there is enough to gain.
func (l *Learner) Refit() {
	raw := make([][]float64, len(l.rows))
	var s sample
	for i, r := range l.rows {
		raw[i] = r.raw
		if r.known {
			s.raw, s.failed, s.services = append(s.raw, r.raw), append(s.failed, r.failed), append(s.services, r.service)
		}
	}
	m := &l.model
	flags := m.Scale.flags
	m.Scale = fitScale(raw, len(m.Features), l.settings.Prior.moments(m.Features))
	if !slices.Equal(flags, m.Scale.flags) {
		m.dropTrees()
		l.trees = 0
	}
	m.fitLinear(s, l.settings.Prior)
	failures := count(s.failed)
	grown := float64(l.outcomes - l.trees)
	if min(failures, len(s.failed)-failures) >= treeOutcomes && grown >= treeGrowth*float64(len(s.failed)) {
		m.fitTrees(s, l.settings.Seed)
		l.trees = l.outcomes
	}
	l.calibrate()
}

// Outcomes is how many outcomes were learned from.
func (l *Learner) Outcomes() int { return l.outcomes }

// Model is what was learned so far, with its card. Later learning does not change it.
func (l *Learner) Model() *Model {
	m := l.model
	m.Experts = slices.Clone(m.Experts)
	m.Past.Services = maps.Clone(m.Past.Services)
	m.Card = l.card()
	return &m
}

// Private

// Trees need so many outcomes of each kind, and are trained again when there are so many more, in shares.
const (
	treeOutcomes = 10
	treeGrowth   = 0.05
)

// row is one that was predicted.
type row struct {
	id                 int
	raw                []float64
	service            string
	logits, calibrated []float64 // until the outcome is known
	answer             float64
	known, failed      bool
}

func (l *Learner) calibrate() {
	l.calibrated = l.outcomes
	window := l.judged[max(0, len(l.judged)-calibrationRows):]
	for k := range l.model.Experts {
		if e := &l.model.Experts[k]; !uncalibrated(k) {
			e.Slope, e.Offset = calibrate(window, k)
		}
	}
}

// stamp makes an outcome part of the data's fingerprint.
func (l *Learner) stamp(r *row) {
	text := append([]byte(r.service), 0, byte(bit(r.failed)))
	for _, v := range r.raw[:len(l.model.Names)] {
		text = binary.LittleEndian.AppendUint64(text, math.Float64bits(v))
	}
	l.fingerprint = sha256.Sum256(append(l.fingerprint[:], text...))
}

func (l *Learner) card() Card {
	window := l.judged[max(0, len(l.judged)-calibrationRows):]
	c := Card{Outcomes: l.outcomes, Failed: int(l.model.Past.All.Failed), Features: l.model.Names, Fingerprint: hex.EncodeToString(l.fingerprint[:]),
		Seed: l.settings.Seed, Judged: len(window)}
	var p, base []float64
	var failed []bool
	for _, j := range window {
		p, base, failed = append(p, j.answer), append(base, j.base), append(failed, j.failed)
	}
	c.Score, c.Plot = Grade(p, base, failed), Reliability(p, failed, 10)
	c.Better, c.Gain = l.model.Past.Lead.Better()
	return c
}
