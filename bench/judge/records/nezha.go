package records

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/deployguardian/adg/bench/judge/view"
)

const (
	nezhaBefore = 20 // minutes that are taken as the baseline
	nezhaAfter  = 8  // minutes from a fault's injection to the next one's, about
	nominal     = 1000
)

// Nezha reads what the front service of Online Boutique did per minute (IntelligentDDS/Nezha, MIT), around each
// injected fault, and stretches of the same day far from any. The TrainTicket day is left out: its success rate is
// always 0. Requests were not counted. Before a fault, the minutes of earlier faults are left out.
func Nezha(data string) ([]Episode, error) {
	day := filepath.Join(data, "nezha", "2022-08-22")
	points, err := nezhaPoints(filepath.Join(day, "front_service.csv"))
	if err != nil {
		return nil, err
	}
	faults, err := nezhaFaults(filepath.Join(day, "2022-08-22-fault_list.json"))
	if err != nil {
		return nil, err
	}
	return episodes(points, faults), nil
}

// Private

type injected struct {
	at   int64
	kind string
}

func nezhaPoints(name string) ([]Point, error) {
	t, err := readTable(name)
	if err != nil {
		return nil, err
	}
	var points []Point
	for _, row := range t.rows {
		bad := nominal * (1 - t.number(row, "SuccessRate(%)")/100)
		points = append(points, Point{
			At: int64(t.number(row, "TimeStamp")),
			Window: view.Window{
				Count: view.Count{All: nominal, Bad: bad}, P95: t.number(row, "LatencyP95(s)"), P99: t.number(row, "LatencyP99(s)"),
			},
		})
	}
	return points, nil
}

func nezhaFaults(name string) ([]injected, error) {
	f, err := open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var hours map[string][]struct {
		At   string `json:"inject_timestamp"`
		Kind string `json:"inject_type"`
	}
	if err := json.NewDecoder(io.LimitReader(f, 1<<20)).Decode(&hours); err != nil {
		return nil, fmt.Errorf("reading %s: %w", name, err)
	}
	var faults []injected
	for _, hour := range hours {
		for _, one := range hour {
			at, err := strconv.ParseInt(one.At, 10, 64)
			if err != nil {
				return nil, fmt.Errorf("reading %s: %w", name, errors.Join(err))
			}
			faults = append(faults, injected{at, one.Kind})
		}
	}
	slices.SortFunc(faults, func(a, b injected) int { return int(a.at - b.at) })
	return faults, nil
}

// episodes cuts a recording: around every fault, and where none is near.
func episodes(points []Point, faults []injected) []Episode {
	busy := func(at int64, margin int64) bool {
		return slices.ContainsFunc(faults, func(f injected) bool { return at > f.at-margin && at < f.at+nezhaAfter*60+margin })
	}
	var list []Episode
	for i, f := range faults {
		e := Episode{Name: fmt.Sprintf("fault %d", i+1), Kind: f.kind}
		for _, p := range points {
			switch {
			case p.At > f.at && len(e.After) < nezhaAfter:
				e.After = append(e.After, p)
			case p.At <= f.at && !busy(p.At, 0):
				e.Before = append(e.Before, p)
			}
		}
		e.Before = e.Before[max(0, len(e.Before)-nezhaBefore):]
		list = append(list, e)
	}
	var quiet []Point
	for _, p := range points {
		if busy(p.At, 120) {
			quiet = nil
			continue
		}
		if quiet = append(quiet, p); len(quiet) == nezhaBefore+nezhaAfter {
			list = append(list, Episode{Name: fmt.Sprintf("quiet from %d", quiet[0].At), Before: quiet[:nezhaBefore], After: quiet[nezhaBefore:]})
			quiet = slices.Clone(quiet[nezhaAfter:])
		}
	}
	return list
}
