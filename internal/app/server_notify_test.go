package app

import (
	"context"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/settings"
	"github.com/deployguardian/adg/internal/telemetry"
)

// pigeon keeps what it was told last.
type pigeon struct {
	fact   adg.Fact
	closed bool
}

func (p *pigeon) Notify(_ context.Context, f adg.Fact) error { p.fact = f; return nil }
func (p *pigeon) Close() error                               { p.closed = true; return nil }

func TestNotificationsLeadToTheDeployment(t *testing.T) {
	for _, tt := range []struct{ name, base, deployment, want string }{
		{"a server that knows its address", "https://adg.example.com", "shop-v2-abc", "https://adg.example.com/deployments/shop-v2-abc"},
		{"an address that ends with a slash", "https://adg.example.com/", "shop-v2-abc", "https://adg.example.com/deployments/shop-v2-abc"},
		{"a server below another one", "https://example.com/adg", "shop-v2-abc", "https://example.com/adg/deployments/shop-v2-abc"},
		{"an id that would lead elsewhere", "https://adg.example.com", "../?x#y", "https://adg.example.com/deployments/..%2F%3Fx%23y"},
		{"a server that does not know its address", "", "shop-v2-abc", ""},
		{"a message about no deployment", "https://adg.example.com", "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s, p := &server{set: settings.Settings{BaseURL: tt.base}, metrics: telemetry.NewMetrics("test")}, &pigeon{}
			n := s.notifier("chat", p)
			if err := n.Notify(t.Context(), adg.Fact{Deployment: tt.deployment}); err != nil || p.fact.Link != tt.want {
				t.Errorf("the link is %q, want %q (%v)", p.fact.Link, tt.want, err)
			}
			if err := closeIt(n); err != nil || !p.closed {
				t.Errorf("what the notifier holds open stays open: %v", err)
			}
		})
	}
}
