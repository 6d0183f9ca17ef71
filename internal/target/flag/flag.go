// Package flag is what all targets of feature flags have in common: a release is a state of a flag, the candidate's share is
// the percentage of users who have it on, and a rollback switches it off.
package flag

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/ledger"
)

// Versions are the two releases that a flag stands for. Drivers inline them into their own options.
type Versions struct {
	On  string `yaml:"on_version" doc:"The version that users have for whom the flag is on: the candidate of a deployment."`
	Off string `yaml:"off_version" doc:"The version that users have for whom the flag is off: where a rollback goes to."`
}

// DefaultVersions are "on" and "off".
func DefaultVersions() Versions { return Versions{On: "on", Off: "off"} }

// State is a flag in one environment.
type State struct {
	Share float64 // percent of the users for whom the percentage decides and who have it on; off is 0
	Text  string  // the platform's text that holds the Note
	Rules string  // what decides for some users before the percentage does, such as "2 rules"; empty: nothing
	// Foreign says why the percentage cannot be set without taking from somebody else what is theirs, as a sentence with
	// the way out; empty: it can be. Switching off is always possible.
	Foreign string
	Handle  string // of the driver's own, such as an ETag: what Write compares and what Lag needs to know
}

// Since is ErrChanged where the flag, as it is now, has another text or share than the one that a write comes from.
func (now State) Since(from State) error {
	if now.Text != from.Text || !same(now.Share, from.Share) {
		return ErrChanged
	}
	return nil
}

// ErrChanged is that the flag is not any more as it was read.
var ErrChanged = errors.New("the flag was changed meanwhile")

// Flag is one flag in one environment of a platform. It is safe for concurrent use.
type Flag interface {
	// Read gives the state that the platform's own API reports; a flag that is missing or archived is a permanent error of
	// code NotFound.
	Read(ctx context.Context) (State, error)
	// Write brings the flag from that state to a share, 0 being off, and leaves the text with it: the last thing that it
	// writes holds the text, so that a text which is there says that all of it was written. ErrChanged: it was changed
	// since, and nothing was written; platforms that cannot compare are read once more, and Since tells.
	Write(ctx context.Context, from State, share float64, text string) error
	// Lag says what users still get where that is not the state yet, as a sentence; empty: they get it, or nobody can be
	// asked.
	Lag(ctx context.Context, state State) (string, error)
}

// Shape is what a target of a flag is made of.
type Shape struct {
	Flag     Flag
	Versions Versions
	Grain    float64 // the smallest step that the platform can make, in percent
	Compares bool    // Write compares; otherwise processes of this machine wait for each other
	Dir      string  // where they do that
	Close    func() error
}

// Open makes a target, or reports every problem: those that the driver found, and those of the versions.
func Open(s Shape, problems ...error) (adg.Target, error) {
	problems = append(problems, adg.ValidVersion(s.Versions.On), adg.ValidVersion(s.Versions.Off))
	if s.Versions.On == s.Versions.Off {
		problems = append(problems, errors.New("on_version and off_version are the same: the flag has to change something"))
	}
	if s.Dir == "" && !s.Compares {
		problems = append(problems, errors.New("the target has no directory of its own to keep its state in"))
	}
	if err := errors.Join(problems...); err != nil {
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "%w", err))
	}
	return &target{s}, nil
}

// Private

// tries bounds how often a flag is read again because somebody else changed it at the same time.
const tries = 8

type target struct{ Shape }

// Close lets go of idle connections.
func (t *target) Close() error { return t.Shape.Close() }

// Can is to split, and to say what is so.
func (t *target) Can() adg.Capabilities { return adg.Capabilities{Shares: true, Reports: true} }

// Current reads the flag from the platform, and asks the side that evaluates it where there is one to ask.
func (t *target) Current(ctx context.Context) (adg.Observed, error) {
	state, err := t.Flag.Read(ctx)
	if err != nil {
		return adg.Observed{}, fmt.Errorf("read the flag: %w", err)
	}
	return t.observe(ctx, state), nil
}

// Apply sets the percentage, or switches the flag off. What it did is noted at the platform.
func (t *target) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	share, err := t.wanted(want)
	if err != nil {
		return adg.Observed{}, adg.Permanent(err)
	}
	if t.Compares {
		return t.converge(ctx, want, share)
	}
	operation, err := ledger.New(t.Dir).Begin(ctx, want)
	if err != nil {
		return adg.Observed{}, fmt.Errorf("apply %s: %w", want.OpID, err)
	}
	defer operation.End(false)
	seen, err := t.converge(ctx, want, share)
	if err != nil {
		return seen, errors.Join(err, operation.Set(ledger.Failed))
	}
	return seen, operation.Set(ledger.Done)
}

// Rehearse says whether the flag is still there and could be set.
func (t *target) Rehearse(ctx context.Context, want adg.Desired) ([]adg.Obstacle, error) {
	share, err := t.wanted(want)
	if err != nil {
		return []adg.Obstacle{{Name: "release", Final: true, Text: err.Error()}}, nil
	}
	state, err := t.Flag.Read(ctx)
	switch code := adg.CodeOf(err); {
	case err == nil:
	case code == adg.NotFound:
		return []adg.Obstacle{{Name: "release", Final: true, Text: err.Error()}}, nil
	case code == adg.Unauthorized:
		return []adg.Obstacle{{Name: "access", Final: true, Text: err.Error()}}, nil
	default:
		return nil, fmt.Errorf("rehearse: %w", err)
	}
	if share > 0 && state.Foreign != "" {
		return []adg.Obstacle{{Name: "sync", Final: true, Text: state.Foreign}}, nil
	}
	if share > 0 && state.Rules != "" {
		return []adg.Obstacle{{Name: "sync", Text: state.Rules + " decide for their users, whatever the percentage is"}}, nil
	}
	return nil, nil
}

