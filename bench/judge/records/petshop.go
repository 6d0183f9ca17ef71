package records

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"

	"github.com/deployguardian/adg/bench/judge/view"
)

const (
	petshopBefore = 24 // steps of 5 min
	petshopAfter  = 5
)

// Petshop reads what the front end of the PetShop did per five minutes (amazon-science/petshop-root-cause-analysis,
// CC-BY-4.0): 5 steps of each injected issue, judged against a run without issues under the same traffic, and that run
// against itself. The temporal traffics have no such run, and are left out.
func Petshop(data string) ([]Episode, error) {
	var list []Episode
	for _, traffic := range []string{"low_traffic", "high_traffic"} {
		folder := filepath.Join(data, "petshop", "dataset", traffic)
		quiet, err := petshopPoints(filepath.Join(folder, "noissue", "metrics.csv"), "PetSite")
		if err != nil {
			return nil, err
		}
		issues, err := filepath.Glob(filepath.Join(folder, "t*", "issue_*"))
		if err != nil {
			return nil, fmt.Errorf("listing the issues of %s: %w", traffic, err)
		}
		slices.Sort(issues)
		for _, issue := range issues {
			kind, node, err := petshopTarget(filepath.Join(issue, "target.json"))
			if err != nil {
				return nil, err
			}
			after, err := petshopPoints(filepath.Join(issue, "metrics.csv"), node)
			if err != nil {
				return nil, err
			}
			list = append(list, Episode{Name: traffic + " " + filepath.Base(issue), Kind: kind, Before: quiet[:min(petshopBefore, len(quiet))], After: after})
		}
		for from := 0; from+petshopBefore+petshopAfter <= len(quiet); from += petshopAfter {
			middle := from + petshopBefore
			list = append(list, Episode{Name: fmt.Sprintf("%s quiet %d", traffic, from), Before: quiet[from:middle], After: quiet[middle : middle+petshopAfter]})
		}
	}
	return list, nil
}

// Private

func petshopTarget(name string) (kind, node string, err error) {
	f, err := open(name)
	if err != nil {
		return "", "", err
	}
	defer f.Close()
	var issue struct {
		Target struct{ Node, Metric string } `json:"target"`
	}
	if err := json.NewDecoder(io.LimitReader(f, 1<<20)).Decode(&issue); err != nil {
		return "", "", fmt.Errorf("reading %s: %w", name, err)
	}
	return issue.Target.Metric, issue.Target.Node, nil
}

// petshopPoints reads a table whose first three lines name service, metric and statistic.
func petshopPoints(name, node string) ([]Point, error) {
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	rows, err := readAll(f)
	if err != nil || len(rows) < 3 {
		return nil, fmt.Errorf("reading %s: %d lines: %w", name, len(rows), err)
	}
	column := map[string]int{}
	for i, service := range rows[0] {
		if service == node {
			column[rows[1][i]+" "+rows[2][i]] = i
		}
	}
	number := func(row []string, what string) float64 {
		if i, found := column[what]; found && i < len(row) {
			return parse(row[i])
		}
		return math.NaN()
	}
	var points []Point
	for _, row := range rows[3:] {
		at, all := parse(row[0]), number(row, "requests Sum")
		if math.IsNaN(at) || !(all > 0) {
			continue
		}
		bad := math.Round(all * (1 - number(row, "availability Average")/100))
		points = append(points, Point{
			At: int64(at), Counted: true,
			Window: view.Window{Count: view.Count{All: all, Bad: max(bad, 0)}, P95: number(row, "latency p95"), P99: number(row, "latency p99")},
		})
	}
	return points, nil
}
