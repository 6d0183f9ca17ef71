package haproxy

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
)

// Rehearse looks whether the releases that get traffic are in a slot whose servers could take it, and whether the socket
// would take commands.
func (t *target) Rehearse(ctx context.Context, want adg.Desired) ([]adg.Obstacle, error) {
	if err := t.check(want); err != nil {
		return nil, adg.Permanent(err)
	}
	v, err := t.lookAndAsk(ctx)
	switch code := adg.CodeOf(err); {
	case err == nil:
	case code == adg.Unauthorized:
		return []adg.Obstacle{{Name: "access", Final: true, Text: err.Error()}}, nil
	case adg.IsPermanent(err):
		return []adg.Obstacle{{Name: "release", Final: true, Text: err.Error()}}, nil
	default:
		return nil, fmt.Errorf("rehearse: %w", err)
	}
	level, err := t.socket.ask(ctx, "show cli level")
	if err != nil {
		return nil, fmt.Errorf("rehearse: %w", err)
	}
	var found []adg.Obstacle
	if level = strings.TrimSpace(level); level != "admin" {
		found = append(found, adg.Obstacle{Name: "access", Final: true, Text: fmt.Sprintf("HAProxy at %s takes no changes: its socket has level %s and needs admin", t.o.Socket, excerpt(level))})
	}
	for _, p := range want.Releases {
		if p.Share > 0 {
			found = append(found, t.obstacles(v, p, want.Rollback)...)
		}
	}
	return found, nil
}

// Private

// obstacles are what would keep a release from getting its share.
func (t *target) obstacles(v view, p adg.Placement, rollback bool) []adg.Obstacle {
	version := p.Release.Version
	at := slices.IndexFunc(v.slots, func(s slot) bool { return s.holds(p.Release) })
	switch {
	case at >= 0:
		c := change{target: t, want: adg.Desired{Rollback: rollback}}
		if err := c.refusal(v, at, p.Share); err != nil {
			return []adg.Obstacle{{Name: "capacity", Text: "as it is now, " + err.Error()}}
		}
		return nil
	case t.o.Prepare.Path != "":
		return []adg.Obstacle{{Name: "release", Text: fmt.Sprintf("no slot has %s any more: it would have to be prepared again first", version)}}
	default:
		return []adg.Obstacle{{Name: "release", Final: t.http == nil, Text: fmt.Sprintf("no slot has %s, and there is no prepare program: deploy it to a slot, or name one", version)}}
	}
}
