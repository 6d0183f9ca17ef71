package git

import (
	"context"
	"fmt"

	"github.com/deployguardian/adg"
)

// Private

// compare holds what the branch says against what the service itself answers. Where they differ, the service counts.
func (s *session) compare(ctx context.Context, seen *adg.Observed) {
	wanted := seen.Releases[0].Release.Version
	running, err := s.live.Ask(ctx)
	switch {
	case err != nil:
		seen.Done, seen.Releases = false, nil
		seen.Text += ", and nobody knows what runs: " + err.Error()
	case running != wanted:
		seen.Done = false
		seen.Releases[0].Release.Version = running
		seen.Text += fmt.Sprintf(" with version %s, and %s runs", wanted, running)
	}
}
