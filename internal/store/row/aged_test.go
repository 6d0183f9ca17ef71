package row

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestForgettingCostsAsMuchAsThereIsToForget(t *testing.T) {
	epoch := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	at := func(hour int) time.Time { return epoch.Add(time.Duration(hour) * time.Hour) }
	all := []Aged{
		{N: 1, Begun: at(0), Ended: at(1)},
		{N: 2, Begun: at(0), Ended: at(99)}, // began early and ended late
		{N: 3, Begun: at(1), Ended: at(2), Kept: true},
		{N: 4, Begun: at(3), Ended: at(4)},
		{N: 5, Begun: at(20), Ended: at(21)},
		{N: 6, Begun: at(21), Ended: at(22)},
		{N: 7, Begun: at(22), Ended: at(22)},
	}
	for _, one := range []struct {
		name         string
		before, most int
		want         []int64
		pages        int
	}{
		{"what ended before, and no page past it", 10, 100, []int64{1, 4}, 3},
		{"no more than wanted", 10, 1, []int64{1}, 1},
		{"all there is", 200, 100, []int64{1, 2, 4, 5, 6, 7}, 5},
		{"nothing is old", 0, 100, nil, 1},
	} {
		t.Run(one.name, func(t *testing.T) {
			pages, rows := 0, int64(0)
			var gone []int64
			rows, err := Forget(t.Context(), at(one.before), one.most, func(_ context.Context, after int64) ([]Aged, error) {
				pages++
				var page []Aged
				for _, a := range all {
					if a.N > after && len(page) < 2 {
						page = append(page, a)
					}
				}
				return page, nil
			}, func(_ context.Context, numbers []int64) (int64, error) {
				gone = append(gone, numbers...)
				return int64(len(numbers)), nil
			})
			if diff := cmp.Diff(one.want, gone); diff != "" || err != nil || pages != one.pages || rows != int64(len(gone)) {
				t.Errorf("%d pages, %d rows, %v\n%s", pages, rows, err, diff)
			}
		})
	}
	if gone, err := Forget(t.Context(), time.Time{}, 10, nil, nil); gone != 0 || err != nil {
		t.Errorf("without a time: %d, %v", gone, err)
	}
}
