package predict

import (
	"math/rand/v2"
	"testing"
)

// BenchmarkTraining trains all experts on 20,000 rows of 40 features, and BenchmarkPrediction asks the model about one.
func BenchmarkTraining(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		l := wide(20_000, 40)
		b.StartTimer()
		l.Refit()
	}
}

func BenchmarkPrediction(b *testing.B) {
	l := wide(5_000, 40)
	l.Refit()
	m := l.Model()
	values := make([]float64, 40)
	b.ReportAllocs()
	for b.Loop() {
		m.Predict(values, "api")
	}
}

// wide is a learner that has seen rows of so many features, of which the first few matter.
func wide(rows, features int) *Learner {
	r := rand.New(rand.NewPCG(1, 2))
	names := make([]string, features)
	for i := range names {
		names[i] = string(rune('a'+i%26)) + string(rune('a'+i/26))
	}
	l := NewLearner(names, Settings{Seed: 1})
	values := make([]float64, features)
	for range rows {
		risk := -3.0
		for j := range values {
			values[j] = r.NormFloat64()
			if j < 5 {
				risk += 0.4 * values[j]
			}
		}
		id, _ := l.Add(values, "api")
		l.Learn(id, r.Float64() < sigmoid(risk))
	}
	return l
}
