package client

import (
	"context"
	"errors"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/contexts"
	adgv1 "github.com/deployguardian/adg/proto/adg/v1"
)

// at is a deployment in a state, in one version of it.
func at(version int64, state adgv1.State) *adgv1.WatchDeploymentResponse {
	return &adgv1.WatchDeploymentResponse{Time: timestamppb.New(time.Unix(version, 0)), Deployment: &adgv1.Deployment{
		Id: "d", Version: version, Etag: state.String(), Status: &adgv1.Status{State: state},
	}}
}

// sent is a watch that sends these and then ends with an error.
func sent(err error, all ...*adgv1.WatchDeploymentResponse) func(*adgv1.WatchDeploymentRequest, grpc.ServerStreamingServer[adgv1.WatchDeploymentResponse]) error {
	return func(_ *adgv1.WatchDeploymentRequest, out grpc.ServerStreamingServer[adgv1.WatchDeploymentResponse]) error {
		for _, answer := range all {
			if err := out.Send(answer); err != nil {
				return err
			}
		}
		return err
	}
}

func TestADeploymentIsFollowedThroughTheDeathOfItsServerToItsEnd(t *testing.T) {
	rolling, verifying, succeeded := adgv1.State_STATE_ROLLING, adgv1.State_STATE_VERIFYING, adgv1.State_STATE_SUCCEEDED
	waits := func(_ *adgv1.WatchDeploymentRequest, out grpc.ServerStreamingServer[adgv1.WatchDeploymentResponse]) error {
		if err := out.Send(at(1, rolling)); err != nil {
			return err
		}
		<-out.Context().Done()
		return out.Context().Err()
	}
	address, stop := serve(t, &fake{watch: waits}, "127.0.0.1:0")
	c := dial(t, contexts.Context{Server: "http://" + address}, Options{})
	var states []string
	lost, back := make(chan time.Time, 10), make(chan time.Duration, 10)
	p := Patience{For: time.Minute, Lost: func(since time.Time, _ error) { lost <- since }, Back: func(_ time.Time, gone time.Duration) { back <- gone }}
	done := make(chan error, 1)
	first := make(chan struct{}, 10)
	go func() {
		last, err := c.Follow(t.Context(), "d", p, func(d *adgv1.Deployment, now time.Time) error {
			if now.Unix() != d.GetVersion() {
				t.Errorf("the server's time is %s", now)
			}
			states = append(states, d.GetStatus().GetState().String())
			first <- struct{}{}
			return nil
		})
		if last.GetVersion() != 3 {
			t.Errorf("seen last: %v", last)
		}
		done <- err
	}()
	<-first
	stop()
	since := <-lost
	// It was seen in this state already, and has moved on since.
	serve(t, &fake{watch: sent(nil, at(1, rolling), at(2, verifying), &adgv1.WatchDeploymentResponse{}, at(3, succeeded))}, address)
	if err := <-done; err != nil {
		t.Error(err)
	}
	if want := []string{"STATE_ROLLING", "STATE_VERIFYING", "STATE_SUCCEEDED"}; !slices.Equal(states, want) {
		t.Errorf("saw %v, want %v", states, want)
	}
	if gone := <-back; gone <= 0 || gone > time.Minute || time.Since(since) > time.Minute || len(lost) > 0 || len(back) > 0 {
		t.Errorf("lost since %s for %s; said %d times more", since, gone, len(lost)+len(back))
	}
}

func TestWhatTheServerItselfRefusesIsNotAskedAgain(t *testing.T) {
	refused, err := status.New(codes.Internal, "x").WithDetails(&adgv1.ErrorDetail{Code: adgv1.ErrorCode_ERROR_CODE_INTERNAL, Sentence: "oops"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		err   error
		again bool
	}{
		{"it does not exist", status.Error(codes.NotFound, "none"), false},
		{"the token is wrong", status.Error(codes.Unauthenticated, "wrong"), false},
		{"an error that the server explains", refused.Err(), false},
		{"an error that nobody explains, as of a proxy", status.Error(codes.Internal, "RST_STREAM"), true},
		{"a server that is being stopped", status.Error(codes.Canceled, "context canceled"), true},
		{"a server that is starting", status.Error(codes.Unavailable, "starting"), true},
		{"a stream that ends too early", nil, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var asked atomic.Int32
			address, _ := serve(t, &fake{watch: func(_ *adgv1.WatchDeploymentRequest, out grpc.ServerStreamingServer[adgv1.WatchDeploymentResponse]) error {
				if asked.Add(1) == 1 {
					return c.err
				}
				return out.Send(at(1, adgv1.State_STATE_ROLLED_BACK))
			}}, "127.0.0.1:0")
			_, err := dial(t, contexts.Context{Server: "http://" + address}, Options{}).Follow(t.Context(), "d", Patience{For: time.Minute},
				func(*adgv1.Deployment, time.Time) error { return nil })
			if again := asked.Load() > 1; again != c.again || (err == nil) != c.again {
				t.Errorf("asked %d times: %v", asked.Load(), err)
			}
		})
	}
}

func TestWithoutPatienceTheFirstLossIsTheEnd(t *testing.T) {
	address, _ := serve(t, &fake{watch: sent(status.Error(codes.Unavailable, "bye"), at(1, adgv1.State_STATE_HELD))}, "127.0.0.1:0")
	last, err := dial(t, contexts.Context{Server: "http://" + address}, Options{}).Follow(t.Context(), "d",
		Patience{Lost: func(time.Time, error) { t.Error("said that it is lost, and gave up at once") }}, func(*adgv1.Deployment, time.Time) error { return nil })
	if adg.CodeOf(err) != adg.Unavailable || last.GetVersion() != 1 {
		t.Errorf("last %v: %v", last, err)
	}
}

