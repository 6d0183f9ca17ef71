package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strconv"

	"github.com/deployguardian/adg/bench/judge/measure"
)

// Report is all that a run found.
type Report struct {
	Command  string      `json:"command"`
	Traces   int         `json:"traces"`
	Healthy  int         `json:"healthy_traces"`
	Seed     uint64      `json:"seed"`
	Machine  string      `json:"machine"`
	Took     string      `json:"took"`
	Cells    []Cell      `json:"cells"`
	Bounds   []BoundCell `json:"bounds"`
	Measured []Measured  `json:"measured"`
	Missing  []string    `json:"missing,omitempty"` // data that was not there
}

// BoundCell is the least time that a fault can be found in.
type BoundCell struct {
	World      string         `json:"world"`
	Fault      string         `json:"fault"`
	Known      measure.Number `json:"known_baseline_s"`
	Concurrent measure.Number `json:"concurrent_baseline_s"`
}

// bounds adds those of a setup. Where the canary's share or the faults change with time there is no simple one.
func (r *Report) bounds(s setup) {
	if len(s.world.Ramp) > 0 {
		return
	}
	for _, f := range s.faults {
		b := measure.LowerBound(&s.world, &f, 0.01)
		if !math.IsInf(b.Known, 1) {
			r.Bounds = append(r.Bounds, BoundCell{s.world.Name, f.Name, measure.Number(b.Known), measure.Number(b.Concurrent)})
		}
	}
}

// write puts the report into a folder, or its summary on standard output.
func (r *Report) write(folder string, stdout io.Writer) error {
	var text, tables bytes.Buffer
	r.summary(&text)
	if folder == "" {
		_, err := stdout.Write(text.Bytes())
		return err
	}
	r.tables(&tables)
	encoded, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encoding the results: %w", err)
	}
	encoded = bytes.ReplaceAll(encoded, []byte(`{"world":`), []byte("\n{\"world\":")) // a cell a line, for comparing runs
	files := map[string][]byte{"results.json": append(encoded, '\n'), "README.md": text.Bytes(), "tables.md": tables.Bytes()}
	for name, svg := range r.plots() {
		files[name] = svg
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("making the folder of the results: %w", err)
	}
	for name, content := range files {
		if err := os.WriteFile(filepath.Join(folder, name), content, 0o644); err != nil {
			return fmt.Errorf("writing the results: %w", err)
		}
	}
	return nil
}

// find gives the cell of a rule; nil: there is none.
func (r *Report) find(world, fault, rule, setting string) *Cell {
	for i := range r.Cells {
		if c := &r.Cells[i]; c.World == world && c.Fault == fault && c.Rule == rule && c.Setting == setting {
			return c
		}
	}
	return nil
}

// Private

// names lists what a field of the cells has, in their order.
func (r *Report) names(of func(*Cell) string) []string {
	var list []string
	for i := range r.Cells {
		if name := of(&r.Cells[i]); !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

func percent(p float64) string {
	switch {
	case math.IsNaN(p):
		return "–"
	case p > 0 && p < 0.1:
		return strconv.FormatFloat(100*p, 'f', 2, 64) + " %"
	}
	return strconv.FormatFloat(100*p, 'f', 1, 64) + " %"
}

func seconds(s float64) string {
	switch {
	case math.IsInf(s, 1) || math.IsNaN(s):
		return "–"
	case s < 10 && s != math.Trunc(s):
		return strconv.FormatFloat(s, 'f', 1, 64)
	}
	return strconv.FormatFloat(s, 'f', 0, 64)
}
