package main

import (
	"github.com/deployguardian/adg/internal/predict"
	"github.com/deployguardian/adg/internal/predict/evaluate"
)

// Private

// coldStart is how good the answer is when so many outcomes are known and no more come.
type coldStart struct {
	outcomes int
	scored   int
	chosen   predict.Score
	base     predict.Score // of the base rate after as many outcomes
}

// coldRows are scored after each number of outcomes; after none at all, the whole table is.
const coldRows = 1000

func coldStarts(t *evaluate.Table, s set, prior *predict.Prior) []coldStart {
	var all []coldStart
	for _, known := range []int{0, 50, 200, 500} {
		all = append(all, cold(t, s, prior, known))
	}
	return all
}

func cold(t *evaluate.Table, s set, prior *predict.Prior, known int) coldStart {
	l := predict.NewLearner(t.Names, predict.Settings{Seed: 1, Prior: prior})
	values := make([]float64, len(t.Names))
	row := func(i int) []float64 {
		for j, v := range t.Values[i] {
			values[j] = float64(v)
		}
		return values
	}
	i, begin := 0, 0.0
	for ; i < len(t.Values) && l.Outcomes() < known; i++ {
		id, _ := l.Add(row(i), t.Groups[i])
		if t.Labels[i] != evaluate.Unlabelled {
			l.Learn(id, t.Labels[i] == evaluate.Failed)
			begin = t.Times[i]
		}
		if n := l.Outcomes(); n > 0 && n%25 == 0 {
			l.Refit()
		}
	}
	l.Refit()
	m := l.Model()
	c := coldStart{outcomes: known}
	var chosen, base []float64
	var failed []bool
	for ; i < len(t.Values) && (known == 0 || len(chosen) < coldRows); i++ {
		if t.Labels[i] == evaluate.Unlabelled || known > 0 && !t.Ordinal && t.Times[i] < begin+s.delay {
			continue
		}
		p := m.Predict(row(i), t.Groups[i])
		chosen, base, failed = append(chosen, p.Failure), append(base, p.Experts[0]), append(failed, t.Labels[i] == evaluate.Failed)
	}
	c.scored, c.chosen, c.base = len(chosen), predict.Grade(chosen, base, failed), predict.Grade(base, base, failed)
	return c
}