func TestWhoSeesMayEndIt(t *testing.T) {
	enough := errors.New("enough")
	address, _ := serve(t, &fake{watch: sent(nil, at(1, adgv1.State_STATE_HELD))}, "127.0.0.1:0")
	_, err := dial(t, contexts.Context{Server: "http://" + address}, Options{}).Follow(t.Context(), "d", Patience{For: time.Minute},
		func(*adgv1.Deployment, time.Time) error { return enough })
	if !errors.Is(err, enough) {
		t.Error(err)
	}
}

// away is what a call says of a server that does not answer.
func away() error {
	return caller{}.explained(context.Background(), status.Error(codes.Unavailable, "away"))
}

func TestPatienceEndsWhenItWasPromisedTo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began, lost, tries := time.Now(), 0, 0
		err := (&Client{server: "SERVER"}).Bear(t.Context(), Patience{For: 5 * time.Minute, Lost: func(time.Time, error) { lost++ }},
			func(context.Context, func()) error { tries++; return away() })
		if took := time.Since(began); took != 5*time.Minute || lost != 1 || tries < 30 || tries > 70 {
			t.Errorf("took %s, said %d times, tried %d times", took, lost, tries)
		}
		if adg.CodeOf(err) != adg.Unavailable || !strings.HasPrefix(err.Error(), "SERVER has been away since "+began.Format("15:04:05")+", longer than 5m:") {
			t.Error(err)
		}
	})
}

func TestEachLossIsSaidOnceAndHasPatienceOfItsOwn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lost, back, calls := 0, 0, 0
		p := Patience{For: time.Minute, Lost: func(time.Time, error) { lost++ }, Back: func(time.Time, time.Duration) { back++ }}
		err := (&Client{}).Bear(t.Context(), p, func(_ context.Context, alive func()) error {
			switch calls++; {
			case calls%4 == 0 && calls < 40: // there for a moment
				alive()
			case calls == 42: // there for a while, and silent
				time.Sleep(time.Hour)
			case calls == 45:
				return nil
			}
			return away()
		})
		// Nine answers, and then the hour of silence.
		if err != nil || lost != 11 || back != 10 {
			t.Errorf("lost %d times, back %d times: %v", lost, back, err)
		}
	})
}

func TestWaitingEndsWithTheCallersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		why := errors.New("ctrl-C")
		ctx, cancel := context.WithCancelCause(t.Context())
		done := make(chan error)
		go func() {
			done <- (&Client{}).Bear(ctx, Patience{For: time.Hour}, func(context.Context, func()) error { return away() })
		}()
		synctest.Wait()
		began := time.Now()
		cancel(why)
		if err := <-done; !errors.Is(err, why) || time.Since(began) > 0 {
			t.Errorf("after %s: %v", time.Since(began), err)
		}
	})
}

func TestPausesGrowAndTakeTheServersWord(t *testing.T) {
	for tries, longest := range map[int]time.Duration{0: firstPause, 1: 2 * firstPause, 3: 8 * firstPause, 6: longPause, 60: longPause} {
		for range 100 {
			if p := pause(tries, io.EOF); p < longest/2 || p > longest {
				t.Fatalf("after %d tries it waits %s, longest %s", tries, p, longest)
			}
		}
	}
	if p := pause(0, adg.Throttled(io.EOF, time.Hour)); p != time.Hour {
		t.Errorf("asked to wait for an hour it waits %s", p)
	}
}

func TestEventsAreSeenInOrderAndOnceHoweverOftenTheConnectionIsLost(t *testing.T) {
	const all = 20
	address, _ := serve(t, &fake{events: func(in *adgv1.StreamEventsRequest, out grpc.ServerStreamingServer[adgv1.StreamEventsResponse]) error {
		if in.GetEnvironments()[0] != "production" || !in.GetUrgent() {
			return status.Error(codes.InvalidArgument, "the filter is lost")
		}
		for cursor := in.GetAfter() + 1; cursor <= all; cursor++ {
			answer := &adgv1.StreamEventsResponse{Cursor: cursor}
			if cursor%3 != 0 { // every third is a sign of life
				answer.Event = &adgv1.Event{Cursor: cursor}
			}
			if err := out.Send(answer); err != nil {
				return err
			}
			if cursor%5 == 0 && cursor < all {
				return status.Error(codes.Unavailable, "bye")
			}
		}
		return status.Error(codes.PermissionDenied, "the end of the test")
	}}, "127.0.0.1:0")
	from := &adgv1.StreamEventsRequest{After: new(int64), Environments: []string{"production"}, Urgent: true}
	var seen, want []int64
	err := dial(t, contexts.Context{Server: "http://" + address}, Options{}).Stream(t.Context(), from, Patience{For: time.Minute}, func(e *adgv1.Event) error {
		seen = append(seen, e.GetCursor())
		return nil
	})
	for cursor := int64(1); cursor <= all; cursor++ {
		if cursor%3 != 0 {
			want = append(want, cursor)
		}
	}
	if adg.CodeOf(err) != adg.Unauthorized || !slices.Equal(seen, want) || from.GetAfter() != 0 {
		t.Errorf("saw %v, want %v: %v", seen, want, err)
	}
}