// wanted is the percentage of users who are to have the flag on.
func (t *target) wanted(want adg.Desired) (float64, error) {
	if err := want.Validate(); err != nil {
		return 0, err
	}
	share := 0.0
	for _, p := range want.Releases {
		switch {
		case p.Release.Version == t.Versions.On:
			share = p.Share
		case p.Release.Version != t.Versions.Off && p.Share > 0:
			return 0, adg.Errorf(adg.Invalid, "the flag stands for the versions %s and %s, and %s is neither: deploy one of them, or name yours in on_version and off_version",
				t.Versions.On, t.Versions.Off, p.Release.Version)
		}
	}
	if whole := math.Round(share/t.Grain) * t.Grain; !same(whole, share) {
		return 0, adg.Errorf(adg.Invalid, "a share of %g %%: the platform knows steps of %g %% only: write the rollout's steps so", share, t.Grain)
	}
	return share, nil
}

// converge reads, writes and reads again: what was written counts when it is read, not when it was taken.
func (t *target) converge(ctx context.Context, want adg.Desired, share float64) (adg.Observed, error) {
	wrote := false
	for range tries {
		state, err := t.Flag.Read(ctx)
		if err != nil {
			return adg.Observed{}, fmt.Errorf("apply %s: read the flag: %w", want.OpID, err)
		}
		noted := notesIn(state.Text)
		done, err := admit(noted, state, want, share)
		if err != nil {
			return adg.Observed{}, err
		}
		if done {
			return t.observe(ctx, state), nil
		}
		text := noted.with(note{OpID: want.OpID, Deployment: want.Deployment, Fence: want.Fence, Share: share}).onto(state.Text)
		switch err := t.Flag.Write(ctx, state, share, text); {
		case err == nil:
			wrote = true
		case !errors.Is(err, ErrChanged):
			return adg.Observed{}, fmt.Errorf("apply %s: %w", want.OpID, err)
		}
	}
	if wrote {
		return adg.Observed{}, adg.Errorf(adg.Unavailable, "apply %s: the platform took the change and does not have it, %d times", want.OpID, tries)
	}
	return adg.Observed{}, adg.Errorf(adg.Unavailable, "apply %s: somebody else changed the flag at the same time, %d times", want.OpID, tries)
}

// admit tells whether the operation is done already, or why it may not begin.
func admit(noted notes, state State, want adg.Desired, share float64) (done bool, err error) {
	before, found := noted.of(want.Deployment)
	moved := found && !same(before.Share, state.Share)
	switch {
	case found && before.Fence > want.Fence:
		return false, adg.ErrFenced
	case found && before.OpID == want.OpID && (before.Fence == want.Fence || moved):
		return true, nil
	case share == 0 || same(share, state.Share):
		return false, nil
	case state.Foreign != "":
		return false, adg.Permanent(adg.Errorf(adg.Conflict, "apply %s: %s", want.OpID, state.Foreign))
	case moved:
		return false, adg.Permanent(adg.Errorf(adg.Conflict, "apply %s: %s: set it back, or end the deployment", want.OpID, movedText(before, state)))
	}
	return false, nil
}

// observe puts a state into words.
func (t *target) observe(ctx context.Context, state State) adg.Observed {
	seen := adg.Observed{
		Done: true,
		Releases: []adg.Placement{
			{Release: adg.Release{Version: t.Versions.On}, Share: state.Share, Role: roleOf(state.Share, adg.CandidateRole)},
			{Release: adg.Release{Version: t.Versions.Off}, Share: 100 - state.Share, Role: roleOf(100-state.Share, adg.StableRole)},
		},
	}
	words := []string{fmt.Sprintf("on for %g %% of the users", state.Share)}
	if state.Share == 0 {
		words[0] = "off"
	}
	if noted := notesIn(state.Text); len(noted) > 0 {
		seen.OpID = noted[0].OpID
		if !same(noted[0].Share, state.Share) {
			seen.Done = false
			words = append(words, movedText(noted[0], state))
		}
	}
	if state.Rules != "" && state.Share > 0 {
		words = append(words, state.Rules+" decide for their users before the percentage does")
	}
	lag, err := t.Flag.Lag(ctx, state)
	if err != nil {
		lag = "what users get could not be read: " + err.Error()
	}
	if lag != "" {
		seen.Done = false
		words = append(words, lag)
	}
	seen.Text = strings.Join(words, "; ")
	return seen
}

func movedText(before note, state State) string {
	return fmt.Sprintf("adg had set it on for %g %%, and somebody else, or an attempt that was interrupted, has made that %g %%", before.Share, state.Share)
}

func roleOf(share float64, some adg.Role) adg.Role {
	switch share {
	case 0:
		return adg.IdleRole
	case 100:
		return adg.StableRole
	default:
		return some
	}
}

// same compares shares that went through numbers of other kinds.
func same(a, b float64) bool { return math.Abs(a-b) < 1e-6 }
