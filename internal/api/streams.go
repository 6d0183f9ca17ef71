package api

import (
	"context"
	"crypto/rand"
	"slices"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/deployguardian/adg"
)

// Private

var (
	errDraining = adg.Advised(adg.Errorf(adg.Unavailable, "this server is going down"), "connect again")
	errRights   = adg.Advised(adg.Errorf(adg.Unavailable, "what you may do has changed"), "connect again")
	errUnsure   = adg.Advised(adg.Errorf(adg.Unavailable, "it cannot be found out whether you still may see this"), "connect again")
)

// streams counts those that are open.
type streams struct {
	limit int

	mu   sync.Mutex
	all  int
	open map[string]int // by whose they are; who has none is not in it
}

func newStreams(limit int) *streams { return &streams{limit: limit, open: map[string]int{}} }

// begin takes a place for somebody, of whom there may be so many.
func (s *streams) begin(whose string, most int) (end func(), err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.all >= s.limit:
		return nil, adg.Throttled(adg.Errorf(adg.Unavailable, "this server has %d streams open, which is its limit", s.limit), 10*time.Second)
	case s.open[whose] >= most:
		return nil, adg.Throttled(adg.Advised(adg.Errorf(adg.Unavailable, "you have %d streams open, which is the limit for one caller", most), "end some"), 10*time.Second)
	}
	s.all++
	s.open[whose]++
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.all--
		if s.open[whose]--; s.open[whose] == 0 {
			delete(s.open, whose)
		}
	}, nil
}

// stream surrounds every stream.
func (a *API) stream(server any, s grpc.ServerStream, info *grpc.StreamServerInfo, handle grpc.StreamHandler) (err error) {
	id, begin, ctx := rand.Text()[:13], time.Now(), s.Context() //nolint:forbidigo // how long requests take is real time
	defer func() {
		if broken := recover(); broken != nil {
			err = a.broken(ctx, id, info.FullMethod, broken)
		}
		err = a.answered(ctx, s.Context(), id, info.FullMethod, begin, err)
	}()
	if ctx, err = a.admit(ctx, info.FullMethod); err != nil {
		return err
	}
	whose, most := "everybody", a.o.Watchers/100+1
	if who := caller(ctx); who.Subject != "" {
		whose, most = orElse(who.Person, who.Subject), a.o.PerCaller
	}
	end, err := a.streams.begin(whose, most)
	if err != nil {
		return err
	}
	defer end()
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		a.watch(ctx, cancel)
	}()
	err = handle(server, &streaming{s, ctx})
	if cause := context.Cause(ctx); cause != nil && adg.CodeOf(cause) != adg.Internal {
		err = cause
	}
	cancel(nil)
	<-watched
	return err
}

// watch ends a stream when the server goes down, when what its caller shows is not good any more, and when he may do
// something else than at its beginning: what he is sent was decided by that. It takes three times as long as it is asked
// at most, also where the store does not answer.
func (a *API) watch(ctx context.Context, end context.CancelCauseFunc) {
	draining, _ := ctx.Value(drainKey{}).(<-chan struct{})
	who := caller(ctx)
	md, _ := metadata.FromIncomingContext(ctx)
	again := time.NewTicker(a.o.Again)
	defer again.Stop()
	for unsure := 0; ; {
		select {
		case <-ctx.Done():
			return
		case <-draining:
			end(errDraining)
			return
		case <-again.C:
		}
		if who.Subject == "" {
			continue
		}
		asking, cancel := context.WithTimeout(ctx, a.o.Again)
		now, err := a.o.Directory.Still(asking, credentialOf(md))
		cancel()
		switch {
		case err != nil && adg.CodeOf(err) == adg.Unauthorized:
			end(err)
			return
		case err != nil:
			if unsure++; unsure == 2 {
				end(errUnsure)
				return
			}
		case !slices.Equal(now.Bindings, who.Bindings):
			end(errRights)
			return
		default:
			unsure = 0
		}
	}
}

// streaming is a stream within another context.
type streaming struct {
	grpc.ServerStream
	ctx context.Context //nolint:containedctx // gRPC has it so
}

// Context is the context of the stream.
func (s *streaming) Context() context.Context { return s.ctx }

// RecvMsg reads a request.
func (s *streaming) RecvMsg(m any) error {
	if err := s.ServerStream.RecvMsg(m); err != nil {
		return err
	}
	if err := bounded(m); err != nil {
		return err
	}
	return complete(m)
}
