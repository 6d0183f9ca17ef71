package api_test

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/api"
)

// hanging is a store of which a question was given up inside: not by whoever asked the server.
type hanging struct {
	adg.Store
	why error
}

func (s hanging) Dead(context.Context, adg.DeadFilter) ([]adg.DeadDelivery, error) {
	return nil, fmt.Errorf("asking the store: %w", s.why)
}

func (s hanging) LastEvent(context.Context) (int64, error) {
	return 0, fmt.Errorf("asking the store: %w", s.why)
}

func TestWhatIsGivenUpInsideIsToldAsSomethingToTryAgain(t *testing.T) {
	for _, why := range []error{context.DeadlineExceeded, context.Canceled} {
		b := newBench(t, func(o *api.Options) { o.Store = hanging{o.Store, why} })
		for _, path := range []string{"/v1/system/health", "/v1/events:stream"} {
			code, answer := b.ask(b.admin, "GET", path, "")
			if text := string(mustJSON(answer)); code != 503 || !strings.Contains(text, "try again") {
				t.Errorf("%s, %v: %d %s", path, why, code, text)
			}
		}
	}
}
