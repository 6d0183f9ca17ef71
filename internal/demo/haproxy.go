package demo

import (
	"context"
	"net/http"
	"path/filepath"
	"sync"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/demo/haproxyd"
	"github.com/deployguardian/adg/internal/target/haproxy"
)

// Private

// slots says which version is in which slot of HAProxy.
type slots struct {
	mu sync.Mutex
	in map[string]string
}

// buildHAProxy puts a real HAProxy before the shop, with Stable live.
func (s *Stage) buildHAProxy(ctx context.Context) (addr string, err error) {
	s.slots.in = map[string]string{}
	s.proxy, err = haproxyd.Start(ctx, haproxyd.Options{Mind: []string{s.options.Exe, verbShop, verbMind}, Log: s.log, Timeout: s.options.Timeout})
	if err != nil {
		return "", err
	}
	if err := s.place(ctx, haproxyd.Blue, Stable); err != nil {
		return "", err
	}
	if err := s.proxy.Enable(ctx, haproxyd.ServerOf(haproxyd.Blue), 256); err != nil {
		return "", err
	}
	o, ok := haproxy.Driver.Options.(haproxy.Options)
	if !ok {
		return "", adg.Errorf(adg.Internal, "the haproxy target's options are %T", haproxy.Driver.Options)
	}
	o.Socket, o.Backend = s.proxy.Socket(), haproxyd.Backend
	o.Slots = map[string][]string{}
	for _, slot := range []string{haproxyd.Blue, haproxyd.Green} {
		o.Slots[slot] = []string{haproxyd.ServerOf(slot)}
	}
	o.Initial = map[string]string{haproxyd.Blue: Stable}
	o.Prepare.Path, o.Prepare.Args, o.Prepare.Timeout = s.options.Exe, []string{verbShop, verbPrepare, s.admin.addr}, prepareTimeout
	s.target, err = haproxy.Driver.Open(ctx, o, adg.Host{
		Name: "haproxy", Dir: filepath.Join(s.options.Dir, "haproxy"), Log: s.options.Log, Commands: true,
	})
	return s.proxy.Addr(), err
}

// prepare is asked by the prepare program.
func (s *Stage) prepare(w http.ResponseWriter, r *http.Request) {
	slot, version := r.FormValue("slot"), r.FormValue("version")
	known := slot == haproxyd.Blue || slot == haproxyd.Green
	if s.proxy == nil || !known || adg.ValidVersion(version) != nil {
		http.Error(w, "no such slot or version", http.StatusBadRequest)
		return
	}
	if err := s.place(r.Context(), slot, version); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// place makes a version run in a slot that has no traffic, and ends what was there.
func (s *Stage) place(ctx context.Context, slot, version string) error {
	s.slots.mu.Lock()
	defer s.slots.mu.Unlock()
	addr, err := s.fleet.Start(ctx, version)
	if err != nil {
		return err
	}
	if err := s.proxy.Assign(ctx, haproxyd.ServerOf(slot), version, addr); err != nil {
		return err
	}
	before := s.slots.in[slot]
	s.slots.in[slot] = version
	for other, v := range s.slots.in {
		if v == before && other != slot {
			return nil // it runs on there
		}
	}
	if before != "" && before != version {
		s.fleet.Stop(before)
	}
	return nil
}
