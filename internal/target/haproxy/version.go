package haproxy

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"sync"

	"github.com/deployguardian/adg"
)

const maxVersionAnswer = 4 << 10

// versions asks each server which version it runs, all at once; empty: it did not say. Whether that matters is for
// the caller to judge: an idle server need not answer.
func (t *target) versions(ctx context.Context, servers []server) []string {
	said := make([]string, len(servers))
	var wg sync.WaitGroup
	for i, h := range servers {
		if h.addr == "" || h.maint() || h.status == "DOWN" {
			continue
		}
		wg.Go(func() {
			req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.addr+t.o.VersionPath, nil)
			if err != nil {
				return
			}
			if answer, err := t.http.Do(ctx, req); err == nil {
				said[i] = parseVersion(answer.Body)
			}
		})
	}
	wg.Wait()
	return said
}

// parseVersion reads a version alone or JSON with a field version; empty: it is neither.
func parseVersion(body []byte) string {
	text := string(bytes.TrimSpace(body))
	var answer struct {
		Version string `json:"version"`
	}
	if json.Unmarshal(body, &answer) == nil && answer.Version != "" {
		text = answer.Version
	}
	if adg.ValidVersion(text) != nil {
		return ""
	}
	return text
}
