package predict

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/deployguardian/adg"
)

func TestWhatMattersIsLearned(t *testing.T) {
	w := newWorld(1)
	l := NewLearner(worldNames, Settings{Seed: 1})
	n := many(2000)
	answer, base := w.lived(l, n)
	if answer > 0.93*base {
		t.Errorf("log-loss %.1f, of the base rate %.1f: too little was learned", answer, base)
	}
	card := l.Model().Card
	if !card.Better || !strings.HasPrefix(card.Standing(), fmt.Sprintf("better than your base rate (%d outcomes", n)) || *card.Score.AUC < 0.7 {
		t.Errorf("%+v: %s", card, card.Standing())
	}
	risky := l.Model().predict(t, 400, 20, 20, "jobs")
	safe := l.Model().predict(t, 0.05, 1, 9, "web")
	if risky.Failure < 5*safe.Failure || !(risky.Low < risky.Failure && risky.Failure < risky.High) {
		t.Errorf("risky %+v, safe %+v", risky, safe)
	}
}

func TestNoiseIsNotWorseThanTheBaseRateForLong(t *testing.T) {
	for seed := range uint64(many(5)) {
		w := newWorld(seed)
		w.noise = true
		l := NewLearner(worldNames, Settings{Seed: seed, Prior: Shipped()})
		answer, base := w.lived(l, 1000)
		if answer > base+6 {
			t.Errorf("seed %d: log-loss %.1f, of the base rate %.1f", seed, answer, base)
		}
		if card := l.Model().Card; card.Better || !strings.HasPrefix(card.Standing(), "not yet better than your base rate") {
			t.Errorf("seed %d: %s with a gain of %g", seed, card.Standing(), card.Gain)
		}
	}
}

func TestTheAnswerLosesLittleAgainstTheUsualBlend(t *testing.T) {
	w := newWorld(1)
	l := NewLearner(worldNames, Settings{Seed: 1})
	w.lived(l, 400)
	if e := l.model.Experts[blendUsual]; e.Weight <= 0 || len(e.Members) == 0 {
		t.Fatalf("the usual blend is not among the experts: %+v", e)
	}
	answer, usual := 0.0, 0.0
	for range 600 {
		values, service, failed := w.deployment()
		id, p := l.Add(values, service)
		answer += surprise(logit(p.Failure), failed)
		usual += surprise((logit(p.Experts[textbook])+logit(p.Experts[boosted]))/2, failed)
		l.Learn(id, failed)
	}
	if answer > usual+3 {
		t.Errorf("log-loss %.1f, of the usual blend %.1f", answer, usual)
	}
}

func TestWeightMovesBackWhenWhatWasLearnedIsNoLongerTrue(t *testing.T) {
	w := newWorld(3)
	l := NewLearner(worldNames, Settings{Seed: 1})
	w.lived(l, many(1500))
	w.noise = true
	answer, base := w.lived(l, many(1500))
	if answer > base+25 {
		t.Errorf("log-loss %.1f after the change, of the base rate %.1f", answer, base)
	}
}

func TestSameRowsGiveTheSameModel(t *testing.T) {
	var models [][]byte
	for range 2 {
		l := NewLearner(worldNames, Settings{Seed: 5, Prior: Shipped()})
		newWorld(5).lived(l, many(600))
		text, err := Encode(l.Model())
		if err != nil {
			t.Fatal(err)
		}
		models = append(models, text)
	}
	if !bytes.Equal(models[0], models[1]) {
		t.Error("two trainings on the same rows differ")
	}
	other := NewLearner(worldNames, Settings{Seed: 5})
	newWorld(6).lived(other, many(600))
	m, err := Decode(models[0])
	if err != nil {
		t.Fatal(err)
	}
	if m.Card.Fingerprint == other.Model().Card.Fingerprint {
		t.Error("other rows have the same fingerprint")
	}
}

func TestModelPredictsTheSameAfterItWasStored(t *testing.T) {
	l := NewLearner(worldNames, Settings{Seed: 2, Prior: Shipped()})
	w := newWorld(2)
	w.lived(l, many(800))
	m := l.Model()
	text, err := Encode(m)
	if err != nil {
		t.Fatal(err)
	}
	again, err := Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	for range 50 {
		values, service, _ := w.deployment()
		if got, want := again.Predict(values, service).Failure, m.Predict(values, service).Failure; got != want {
			t.Fatalf("%g, before it was stored %g", got, want)
		}
	}
}

func TestFeatureThatIsMissingForTheFirstTimeLeavesTheModelInUse(t *testing.T) {
	l := NewLearner([]string{"nf"}, Settings{Seed: 1})
	add := func(files float64, failed bool) {
		id, _ := l.Add([]float64{files}, "")
		l.Learn(id, failed)
	}
	for i := range 400 {
		add(float64(i%20), i%20 > 14 && i%3 > 0)
	}
	l.Refit()
	if l.model.Experts[boostedOnRidge].Ensemble == nil {
		t.Fatal("no trees were trained")
	}
	add(math.NaN(), false)
	l.Refit()
	text, err := Encode(l.Model())
	if err != nil {
		t.Fatal(err)
	}
	m, err := Decode(text)
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.Predict([]float64{19}, "").Failure, l.Model().Predict([]float64{19}, "").Failure; got != want || m.Experts[boostedOnRidge].Ensemble == nil {
		t.Errorf("%g, before it was stored %g", got, want)
	}
}

