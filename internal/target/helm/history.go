package helm

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
)

// revision is one of helm's.
type revision struct {
	Number      int       `json:"revision"`
	Updated     time.Time `json:"updated"`
	Status      string    `json:"status"`
	Chart       string    `json:"chart"` // with its version
	AppVersion  string    `json:"app_version"`
	Description string    `json:"description"`
}

// The statuses that say something to adg, as helm says them.
const (
	deployed   = "deployed"
	superseded = "superseded"
	failed     = "failed"
)

// was tells whether the revision has been live as a whole.
func (r revision) was() bool { return r.Status == deployed || r.Status == superseded }

func (r revision) pending() bool {
	return strings.HasPrefix(r.Status, "pending-") || r.Status == "uninstalling"
}

// maxHistory is how many revisions are looked at, the newest ones.
const maxHistory = 64

// history are the revisions that helm has kept, the newest first.
func (t *target) history(ctx context.Context) ([]revision, error) {
	text, err := t.helm(ctx, "history", t.o.Release, "--max", strconv.Itoa(maxHistory), "--output", "json")
	if err != nil {
		return nil, err
	}
	all, err := parseHistory(text)
	if err != nil {
		return nil, adg.Errorf(adg.Unavailable, "helm history %s: %w", t.o.Release, err)
	}
	return all, nil
}

func parseHistory(text []byte) ([]revision, error) {
	var all []revision
	if err := json.Unmarshal(text, &all); err != nil {
		return nil, fmt.Errorf("it is no list of revisions: %w", err)
	}
	slices.SortFunc(all, func(a, b revision) int { return b.Number - a.Number })
	if len(all) == 0 || all[len(all)-1].Number < 1 {
		return nil, errors.New("it has no revisions")
	}
	return all, nil
}

// stampPrefix begins the description of a revision that adg made; what follows is a release as JSON.
const stampPrefix = "adg: "

// stamp is the description of a revision that is to be that release.
func stamp(r adg.Release) (string, error) {
	text, err := json.Marshal(adg.Release{Version: r.Version, Artifact: r.Artifact, Config: r.Config})
	return stampPrefix + string(text), err
}

var rollbackDescription = regexp.MustCompile(`^Rollback to (\d{1,9})$`)

// origin is the revision whose chart and values a revision has: one that was rolled back to is its own.
func origin(all []revision, r revision) revision {
	for range all {
		found := rollbackDescription.FindStringSubmatch(r.Description)
		if found == nil {
			return r
		}
		number, _ := strconv.Atoi(found[1])
		i := slices.IndexFunc(all, func(other revision) bool { return other.Number == number && number < r.Number })
		if i < 0 {
			return r
		}
		r = all[i]
	}
	return r
}

// releaseOf is the release that a revision is: what adg noted, or else what its values say where the options name them, or
// else the version of the application, or of the chart.
func (t *target) releaseOf(ctx context.Context, all []revision, r revision) (adg.Release, error) {
	from := origin(all, r)
	if text, stamped := strings.CutPrefix(from.Description, stampPrefix); stamped {
		var release adg.Release
		if json.Unmarshal([]byte(text), &release) == nil && adg.ValidVersion(release.Version) == nil {
			return release, nil
		}
	}
	for key, pattern := range t.o.Set {
		if pattern != "$version" {
			continue
		}
		text, err := t.helm(ctx, "get", "values", t.o.Release, "--all", "--revision", strconv.Itoa(r.Number), "--output", "json")
		if err != nil {
			return adg.Release{}, err
		}
		if version, found := value(text, key); found && adg.ValidVersion(version) == nil {
			return adg.Release{Version: version}, nil
		}
	}
	return adg.Release{Version: guess(from)}, nil
}

// chartVersion cuts the version off name-1.2.3: a name may have dashes and digits in it.
var chartVersion = regexp.MustCompile(`-(v?[0-9]+\.[0-9]+\.[0-9]+.*)$`)

// guess is the version of the application, as the chart says it, or else that of the chart.
func guess(r revision) string {
	if adg.ValidVersion(r.AppVersion) == nil {
		return r.AppVersion
	}
	if found := chartVersion.FindStringSubmatch(r.Chart); found != nil && adg.ValidVersion(found[1]) == nil {
		return found[1]
	}
	return "unknown"
}

// value finds a value by its path, such as image.tag.
func value(text []byte, path string) (string, bool) {
	var at any
	if json.Unmarshal(text, &at) != nil {
		return "", false
	}
	for part := range strings.SplitSeq(path, ".") {
		inner, ok := at.(map[string]any)
		if !ok {
			return "", false
		}
		at = inner[part]
	}
	found, ok := at.(string)
	return found, ok
}
