package ssh

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
)

// Rehearse looks on every host whether the releases that are to get traffic are there, whether adg may write, and
// whether what it needs is installed.
func (t *target) Rehearse(ctx context.Context, want adg.Desired) ([]adg.Obstacle, error) {
	if err := want.Validate(); err != nil {
		return nil, adg.Permanent(err)
	}
	var live []adg.Release
	var versions []string
	for _, p := range want.Releases {
		if p.Share > 0 {
			live, versions = append(live, p.Release), append(versions, p.Release.Version)
		}
	}
	links := t.crew()
	defer closeAll(links)
	views := t.lookAt(ctx, links, versions...)
	if err := context.Cause(ctx); err != nil {
		return nil, adg.Errorf(adg.Unavailable, "look at the hosts: %w", err)
	}
	if err := nobody(ctx, views); err != nil && !adg.IsPermanent(err) {
		return nil, err
	}
	var found []adg.Obstacle
	for _, v := range views {
		found = append(found, v.obstacles(live)...)
	}
	return found, nil
}

// Private

func (v view) obstacles(live []adg.Release) (found []adg.Obstacle) {
	o, name := v.link.t.o, v.link.name()
	if v.err != nil {
		return []adg.Obstacle{{Name: "access", Final: adg.IsPermanent(v.err), Text: v.err.Error()}}
	}
	if len(v.missing) > 0 {
		found = append(found, adg.Obstacle{Name: "access", Final: true, Text: fmt.Sprintf("%s lacks %s: install util-linux and coreutils", name, strings.Join(v.missing, ", "))})
	}
	if v.readonly {
		found = append(found, adg.Obstacle{Name: "access", Final: true, Text: fmt.Sprintf("%s: user %s may not write to %s, or it is not there: create it, and give it to the user", name, o.User, o.Root)})
	}
	if o.Unit != "" && v.unit["LoadState"] != "loaded" {
		found = append(found, adg.Obstacle{Name: "access", Final: v.unit["LoadState"] == "not-found", Text: fmt.Sprintf("%s: systemctl does not know %s, or may not be asked: check unit and systemctl", name, o.Unit)})
	}
	for _, r := range live {
		there, known := v.note.known(r.Version)
		switch {
		case known && there.Identity() != r.Identity():
			found = append(found, adg.Obstacle{Name: "release", Final: true, Text: fmt.Sprintf("%s: the folder of %s holds %s, not %s", name, r.Version, there.Identity(), r.Identity())})
		case v.folders[r.Version]:
		case len(o.Fetch) == 0:
			found = append(found, adg.Obstacle{Name: "release", Final: true, Text: fmt.Sprintf("%s: there is no folder %s/releases/%s: bring it back, or set fetch", name, o.Root, r.Version)})
		case known:
			found = append(found, adg.Obstacle{Name: "release", Text: fmt.Sprintf("%s: the folder of %s has vanished: it would have to be fetched again", name, r.Version)})
		}
	}
	return slices.Clip(found)
}
