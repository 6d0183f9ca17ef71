package embedded

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"mime"
	"net"
	"net/http"
	"strings"
	"time"

	remoteapi "github.com/prometheus/client_golang/exp/api/remote"
	"github.com/prometheus/otlptranslator"
	"github.com/prometheus/prometheus/config"
	"github.com/prometheus/prometheus/storage/remote"
	"golang.org/x/net/netutil"

	"github.com/deployguardian/adg"
)

const (
	pushesAtOnce     = 4
	connectionsLimit = 256
	pushTimeout      = 30 * time.Second
	shutdownGrace    = 5 * time.Second
)

// receiver takes pushes: remote-write 1.0 and 2.0, and OTLP metrics in protobuf and JSON.
type receiver struct {
	server  *http.Server
	addr    string
	sink    *sink
	log     *slog.Logger
	token   [sha256.Size]byte // its hash: comparing takes as long whatever the length
	maxBody int64
	slots   chan struct{} // held by a push that is read and stored
	done    chan error
}

func listen(o Options, sink *sink, log *slog.Logger) (*receiver, error) {
	listener, err := net.Listen("tcp", o.Listen)
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "listen for pushed metrics at %s: %w", o.Listen, err)
	}
	r := &receiver{
		addr: listener.Addr().String(),
		sink: sink,
		// The library's errors are the sender's business, and in its answer; a full disk is told by the sink.
		log:     slog.New(quieter{Handler: log.Handler(), below: slog.LevelError + 1}),
		token:   sha256.Sum256([]byte(o.Token.Reveal())),
		maxBody: o.MaxBody,
		slots:   make(chan struct{}, pushesAtOnce),
		done:    make(chan error, 1),
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /api/v1/write", r.write)
	mux.HandleFunc("POST /otlp/v1/metrics", r.otlp)
	r.server = &http.Server{
		Handler:           r.guarded(mux),
		ReadHeaderTimeout: 5 * time.Second,
		ReadTimeout:       pushTimeout,
		WriteTimeout:      2 * pushTimeout,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(r.log.Handler(), slog.LevelDebug),
	}
	go func() { r.done <- r.server.Serve(netutil.LimitListener(listener, connectionsLimit)) }()
	return r, nil
}

// close lets pushes under way end, and takes no more. When it returns, nothing of a push is stored any more.
func (r *receiver) close() error {
	ctx, cancel := context.WithTimeout(context.Background(), shutdownGrace)
	defer cancel()
	err := r.server.Shutdown(ctx)
	if err != nil {
		err = fmt.Errorf("end pushes under way: %w", errors.Join(err, r.server.Close()))
	}
	if served := <-r.done; !errors.Is(served, http.ErrServerClosed) {
		err = errors.Join(err, fmt.Errorf("serve pushes: %w", served))
	}
	for range cap(r.slots) {
		r.slots <- struct{}{}
	}
	return err
}

// guarded refuses those who do not know the token before it reads anything of theirs, and waits for a free slot.
func (r *receiver) guarded(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		token, found := strings.CutPrefix(req.Header.Get("Authorization"), "Bearer ")
		hash := sha256.Sum256([]byte(token))
		if !found || subtle.ConstantTimeCompare(hash[:], r.token[:]) != 1 {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "send the token of this source as 'Authorization: Bearer …'", http.StatusUnauthorized)
			return
		}
		select {
		case r.slots <- struct{}{}:
			defer func() { <-r.slots }()
		case <-req.Context().Done():
			return
		}
		next.ServeHTTP(w, req)
	})
}

func (r *receiver) write(w http.ResponseWriter, req *http.Request) {
	body, err := r.readBody(w, req)
	if err != nil {
		refuse(w, err)
		return
	}
	// The body's own length comes first in it; the decoder would make room for whatever it says.
	if unpacked, n := binary.Uvarint(body); n > 0 && unpacked > uint64(r.maxBody) {
		refuse(w, r.tooLarge())
		return
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	p := &push{sink: r.sink}
	accepted := remoteapi.MessageTypes{remoteapi.WriteV1MessageType, remoteapi.WriteV2MessageType}
	remote.NewWriteHandler(r.log, nil, p, accepted, false, false, false).ServeHTTP(answer{w, p}, req)
}

func (r *receiver) otlp(w http.ResponseWriter, req *http.Request) {
	body, err := r.readBody(w, req)
	if err == nil && req.Header.Get("Content-Encoding") == "gzip" {
		body, err = r.unzip(body)
		req.Header.Del("Content-Encoding")
	}
	if err != nil {
		refuse(w, err)
		return
	}
	if media, _, err := mime.ParseMediaType(req.Header.Get("Content-Type")); err == nil {
		req.Header.Set("Content-Type", media) // the decoder stumbles over a charset
	}
	req.Body = io.NopCloser(bytes.NewReader(body))
	p := &push{sink: r.sink}
	remote.NewOTLPWriteHandler(r.log, nil, p, otlpConfig, remote.OTLPOptions{}).ServeHTTP(answer{w, p}, req)
}

// otlpConfig makes labels of what tells versions apart; other attributes of the resource are in target_info.
func otlpConfig() config.Config {
	return config.Config{OTLPConfig: config.OTLPConfig{
		TranslationStrategy:       otlptranslator.UnderscoreEscapingWithSuffixes,
		PromoteResourceAttributes: []string{"service.version", "deployment.environment.name"},
	}}
}

func (r *receiver) readBody(w http.ResponseWriter, req *http.Request) ([]byte, error) {
	body, err := io.ReadAll(http.MaxBytesReader(w, req.Body, r.maxBody))
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, r.tooLarge()
	}
	if err != nil {
		return nil, refusal{http.StatusBadRequest, "the request ended early"}
	}
	return body, nil
}

func (r *receiver) unzip(body []byte) ([]byte, error) {
	reader, err := gzip.NewReader(bytes.NewReader(body))
	if err != nil {
		return nil, refusal{http.StatusBadRequest, "the body is not gzip, as its header says"}
	}
	unpacked, err := io.ReadAll(io.LimitReader(reader, r.maxBody+1))
	if err != nil {
		return nil, refusal{http.StatusBadRequest, "the body is broken gzip"}
	}
	if int64(len(unpacked)) > r.maxBody {
		return nil, r.tooLarge()
	}
	return unpacked, nil
}

func (r *receiver) tooLarge() error {
	return refusal{http.StatusRequestEntityTooLarge, fmt.Sprintf("the push is larger than %d bytes: send less at once, or raise max_body", r.maxBody)}
}

// refusal is what a sender is told.
type refusal struct {
	status int
	text   string
}

func (r refusal) Error() string { return r.text }

func refuse(w http.ResponseWriter, err error) {
	if r, ok := errors.AsType[refusal](err); ok {
		http.Error(w, r.text, r.status)
		return
	}
	http.Error(w, "internal error", http.StatusInternalServerError)
}

// answer corrects the status that the library answers with: to it, whatever is not out of order is our own fault, and
// the sender would repeat it for ever.
type answer struct {
	http.ResponseWriter
	push *push
}

func (a answer) WriteHeader(status int) {
	if status == http.StatusInternalServerError {
		switch {
		case a.push.full != nil:
			status = http.StatusTooManyRequests
		case !a.push.lost:
			status = http.StatusBadRequest
		}
	}
	a.ResponseWriter.WriteHeader(status)
}
