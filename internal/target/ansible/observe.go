package ansible

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/ledger"
)

// Current asks the playbook. It is not done while an operation is under way, when the last one failed, or while a host
// does not answer or runs something else than the last operation wanted.
func (t *target) Current(ctx context.Context) (adg.Observed, error) {
	begun, done, err := t.ledger.Last()
	if err != nil {
		return adg.Observed{}, err
	}
	last, err := t.remembered()
	if err != nil {
		return adg.Observed{}, err
	}
	seen := adg.Observed{Done: true, OpID: done.OpID}
	var troubles []string
	if t.o.Current != "" {
		if seen.Releases, troubles, err = t.look(ctx, wantedNow(last, begun)); err != nil {
			return adg.Observed{}, fmt.Errorf("ask what is live: %w", err)
		}
	}
	if last.OpID == begun.OpID {
		seen.Log = last.Log
	}
	switch {
	case begun.State == ledger.Failed && last.OpID == begun.OpID && last.Failed != "":
		seen.OpID, seen.Failed = begun.OpID, true
		troubles = append([]string{last.Failed}, troubles...)
	case begun.State == ledger.Failed || begun.State == ledger.Running:
		troubles = append([]string{fmt.Sprintf("operation %s has not come to its end", begun.OpID)}, troubles...)
	}
	seen.Done = len(troubles) == 0
	seen.Text = t.sentences(troubles)
	return seen, nil
}

// Rehearse runs the playbook in check mode, where it works in that; elsewhere it looks whether it can be read.
func (t *target) Rehearse(ctx context.Context, want adg.Desired) ([]adg.Obstacle, error) {
	if err := t.fits(want); err != nil {
		return nil, adg.Permanent(err)
	}
	out, _, err := t.start(ctx, run{playbook: t.o.Playbook, check: t.o.Check, syntax: !t.o.Check, vars: variables(want), timeout: t.o.Timeout})
	switch {
	case adg.IsPermanent(err):
		return []adg.Obstacle{{Name: "access", Final: true, Text: err.Error()}}, nil
	case err != nil:
		return nil, fmt.Errorf("try %s in check mode: %w", t.o.Playbook, err)
	case out.recap == nil:
		return nil, nil
	}
	var found []adg.Obstacle
	failed, away := out.recap.failed()
	if len(failed) > 0 {
		found = append(found, adg.Obstacle{Name: "release", Text: "check mode says: " + t.sentences(failed)})
	}
	if len(away.all()) > 0 {
		found = append(found, adg.Obstacle{Name: "access", Final: away.final(), Text: t.unreachedText(away)})
	}
	return found, nil
}

// Private

// wantedNow are the releases of an operation that is done; nil: there is none, and nothing is wanted of the hosts.
func wantedNow(last note, begun ledger.Entry) []adg.Placement {
	if begun.State != ledger.Done || last.OpID != begun.OpID {
		return nil
	}
	return last.Releases
}

// look runs the playbook that says what is live, and compares it with what was wanted.
func (t *target) look(ctx context.Context, wanted []adg.Placement) ([]adg.Placement, []string, error) {
	out, _, err := t.start(ctx, run{playbook: t.o.Current, timeout: t.o.LookTimeout})
	if err != nil {
		return nil, nil, err
	}
	failed, away := out.recap.failed()
	troubles := slices.Concat(failed, away.all())
	if all := out.recap.Live; all != nil {
		troubles = append(troubles, misplaced("", *all, wanted)...)
		return placements(*all), append(troubles, lacking(*all, wanted)...), nil
	}
	sum, told := live{}, 0
	for _, name := range out.recap.names() {
		h := out.recap.Hosts[name]
		if h.Live == nil {
			if h.Failures+h.Unreachable == 0 {
				troubles = append(troubles, name+" says no adg_live")
			}
			continue
		}
		told++
		for version, share := range *h.Live {
			sum[version] += share / float64(len(out.recap.Hosts))
		}
		troubles = append(troubles, misplaced(name, *h.Live, wanted)...)
	}
	switch {
	case told > 0:
	case len(away.all()) == len(out.recap.Hosts):
		return nil, nil, t.unreached("no host says what is live", away)
	default:
		return nil, nil, adg.Errorf(adg.Unavailable, "no host says what is live: %s", t.sentences(troubles))
	}
	return placements(sum), append(troubles, lacking(sum, wanted)...), nil
}

// misplaced says that a host gives traffic to what was not wanted.
func misplaced(name string, has live, wanted []adg.Placement) (troubles []string) {
	if wanted == nil {
		return nil
	}
	for _, version := range slices.Sorted(maps.Keys(has)) {
		may := slices.ContainsFunc(wanted, func(p adg.Placement) bool { return p.Release.Version == version && p.Share > 0 })
		if has[version] > 0 && !may {
			troubles = append(troubles, strings.TrimPrefix(name+": ", ": ")+version+" is live, and was not wanted")
		}
	}
	return troubles
}

// lacking says that a release that was to get traffic has none.
func lacking(has live, wanted []adg.Placement) (troubles []string) {
	for _, p := range wanted {
		if p.Share > 0 && has[p.Release.Version] == 0 {
			troubles = append(troubles, p.Release.Version+" is live nowhere")
		}
	}
	return troubles
}

func placements(shares live) []adg.Placement {
	found := make([]adg.Placement, 0, len(shares))
	for _, version := range slices.Sorted(maps.Keys(shares)) {
		found = append(found, adg.Placement{Release: adg.Release{Version: version}, Share: min(shares[version], 100), Role: adg.CandidateRole})
	}
	slices.SortStableFunc(found, func(a, b adg.Placement) int { return cmp.Compare(b.Share, a.Share) })
	if len(found) > 0 {
		found[0].Role = adg.StableRole
	}
	return found
}
