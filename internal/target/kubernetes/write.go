package kubernetes

import (
	"context"
	"reflect"
	"time"

	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/kube"
	"github.com/deployguardian/adg/internal/target/notes"
)

// application is one call of Apply.
type application struct {
	target *target
	want   adg.Desired
}

// write reads an object, has it changed, and writes it back with the note of this operation, unless both are there
// already. Nobody's write is lost: the object's resourceVersion is compared, and after a conflict all begins anew.
func (a *application) write(ctx context.Context, r kube.Resource, name string, change func(*unstructured.Unstructured, *note) error) (*unstructured.Unstructured, error) {
	return a.compareAndSwap(ctx, r, name, func(object *unstructured.Unstructured, last note) (note, error) {
		next := last.next(a.want)
		return next, change(object, &next)
	})
}

// claim notes this owner's fence at every object of an operation that takes several writes, before it changes the first
// one: from then on an owner whose time is over changes none of them.
func (a *application) claim(ctx context.Context) error {
	t := a.target
	claim := func(_ *unstructured.Unstructured, last note) (note, error) { return last.claimed(a.want), nil }
	for _, name := range t.slots {
		if _, err := a.compareAndSwap(ctx, t.kind.resource, name, claim); err != nil {
			return err
		}
	}
	var err error
	switch t.o.Strategy {
	case blueGreen:
		_, err = a.compareAndSwap(ctx, services, t.o.Service, claim)
	case route:
		_, err = a.compareAndSwap(ctx, httpRoutes, t.o.Route, claim)
	}
	return err
}

func (a *application) compareAndSwap(ctx context.Context, r kube.Resource, name string, change func(*unstructured.Unstructured, note) (note, error)) (*unstructured.Unstructured, error) {
	var stored *unstructured.Unstructured
	err := kube.Swap(ctx, func() (bool, error) {
		object := &unstructured.Unstructured{}
		if err := a.target.client.Get(ctx, r, name, object); err != nil {
			return false, err
		}
		before := object.DeepCopy()
		last := notes.Of[note](object)
		if last.Fences.Refuse(a.want) {
			return false, adg.ErrFenced
		}
		next, err := change(object, last)
		if err == nil {
			err = notes.Put(object, next)
		}
		if err != nil {
			return false, err
		}
		if reflect.DeepEqual(before.Object, object.Object) {
			stored = object
			return false, nil
		}
		stored = &unstructured.Unstructured{}
		err = a.target.client.Replace(ctx, r, name, object, stored)
		return adg.CodeOf(err) == adg.Conflict, err
	})
	return stored, err
}

// pause between two looks at what nobody announces.
const pause = 250 * time.Millisecond

// until looks again until what is waited for is there, or the time is over; then the error has the last text.
func (a *application) until(ctx context.Context, look func() (done bool, text string, err error)) error {
	tick := time.NewTicker(pause)
	defer tick.Stop()
	for {
		done, text, err := look()
		if err != nil || done {
			return err
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return adg.Errorf(adg.Unavailable, "%s: %w", text, context.Cause(ctx))
		}
	}
}
