package ansible

import (
	"context"
	"errors"
	"path/filepath"
	"slices"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/ledger"
)

// Apply runs the playbook, unless the operation was done before, and asks what is live then. Going forward, it is tried
// in check mode first. A task that fails is told as a target that gave up; hosts that do not answer are an error.
func (t *target) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	if err := t.fits(want); err != nil {
		return adg.Observed{}, adg.Permanent(err)
	}
	return t.ledger.Carry(ctx, want, t.do, t.Current)
}

// Private

const noteName = "run.json"

// note is what is remembered of the last run.
type note struct {
	OpID     string          `json:"op_id"`
	Releases []adg.Placement `json:"releases"` // that were wanted
	Failed   string          `json:"failed"`   // why it was given up; empty: it was not
	Log      string          `json:"log"`
}

func (t *target) remember(n note) error { return ledger.Save(filepath.Join(t.dir, noteName), n) }

func (t *target) remembered() (n note, err error) {
	_, err = ledger.Load(filepath.Join(t.dir, noteName), &n)
	return n, err
}

// fits refuses states that the playbook cannot make.
func (t *target) fits(want adg.Desired) error {
	if err := want.Validate(); err != nil {
		return err
	}
	for _, p := range want.Releases {
		if !t.o.Shares && p.Share > 0.001 && p.Share < 99.999 {
			return adg.Errorf(adg.Invalid, "the playbook makes one release live as a whole, and cannot give %g %% to %s: set shares, or use a strategy of one step at 100 %%", p.Share, p.Release.Version)
		}
	}
	return nil
}

// do brings an operation to its end; stillRuns says that something of the playbook may have outlived it.
func (t *target) do(ctx context.Context, want adg.Desired, operation *ledger.Operation) (stillRuns bool, err error) {
	if operation.Before == ledger.Done {
		return false, nil
	}
	n := note{OpID: want.OpID, Releases: want.Releases}
	if err := t.remember(n); err != nil {
		return false, err
	}
	if t.o.Check && !want.Rollback {
		out, stillRuns, err := t.start(ctx, run{playbook: t.o.Playbook, check: true, vars: variables(want), lock: operation.Lock(), timeout: t.o.Timeout})
		failed, err := t.verdict(out, err, "nothing was changed, because check mode says")
		if failed != "" || err != nil {
			return stillRuns, t.giveUp(n, failed, out.log, operation, err)
		}
	}
	out, stillRuns, err := t.start(ctx, run{playbook: t.o.Playbook, vars: variables(want), lock: operation.Lock(), timeout: t.o.Timeout})
	failed, err := t.verdict(out, err, "the playbook failed")
	if failed != "" || err != nil {
		return stillRuns, t.giveUp(n, failed, out.log, operation, err)
	}
	n.Log = out.log
	return false, errors.Join(t.remember(n), operation.Set(ledger.Done))
}

// verdict tells a run where a task failed from one that may do better when it is tried again.
func (t *target) verdict(out printed, err error, what string) (failed string, _ error) {
	if err != nil {
		return "", err
	}
	tasks, away := out.recap.failed()
	switch {
	case len(tasks) > 0:
		return what + ": " + t.sentences(append(tasks, away.all()...)), nil
	case len(away.all()) > 0:
		return "", t.unreached(what, away)
	}
	return "", nil
}

// giveUp notes why an operation has not come to its end.
func (t *target) giveUp(n note, failed, log string, operation *ledger.Operation, err error) error {
	n.Failed, n.Log = failed, log
	return errors.Join(err, t.remember(n), operation.Set(ledger.Failed))
}

// variables are what the playbook gets. The alphabets of a valid Desired keep templates out of them.
func variables(want adg.Desired) map[string]any {
	most := want.Releases[0]
	for _, p := range want.Releases[1:] {
		if p.Share > most.Share {
			most = p
		}
	}
	return map[string]any{
		"adg_operation": want.OpID, "adg_deployment": want.Deployment, "adg_fence": want.Fence, "adg_rollback": want.Rollback,
		"adg_releases": placedReleases(want.Releases...), "adg_release": placedReleases(most)[0], "adg_share": most.Share,
		"adg_service": most.Release.Service, "adg_version": most.Release.Version, "adg_artifact": most.Release.Artifact,
		"adg_config": most.Release.Config, "adg_commit": most.Release.Commit,
	}
}

// placed is a release as playbooks see it; nothing is left out, so that a playbook need not ask what is defined.
type placed struct {
	Service  string  `json:"service"`
	Version  string  `json:"version"`
	Artifact string  `json:"artifact"`
	Config   string  `json:"config"`
	Commit   string  `json:"commit"`
	Schema   string  `json:"schema"`
	Share    float64 `json:"share"`
	Role     string  `json:"role"`
}

func placedReleases(wanted ...adg.Placement) []placed {
	all := make([]placed, len(wanted))
	for i, p := range wanted {
		r := p.Release
		all[i] = placed{r.Service, r.Version, r.Artifact, r.Config, r.Commit, r.Schema, p.Share, p.Role.String()}
	}
	return slices.Clip(all)
}
