package trace

import (
	"bufio"
	"fmt"
	"io"
	"strconv"
)

// WriteCSV writes the trace as TRACES.md describes it: as tools could read it, a line per second and replica.
func (t *Trace) WriteCSV(out io.Writer) error {
	w := bufio.NewWriter(out)
	t.head(w)
	edges := csvEdges()
	row := make([]int, 2+len(edges))
	var line []byte
	for at, seen := range t.Seen {
		second, replica := at/t.Replicas, at%t.Replicas
		if int(seen) != second || t.Canary(replica) && second < t.Start() {
			continue
		}
		t.read(second, replica, edges, row)
		arm, number := "baseline", replica-t.World.Canaries
		if t.Canary(replica) {
			arm, number = "canary", replica
		}
		line = fmt.Appendf(line[:0], "%d,%s,%s-%d", second, arm, arm, number)
		for _, n := range row {
			line = strconv.AppendInt(append(line, ','), int64(n), 10)
		}
		if _, err := w.Write(append(line, '\n')); err != nil {
			return fmt.Errorf("writing trace %d: %w", t.Seed, err)
		}
	}
	if err := w.Flush(); err != nil {
		return fmt.Errorf("writing trace %d: %w", t.Seed, err)
	}
	return nil
}

// At is what a replica did in a second: requests, errors and the latency buckets of the requests, which are lent.
func (t *Trace) At(second, replica int) (requests, errors int, slots []uint8) {
	at := second*t.Replicas + replica
	return int(t.Requests[at]), int(t.Errors[at]), t.slots(at)
}

// Private

// csvEdges are the buckets whose upper limits are columns: 25 from 18 ms to 9.2 s.
func csvEdges() []int {
	var edges []int
	for b := 13; b < Buckets-1; b += 6 {
		edges = append(edges, b)
	}
	return edges
}

func (t *Trace) head(w io.Writer) {
	from, kind := "never", "A/A"
	if !t.Fault.Healthy() {
		from, kind = strconv.Itoa(t.Start()+t.Fault.From), t.Fault.Name
	}
	fmt.Fprintf(w, "# kind: %s\n# degraded from: %s\n# canary from: %d\n", kind, from, t.Start())
	if len(t.World.Ramp) == 0 {
		fmt.Fprintf(w, "# share: %g %%\n", 100*t.World.Share)
	}
	fmt.Fprintf(w, "# world: %s\n# seed: %d\nsecond,arm,replica,requests,errors", t.World.Name, t.Seed)
	for _, b := range csvEdges() {
		fmt.Fprintf(w, ",over_%.4g", Edge(b))
	}
	fmt.Fprintln(w)
}

func (t *Trace) slots(at int) []uint8 { return t.Slots[t.first[at] : t.first[at]+t.Requests[at]] }

// read sums up all that a scrape brings: of its own second, and of those whose scrape failed.
func (t *Trace) read(second, replica int, edges, row []int) {
	clear(row)
	for s := second; s >= 0 && int(t.Seen[s*t.Replicas+replica]) == second; s-- {
		at := s*t.Replicas + replica
		row[0] += int(t.Requests[at])
		row[1] += int(t.Errors[at])
		for _, slot := range t.slots(at) {
			for i, edge := range edges {
				if int(slot) <= edge {
					break
				}
				row[2+i]++
			}
		}
	}
}
