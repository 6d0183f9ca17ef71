package haproxy

import (
	"bytes"
	"context"
	"encoding/json"
	"net/http"
	"strings"
	"sync"

	"github.com/deployguardian/adg"
)

const maxVersionAnswer = 4 << 10

// said is what a server says of the version that it runs.
type said struct {
	version string // empty: it did not say
	silence string // why it did not
}

// versions asks each server which version it runs, all at once. Whether it matters that one did not say is for the
// caller to judge: an idle server need not answer.
func (t *target) versions(ctx context.Context, servers []server) []said {
	all := make([]said, len(servers))
	var wg sync.WaitGroup
	for i, h := range servers {
		switch {
		case h.addr == "":
			all[i].silence = "has no address to be asked at"
		case h.maint():
			all[i].silence = "was not asked, as it is in maintenance"
		case h.status == "DOWN":
			all[i].silence = "was not asked, as HAProxy finds it down" + strings.TrimSuffix(": "+h.check, ": ")
		default:
			wg.Go(func() { all[i] = t.versionOf(ctx, h) })
		}
	}
	wg.Wait()
	return all
}

func (t *target) versionOf(ctx context.Context, h server) said {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+h.addr+t.o.VersionPath, nil)
	if err != nil {
		return said{silence: "cannot be asked: " + err.Error()}
	}
	answer, err := t.http.Do(ctx, req)
	if err != nil {
		return said{silence: "did not answer: " + err.Error()}
	}
	if version := parseVersion(answer.Body); version != "" {
		return said{version: version}
	}
	return said{silence: "answers at " + t.o.VersionPath + ", and not with a version"}
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
