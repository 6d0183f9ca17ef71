package kubernetes

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
)

// state is what the cluster reported at one time.
type state struct {
	target  *target
	slots   []slot
	traffic traffic
	event   string // the latest warning about what is not ready
}

// slot is a workload with its pods.
type slot struct {
	*workload
	pods    []corev1.Pod
	strays  []corev1.Pod // those of other releases on nodes where the workload is not to run
	release adg.Release  // of its template
	ready   int          // pods that are ready and of that release
}

// traffic is who gets requests.
type traffic struct {
	shares  map[string]float64 // percent by version
	settled bool               // what routes has taken on what its object says
	text    string
	slots   []float64 // percent by slot, as the routing object says; nil: there is none
}

// tolerance is how far a share may be off, in points.
const tolerance = 0.01

// look reads all of it; nothing is changed.
func (t *target) look(ctx context.Context) (*state, error) {
	s := &state{target: t}
	for _, name := range t.slots {
		w, err := t.workload(ctx, name)
		if err != nil {
			return nil, err
		}
		pods, err := t.pods(ctx, w)
		if err != nil {
			return nil, err
		}
		in := slot{workload: w, release: w.release(t)}
		in.pods, in.strays = t.apart(w, pods)
		for _, p := range in.pods {
			if kube.Ready(p) && t.is(t.releaseOf(p.ObjectMeta, p.Spec), in.release) {
				in.ready++
			}
		}
		s.slots = append(s.slots, in)
	}
	var err error
	switch t.o.Strategy {
	case blueGreen:
		s.traffic, err = s.byService(ctx)
	case route:
		s.traffic, err = s.byRoute(ctx)
	default:
		s.traffic = s.byPods()
	}
	if err != nil {
		return nil, err
	}
	s.findEvent(ctx)
	return s, nil
}

// byPods shares the traffic among all pods that are ready, as a Service in front of them does.
func (s *state) byPods() traffic {
	count, all := map[string]float64{}, 0.0
	for _, in := range s.slots {
		for _, p := range in.pods {
			if kube.Ready(p) {
				count[s.target.releaseOf(p.ObjectMeta, p.Spec).Version]++
				all++
			}
		}
	}
	for version := range count {
		count[version] *= 100 / all
	}
	return traffic{shares: count, settled: true}
}

// note is that of the last operation: the first workload's, which is written first.
func (s *state) note() note { return s.slots[0].note }

func (s *state) observed() adg.Observed {
	seen := adg.Observed{OpID: s.note().OpID, Releases: s.placements()}
	var texts []string
	say := func(text string) {
		if text != "" && !slices.Contains(texts, text) {
			texts = append(texts, text)
		}
	}
	seen.Done = s.traffic.settled
	say(s.traffic.text)
	for _, in := range s.slots {
		if !s.needed(in) {
			continue
		}
		done, text, failed := s.progress(in)
		seen.Done = seen.Done && done
		seen.Failed = seen.Failed || failed
		say(text)
	}
	for _, r := range s.note().Releases {
		got := s.traffic.shares[r.Version]
		if math.Abs(got-r.Share) > tolerance {
			seen.Done = false
			say(fmt.Sprintf("%s has %.4g %% of the traffic, and is to have %.4g %%", r.Version, got, r.Share))
		}
	}
	say(s.foreign())
	if !seen.Done {
		say(s.event)
	}
	seen.Text = s.target.client.Scrub(strings.Join(texts, "; "))
	return seen
}

// placements are the releases with traffic, and those that run without, the most traffic first.
func (s *state) placements() []adg.Placement {
	var all []adg.Placement
	known := map[string]bool{}
	add := func(r adg.Release) {
		if r.Version != "" && !known[r.Version] {
			known[r.Version] = true
			p := adg.Placement{Release: r, Share: s.traffic.shares[r.Version], Role: adg.StableRole}
			if p.Share == 0 {
				p.Role = adg.IdleRole
			}
			all = append(all, p)
		}
	}
	for _, in := range s.slots {
		if in.wanted > 0 {
			add(in.release)
		}
		for _, p := range in.pods {
			add(s.target.releaseOf(p.ObjectMeta, p.Spec))
		}
	}
	for version := range s.traffic.shares {
		add(adg.Release{Version: version})
	}
	slices.SortFunc(all, func(a, b adg.Placement) int {
		return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(a.Release.Version, b.Release.Version))
	})
	for i := 1; i < len(all); i++ {
		if all[i].Share > 0 {
			all[i].Role = adg.CandidateRole
		}
	}
	return all
}

// needed tells whether the state is not done before this slot is: it gets traffic, or is kept ready to.
func (s *state) needed(in slot) bool {
	if s.note().OpID == "" || len(s.slots) == 1 {
		return in.wanted > 0 || len(s.slots) == 1
	}
	for _, r := range s.note().Releases {
		if r.Version == in.release.Version {
			return r.Share > 0 || !s.note().Rollback && in.wanted > 0
		}
	}
	return in.wanted > 0 && s.traffic.shares[in.release.Version] > 0
}

// progress says how far a slot is.
func (s *state) progress(in slot) (done bool, text string, failed bool) {
	var parts []string
	left := 0
	for _, p := range in.pods {
		if !s.target.is(s.target.releaseOf(p.ObjectMeta, p.Spec), in.release) {
			left++
		}
	}
	done = in.complete && in.ready >= in.wanted && left == 0
	if !done {
		parts = append(parts, fmt.Sprintf("%s: %d of %d pods of %s are ready", in.name(), in.ready, in.wanted, in.release.Version))
		if left > 0 {
			parts = append(parts, fmt.Sprintf("%d of others are left", left))
		}
		parts = append(parts, in.text)
	}
	if n := len(in.strays); n > 0 {
		parts = append(parts, fmt.Sprintf("on %d nodes where %s is not to run any more, pods of others are left: drain them or delete those pods", n, in.name()))
	}
	trouble, late := s.target.trouble(in)
	parts = append(parts, trouble...)
	if in.failed != "" {
		parts = append(parts, in.failed)
	}
	if late {
		parts = append(parts, fmt.Sprintf("its pods were not ready within %s", adg.Short(s.target.o.Deadline)))
	}
	parts = slices.DeleteFunc(parts, func(p string) bool { return p == "" })
	return done, strings.Join(parts, ", "), !done && (in.failed != "" || late)
}

// foreign says that somebody else has changed a pod template since adg wrote it.
func (s *state) foreign() string {
	for _, in := range s.slots {
		if in.note.Template != "" && in.note.Template != hashOf(in.object) {
			return fmt.Sprintf("the pod template of %s has been changed since adg's last change, by %s", in.name(), writer(in.object))
		}
	}
	return ""
}
