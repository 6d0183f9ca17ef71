package ssh

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
)

// Current asks every host which release it has and whether it runs. Hosts that do not answer are named in Text, and keep
// the shares from adding up to 100; where none answers it is an error.
func (t *target) Current(ctx context.Context) (adg.Observed, error) {
	links := t.crew()
	defer closeAll(links)
	views := t.lookAt(ctx, links)
	if err := nobody(ctx, views); err != nil {
		return adg.Observed{}, fmt.Errorf("ask what is live: %w", err)
	}
	return observed(views), nil
}

// Private

const maxSentences = 10 // of a report

// nobody is the error where no host can be looked at, or the caller has gone.
func nobody(ctx context.Context, views []view) error {
	if err := context.Cause(ctx); err != nil {
		return adg.Errorf(adg.Unavailable, "%w", err)
	}
	if slices.ContainsFunc(views, func(v view) bool { return v.err == nil }) {
		return nil
	}
	return unanswered(views)
}

// unanswered joins what is wrong with the hosts that could not be looked at. It is permanent only if all of them are.
func unanswered(views []view) error {
	var all []error
	for _, v := range views {
		if errors.Is(v.err, adg.ErrFenced) {
			return adg.ErrFenced
		}
		if v.err != nil {
			all = append(all, v.err)
		}
	}
	if len(all) == 0 || !slices.ContainsFunc(all, func(err error) bool { return !adg.IsPermanent(err) }) {
		return errors.Join(all...)
	}
	texts := make([]string, len(all))
	for i, err := range all {
		texts[i] = err.Error()
	}
	return adg.Errorf(adg.Unavailable, "%s", strings.Join(texts[:min(len(texts), maxSentences)], "; "))
}

// observed is what the hosts say together, in the words of the seam.
func observed(views []view) adg.Observed {
	seen := adg.Observed{Releases: placements(views), Done: true, OpID: latest(views)}
	var text []string
	for _, v := range views {
		name := v.link.name()
		if v.err != nil {
			seen.Done = false
			text = append(text, v.err.Error())
			continue
		}
		switch {
		case v.note.Failed != "":
			seen.Failed = true
			seen.Log = cmp.Or(seen.Log, v.log)
			text = append(text, name+": "+v.note.Failed)
		case v.note.op() != seen.OpID:
			text = append(text, fmt.Sprintf("%s: operation %s has not begun there", name, seen.OpID))
		case v.note.Step != "" && v.note.Step != done:
			text = append(text, fmt.Sprintf("%s: on the way to %s, %s", name, v.note.Version, v.note.Step))
		case v.note.Version != "" && v.note.Version != v.version:
			text = append(text, fmt.Sprintf("%s: somebody else has changed current from %s to %s", name, v.note.Version, cmp.Or(v.version, v.current, "nothing")))
		case v.trouble() != "":
			text = append(text, name+": "+v.trouble())
		default:
			continue
		}
		seen.Done = false
	}
	if more := len(text) - maxSentences; more > 0 {
		text = append(text[:maxSentences], fmt.Sprintf("and %d more", more))
	}
	seen.Text = adg.Printable(strings.Join(text, "; "))
	return seen
}

// latest is the operation that was begun last on any host.
func latest(views []view) string {
	last := ""
	for _, v := range views {
		if v.err == nil && v.note.op() != "" && (last == "" || slices.Contains(v.note.Ops, last)) {
			last = v.note.op()
		}
	}
	return last
}

// placements are the shares of the hosts whose link names a release.
func placements(views []view) []adg.Placement {
	var found []adg.Placement
	for _, v := range views {
		if v.err != nil || v.version == "" {
			continue
		}
		at := slices.IndexFunc(found, func(p adg.Placement) bool { return p.Release.Version == v.version })
		if at < 0 {
			at = len(found)
			release, _ := v.note.known(v.version)
			found = append(found, adg.Placement{Release: release, Role: adg.CandidateRole})
		}
		found[at].Share++
	}
	for i := range found {
		found[i].Share = found[i].Share * 100 / float64(len(views))
	}
	slices.SortFunc(found, func(a, b adg.Placement) int {
		return cmp.Or(cmp.Compare(b.Share, a.Share), strings.Compare(a.Release.Version, b.Release.Version))
	})
	if len(found) > 0 {
		found[0].Role = adg.StableRole
	}
	return found
}
