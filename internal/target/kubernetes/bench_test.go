package kubernetes

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// BenchmarkRollback measures how long a rollback of a Deployment of three pods takes until all is as it was: by adg, from
// Apply to Done, and by what kubectl rollout undo does, from its patch to the end of kubectl rollout status. They take
// turns in one cluster; x-undo is the ratio of their medians.
func BenchmarkRollback(b *testing.B) {
	w := rollingWorld(b, "deployment")
	target, err := Driver.Open(b.Context(), w.options, adg.Host{Name: "shop"})
	if err != nil {
		b.Fatal(err)
	}
	var ours, theirs []time.Duration
	op := 0
	next := func() string { op++; return fmt.Sprintf("shop-v2-abc/%d", op) }
	settle := func(version string) {
		for {
			seen, err := target.Current(b.Context())
			if err != nil {
				b.Fatal(err)
			}
			if share, _ := seen.Share(version); seen.Done && share == 100 {
				return
			}
		}
	}
	forward := func() {
		if _, err := target.Apply(b.Context(), targettest.Want(next(), 1, 100)); err != nil {
			b.Fatal(err)
		}
		settle("v2")
	}
	for b.Loop() {
		forward()
		begin := time.Now()
		if _, err := target.Apply(b.Context(), targettest.Rollback(next(), 1)); err != nil {
			b.Fatal(err)
		}
		settle("v1")
		ours = append(ours, time.Since(begin))
		forward()
		begin = time.Now()
		w.undo(b)
		theirs = append(theirs, time.Since(begin))
	}
	b.ReportMetric(float64(median(ours).Milliseconds()), "ms/adg")
	b.ReportMetric(float64(median(theirs).Milliseconds()), "ms/undo")
	b.ReportMetric(float64(median(ours))/float64(median(theirs)), "x-undo")
}

// undo is what kubectl rollout undo and kubectl rollout status do.
func (w *world) undo(b *testing.B) {
	b.Helper()
	r := kinds["deployment"].resource
	d := &unstructured.Unstructured{}
	if err := w.admin.Get(b.Context(), r, "shop", d); err != nil {
		b.Fatal(err)
	}
	kept, err := kube.List[kube.Object](b.Context(), w.admin, replicaSets, kube.Selection{Labels: "app=shop"})
	if err != nil || len(kept) < 2 {
		b.Fatal(len(kept), err)
	}
	slices.SortFunc(kept, func(x, y kube.Object) int { return int(revisionAnnotation(y) - revisionAnnotation(x)) })
	template, _, _ := unstructured.NestedMap(kept[1].Object, "spec", "template")
	unstructured.RemoveNestedField(template, "metadata", "labels", "pod-template-hash")
	if err := unstructured.SetNestedMap(d.Object, template, "spec", "template"); err != nil {
		b.Fatal(err)
	}
	if err := w.admin.Replace(b.Context(), r, "shop", d, d); err != nil {
		b.Fatal(err)
	}
	generation := d.GetGeneration()
	for {
		if err := w.admin.Get(b.Context(), r, "shop", d); err != nil {
			b.Fatal(err)
		}
		number := func(fields ...string) int64 { n, _, _ := unstructured.NestedInt64(d.Object, fields...); return n }
		n := number("spec", "replicas")
		if number("status", "observedGeneration") >= generation && number("status", "updatedReplicas") == n && number("status", "replicas") == n && number("status", "availableReplicas") == n {
			return
		}
	}
}

func median(all []time.Duration) time.Duration {
	slices.Sort(all)
	return all[len(all)/2]
}
