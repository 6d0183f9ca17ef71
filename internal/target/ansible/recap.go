package ansible

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/deployguardian/adg"
)

// Private

const (
	maxReport    = 4 << 20
	maxSentences = 10 // about hosts
	maxVersions  = 64
)

// recap is what report.py writes: what became of each host.
type recap struct {
	Hosts map[string]host `json:"hosts"`
	Live  *live           `json:"live"` // of the run as a whole
}

type host struct {
	OK          int    `json:"ok"`
	Changed     int    `json:"changed"`
	Failures    int    `json:"failures"`
	Unreachable int    `json:"unreachable"`
	Task        string `json:"task"` // the last one that failed
	Said        string `json:"said"` // and why
	Live        *live  `json:"live"`
}

// live are shares by version. A version alone has all of them.
type live map[string]float64

// UnmarshalJSON reads a version, or shares by version; anything else is refused: a guess could end a rollback too early.
func (l *live) UnmarshalJSON(text []byte) error {
	var version string
	if json.Unmarshal(text, &version) == nil {
		*l = live{version: 100}
		if err := adg.ValidVersion(version); err != nil {
			return fmt.Errorf("adg_live: %w", err)
		}
		return nil
	}
	shares := map[string]float64{}
	if err := json.Unmarshal(text, &shares); err != nil {
		return errors.New("adg_live is neither a version nor shares by version, such as {v1: 95, v2: 5}")
	}
	if len(shares) == 0 || len(shares) > maxVersions {
		return fmt.Errorf("adg_live names %d versions: use 1 to %d", len(shares), maxVersions)
	}
	sum := 0.0
	for version, share := range shares {
		if err := adg.ValidVersion(version); err != nil {
			return fmt.Errorf("adg_live: %w", err)
		}
		if !(share >= 0 && share <= 100) {
			return fmt.Errorf("adg_live: a share of %g %%", share)
		}
		sum += share
	}
	if sum > 100.001 {
		return fmt.Errorf("adg_live: the shares add up to %g %%", sum)
	}
	*l = shares
	return nil
}

// readRecap reads the file that report.py has written; nil: it has not.
func readRecap(path string) (*recap, error) {
	file, err := os.Open(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer file.Close()
	text, err := io.ReadAll(io.LimitReader(file, maxReport+1))
	if err != nil {
		return nil, err
	}
	if len(text) > maxReport {
		return nil, fmt.Errorf("it is longer than %d MiB", maxReport>>20)
	}
	return parseRecap(text)
}

func parseRecap(text []byte) (*recap, error) {
	var r recap
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.DisallowUnknownFields()
	if err := decoder.Decode(&r); err != nil {
		return nil, err
	}
	return &r, nil
}

func (r recap) names() []string { return slices.Sorted(maps.Keys(r.Hosts)) }

// failed are sentences about the hosts where a task failed, away about those that could not be talked to.
func (r recap) failed() (failed []string, away away) {
	for _, name := range r.names() {
		h := r.Hosts[name]
		why := name + ": " + strings.TrimPrefix(h.Task+": "+h.Said, ": ")
		switch {
		case h.Unreachable > 0 && refused(h.Said):
			away.refuse = append(away.refuse, why)
		case h.Unreachable > 0:
			away.silent = append(away.silent, why)
		case h.Failures > 0:
			failed = append(failed, why)
		}
	}
	return failed, away
}

// away are the hosts that could not be talked to.
type away struct {
	refuse []string // they do answer, and refuse whoever asks
	silent []string
}

func (a away) all() []string { return slices.Concat(a.refuse, a.silent) }

// final tells that all of them refuse: trying again does not cure that.
func (a away) final() bool { return len(a.silent) == 0 && len(a.refuse) > 0 }

// refused tells from what OpenSSH says whether it reached the host, which Ansible calls unreachable all the same.
func refused(said string) bool {
	return strings.Contains(said, "Permission denied (") || strings.Contains(said, "Host key verification failed") || strings.Contains(said, "Too many authentication failures")
}

// sentences are the first ones, fit to be shown.
func (t *target) sentences(all []string) string {
	if more := len(all) - maxSentences; more > 0 {
		all = append(slices.Clone(all[:maxSentences]), fmt.Sprintf("and %d more", more))
	}
	return adg.Printable(t.redact(strings.Join(all, "; ")))
}

// unreached is the error of a run that could not talk to hosts.
func (t *target) unreached(what string, a away) error {
	if a.final() {
		return adg.Permanent(adg.Errorf(adg.Unauthorized, "%s: %s", what, t.unreachedText(a)))
	}
	return adg.Errorf(adg.Unavailable, "%s: %s", what, t.unreachedText(a))
}

func (t *target) unreachedText(a away) string {
	var parts []string
	if len(a.refuse) > 0 {
		parts = append(parts, "hosts refuse the key or the user, or are not those of known_hosts: check both in the inventory, and authorized_keys on the host: "+t.sentences(a.refuse))
	}
	if len(a.silent) > 0 {
		parts = append(parts, "hosts do not answer: "+t.sentences(a.silent))
	}
	return strings.Join(parts, "; ")
}
