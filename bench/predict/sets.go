package main

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/deployguardian/adg/internal/predict/evaluate"
)

// Private

const day = 86400.0

// set is a table, what its columns mean, and what is to be reached on it.
type set struct {
	name, family string // no table of a family teaches another one of it
	columns      evaluate.Columns
	delay, refit float64 // seconds
	score        float64 // share of the rows that is scored
	filter       func(*csv.Reader, io.Writer) error
	best         string // the figures to reach, from research on the same protocol
}

var sets = []set{
	{
		name: "govuk_deployments", family: "govuk", delay: 7 * day, refit: 30 * day, score: 0.75, filter: govuk,
		columns: evaluate.Columns{Label: "failed", Time: "ts", Group: "app", Ignore: strings.Split("superseded,blocked,rolled_back,hours_to_rollback,prod_ts,version,base_version", ",")},
		best:    "AUC .775, skill .10, recall@10 .48, ECE .004",
	},
	{
		name: "wikimedia_mediawiki_config", family: "wikimedia", delay: 7 * day, refit: 30 * day, score: 0.75,
		columns: evaluate.Columns{Label: "failed", Time: "commit_ts", Ignore: strings.Split("reverted,revert_ts,planned_revert,reason_failure,hours_to_revert,failed_strict,commit,author", ",")},
		best:    "AUC .73, skill .034",
	},
	kamei("bugzilla", "AUC .864"), kamei("columba", "AUC .764"), kamei("jdt", "AUC .772"), kamei("postgres", "AUC .868"),
	apache("camel", "AUC .783"), apache("cassandra", "AUC .814"), apache("kafka", "AUC .770"), apache("spark", "AUC .840"),
}

func kamei(project, best string) set {
	return set{name: "kamei/" + project, family: "kamei/" + project, refit: 30 * day, score: 0.3, best: best,
		columns: evaluate.Columns{Label: "bug", Time: "commitdate", Ignore: []string{"transactionid"}}}
}

func apache(project, best string) set {
	return set{name: "apachejit/" + project, family: "apachejit/" + project, refit: 30 * day, score: 0.3, best: best,
		columns: evaluate.Columns{Label: "target", Time: "commit_id"}}
}

func (s set) matches(only string) bool { return strings.Contains(s.name, only) }

func loadAll(data string) ([]*evaluate.Table, error) {
	tables := make([]*evaluate.Table, len(sets))
	for i, s := range sets {
		t, err := s.load(data)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", s.name, err)
		}
		tables[i] = t
	}
	return tables, nil
}

func (s set) load(data string) (*evaluate.Table, error) {
	f, err := os.Open(filepath.Join(data, s.name+".csv.gz"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = f.Close() }() // nothing was written
	if s.filter == nil {
		return evaluate.Read(f, s.columns)
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		return nil, err
	}
	var kept bytes.Buffer
	if err := s.filter(csv.NewReader(z), &kept); err != nil {
		return nil, err
	}
	return evaluate.Read(&kept, s.columns)
}

// The promotion of GOV.UK's releases changed then.
const govukChanged = 1774994400

// govuk keeps what the data's protocol calls usable: forward deployments that were not superseded, before the promotion
// changed, without rollbacks of four services or more within two hours, which are the platform's.
func govuk(in *csv.Reader, out io.Writer) error {
	all, err := in.ReadAll()
	if err != nil {
		return err
	}
	column := map[string]int{}
	for i, name := range all[0] {
		column[name] = i
	}
	number := func(row []string, name string) float64 {
		v, _ := strconv.ParseFloat(row[column[name]], 64) // empty is zero
		return v
	}
	apps := map[int64][]string{} // by two hours: those that went back
	window := func(row []string) int64 {
		return int64(number(row, "ts")+3600*number(row, "hours_to_rollback")) / 7200
	}
	for _, row := range all[1:] {
		if app := row[column["app"]]; number(row, "rolled_back") == 1 && !slices.Contains(apps[window(row)], app) {
			apps[window(row)] = append(apps[window(row)], app)
		}
	}
	w := csv.NewWriter(out)
	for i, row := range all {
		usable := i == 0 || row[column["kind"]] == "forward" && number(row, "superseded") == 0 && number(row, "ts") < govukChanged &&
			(number(row, "rolled_back") == 0 || len(apps[window(row)]) < 4)
		if !usable {
			continue
		}
		if err := w.Write(row); err != nil {
			return err
		}
	}
	w.Flush()
	return w.Error()
}
