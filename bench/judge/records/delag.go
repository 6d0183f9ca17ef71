package records

import (
	"archive/tar"
	"errors"
	"fmt"
	"io"
	"os/exec"
	"path/filepath"
	"strings"
)

// Scenario is a set of requests to one service, of which some are slowed by one of two causes.
type Scenario struct {
	Name    string
	Healthy []float64    // latencies in seconds
	Slowed  [2][]float64 // by either cause
}

// Delag reads the per-request latencies of eShopper (SpencerLabAQ/icpe-data-challenge-delag, MIT) from the folder
// with all data. The archive is unpacked by the program xz, without which the data counts as missing.
func Delag(data string) (list []Scenario, err error) {
	f, err := open(filepath.Join(data, "delag", "eshopper.tar.xz"))
	if err != nil {
		return nil, err
	}
	defer f.Close()
	xz, err := exec.LookPath("xz")
	if err != nil {
		return nil, fmt.Errorf("the program xz, to unpack %s: %w", f.Name(), ErrMissing)
	}
	unpack := exec.Command(xz, "-dc")
	unpack.Stdin = f
	out, err := unpack.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", f.Name(), err)
	}
	if err := unpack.Start(); err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", f.Name(), err)
	}
	list, err = scenarios(tar.NewReader(out))
	_, drained := io.Copy(io.Discard, out)
	if err := errors.Join(err, drained, unpack.Wait()); err != nil {
		return nil, fmt.Errorf("unpacking %s: %w", f.Name(), err)
	}
	return list, nil
}

// Private

func scenarios(archive *tar.Reader) ([]Scenario, error) {
	var list []Scenario
	for {
		h, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return list, nil
		}
		if err != nil {
			return nil, err
		}
		if !strings.HasSuffix(h.Name, ".csv") {
			continue
		}
		rows, err := readAll(archive)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", h.Name, err)
		}
		s, err := scenario(rows)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", h.Name, err)
		}
		s.Name = strings.TrimSuffix(filepath.Base(h.Name), ".csv")
		list = append(list, s)
	}
}

// scenario reads rows of latency in milliseconds, first, and cause (0 is none), last.
func scenario(rows [][]string) (Scenario, error) {
	var s Scenario
	for i, row := range rows[min(1, len(rows)):] {
		latency, last := parse(row[0])/1000, row[len(row)-1]
		switch {
		case !(latency >= 0):
			return s, fmt.Errorf("row %d: %q is no latency", i+1, row[0])
		case last == "0":
			s.Healthy = append(s.Healthy, latency)
		case last == "1" || last == "2":
			s.Slowed[last[0]-'1'] = append(s.Slowed[last[0]-'1'], latency)
		default:
			return s, fmt.Errorf("row %d: %q is no cause", i+1, last)
		}
	}
	return s, nil
}
