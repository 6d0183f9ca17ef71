package database

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/process"
)

// Private

const (
	grace     = 10 * time.Second // between SIGTERM and SIGKILL
	maxOutput = 64 << 10
)

// checkPrograms refuses ways back without a backup that is verified.
func (o Options) checkPrograms(host adg.Host, problem func(format string, args ...any)) {
	for name, p := range map[string]Program{"backup": o.Backup, "verify": o.Verify, "restore": o.Restore} {
		if p.Path == "" {
			if o.AllowDown && name != "restore" {
				problem("%s: name a program: migrations are only taken back after a backup that was verified", name)
			}
			continue
		}
		if !strings.Contains(p.Path, "/") {
			problem("%s: path: %q: write the program's path with a slash, such as ./%s", name, p.Path, name)
		}
		if p.Timeout <= 0 {
			problem("%s: timeout: %s: it must be longer than 0s", name, p.Timeout)
		}
		if err := host.MayStart(p.Path); err != nil {
			problem("%s: %w", name, err)
		}
	}
	names := slices.Concat(slices.Collect(maps.Keys(o.Env)), slices.Collect(maps.Keys(o.Secrets)))
	slices.Sort(names)
	for i, name := range names {
		if i > 0 && names[i-1] == name {
			problem("%s is both in env and in secrets", name)
		}
		if name == "" || strings.ContainsAny(name, "=\x00") || strings.HasPrefix(name, "ADG_") {
			problem("%q is no name for an environment variable here: no '=', and ADG_ is adg's own", name)
		}
	}
}

func (o Options) environment() (env []string) {
	for _, name := range []string{"PATH", "HOME", "LANG"} {
		if value, found := os.LookupEnv(name); found {
			env = append(env, name+"="+value)
		}
	}
	for name, value := range o.Env {
		env = append(env, name+"="+value)
	}
	for name, secret := range o.Secrets {
		env = append(env, name+"="+secret.Reveal())
	}
	return env
}

// backUp makes a backup and has it verified; without it nothing is taken back.
func (s *session) backUp(ctx context.Context, want adg.Desired, p plan) error {
	if err := s.start(ctx, "backup", s.t.o.Backup, want, p); err != nil {
		return fmt.Errorf("nothing was taken back, because there is no backup: %w", err)
	}
	if err := s.start(ctx, "verify", s.t.o.Verify, want, p); err != nil {
		return fmt.Errorf("nothing was taken back, because the backup was not verified: %w", err)
	}
	return nil
}

// salvage says what became of the schema after a step failed, and has the backup put back where it is half taken back and
// the policy names a program for that.
func (s *session) salvage(ctx context.Context, want adg.Desired, p plan, one step, failed error) error {
	_, half := errors.AsType[halfDone](failed)
	switch {
	case !half:
		return fmt.Errorf("the schema is at revision %s: %w", one.from, failed)
	case !p.down || s.t.o.Restore.Path == "":
		return adg.Permanent(fmt.Errorf("%s failed half-way, and no transaction undid it: %w", one, failed))
	}
	if err := s.start(ctx, "restore", s.t.o.Restore, want, p); err != nil {
		return adg.Permanent(fmt.Errorf("%w; and the backup was not put back: %w", failed, err))
	}
	now, err := s.read(ctx)
	switch {
	case err != nil:
		return errors.Join(failed, err)
	case now.revision != p.now || now.dirty != "":
		return adg.Permanent(fmt.Errorf("%w; the backup was put back, and the schema is at revision %s, not at %s as before: %s", failed, now.revision, p.now, now.dirty))
	}
	return adg.Permanent(fmt.Errorf("%w; the backup was put back, and the schema is at revision %s as before", failed, now.revision))
}

// start runs one of the programs; anything but success is an error.
func (s *session) start(ctx context.Context, name string, p Program, want adg.Desired, to plan) error {
	if err := s.t.host.MayStart(p.Path); err != nil {
		return err
	}
	result, err := process.Run(ctx, process.Spec{
		Path: p.Path, Args: p.Args, Timeout: p.Timeout, Grace: grace, MaxOutput: maxOutput,
		Env: append(slices.Clip(s.t.env), "ADG_OP_ID="+want.OpID, "ADG_DEPLOYMENT="+want.Deployment, "ADG_REVISION="+to.now, "ADG_WANTED_REVISION="+to.needed),
	})
	for line := range strings.Lines(string(result.Stdout) + string(result.Stderr)) {
		s.say(name + ": " + strings.TrimSpace(line))
	}
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	if result.Exit != 0 {
		return adg.Errorf(adg.Unavailable, "%s: %s ended with status %d: %s", name, p.Path, result.Exit, s.t.redact(result.Complaint()))
	}
	return nil
}
