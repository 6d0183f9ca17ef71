package control

import (
	"context"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/deployguardian/adg"
)

func TestLengthyRequestsAreFewAtOnceAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := New(Options{})
		begin := time.Now()
		var under sync.WaitGroup
		hangs := func(ctx context.Context) (int, error) {
			<-ctx.Done()
			return 0, ctx.Err()
		}
		for range maxLengthy {
			under.Go(func() {
				_, err := lengthy(t.Context(), c, "replaying one", hangs)
				if adg.CodeOf(err) != adg.Unavailable || !strings.Contains(err.Error(), "replaying one takes longer than a request may") {
					t.Errorf("what takes too long: %v", err)
				}
			})
		}
		synctest.Wait()
		short, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := lengthy(short, c, "the report of two", hangs)
		if wait, asked := adg.RetryAfter(err); adg.CodeOf(err) != adg.Unavailable || !asked || wait != 10*time.Second || !strings.Contains(err.Error(), "busy") {
			t.Errorf("one too many: %v", err)
		}
		under.Wait()
		if took := time.Since(begin); took != lengthyTime {
			t.Errorf("they took %s", took)
		}
		made, err := lengthy(t.Context(), c, "replaying three", func(context.Context) (int, error) { return 3, nil })
		if made != 3 || err != nil {
			t.Errorf("afterwards: %d, %v", made, err)
		}
		_, err = lengthy(t.Context(), c, "replaying four", func(context.Context) (int, error) { return 0, adg.Errorf(adg.NotFound, "gone") })
		if adg.CodeOf(err) != adg.NotFound {
			t.Errorf("another error stays what it is: %v", err)
		}
	})
}
