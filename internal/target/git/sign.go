package git

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/process"
)

// Private

func (s *session) configureSigning(set func(key, value string)) {
	set("gpg.format", s.o.Signing.Format)
	if s.o.Signing.Format == "ssh" {
		set("gpg.ssh.program", s.o.Signing.Program)
		set("user.signingKey", filepath.Join(s.scratch, "signing"))
		return
	}
	set("gpg.program", s.o.Signing.Program)
}

// readySigner gives gpg a key ring of this session's own. The agent that it starts ends when the ring is gone.
func (s *session) readySigner(ctx context.Context) error {
	home := filepath.Join(s.scratch, "gnupg")
	if _, err := os.Stat(home); err == nil || s.o.Signing.Format == "ssh" {
		return nil
	}
	if err := os.Mkdir(home, 0o700); err != nil {
		return adg.Errorf(adg.Unavailable, "sign: %w", err)
	}
	gpg := func(args ...string) (process.Result, error) {
		result, err := process.Run(ctx, process.Spec{
			Path: s.o.Signing.Program, Args: append([]string{"--batch", "--no-tty", "--quiet"}, args...), Dir: s.scratch,
			Env: []string{"PATH=/usr/bin:/bin", "HOME=" + s.scratch, "GNUPGHOME=" + home, "LC_ALL=C"}, Timeout: s.o.Timeout, Grace: grace,
		})
		if err == nil && result.Exit != 0 {
			err = adg.Permanent(adg.Errorf(adg.Invalid, "sign: gpg does not take signing.key: %s", s.scrub(result.Complaint())))
		}
		return result, err
	}
	if _, err := gpg("--import", filepath.Join(s.scratch, "signing")); err != nil {
		return err
	}
	listed, err := gpg("--with-colons", "--list-secret-keys")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(listed.Stdout)) {
		if f := strings.Split(line, ":"); f[0] == "fpr" && len(f) > 9 {
			s.config = append(s.config, "user.signingKey", f[9])
			return nil
		}
	}
	return adg.Permanent(adg.Errorf(adg.Invalid, "sign: signing.key holds no private key"))
}
