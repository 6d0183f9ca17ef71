package predict

import (
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"
)

// TestLogisticIsScikitLearns compares with what LogisticRegression(C=1) of scikit-learn 1.2.1 reached, on the signed
// logarithm of the features, standardised; trained on the first 70 % of the rows, scored on the others.
func TestLogisticIsScikitLearns(t *testing.T) {
	const within = 1e-3
	data := os.Getenv("ADG_PREDICTION_DATA")
	if data == "" {
		t.Log("nothing is compared: ADG_PREDICTION_DATA names no folder with the public tables (bench/README.md)")
		return
	}
	for name, want := range map[string]struct{ auc, prAUC, brier, ece, logLoss float64 }{
		"kamei/bugzilla":      {auc: 0.810, prAUC: 0.613, brier: 0.1747, ece: 0.113},
		"kamei/columba":       {auc: 0.745, prAUC: 0.497, brier: 0.1779, ece: 0.152},
		"kamei/jdt":           {auc: 0.7264, prAUC: 0.275, brier: 0.1016, ece: 0.070, logLoss: 0.3473},
		"kamei/postgres":      {auc: 0.825, prAUC: 0.522, brier: 0.1162, ece: 0.077},
		"apachejit/camel":     {auc: 0.769, prAUC: 0.198, brier: 0.0696, ece: 0.109},
		"apachejit/cassandra": {auc: 0.805, prAUC: 0.696, brier: 0.1797, ece: 0.078},
		"apachejit/kafka":     {auc: 0.768, prAUC: 0.541, brier: 0.2656, ece: 0.297},
		"apachejit/spark":     {auc: 0.840, prAUC: 0.653, brier: 0.2173, ece: 0.266},
	} {
		t.Run(name, func(t *testing.T) {
			path := filepath.Join(data, filepath.FromSlash(name)+".csv.gz")
			raw, failed := publicTable(t, path)
			cut := len(raw) * 7 / 10
			m := Model{Scale: fitScale(raw[:cut], len(raw[0]), (*Prior)(nil).moments(make([]string, len(raw[0]))))}
			z, _ := m.scaled(raw)
			l := fitLogistic(z[:cut], failed[:cut], nil, ridge{strength: 1})
			var p []float64
			for _, row := range z[cut:] {
				p = append(p, sigmoid(l.logit(row)))
			}
			got := Grade(p, p, failed[cut:])
			for _, c := range []struct {
				what      string
				got, want float64
			}{{"AUC", *got.AUC, want.auc}, {"PR-AUC", *got.PRAUC, want.prAUC}, {"Brier score", *got.Brier, want.brier}, {"ECE", *got.ECE, want.ece}, {"log-loss", *got.LogLoss, want.logLoss}} {
				if c.want != 0 && math.Abs(c.got-c.want) > within {
					t.Errorf("%s %.4f, of scikit-learn %.4f", c.what, c.got, c.want)
				}
			}
		})
	}
}

// publicTable is a table of public data in time order: its features, and what failed.
func publicTable(t *testing.T, path string) (raw [][]float64, failed []bool) {
	t.Helper()
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = f.Close() }()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	all, err := csv.NewReader(z).ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	header, rows := all[0], all[1:]
	if at := slices.Index(header, "commitdate"); at >= 0 {
		moment := func(row []string) time.Time {
			m, err := time.Parse("2006/1/2 15:04", row[at])
			if err != nil {
				t.Fatal(err)
			}
			return m
		}
		slices.SortStableFunc(rows, func(a, b []string) int { return moment(a).Compare(moment(b)) })
	}
	for _, row := range rows {
		var values []float64
		for j, name := range header {
			switch name {
			case "bug", "target":
				failed = append(failed, row[j] == "1" || row[j] == "True")
			case "transactionid", "commitdate", "commit_id":
			default:
				values = append(values, publicNumber(t, row[j]))
			}
		}
		raw = append(raw, values)
	}
	return raw, failed
}

func publicNumber(t *testing.T, cell string) float64 {
	t.Helper()
	switch cell {
	case "True":
		return 1
	case "False":
		return 0
	}
	v, err := strconv.ParseFloat(cell, 64)
	if err != nil {
		t.Fatal(fmt.Errorf("no number: %w", err))
	}
	return v
}
