package kubernetes

import (
	"context"
	"slices"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
)

// roll writes the release that is wanted into the workload, whose controller then replaces the pods.
func (a *application) roll(ctx context.Context) error {
	t := a.target
	live := slices.IndexFunc(a.want.Releases, func(p adg.Placement) bool { return p.Share > 0 })
	release := a.want.Releases[live].Release
	if err := a.configured(ctx, release); err != nil {
		return err
	}
	object, err := a.write(ctx, t.kind.resource, t.o.Name, func(object *unstructured.Unstructured, next *note) error {
		w, err := t.parse(object)
		if err != nil {
			return adg.Errorf(adg.Unavailable, "read %s %s: %w", t.kind.word, t.o.Name, err)
		}
		if err := a.mayWrite(w); err != nil {
			return err
		}
		return a.place(ctx, w, release, next)
	})
	if err != nil {
		return err
	}
	if a.want.Rollback && t.kind.word == "StatefulSet" {
		return a.unblock(ctx, object.GetGeneration(), release)
	}
	return nil
}

// mayWrite refuses what would run over somebody else's work.
func (a *application) mayWrite(w *workload) error {
	t := a.target
	paused, _, _ := unstructured.NestedBool(w.object.Object, "spec", "paused")
	live := w.release(t)
	known := func(r wanted) bool { return r.Version == live.Version }
	wants := func(p adg.Placement) bool { return t.is(live, p.Release) || p.Release.Version == live.Version }
	foreign := w.note.Deployment == a.want.Deployment && w.note.Template != "" && w.note.Template != hashOf(w.object) &&
		!slices.ContainsFunc(w.note.Releases, known) && !slices.ContainsFunc(a.want.Releases, wants)
	switch {
	case paused:
		return adg.Errorf(adg.Conflict, "Deployment %s is paused, by somebody else than adg: continue it with kubectl rollout resume deployment/%s", w.name(), w.name())
	case foreign:
		return adg.Permanent(adg.Errorf(adg.Conflict, "%s %s runs %s now, which %s has put there since adg's last change: adg does not run over it; deploy or roll back by hand",
			w.kind.word, w.name(), live.Version, writer(w.object)))
	}
	if kind, _, _ := unstructured.NestedString(w.object.Object, "spec", "updateStrategy", "type"); kind == "OnDelete" {
		return adg.Permanent(adg.Errorf(adg.Invalid, "%s %s has the update strategy OnDelete, and nobody deletes its pods: make it RollingUpdate", w.kind.word, w.name()))
	}
	if partition, _, _ := unstructured.NestedInt64(w.object.Object, "spec", "updateStrategy", "rollingUpdate", "partition"); partition > 0 {
		return adg.Errorf(adg.Conflict, "the partition of StatefulSet %s keeps its pods below number %d at what they are: set it to 0", w.name(), partition)
	}
	return nil
}

// place makes the workload's template one of the release. Going back, it is the whole template that the release had;
// where the cluster has not kept that, and going forward, it is the present one with the release's image and
// configuration.
func (a *application) place(ctx context.Context, w *workload, release adg.Release, next *note) error {
	t := a.target
	if !t.is(w.release(t), release) {
		template, _, err := unstructured.NestedMap(w.object.Object, "spec", "template")
		if err != nil {
			return adg.Permanent(adg.Errorf(adg.Invalid, "the pod template of %s: %w", w.name(), err))
		}
		var kept map[string]any
		if a.want.Rollback {
			if kept, err = t.recorded(ctx, w, release); err != nil {
				return err
			}
		}
		if kept != nil {
			template = kept
		} else if err := t.put(template, release); err != nil {
			return err
		}
		if err := unstructured.SetNestedMap(w.object.Object, template, "spec", "template"); err != nil {
			return adg.Permanent(adg.Errorf(adg.Invalid, "the pod template of %s: %w", w.name(), err))
		}
	}
	next.Template = hashOf(w.object)
	return nil
}

// configured refuses a release whose ConfigMaps or Secrets are not there: its pods could not start.
func (a *application) configured(ctx context.Context, r adg.Release) error {
	if r.Config == "" {
		return nil
	}
	for resource, names := range map[string][]string{"configmaps": a.target.o.ConfigMaps, "secrets": a.target.o.Secrets} {
		for _, name := range names {
			var object struct{}
			if err := a.target.client.Get(ctx, kube.Resource{Version: "v1", Plural: resource}, kube.Revised(name, r.Config), &object); err != nil {
				return err
			}
		}
	}
	return nil
}

// unblock deletes the pods of other releases that are not ready, once the controller has seen the new template: a
// StatefulSet waits for a broken pod to become ready before it replaces it, which is forever.
func (a *application) unblock(ctx context.Context, generation int64, release adg.Release) error {
	t := a.target
	return a.until(ctx, func() (bool, string, error) {
		s, err := t.look(ctx)
		if err != nil {
			return false, "", err
		}
		w := s.slots[0].workload
		if observed, _, _ := unstructured.NestedInt64(w.object.Object, "status", "observedGeneration"); observed < generation {
			return false, "the StatefulSet's controller has not seen the change yet", nil
		}
		if w.note.OpID != a.want.OpID || w.note.Fences.Refuse(a.want) {
			return true, "", nil // a later owner's now
		}
		for _, p := range s.slots[0].pods {
			if !kube.Ready(p) && !t.is(t.releaseOf(p.ObjectMeta, p.Spec), release) {
				if err := t.client.Delete(ctx, podResource, p.Name, string(p.UID)); err != nil {
					return false, "", err
				}
			}
		}
		seen := s.observed()
		return seen.Done || seen.Failed, seen.Text, nil
	})
}

func hashOf(object *unstructured.Unstructured) string {
	template, _, _ := unstructured.NestedFieldNoCopy(object.Object, "spec", "template")
	return hash(template)
}

// writer is who has written the object's spec last, adg apart.
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
