package rehearsal

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// telling is a target that says what is in the way.
type telling struct {
	adg.Target
	says []adg.Obstacle
	err  error
	want adg.Desired
}

func (t *telling) Rehearse(_ context.Context, want adg.Desired) ([]adg.Obstacle, error) {
	t.want = want
	return t.says, t.err
}

func TestTheWayBackIsRehearsedAtTheTargetAndAtItsFallback(t *testing.T) {
	gone := adg.Obstacle{Name: "release", Final: true, Text: "the image of v1 is gone"}
	spared := adg.Obstacle{Name: "release", Text: "the image of v1 is gone; the fallback target spare would be asked"}
	slow := adg.Obstacle{Name: "capacity", Text: "there may be no room"}
	broken := errors.New("it burns")
	for _, c := range []struct {
		what        string
		main, spare *telling
		want        []adg.Obstacle
		err         error
	}{
		{what: "nothing is in the way", main: &telling{}},
		{what: "something may be in the way, and the fallback is not asked", main: &telling{says: []adg.Obstacle{slow}}, spare: &telling{err: broken}, want: []adg.Obstacle{slow}},
		{what: "no way back and no fallback", main: &telling{says: []adg.Obstacle{gone}}, want: []adg.Obstacle{gone}},
		{what: "the fallback can", main: &telling{says: []adg.Obstacle{gone}}, spare: &telling{says: []adg.Obstacle{slow}}, want: []adg.Obstacle{spared, slow}},
		{what: "the fallback cannot either", main: &telling{says: []adg.Obstacle{gone}}, spare: &telling{says: []adg.Obstacle{gone}}, want: []adg.Obstacle{gone, gone}},
		{what: "the fallback does not answer", main: &telling{says: []adg.Obstacle{gone}}, spare: &telling{err: broken}, want: []adg.Obstacle{gone}, err: broken},
		{what: "the target does not answer", main: &telling{err: broken}, err: broken},
	} {
		d := adg.Deployment{ID: "d", Spec: adg.Spec{Release: targettest.Release("v2"), LastGood: new(adg.Release)}}
		*d.Spec.LastGood = targettest.Release("v1")
		if c.spare != nil {
			d.Spec.Policy.Rollback.Fallback = "spare"
		}
		got, err := Of(t.Context(), func(_ context.Context, d adg.Deployment) (adg.Target, error) {
			if d.Target() == "spare" {
				return c.spare, nil
			}
			return c.main, nil
		}, d)
		if diff := cmp.Diff(c.want, got); diff != "" || !errors.Is(err, c.err) {
			t.Errorf("%s: %v\n%s", c.what, err, diff)
		}
		if share, _ := (adg.Observed{Releases: c.main.want.Releases}).Share("v1"); share != 100 || !c.main.want.Rollback {
			t.Errorf("%s: it rehearsed %+v", c.what, c.main.want)
		}
	}
}

func TestARehearsalIsBounded(t *testing.T) {
	long := &telling{}
	for range 100 {
		long.says = append(long.says, adg.Obstacle{Text: strings.Repeat("ä", 5000)})
	}
	d := adg.Deployment{Spec: adg.Spec{LastGood: new(adg.Release)}}
	got, err := Of(t.Context(), func(context.Context, adg.Deployment) (adg.Target, error) { return long, nil }, d)
	if err != nil || len(got) != maxObstacles || len(got[0].Text) > maxText+10 {
		t.Errorf("%d obstacles, %v", len(got), err)
	}
}

func TestWithoutALastGoodReleaseOrAPowerThereIsNothingToRehearse(t *testing.T) {
	silent := func(context.Context, adg.Deployment) (adg.Target, error) { return targettest.NewMemory(), nil }
	for _, d := range []adg.Deployment{{}, {Spec: adg.Spec{LastGood: new(adg.Release)}}} {
		if got, err := Of(t.Context(), silent, d); got != nil || err != nil {
			t.Errorf("%v, %v", got, err)
		}
	}
}
