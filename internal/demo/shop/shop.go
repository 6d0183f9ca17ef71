package shop

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/deployguardian/adg"
)

// Routes are what customers ask for; these are what the request metrics count.
var Routes = []string{"/", "/products", "/cart", "/checkout"}

// Serve runs the shop until ctx or o.In ends, which is no error, and lets running requests end for a moment. A shop
// with the fault Crash ends the whole process. An address that is taken gives Unavailable.
func Serve(ctx context.Context, o Options) error {
	o.Fault, o.Addr = cmp.Or(o.Fault, None), cmp.Or(o.Addr, "127.0.0.1:0")
	if err := o.validate(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", o.Addr)
	if err != nil {
		return adg.Errorf(adg.Unavailable, "shop %s: %w", o.Version, err)
	}
	// Longer than a router keeps a connection: none that it has opened to use later is closed under a request.
	server := &http.Server{Handler: newShop(ctx, o).handler(), ReadHeaderTimeout: 30 * time.Second}
	if o.In != nil {
		go func() {
			_, _ = io.Copy(io.Discard, o.In) // however it ends, the other side is gone
			cancel()
		}()
	}
	if o.Out != nil {
		if _, err := fmt.Fprintln(o.Out, listener.Addr()); err != nil {
			return errors.Join(adg.Errorf(adg.Unavailable, "shop %s: saying where it listens: %w", o.Version, err), listener.Close())
		}
	}
	return serve(ctx, server, listener)
}

// Private

const (
	maxBody   = 64 << 10
	farewell  = 500 * time.Millisecond // how long running requests have once the shop is stopped
	crashExit = 70
)

func serve(ctx context.Context, server *http.Server, listener net.Listener) error {
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	select {
	case err := <-ended:
		return adg.Errorf(adg.Unavailable, "serving: %w", err)
	case <-ctx.Done():
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), farewell)
	defer cancel()
	if server.Shutdown(last) != nil {
		_ = server.Close() // requests that hang get no answer, as they would not have anyway
	}
	if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
		return adg.Errorf(adg.Unavailable, "serving: %w", err)
	}
	return nil
}

// shop is one version of the service.
type shop struct {
	options Options
	fates   *fates
	leak    *leak
	metrics *metrics
	log     *diary
}

func newShop(ctx context.Context, o Options) *shop {
	return &shop{options: o, fates: newFates(o), leak: newLeak(ctx), metrics: newMetrics(o), log: newDiary(o)}
}

func (s *shop) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.business("/", map[string]any{"shop": "Corner Shop"}))
	mux.HandleFunc("GET /products", s.business("/products", map[string]any{"products": []string{"apple", "bread", "cheese"}}))
	mux.HandleFunc("POST /cart", s.business("/cart", map[string]any{"items": 1}))
	mux.HandleFunc("POST /checkout", s.business("/checkout", map[string]any{"order": "accepted"}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) {
		s.answer(w, http.StatusOK, map[string]any{"status": "ok"})
	})
	mux.Handle("GET /metrics", s.metrics.handler())
	return mux
}

// business is a route that customers use: it takes its time, and fails as often as this version does.
func (s *shop) business(route string, good map[string]any) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		begin := time.Now()
		// Only once the body is read does the server notice that a client has gone.
		if _, err := io.Copy(io.Discard, http.MaxBytesReader(w, r.Body, maxBody)); err != nil {
			s.reply(w, route, http.StatusBadRequest, begin, map[string]any{"error": "the request could not be read"})
			return
		}
		if s.options.Fault == Silent {
			<-r.Context().Done()
			panic(http.ErrAbortHandler)
		}
		if s.options.Fault == Leak {
			s.leak.begin()
		}
		fate := s.fates.next()
		if fate.crashes {
			os.Exit(crashExit)
		}
		if !pause(r.Context(), s.leak.slowed(fate.takes)) {
			panic(http.ErrAbortHandler) // nobody waits for an answer any more
		}
		if fate.fails {
			s.log.failed(r)
			s.reply(w, route, http.StatusInternalServerError, begin, map[string]any{"error": "out of order"})
			return
		}
		s.log.served(route)
		s.reply(w, route, http.StatusOK, begin, good)
	}
}

// reply counts before it answers: whoever has an answer finds it in the metrics.
func (s *shop) reply(w http.ResponseWriter, route string, code int, begin time.Time, body map[string]any) {
	s.metrics.observe(route, code, time.Since(begin))
	s.answer(w, code, body)
}

func (s *shop) answer(w http.ResponseWriter, code int, body map[string]any) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("X-Version", s.options.Version)
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(body) // a client that has gone is no error of the shop
}

func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
