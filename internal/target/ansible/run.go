package ansible

import (
	"bytes"
	"context"
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/process"
)

//go:embed report.py
var reportPlugin []byte

// Private

const (
	grace     = 3 * time.Second // between SIGTERM and SIGKILL
	maxOutput = 4 << 20
	scratches = "run-" // folders of runs, below that of the target
)

// How ansible-playbook ends where it could not begin.
const (
	exitParser  = 4 // also where hosts were unreachable, but then there is a recap
	exitOptions = 5
)

// run is one start of ansible-playbook.
type run struct {
	playbook string
	check    bool           // change nothing
	syntax   bool           // start nothing
	vars     map[string]any // beside those of the options
	lock     *os.File       // for it to inherit
	timeout  time.Duration
}

// printed is what came of a run that reached its end.
type printed struct {
	recap *recap // nil: it had none to give, as for syntax
	log   string // the tail of what it printed
}

// start runs a playbook. An error means that the run did not come to its end, or that nothing is known about any host;
// what became of each host is in the recap. stillRuns says that something of it may have outlived the call.
func (t *target) start(ctx context.Context, r run) (out printed, stillRuns bool, err error) {
	if err := context.Cause(ctx); err != nil {
		return out, false, adg.Errorf(adg.Unavailable, "nothing was begun: %w", err)
	}
	if _, err := os.Stat(t.path(r.playbook)); err != nil {
		return out, false, adg.Permanent(adg.Errorf(adg.NotFound, "there is no playbook %s that adg may read: check dir and playbook", t.path(r.playbook)))
	}
	scratch, err := t.scratch(r)
	if err != nil {
		return out, false, adg.Errorf(adg.Unavailable, "prepare a run of %s: %w", r.playbook, err)
	}
	defer func() { _ = os.RemoveAll(scratch) }() // what it cannot remove, a later run sweeps
	spec := process.Spec{
		Path: t.o.Program, Args: t.arguments(r, scratch), Env: append(slices.Clip(t.env), t.settings(scratch)...), Dir: t.o.Dir,
		Timeout: r.timeout, Grace: grace, MaxOutput: maxOutput,
	}
	if r.lock != nil {
		spec.Files = []*os.File{r.lock}
	}
	result, err := process.Run(ctx, spec)
	out.log = t.tail(append(result.Stdout, result.Stderr...))
	if err != nil {
		return out, true, err
	}
	out.recap, err = readRecap(filepath.Join(scratch, "report"))
	switch {
	case err != nil:
		return out, false, adg.Errorf(adg.Unavailable, "what %s says about its hosts cannot be read: %s", r.playbook, t.redact(err.Error()))
	case r.syntax && result.Exit == 0:
		return out, false, nil
	case out.recap == nil:
		return out, false, t.notBegun(r, result)
	case len(out.recap.Hosts) == 0:
		return out, false, adg.Permanent(adg.Errorf(adg.NotFound, "%s found no host: check inventory, limit, and the hosts that the playbook is for", r.playbook))
	}
	if failed, away := out.recap.failed(); result.Exit != 0 && len(failed)+len(away.all()) == 0 {
		return out, false, adg.Errorf(adg.Unavailable, "%s ended with status %d, and no host says why: %s", r.playbook, result.Exit, t.complaint(result))
	}
	return out, false, nil
}

// notBegun is the error of a run that has nothing to say about hosts.
func (t *target) notBegun(r run, result process.Result) error {
	err := adg.Errorf(adg.Unavailable, "%s ended with status %d before it had done anything: %s", r.playbook, result.Exit, t.complaint(result))
	if result.Exit == exitParser || result.Exit == exitOptions {
		return adg.Permanent(adg.Errorf(adg.Invalid, "%w", err))
	}
	return err
}

func (t *target) path(playbook string) string {
	if filepath.IsAbs(playbook) {
		return playbook
	}
	return filepath.Join(t.o.Dir, playbook)
}

// arguments start with options that do not depend on what a policy says, and end with "--".
func (t *target) arguments(r run, scratch string) []string {
	args := []string{"--extra-vars", "@" + filepath.Join(scratch, "vars.yml")}
	if t.o.Inventory != "" {
		args = append(args, "--inventory", t.o.Inventory)
	}
	if t.o.Limit != "" {
		args = append(args, "--limit", t.o.Limit)
	}
	if t.o.VaultPassword.Reveal() != "" {
		args = append(args, "--vault-password-file", filepath.Join(scratch, "vault"))
	}
	if r.check {
		args = append(args, "--check", "--diff")
	}
	if r.syntax {
		args = append(args, "--syntax-check")
	}
	return append(args, "--", r.playbook)
}

