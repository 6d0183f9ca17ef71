package argorollouts

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	corev1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
)

// state is what the cluster reported at one time.
type state struct {
	*rollout
	target  *target
	history []kept
	pods    []corev1.Pod
	ready   map[string]int     // pods by version
	shares  map[string]float64 // percent by version
}

// tolerance is how far a share may be off, in points.
const tolerance = 0.01

// look reads all of it; nothing is changed.
func (t *target) look(ctx context.Context) (*state, error) {
	r, err := t.read(ctx)
	if err != nil {
		return nil, err
	}
	s := &state{rollout: r, target: t, ready: map[string]int{}}
	if s.history, err = t.history(ctx, r); err != nil {
		return nil, err
	}
	if s.pods, err = t.pods(ctx, r); err != nil {
		return nil, err
	}
	for _, p := range s.pods {
		if kube.Ready(p) {
			s.ready[s.releaseOf(p).Version]++
		}
	}
	s.shares = s.byPods()
	if s.spec.Strategy.Canary.TrafficRouting != nil {
		s.shares = s.byWeights()
	}
	return s, nil
}

func (s *state) releaseOf(p corev1.Pod) adg.Release {
	return s.target.templates.ReleaseOf(p.ObjectMeta, p.Spec)
}

// byPods shares the traffic among all pods that are ready, as a Service in front of them does.
func (s *state) byPods() map[string]float64 {
	all := 0
	for _, n := range s.ready {
		all += n
	}
	shares := map[string]float64{}
	for version, n := range s.ready {
		shares[version] = 100 * float64(n) / float64(all)
	}
	return shares
}

// byWeights is what the controller has set at the traffic router: before it has set anything, all is the stable one's.
func (s *state) byWeights() map[string]float64 {
	shares := map[string]float64{}
	w := s.status.Canary.Weights
	if w == nil {
		if stable, found := s.kept(s.status.StableRS); found {
			shares[stable.release.Version] = 100
		}
		return shares
	}
	all := append([]destination{w.Canary, w.Stable}, w.Additional...)
	sum := 0.0
	for _, d := range all {
		sum += d.Weight
	}
	for _, d := range all {
		if k, found := s.kept(d.PodTemplateHash); found && d.Weight > 0 {
			shares[k.release.Version] += 100 * d.Weight / sum
		}
	}
	return shares
}

// kept is the template with that hash.
func (s *state) kept(hash string) (kept, bool) {
	i := slices.IndexFunc(s.history, func(k kept) bool { return k.hash == hash && hash != "" })
	if i < 0 {
		return kept{}, false
	}
	return s.history[i], true
}

// stable is the release that the controller goes back to by itself.
func (s *state) stable() adg.Release {
	k, _ := s.kept(s.status.StableRS)
	return k.release
}

func (s *state) observed() adg.Observed {
	seen := adg.Observed{OpID: s.note.OpID, Releases: s.placements()}
	var texts []string
	say := func(text string) {
		if text != "" {
			texts = append(texts, text)
		}
	}
	seen.Done, seen.Failed = s.progress(say)
	for _, w := range s.note.Releases {
		got := s.shares[w.Version]
		if math.Abs(got-w.Share) <= tolerance {
			continue
		}
		if s.spec.Strategy.Canary.TrafficRouting != nil || w.Share == 0 || w.Share == 100 {
			seen.Done = false
		}
		say(fmt.Sprintf("%s has %.4g %% of the traffic, and is to have %.4g %%", w.Version, got, w.Share))
	}
	if s.note.Template != "" && s.note.Template != hashOf(s.object) {
		seen.Done = false
		say(fmt.Sprintf("the pod template of %s has been changed since adg's last change, by %s", s.target.o.Name, writer(s.object)))
	}
	seen.Text = s.target.client.Scrub(strings.Join(texts, "; "))
	return seen
}

// progress is what the controller says, and what is not so.
func (s *state) progress(say func(string)) (done, failed bool) {
	verified := s.status.Canary.Weights == nil || s.status.Canary.Weights.Verified == nil || *s.status.Canary.Weights.Verified
	switch {
	case !s.observedSpec():
		say("the controller of Argo Rollouts has not seen the change yet")
		return false, false
	case s.status.Abort:
		say(fmt.Sprintf("the Rollout has aborted %s: %s", s.release.Version, s.status.Message))
		return false, true
	case s.status.Phase == degraded:
		say("the Rollout is degraded: " + s.status.Message)
		return false, true
	case s.spec.Paused:
		say("the Rollout is paused by somebody")
	case !verified:
		say("the traffic router has not confirmed the weight")
		return false, false
	}
	for _, version := range []string{s.release.Version, s.stable().Version} {
		if s.shares[version] > 0 && s.ready[version] == 0 {
			say(fmt.Sprintf("no pod of %s is ready", version))
			return false, false
		}
	}
	done = s.promoted() && s.status.Phase == healthy && s.ready[s.release.Version] >= s.size() ||
		s.status.Phase == paused && s.waits()
	if !done {
		say(fmt.Sprintf("%s: %s, %d of %d pods of %s are ready", s.target.o.Name, cmp.Or(s.status.Message, s.status.Phase), s.ready[s.release.Version], s.size(), s.release.Version))
	}
	return done, false
}

// waits tells whether the Rollout is in the pause after the weight, and for no other reason.
func (s *state) waits() bool {
	if c := s.status.PauseConditions; len(c) != 1 || c[0].Reason != "CanaryPauseStep" {
		return false
	}
	steps, at := s.spec.Strategy.Canary.Steps, s.status.CurrentStepIndex
	return at != nil && *at >= 0 && *at < len(steps) && steps[*at]["pause"] != nil
}

// placements are the releases with traffic, and those whose pods run without, the most traffic first.
func (s *state) placements() []adg.Placement {
	var all []adg.Placement
	add := func(r adg.Release) {
		if r.Version == "" || slices.ContainsFunc(all, func(p adg.Placement) bool { return p.Release.Version == r.Version }) {
			return
		}
		p := adg.Placement{Release: r, Share: s.shares[r.Version], Role: adg.CandidateRole}
		switch {
		case p.Share == 0:
			p.Role = adg.IdleRole
		case r.Version == s.stable().Version:
			p.Role = adg.StableRole
		}
		all = append(all, p)
	}
	for _, p := range s.pods {
		add(s.releaseOf(p))
	}
	for _, k := range s.history {
		if s.shares[k.release.Version] > 0 {
			add(k.release)
		}
	}
	slices.SortFunc(all, func(a, b adg.Placement) int {
		return cmp.Or(cmp.Compare(b.Share, a.Share), cmp.Compare(a.Release.Version, b.Release.Version))
	})
	return all
}

// writer is who has written the object's spec last, adg and the controller's notes of status apart.
func writer(object *unstructured.Unstructured) string {
	name := "somebody"
	var latest int64
	for _, m := range object.GetManagedFields() {
		if m.Manager != "adg" && m.Subresource == "" && m.Time != nil && m.Time.Unix() >= latest {
			name, latest = m.Manager, m.Time.Unix()
		}
	}
	return name
}
