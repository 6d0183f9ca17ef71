package haproxy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/ledger"
)

// record is what adg knows of a slot: HAProxy itself has no place for it.
type record struct {
	Release adg.Release `json:"release"`          // without a service: from Options.Initial, nobody knows more
	Ready   bool        `json:"ready"`            // it was brought there completely
	Parked  bool        `json:"parked,omitempty"` // adg put its servers into maintenance
}

// slot is a group of servers with what runs there.
type slot struct {
	name    string
	record  record
	servers []server
	reports []said // per server
}

// view is the backend at one moment.
type view struct {
	slots []slot
}

// look reads what HAProxy and the state file say.
func (t *target) look(ctx context.Context) (view, error) {
	all, err := t.socket.servers(ctx, t.o.Backend)
	if err != nil {
		return view{}, err
	}
	records, err := t.records()
	if err != nil {
		return view{}, err
	}
	var v view
	for _, name := range t.names {
		s := slot{name: name, record: records[name]}
		for _, wanted := range t.o.Slots[name] {
			at := slices.IndexFunc(all, func(h server) bool { return h.name == wanted })
			if at < 0 {
				return view{}, adg.Permanent(adg.Errorf(adg.Invalid, "slot %s: backend %s has no server %s", name, t.o.Backend, wanted))
			}
			s.servers = append(s.servers, all[at])
		}
		s.reports = make([]said, len(s.servers))
		v.slots = append(v.slots, s)
	}
	return v, nil
}

// lookAndAsk also has the servers say what they run.
func (t *target) lookAndAsk(ctx context.Context) (view, error) {
	v, err := t.look(ctx)
	if err != nil || t.http == nil {
		return v, err
	}
	for i := range v.slots {
		v.slots[i].reports = t.versions(ctx, v.slots[i].servers)
	}
	return v, ctxError(ctx)
}

// records is the state file, with Options.Initial for slots that it does not know.
func (t *target) records() (map[string]record, error) {
	records := map[string]record{}
	if _, err := ledger.Load(t.file, &records); err != nil {
		return nil, err
	}
	for name, version := range t.o.Initial {
		if _, known := records[name]; !known {
			records[name] = record{Release: adg.Release{Version: version}, Ready: true}
		}
	}
	return records, nil
}

// put writes down what is in a slot.
func (t *target) put(name string, r record) error {
	records, err := t.records()
	if err != nil {
		return err
	}
	records[name] = r
	return ledger.Save(t.file, records)
}

// version is what a server of the slot runs: its own word, else the record; empty: nobody knows.
func (s slot) version(server int) string {
	if heard := s.reports[server].version; heard != "" {
		return heard
	}
	return s.record.Release.Version
}

// holds tells whether the slot runs the release. What the servers say wins over what is on record.
func (s slot) holds(r adg.Release) bool {
	heard := false
	for _, report := range s.reports {
		if report.version != "" && report.version != r.Version {
			return false
		}
		heard = heard || report.version != ""
	}
	known := s.record.Release
	if known.Version != r.Version {
		return heard // somebody else deployed it
	}
	if known.Service == "" {
		return s.record.Ready // the policy says so, by its version
	}
	return s.record.Ready && known.Identity() == r.Identity()
}

// weight is what the slot's servers weigh together for HAProxy now.
func (s slot) weight() int {
	sum := 0
	for _, h := range s.servers {
		if h.serves() {
			sum += h.weight
		}
	}
	return sum
}

func (s slot) sessions() int {
	sum := 0
	for _, h := range s.servers {
		sum += h.sessions
	}
	return sum
}

// members are the servers that take part: not those that a human took out of a slot that is in use.
func (s slot) members() []server {
	anyReady := slices.ContainsFunc(s.servers, server.ready)
	if s.record.Parked || !anyReady {
		return s.servers
	}
	return slices.DeleteFunc(slices.Clone(s.servers), server.maint)
}

// retired tells whether nothing of the slot could get traffic without being prepared first.
func (s slot) retired() bool {
	return !slices.ContainsFunc(s.servers, func(h server) bool { return !h.maint() })
}

// shares are the slots' parts of the traffic, in percent; without any server that serves they are all 0.
func (v view) shares() []float64 {
	total := 0
	for _, s := range v.slots {
		total += s.weight()
	}
	shares := make([]float64, len(v.slots))
	for i, s := range v.slots {
		if total > 0 {
			shares[i] = 100 * float64(s.weight()) / float64(total)
		}
	}
	return shares
}

// observed is the view in the words of the seam.
func (v view) observed() (adg.Observed, error) {
	total := 0
	for _, s := range v.slots {
		total += s.weight()
	}
	var seen adg.Observed
	var text []string
	for _, s := range v.slots {
		if s.retired() {
			continue
		}
		for i, h := range s.servers {
			weight := 0
			if h.serves() {
				weight = h.weight
			}
			version := s.version(i)
			if version == "" {
				if weight > 0 {
					return adg.Observed{}, unknown(s, i)
				}
				continue
			}
			seen.Releases = add(seen.Releases, s.release(version), weight)
			if s.record.Release.Version != "" && version != s.record.Release.Version {
				text = append(text, fmt.Sprintf("%s of slot %s runs %s, and %s was put there", h.name, s.name, version, s.record.Release.Version))
			}
		}
	}
	if total == 0 {
		text = append(text, "no server of the backend gets traffic: all are down, without weight or taken out")
	}
	for i := range seen.Releases {
		seen.Releases[i].Share = 100 * seen.Releases[i].Share / float64(max(total, 1))
	}
	seen.Text = strings.Join(text, "; ")
	assignRoles(seen.Releases)
	return seen, nil
}

// release is the whole release where its version is the one that adg put there.
func (s slot) release(version string) adg.Release {
	if s.record.Release.Version == version {
		return s.record.Release
	}
	return adg.Release{Version: version}
}

// add puts a server's weight to its release.
func add(releases []adg.Placement, r adg.Release, weight int) []adg.Placement {
	for i := range releases {
		if releases[i].Release.Version == r.Version {
			releases[i].Share += float64(weight)
			return releases
		}
	}
	return append(releases, adg.Placement{Release: r, Share: float64(weight)})
}

// assignRoles calls the release with the most traffic stable, others with traffic candidates, the rest idle.
func assignRoles(releases []adg.Placement) {
	most := 0
	for i := range releases {
		releases[i].Role = adg.CandidateRole
		if releases[i].Share == 0 {
			releases[i].Role = adg.IdleRole
		}
		if releases[i].Share > releases[most].Share {
			most = i
		}
	}
	if len(releases) > 0 && releases[most].Share > 0 {
		releases[most].Role = adg.StableRole
	}
}

func ctxError(ctx context.Context) error {
	if cause := context.Cause(ctx); cause != nil {
		return adg.Errorf(adg.Unavailable, "stopped: %w", cause)
	}
	return nil
}

// unknown is the error of a server that has traffic, and of which nobody knows what it runs. One that could say so may do it
// the next time.
func unknown(s slot, server int) error {
	if why := s.reports[server].silence; why != "" {
		return adg.Errorf(adg.Unavailable, "which version server %s of slot %s runs is not known: it %s", s.servers[server].name, s.name, why)
	}
	return adg.Permanent(adg.Errorf(adg.Invalid,
		"nothing says which version server %s of slot %s runs: set version_path, or initial: {%s: VERSION}", s.servers[server].name, s.name, s.name))
}
