package change

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/change/gitread"
)

// MaxCommits bounds how much history is read: of a longer one, the newest commits.
const MaxCommits = 1_000_000

// Options say how a repository is read. The zero value fits most.
type Options struct {
	Git         string   // the program; empty: git from PATH
	Key         []byte   // with which e-mail addresses are hashed; empty: anybody who guesses an address can recognise its hash
	FirstParent bool     // a merge is one unit of work, by whoever merged; otherwise merges do not count and the commits behind them do
	Roots       []string // folders of services, as subsystems; elsewhere the first folder is one
	Scope       []string // folders that the release is built from; empty: all
	Tags        string   // pattern of the tags that name versions, as in git tag --list; empty: all
	Progress    func(done, total int)
}

// Repository is a git repository on this machine. It is only read, never fetched into, and nothing that it contains
// or configures is run. It is safe for concurrent use, an Index is not.
type Repository struct {
	git      git
	options  Options
	settings string
	shallow  bool
	partial  bool
}

// Open finds the repository that a folder lies in; bare ones and linked work trees are as good. Invalid: there is none.
func Open(ctx context.Context, dir string, o Options) (*Repository, error) {
	found, err := gitread.Open(ctx, o.Git, dir, gitMaxOutput)
	if err != nil {
		return nil, err
	}
	g := git{found}
	o.Roots, o.Scope = folders(o.Roots), folders(o.Scope)
	r := &Repository{git: g, options: o, shallow: g.Shallow}
	partial, err := g.Run(ctx, nil, "config", "--local", "--get-regexp", `^(remote\..*\.(promisor|partialclonefilter)|extensions\.partialclone)$`)
	if err != nil {
		return nil, err
	}
	r.partial = partial.Exit == 0
	sum := sha256.Sum256(fmt.Appendf(nil, "%v\n%q\n%x", o.FirstParent, o.Roots, sha256.Sum256(o.Key)))
	r.settings = hex.EncodeToString(sum[:8])
	return r, nil
}

// Advance folds the history up to a commit, tag or branch into the index: what came since its Head in one pass, or
// everything where the index is empty, was read with other options, or has come to a commit that is not behind this
// one (the history was rewritten, or this is an older release). On an error the index stays as it was.
func (r *Repository) Advance(ctx context.Context, x *Index, to string) error {
	point, err := r.resolve(ctx, to)
	if err != nil {
		return err
	}
	return r.advance(ctx, x, point.id)
}

// Name stands for the repository: a digest of where it was cloned from, without credentials, or else of its folder. So
// it is the same wherever the same remote is cloned to.
func (r *Repository) Name(ctx context.Context) (string, error) {
	told, err := r.git.Run(ctx, nil, "config", "--local", "--get", "remote.origin.url")
	if err != nil {
		return "", err
	}
	place := r.git.Dir
	if remote := strings.TrimSpace(string(told.Stdout)); told.Exit == 0 && remote != "" {
		place = remote
		if u, err := url.Parse(remote); err == nil && u.User != nil {
			u.User = nil
			place = u.String()
		}
	}
	sum := sha256.Sum256([]byte(place))
	return hex.EncodeToString(sum[:16]), nil
}

// Private

// point is a commit and when it was made.
type point struct {
	id string
	at int64
}

// resolve finds a commit by any of its names.
func (r *Repository) resolve(ctx context.Context, name string) (point, error) {
	if name == "" || len(name) > 256 || strings.ContainsFunc(name, func(c rune) bool { return unicode.IsSpace(c) || !unicode.IsPrint(c) }) {
		return point{}, adg.Errorf(adg.Invalid, "%q names no commit: give a tag, a branch or a commit's id", name)
	}
	told, err := r.git.Run(ctx, nil, "rev-parse", "--verify", "--quiet", "--end-of-options", name+"^{commit}")
	if err != nil {
		return point{}, err
	}
	id := strings.TrimSpace(string(told.Stdout))
	if told.Exit != 0 || !gitread.IsObjectID(id) {
		hint := ""
		if r.shallow {
			hint = "; this clone is shallow: fetch more of the history (git fetch --unshallow, or fetch-depth: 0) and the tags"
		}
		return point{}, adg.Errorf(adg.NotFound, "the repository has no commit %q%s", name, hint)
	}
	when, err := r.git.Must(ctx, nil, "log", "-1", "--no-patch", "--no-mailmap", "--no-show-signature", "--format=%ct", "--end-of-options", id)
	if err != nil {
		return point{}, err
	}
	at, err := strconv.ParseInt(strings.TrimSpace(string(when)), 10, 64)
	if err != nil {
		return point{}, adg.Errorf(adg.Internal, "read git log: %w", gitread.ErrAnswer)
	}
	return point{id, max(at, 0)}, nil
}

// isAncestor is false too where one of the commits is gone.
func (r *Repository) isAncestor(ctx context.Context, old, id string) (bool, error) {
	told, err := r.git.Run(ctx, nil, "merge-base", "--is-ancestor", old, id)
	return err == nil && told.Exit == 0, err
}

// between lists the commits that lie behind to and not behind from, the oldest first; an empty from excludes nothing.
func (r *Repository) between(ctx context.Context, from, to string) ([]string, error) {
	args := []string{"rev-list", "--topo-order", "--reverse", fmt.Sprintf("--max-count=%d", MaxCommits)}
	if r.options.FirstParent {
		args = append(args, "--first-parent")
	} else {
		args = append(args, "--no-merges")
	}
	args = append(args, "--end-of-options", to)
	if from != "" {
		args = append(args, "^"+from)
	}
	out, err := r.git.Must(ctx, nil, args...)
	if err != nil {
		return nil, err
	}
	return strings.Fields(string(out)), nil
}

// advance leaves the index at a commit.
func (r *Repository) advance(ctx context.Context, x *Index, to string) error {
	if x.head == to && r.fits(x) {
		return nil
	}
	since := ""
	if r.fits(x) {
		behind, err := r.isAncestor(ctx, x.head, to)
		if err != nil {
			return err
		}
		if behind {
			since = x.head
		}
	}
	ids, err := r.between(ctx, since, to)
	if err != nil {
		return err
	}
	next := &Index{}
	if since == "" {
		next.reset(r.settings, r.shallow)
	} else {
		next = x.clone()
	}
	next.full = next.full || len(ids) >= MaxCommits
	err = r.stream(ctx, ids, func(c commit) {
		next.fold(c, func(path string) string { return subsystemOf(r.options.Roots, path) })
	})
	if err != nil {
		return err
	}
	next.head = to
	*x = *next
	return nil
}

// fits tells whether what the index says was read in the same way.
func (r *Repository) fits(x *Index) bool {
	return x.head != "" && x.settings == r.settings && x.shallow == r.shallow
}