// settings are those that a run depends on, whatever ansible.cfg says.
func (t *target) settings(scratch string) []string {
	plugins := scratch + ":" + t.o.Env["ANSIBLE_CALLBACK_PLUGINS"]
	return []string{
		"ADG_REPORT=" + filepath.Join(scratch, "report"), "ANSIBLE_CALLBACK_PLUGINS=" + strings.TrimSuffix(plugins, ":"),
		"ANSIBLE_LOCAL_TEMP=" + scratch, "ANSIBLE_NOCOLOR=1", "ANSIBLE_FORCE_COLOR=0", "ANSIBLE_RETRY_FILES_ENABLED=0",
		"ANSIBLE_INVENTORY_UNPARSED_FAILED=1", "ANSIBLE_INVENTORY_ANY_UNPARSED_IS_FAILED=1", // part of the hosts is not all of them
		"PYTHONDONTWRITEBYTECODE=1",
	}
}

// scratch makes a folder with what a run needs to read, for this user only. It also removes those that were left behind.
func (t *target) scratch(r run) (string, error) {
	if err := os.MkdirAll(t.dir, 0o700); err != nil {
		return "", err
	}
	t.sweep()
	dir, err := os.MkdirTemp(t.dir, scratches)
	if err != nil {
		return "", err
	}
	files := map[string][]byte{"adg_report.py": reportPlugin, "vars.yml": t.variables(r.vars)}
	if password := t.o.VaultPassword.Reveal(); password != "" {
		files["vault"] = []byte(password + "\n")
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), text, 0o600); err != nil {
			_ = os.RemoveAll(dir) // the first error is the one that matters
			return "", err
		}
	}
	return dir, nil
}

// sweep removes the folders of runs whose adg was killed: a run reads its files when it begins.
func (t *target) sweep() {
	left, _ := filepath.Glob(filepath.Join(t.dir, scratches+"*")) // the pattern is a good one
	for _, dir := range left {
		about, err := os.Stat(dir)
		if err == nil && time.Since(about.ModTime()) > max(t.o.Timeout, t.o.LookTimeout)+time.Minute { //nolint:forbidigo // a file's age is real time
			_ = os.RemoveAll(dir) // the next run tries again
		}
	}
}

// variables is a file of them. Texts are marked as unsafe, which keeps ansible from taking what is in them for templates:
// a password may hold braces.
func (t *target) variables(more map[string]any) []byte {
	all := maps.Clone(more)
	if all == nil {
		all = map[string]any{}
	}
	for name, value := range t.o.Vars {
		all[name] = value
	}
	for name, secret := range t.o.SecretVars {
		all[name] = secret.Reveal()
	}
	var file bytes.Buffer
	file.WriteString("---\n")
	for _, name := range slices.Sorted(maps.Keys(all)) {
		value, _ := json.Marshal(all[name]) // texts, numbers, and structs of these
		tag := ""
		if _, text := all[name].(string); text {
			tag = "!unsafe "
		}
		fmt.Fprintf(&file, "%s: %s%s\n", name, tag, value)
	}
	if len(all) == 0 {
		file.WriteString("{}\n")
	}
	return file.Bytes()
}

// tail is the end of what was printed, fit to be shown.
func (t *target) tail(out []byte) string {
	text := adg.Printable(t.redact(strings.ToValidUTF8(string(out), "")))
	return strings.ToValidUTF8(text[max(len(text)-adg.MaxLog, 0):], "")
}

// complaint is what was wrong, in one line.
func (t *target) complaint(result process.Result) string {
	for line := range strings.Lines(string(result.Stderr)) {
		_, why, found := strings.Cut(line, "ERROR! ")
		if !found {
			_, why, found = strings.Cut(line, "[ERROR]: ")
		}
		if found {
			result.Stderr = []byte(why)
			break
		}
	}
	text := t.redact(result.Complaint())
	if text == "" {
		return "it said nothing"
	}
	return text
}
