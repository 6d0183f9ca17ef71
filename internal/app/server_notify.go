package app

import (
	"context"
	"net/url"

	"github.com/deployguardian/adg"
)

// Private

// notifier counts what a notifier is asked, and has it lead people to the deployment, where the server knows its address.
func (s *server) notifier(name string, n adg.Notifier) adg.Notifier {
	n = s.metrics.Notifier(name, n)
	if s.set.BaseURL == "" {
		return n
	}
	return leading{n, s.set.BaseURL}
}

// leading puts a link into each fact about a deployment. It is not stored: the address may be another one tomorrow, and
// decisions do not depend on it.
type leading struct {
	adg.Notifier
	base string // checked when the configuration was read
}

func (n leading) Notify(ctx context.Context, f adg.Fact) error {
	if f.Deployment != "" {
		link, err := url.JoinPath(n.base, "deployments", url.PathEscape(f.Deployment))
		if err != nil {
			return adg.Permanent(adg.Errorf(adg.Invalid, "base_url is no address: %w", err))
		}
		f.Link = link
	}
	return n.Notifier.Notify(ctx, f)
}

// Close closes what the notifier holds open.
func (n leading) Close() error { return closeIt(n.Notifier) }