func TestContributionsAddUpToThePrediction(t *testing.T) {
	l := NewLearner(worldNames, Settings{Seed: 4, Prior: Shipped()})
	w := newWorld(4)
	w.lived(l, many(1200))
	m := l.Model()
	if m.Experts[forest].Ensemble == nil || m.Experts[boosted].Ensemble == nil {
		t.Fatal("no trees were trained")
	}
	for range 40 {
		values, service, _ := w.deployment()
		e := m.Explain(values, service)
		sum := e.Base
		for _, c := range e.Contributions {
			sum += c.Points
		}
		if want := m.Predict(values, service).Failure; math.Abs(sum-want) > 1e-9 {
			t.Fatalf("base and contributions are %g, the prediction is %g", sum, want)
		}
	}
}

func TestEverySubsetOfTheFeaturesIsEnough(t *testing.T) {
	l := NewLearner(worldNames, Settings{Seed: 1, Prior: Shipped()})
	w := newWorld(8)
	w.lived(l, many(600))
	m := l.Model()
	for subset := range 1 << len(worldNames) {
		values, service, _ := w.deployment()
		values[4] = 0.5
		for j := range values {
			if subset>>j&1 == 0 {
				values[j] = math.NaN()
			}
		}
		p, e := m.Predict(values, service), m.Explain(values, service)
		if !(p.Failure > 0 && p.Failure < 1) || !(p.Low <= p.Failure && p.Failure <= p.High) {
			t.Fatalf("subset %05b: %+v", subset, p)
		}
		for j, name := range worldNames {
			if said := strings.Contains(strings.Join(e.Missing, " "), name); said != (subset>>j&1 == 0) {
				t.Fatalf("subset %05b: missing are said to be %q", subset, e.Missing)
			}
		}
	}
	for _, odd := range []float64{math.Inf(1), -math.MaxFloat64, math.MaxFloat64} {
		if p := m.Predict([]float64{odd, odd, odd, odd, odd}, "never seen"); !(p.Failure > 0 && p.Failure < 1) {
			t.Errorf("%g everywhere: %+v", odd, p)
		}
	}
}

func TestReasonsAreSaidInWords(t *testing.T) {
	l := NewLearner([]string{"nf", "nd"}, Settings{Prior: Shipped()})
	for i := range 200 {
		large := i%4 == 0
		values := []float64{2, 1}
		if large {
			values = []float64{14, 5}
		}
		id, _ := l.Add(values, "")
		l.Learn(id, large && i%8 == 0)
	}
	l.Refit()
	e := l.Model().Explain([]float64{14, 5}, "")
	if len(e.Contributions) == 0 || !strings.Contains(e.Contributions[0].Words, "points: 14 files in 5 directories, usual is 2") || !strings.HasPrefix(e.Contributions[0].Words, "+") {
		t.Errorf("%+v", e.Contributions)
	}
}

func TestNothingKnownIsThePriorRate(t *testing.T) {
	l := NewLearner(worldNames, Settings{})
	if p := l.Model().predict(t, math.NaN(), math.NaN(), math.NaN(), ""); math.Abs(p.Failure-priorFailed/priorTotal) > 0.02 {
		t.Errorf("%+v", p)
	}
	if s := l.Model().Card.Standing(); !strings.HasPrefix(s, "no outcomes yet") {
		t.Error(s)
	}
}

func TestDamagedModelsAreRefused(t *testing.T) {
	l := NewLearner(worldNames, Settings{Seed: 1})
	newWorld(1).lived(l, 400)
	text, err := Encode(l.Model())
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{nil, []byte("{}"), text[:len(text)/2], append([]byte{1}, text...)} {
		if _, err := Decode(bad); adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%d bytes: %v", len(bad), err)
		}
	}
}

func TestModelThatUnpacksWithoutEndIsRefused(t *testing.T) {
	const limit = 1 << 20
	var packed bytes.Buffer
	z := gzip.NewWriter(&packed)
	_, _ = z.Write([]byte(`{"version":1,"model":`))
	_, _ = z.Write(bytes.Repeat([]byte(" "), 2*limit))
	_ = z.Close()
	if _, err := decode(packed.Bytes(), limit); adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), "too large") {
		t.Errorf("%d bytes: %v", packed.Len(), err)
	}
}

func FuzzDecode(f *testing.F) {
	l := NewLearner(worldNames, Settings{Seed: 1})
	newWorld(1).lived(l, 300)
	text, err := Encode(l.Model())
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("\x1f\x8b"))
	f.Fuzz(func(_ *testing.T, text []byte) {
		m, err := Decode(text)
		if err != nil {
			return
		}
		m.Predict(make([]float64, len(m.Names)), "api")
		m.Explain(make([]float64, len(m.Names)), "api")
	})
}

// predict is a prediction for the three features that matter.
func (m *Model) predict(t *testing.T, la, nf, hour float64, service string) Prediction {
	t.Helper()
	return m.Predict([]float64{la, nf, hour, 0, math.NaN()}, service)
}
