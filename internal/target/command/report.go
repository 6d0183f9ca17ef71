package command

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/deployguardian/adg"
)

const (
	maxReleases = 64
	maxText     = 1000
)

const example = `print a version, or JSON such as {"releases":[{"version":"v1","share":100}],"done":true}`

// report is what current prints.
type report struct {
	Releases []struct {
		Version  string   `json:"version"`
		Share    *float64 `json:"share"`
		Role     adg.Role `json:"role"`
		Artifact string   `json:"artifact"`
		Config   string   `json:"config"`
	} `json:"releases"`
	Done   *bool  `json:"done"` // true if it is not there: a program that does not know of progress has none to report
	Failed bool   `json:"failed"`
	Text   string `json:"text"`
	OpID   string `json:"op_id"`
}

// parseReport reads what current printed. What it does not understand it refuses: a guess about what is live could
// end a rollback too early.
func parseReport(output []byte) (adg.Observed, error) {
	text := bytes.TrimSpace(output)
	if len(text) == 0 {
		return adg.Observed{}, fmt.Errorf("it printed nothing: %s", example)
	}
	if text[0] != '{' {
		release := adg.Release{Version: string(text)}
		if err := adg.ValidVersion(release.Version); err != nil {
			return adg.Observed{}, fmt.Errorf("%s: it printed %q", example, shorten(release.Version))
		}
		return adg.Observed{Releases: []adg.Placement{{Release: release, Share: 100, Role: adg.StableRole}}, Done: true}, nil
	}
	var r report
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return adg.Observed{}, fmt.Errorf("%s: %w", example, err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return adg.Observed{}, fmt.Errorf("%s: it printed more after the JSON", example)
	}
	return r.observed()
}

func (r report) observed() (adg.Observed, error) {
	if len(r.Releases) == 0 || len(r.Releases) > maxReleases {
		return adg.Observed{}, fmt.Errorf("%d releases: name what is live, 1 to %d", len(r.Releases), maxReleases)
	}
	done := r.Done == nil || *r.Done
	seen := adg.Observed{Done: done && !r.Failed, Failed: r.Failed, Text: adg.Printable(shorten(r.Text)), OpID: r.OpID}
	if len(r.OpID) > 256 || adg.Printable(r.OpID) != r.OpID {
		return adg.Observed{}, fmt.Errorf("op_id: it is no operation's id")
	}
	sum := 0.0
	for _, p := range r.Releases {
		release := adg.Release{Service: "any", Version: p.Version, Artifact: p.Artifact, Config: p.Config}
		if err := release.Validate(); err != nil {
			return adg.Observed{}, err
		}
		release.Service = "" // the program did not say
		if _, twice := seen.Share(p.Version); twice {
			return adg.Observed{}, fmt.Errorf("release %s is there twice", p.Version)
		}
		if p.Share == nil || !(*p.Share >= 0 && *p.Share <= 100) {
			return adg.Observed{}, fmt.Errorf("release %s: its share must be a number from 0 to 100", p.Version)
		}
		sum += *p.Share
		seen.Releases = append(seen.Releases, adg.Placement{Release: release, Share: *p.Share, Role: p.Role})
	}
	if sum > 100.001 {
		return adg.Observed{}, fmt.Errorf("the shares add up to %g %%", sum)
	}
	return seen, nil
}

func shorten(text string) string {
	if len(text) <= maxText {
		return text
	}
	return strings.ToValidUTF8(text[:maxText], "") + "…"
}
