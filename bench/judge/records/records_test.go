package records

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestScenariosAreReadByCause(t *testing.T) {
	s, err := scenario([][]string{{"Latency", "Rpc", "anomaly"}, {"383", "3", "0"}, {"500", "3", "1"}, {"600", "3", "2"}, {"400", "1", "0"}})
	if err != nil {
		t.Fatal(err)
	}
	if len(s.Healthy) != 2 || s.Healthy[0] != 0.383 || len(s.Slowed[0]) != 1 || s.Slowed[1][0] != 0.6 {
		t.Errorf("read %+v", s)
	}
	for _, bad := range [][]string{{"x", "0"}, {"5", "3"}, {"-1", "0"}} {
		if _, err := scenario([][]string{{"Latency", "anomaly"}, bad}); err == nil {
			t.Errorf("%q was taken", bad)
		}
	}
}

func TestEpisodesKeepFaultsOutOfWhatIsCalledQuiet(t *testing.T) {
	var points []Point
	for minute := range int64(200) {
		points = append(points, Point{At: 60 * minute})
	}
	list := episodes(points, []injected{{at: 50 * 60, kind: "exception"}})
	faults := 0
	for _, e := range list {
		if e.Kind != "" {
			faults++
			if e.After[0].At != 51*60 || len(e.After) != nezhaAfter || len(e.Before) != nezhaBefore || e.Before[len(e.Before)-1].At != 50*60-60 && e.Before[len(e.Before)-1].At != 50*60 {
				t.Errorf("the fault's episode is %+v", e)
			}
			continue
		}
		for _, p := range append(e.Before, e.After...) {
			if p.At > 50*60-120 && p.At < 50*60+nezhaAfter*60+120 {
				t.Errorf("second %d is near the fault, and called quiet", p.At)
			}
		}
	}
	if faults != 1 || len(list) < 10 {
		t.Errorf("%d episodes, %d with a fault", len(list), faults)
	}
}

func TestPetshopsCountsComeFromAvailability(t *testing.T) {
	name := filepath.Join(t.TempDir(), "metrics.csv")
	text := "microservice,PetSite,PetSite,PetSite,Other\nmetric,latency,requests,availability,requests\nstatistic,p99,Sum,Average,Sum\n" +
		"1681399159.0,0.4,664.0,99.5,1\n1681399459.0,,,,\n"
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	points, err := petshopPoints(name, "PetSite")
	if err != nil {
		t.Fatal(err)
	}
	if len(points) != 1 || points[0].All != 664 || points[0].Bad != 3 || points[0].P99 != 0.4 {
		t.Errorf("read %+v, want one step of 664 requests, 3 of them bad; the step without any is left out", points)
	}
}

func TestMissingDataIsToldFromBrokenData(t *testing.T) {
	for _, read := range []func(string) error{
		func(data string) error { _, err := Delag(data); return err },
		func(data string) error { _, err := Nezha(data); return err },
		func(data string) error { _, err := Petshop(data); return err },
	} {
		if err := read(t.TempDir()); !errors.Is(err, ErrMissing) {
			t.Errorf("%v, want that it is missing", err)
		}
	}
	data := t.TempDir()
	if err := os.MkdirAll(filepath.Join(data, "delag"), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(data, "delag", "eshopper.tar.xz"), []byte("no archive"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Delag(data); err == nil || strings.Contains(err.Error(), "not there") && !strings.Contains(err.Error(), "xz") {
		t.Errorf("a broken archive: %v", err)
	}
}
