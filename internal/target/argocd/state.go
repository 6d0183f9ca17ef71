package argocd

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/target/gitops"
)

// Private

// state is what Argo CD says about the Application at one moment.
type state struct {
	app   *application
	note  note
	name  string
	pods  map[string]count // of the image that tells the release, by its name
	scrub func(string) string
}

type count struct{ all, healthy, degraded int }

func (t *target) look(ctx context.Context) (*state, error) {
	app, err := t.api.application(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the Application: %w", err)
	}
	pods, err := t.api.pods(ctx)
	if err != nil {
		return nil, fmt.Errorf("read the Application's pods: %w", err)
	}
	s := &state{app: app, note: noteOf(app), name: t.o.Application, pods: map[string]count{}, scrub: t.api.client.Scrub}
	for _, pod := range pods {
		for _, image := range pod.Images {
			of, _, _ := kube.SplitImage(image)
			if of != t.o.Image && image != s.note.Live.Artifact {
				continue
			}
			n := s.pods[image]
			n.all++
			switch {
			case pod.Health == nil:
			case pod.Health.Status == "Healthy":
				n.healthy++
			case pod.Health.Status == "Degraded":
				n.degraded++
			}
			s.pods[image] = n
			break
		}
	}
	return s, nil
}

// only is the image of all pods, where they are all healthy.
func (s *state) only() (string, bool) {
	for image, n := range s.pods {
		return image, len(s.pods) == 1 && n.healthy == n.all
	}
	return "", false
}

// observed tells shares from pods that are healthy, and that it is done from the same: that the server took the operation
// says nothing.
func (s *state) observed() adg.Observed {
	seen := adg.Observed{OpID: s.note.OpID, Suspended: s.suspended()}
	healthy, all := 0, 0
	for _, n := range s.pods {
		healthy, all = healthy+n.healthy, all+n.all
	}
	for _, image := range slices.Sorted(maps.Keys(s.pods)) {
		share := 0.0
		if healthy > 0 {
			share = 100 * float64(s.pods[image].healthy) / float64(healthy)
		}
		p := adg.Placement{Release: s.releaseOf(image), Share: share, Role: adg.StableRole}
		if share == 0 {
			p.Role = adg.IdleRole
		}
		seen.Releases = append(seen.Releases, p)
	}
	image, only := s.only()
	live := only && (s.note.OpID == "" || s.releaseOf(image).Version == s.note.Live.Version)
	var words []string
	if trouble := s.trouble(); trouble != "" {
		seen.Failed = true
		words = append(words, trouble)
	}
	switch running := s.app.running(); {
	case seen.Failed:
	case running != nil:
		words = append(words, "a sync is under way"+s.message())
	case s.note.OpID != "" && !s.begun():
		words = append(words, "the sync of this operation has not been started, or is not in the Application's history")
	case !live:
		words = append(words, fmt.Sprintf("%d of %d pods of the image are healthy, and they run %s", healthy, all, cmp.Or(strings.Join(s.versions(), " and "), "nothing")))
	case s.app.Status.Health.Status != "Healthy":
		words = append(words, "the Application's health is "+s.health())
	default:
		seen.Done = true
	}
	if status := s.app.Status.Sync.Status; status != "Synced" && status != "" {
		words = append(words, "compared with the repository it is "+s.scrub(status))
	}
	seen.Text = strings.Join(words, "; ")
	return seen
}

// begun tells whether the operation of the note has been started, or what it would bring has been deployed by another.
func (s *state) begun() bool {
	if s.app.newest().ID > s.note.Newest && s.app.newest().Revision == s.note.Revision {
		return true
	}
	if last := s.app.Status.OperationState; last != nil && last.StartedAt != s.note.Started && s.note.ours(&last.Operation) {
		return true
	}
	image, only := s.only()
	return only && s.releaseOf(image).Version == s.note.Live.Version && s.app.newest().Revision == s.note.Revision
}

// trouble is why the operation has failed; empty: it has not.
func (s *state) trouble() string {
	if s.note.OpID == "" || s.app.running() != nil {
		return ""
	}
	last := s.app.Status.OperationState
	if last != nil && last.StartedAt != s.note.Started && s.note.ours(&last.Operation) && (last.Phase == "Failed" || last.Phase == "Error") {
		return "the sync has failed" + s.message()
	}
	if s.begun() && s.app.Status.Health.Status == "Degraded" && s.toBlame() {
		return "the Application's health is " + s.health()
	}
	return ""
}

// toBlame tells whether it is the release that is to be live which is degraded, and not the one before.
func (s *state) toBlame() bool {
	for image, n := range s.pods {
		if s.releaseOf(image).Version == s.note.Live.Version {
			return n.degraded > 0 || len(s.pods) == 1
		}
	}
	return false
}

func (s *state) message() string {
	if last := s.app.Status.OperationState; last != nil && last.Message != "" {
		return ": " + s.scrub(last.Message)
	}
	return ""
}

func (s *state) health() string {
	h := s.app.Status.Health
	text := cmp.Or(h.Status, "not known")
	if h.Message != "" {
		text += ": " + h.Message
	}
	return s.scrub(text)
}

func (s *state) versions() (versions []string) {
	for _, image := range slices.Sorted(maps.Keys(s.pods)) {
		versions = append(versions, s.releaseOf(image).Version)
	}
	return versions
}

// releaseOf is the release that an image is of: one that the last operation named, else what the image says.
func (s *state) releaseOf(image string) adg.Release {
	of, _, _ := kube.SplitImage(image)
	for _, n := range append([]named{s.note.Live}, s.note.Others...) {
		if n.Version != "" && gitops.Is(image, of, n.release()) {
			return adg.Release{Version: n.Version, Artifact: image}
		}
	}
	return adg.Release{Version: gitops.Version(image), Artifact: image}
}

// suspended is empty where automated sync is as it was, whoever has put it back.
func (s *state) suspended() string {
	if len(s.note.Automated) == 0 || s.app.automated() != nil {
		return ""
	}
	return s.automatedSync()
}

func (s *state) automatedSync() string { return "automated sync of the Application " + s.name }
