package postgres

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/deployguardian/adg"
)

func TestFactThatIsPutBehindADeliveryAtTheSameMomentIsToldToo(t *testing.T) {
	const facts = 60
	dsn := fresh(t)
	writer, teller := opened(t, dsn), opened(t, dsn)
	create(t, writer, "d0", "s0")
	w := takeAll(t, writer, 1)[0]
	written := make(chan struct{})
	var all sync.WaitGroup
	all.Go(func() {
		defer close(written)
		for n := range facts {
			tick := plain(t, w)
			tick.Measurements, tick.Notifiers = nil, []string{"chat"}
			tick.Decision.Facts = []adg.Fact{{ID: fmt.Sprintf("f%02d", n), Deployment: "d0"}}
			d, err := writer.Commit(context.Background(), tick)
			if err != nil {
				t.Error(err)
				return
			}
			w.Deployment = d
		}
	})
	told := 0
	for last := false; ; {
		batch, err := teller.Undelivered(t.Context(), "teller", time.Hour, 10)
		must(t, err)
		for _, d := range batch {
			if want := fmt.Sprintf("f%02d", told); d.Fact.ID != want {
				t.Fatalf("told %s, want %s", d.Fact.ID, want)
			}
			told++
			must(t, teller.Delivered(t.Context(), d))
		}
		if last && len(batch) == 0 {
			break
		}
		select {
		case <-written:
			last = true
		default:
		}
	}
	all.Wait()
	if told != facts {
		waiting, err := teller.Waiting(t.Context(), "d0")
		t.Errorf("%d of %d facts were told, %d wait for ever (%v)", told, facts, waiting, err)
	}
}
