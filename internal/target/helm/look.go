package helm

import (
	"context"
	"fmt"
	"slices"
	"strings"

	appsv1 "k8s.io/api/apps/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
)

// state is what helm and the cluster reported at one time.
type state struct {
	target    *target
	note      note
	history   []revision // the newest first; there is one at least
	release   adg.Release
	before    adg.Release // that was live before the newest revision; without a version: none
	workloads []workload
}

func (s *state) top() revision { return s.history[0] }

// workload is a Deployment, StatefulSet or DaemonSet of the release.
type workload struct {
	name            string // with its kind
	wanted, updated int    // pods; those that are of the newest template and available
	complete        bool   // its controller has seen the spec, and every pod is of it and available
	failed          string
}

// look reads all of it; nothing is changed.
func (t *target) look(ctx context.Context) (*state, error) {
	s := &state{target: t}
	var err error
	if s.note, _, err = t.readNote(ctx); err != nil {
		return nil, err
	}
	if s.history, err = t.history(ctx); err != nil {
		return nil, err
	}
	if s.release, err = t.releaseOf(ctx, s.history, s.top()); err != nil {
		return nil, err
	}
	s.workloads, err = t.workloads(ctx)
	if err != nil {
		return nil, err
	}
	if s.whole() && s.top().Status == deployed {
		return s, nil
	}
	if i := slices.IndexFunc(s.history[1:], revision.was); i >= 0 {
		s.before, err = t.releaseOf(ctx, s.history, s.history[i+1])
	}
	return s, err
}

// find is the newest revision that was that release, live as a whole.
func (s *state) find(ctx context.Context, want adg.Release) (revision, bool, error) {
	for _, r := range s.history {
		if !r.was() {
			continue
		}
		known, err := s.target.releaseOf(ctx, s.history, r)
		if err != nil {
			return revision{}, false, err
		}
		if is(known, want) {
			return r, true, nil
		}
	}
	return revision{}, false, nil
}

// whole tells whether every workload is what its spec says.
func (s *state) whole() bool {
	return !slices.ContainsFunc(s.workloads, func(w workload) bool { return !w.complete })
}

func (s *state) observed() adg.Observed {
	top := s.top()
	seen := adg.Observed{OpID: s.note.OpID, Done: s.whole() && top.Status == deployed, Releases: s.placements()}
	var texts []string
	say := func(format string, args ...any) { texts = append(texts, fmt.Sprintf(format, args...)) }
	switch {
	case top.pending():
		say("revision %d is %s: helm is at work, or was ended in the middle", top.Number, top.Status)
	case top.Status == failed:
		seen.Failed = true
		say("revision %d has failed: %s", top.Number, top.Description)
	case top.Status != deployed:
		say("revision %d is %s", top.Number, top.Status)
	}
	if s.note.Running != nil {
		seen.Done = false
		say("a run of helm for %s is under way, until %s at most", s.note.Running.OpID, s.note.Running.Until.Format("15:04:05 MST"))
	}
	for _, w := range s.workloads {
		switch {
		case w.failed != "":
			seen.Failed = true
			say("%s has given up: %s", w.name, w.failed)
		case !w.complete:
			say("%s: %d of %d pods are there", w.name, w.updated, w.wanted)
		}
	}
	if s.note.Version != "" && s.note.Version != s.release.Version && !top.pending() {
		seen.Done = false
		say("revision %d is %s, and %s was wanted last", top.Number, s.release.Version, s.note.Version)
	}
	seen.Text = s.target.client.Scrub(strings.Join(texts, "; "))
	return seen
}

// placements are the newest revision's release, as far as its pods are there, and the one before it with the rest. Of a
// revision that failed nobody knows how far it came.
func (s *state) placements() []adg.Placement {
	share := 100.0
	if !s.whole() {
		wanted, updated := 0, 0
		for _, w := range s.workloads {
			wanted, updated = wanted+w.wanted, updated+min(w.updated, w.wanted)
		}
		share = 100 * float64(updated) / float64(max(wanted, 1))
	} else if s.top().Status != deployed {
		share = 0
	}
	if s.before.Version == "" || s.before.Version == s.release.Version {
		return []adg.Placement{{Release: s.release, Share: 100, Role: adg.StableRole}}
	}
	all := []adg.Placement{{Release: s.release, Share: share, Role: adg.CandidateRole}, {Release: s.before, Share: 100 - share, Role: adg.StableRole}}
	return slices.DeleteFunc(all, func(p adg.Placement) bool { return p.Share == 0 })
}

// workloads are those that helm says are of the release.
func (t *target) workloads(ctx context.Context) ([]workload, error) {
	var all []workload
	for _, kind := range []struct{ plural, word string }{{"deployments", "Deployment"}, {"statefulsets", "StatefulSet"}, {"daemonsets", "DaemonSet"}} {
		objects, err := kube.List[kube.Object](ctx, t.client, apps(kind.plural), kube.Selection{Labels: "app.kubernetes.io/managed-by=Helm"})
		if err != nil {
			return nil, err
		}
		for _, o := range objects {
			marks := o.GetAnnotations()
			if marks["meta.helm.sh/release-name"] != t.o.Release || marks["meta.helm.sh/release-namespace"] != t.client.Namespace() {
				continue
			}
			w, err := parseWorkload(kind.word, &o.Unstructured)
			if err != nil {
				return nil, adg.Errorf(adg.Unavailable, "read %s %s: %w", kind.word, o.GetName(), err)
			}
			all = append(all, w)
		}
	}
	return all, nil
}

func apps(plural string) kube.Resource {
	return kube.Resource{Group: "apps", Version: "v1", Plural: plural}
}

func parseWorkload(kind string, object *unstructured.Unstructured) (workload, error) {
	w := workload{name: kind + " " + object.GetName()}
	size := func(replicas *int32) int {
		if replicas == nil {
			return 1
		}
		return int(*replicas)
	}
	count := func(wanted int, all, updated, available int32, observed int64) {
		w.wanted, w.updated = wanted, int(min(updated, available))
		w.complete = observed >= object.GetGeneration() && int(all) == wanted && w.updated >= wanted
		if observed < object.GetGeneration() {
			w.updated = 0
		}
	}
	switch kind {
	case "Deployment":
		var d appsv1.Deployment
		if err := kube.Convert(object.Object, &d); err != nil {
			return w, err
		}
		count(size(d.Spec.Replicas), d.Status.Replicas, d.Status.UpdatedReplicas, d.Status.AvailableReplicas, d.Status.ObservedGeneration)
		for _, c := range d.Status.Conditions {
			if c.Type == appsv1.DeploymentProgressing && c.Reason == "ProgressDeadlineExceeded" && d.Status.ObservedGeneration >= d.Generation {
				w.failed = c.Message
			}
		}
	case "StatefulSet":
		var s appsv1.StatefulSet
		if err := kube.Convert(object.Object, &s); err != nil {
			return w, err
		}
		updated := s.Status.UpdatedReplicas
		if s.Status.CurrentRevision == s.Status.UpdateRevision {
			updated = s.Status.Replicas // they are not counted as updated where nothing was
		}
		count(size(s.Spec.Replicas), s.Status.Replicas, updated, s.Status.AvailableReplicas, s.Status.ObservedGeneration)
	default:
		var d appsv1.DaemonSet
		if err := kube.Convert(object.Object, &d); err != nil {
			return w, err
		}
		count(int(d.Status.DesiredNumberScheduled), d.Status.CurrentNumberScheduled, d.Status.UpdatedNumberScheduled, d.Status.NumberAvailable, d.Status.ObservedGeneration)
	}
	return w, nil
}
