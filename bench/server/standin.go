package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/deployguardian/adg"
)

// standIn is a metrics server and a platform that answer at once.
func standIn() {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	fmt.Println("http://" + l.Addr().String())
	go func() { // the parent's end is ours
		_, _ = io.Copy(io.Discard, os.Stdin)
		os.Exit(0)
	}()
	p := &platform{live: map[string]adg.Observed{}}
	http.HandleFunc("/api/v1/query", func(w http.ResponseWriter, r *http.Request) {
		value := 1
		if strings.Contains(r.FormValue("query"), "-bad") {
			value = 100
		}
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprintf(w, `{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[%.3f,"%d"]}]}}`, float64(time.Now().UnixMilli())/1000, value)
	})
	http.HandleFunc("/api/v1/query_range", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		_, _ = io.WriteString(w, `{"status":"success","data":{"resultType":"matrix","result":[]}}`)
	})
	http.HandleFunc("GET /live/{service}", p.current)
	http.HandleFunc("POST /live/{service}", p.apply)
	_ = http.Serve(l, nil)
}

// platform is where releases are live.
type platform struct {
	mu   sync.Mutex
	live map[string]adg.Observed
}

func (p *platform) current(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	seen, ok := p.live[r.PathValue("service")]
	if !ok {
		seen = adg.Observed{Releases: []adg.Placement{{Release: adg.Release{Service: r.PathValue("service"), Version: "v1"}, Share: 100}}, Done: true}
	}
	_ = json.NewEncoder(w).Encode(seen)
}

func (p *platform) apply(w http.ResponseWriter, r *http.Request) {
	var want adg.Desired
	if err := json.NewDecoder(r.Body).Decode(&want); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.live[r.PathValue("service")] = adg.Observed{Releases: want.Releases, Done: true, OpID: want.OpID}
	w.WriteHeader(http.StatusNoContent)
}
