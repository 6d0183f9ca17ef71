package git

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/target/ledger"
)

// Private

// maxPacks bounds the clone: each fetch may add a few files, and none is ever packed together with others.
const maxPacks = 2000

// session is the time in which one call has the clone for itself, among all processes.
type session struct {
	*target
	lock    *os.File
	clone   string // a bare repository that holds little: recent commits, and of files those that were looked at
	scratch string // keys, an index and other files of this session
	config  []string
	marked  bool // this session runs git, and has said so on disk
	killed  bool // a run of git was stopped, and may have left locks behind
}

// begin waits for the clone and makes it ready, without talking to the repository yet but for a greeting.
func (t *target) begin(ctx context.Context) (*session, error) {
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, adg.Errorf(adg.Unavailable, "nothing was begun: %w", context.Cause(ctx))
	}
	s := &session{target: t, clone: filepath.Join(t.dir, "clone"), scratch: filepath.Join(t.dir, "scratch")}
	err := os.MkdirAll(t.dir, 0o700)
	if err != nil {
		err = adg.Errorf(adg.Unavailable, "keep a clone: %w", err)
	} else {
		s.lock, err = ledger.Lock(ctx, filepath.Join(t.dir, "lock"))
	}
	if err == nil {
		err = s.prepare(ctx)
	}
	if err != nil {
		s.end()
		return nil, err
	}
	return s, nil
}

// end lets the next one begin.
func (s *session) end() {
	if s.lock != nil {
		_ = os.RemoveAll(s.scratch) // the next session does it again
		if s.marked && (!s.killed || s.sweep() == nil) {
			_ = os.Remove(s.mark()) // the next session finds the same by itself
		}
		_ = s.lock.Close() // nothing was written to it
	}
	<-s.turn
}

// mark is a file that is there while a session runs git. One that is there before was left by a process that was killed
// or by a loss of power; which of them, the name of the boot tells that it holds.
func (s *session) mark() string { return filepath.Join(s.dir, "unclean") }

// begun notes that git is about to be run.
func (s *session) begun() error {
	if s.marked {
		return nil
	}
	if err := os.WriteFile(s.mark(), boot(), 0o600); err != nil {
		return kept(err)
	}
	s.marked = true
	return nil
}

// boot names the time since the system was started; empty where it has no such name.
func boot() []byte {
	name, _ := os.ReadFile("/proc/sys/kernel/random/boot_id") // on Linux only
	return name
}

func kept(err error) error {
	if err != nil {
		return adg.Errorf(adg.Unavailable, "keep a clone: %w", err)
	}
	return nil
}

func (s *session) prepare(ctx context.Context) error {
	if err := s.recover(); err != nil {
		return kept(err)
	}
	if err := errors.Join(os.RemoveAll(s.scratch), os.Mkdir(s.scratch, 0o700)); err != nil {
		return kept(err)
	}
	if err := s.writeKeys(); err != nil {
		return kept(err)
	}
	if err := s.checkVersion(ctx); err != nil {
		return err
	}
	if err := s.configure(ctx); err != nil {
		return err
	}
	return s.create(ctx)
}

// create makes an empty clone where there is none, beside its place at first: one that is there is whole.
func (s *session) create(ctx context.Context) error {
	if _, err := os.Stat(filepath.Join(s.clone, "HEAD")); !errors.Is(err, fs.ErrNotExist) {
		return kept(err)
	}
	fresh := filepath.Join(s.scratch, "clone")
	if _, err := s.must(ctx, nil, "init", "--quiet", "--bare", "--template=", "--", fresh); err != nil {
		return err
	}
	if err := os.RemoveAll(s.clone); err != nil {
		return kept(err)
	}
	return kept(os.Rename(fresh, s.clone))
}

// recover makes good what earlier sessions left, before anything else can go wrong: what a killed process wrote is
// whole but for its locks, and after a loss of power nothing is trusted.
func (s *session) recover() error {
	mark, err := os.ReadFile(s.mark())
	unclean := !errors.Is(err, fs.ErrNotExist)
	packs, _ := os.ReadDir(filepath.Join(s.clone, "objects", "pack")) // none where there is no clone
	switch {
	case len(packs) > maxPacks, unclean && (err != nil || len(mark) == 0 || !bytes.Equal(mark, boot())):
		err = os.RemoveAll(s.clone)
	case unclean:
		err = s.sweep()
	default:
		return nil
	}
	if err != nil || !unclean {
		return err
	}
	return os.Remove(s.mark())
}

// sweep takes away the locks and the unfinished files of a git that was stopped. No git runs in the clone now: each one
// holds the lock of its session until it ends.
func (s *session) sweep() error {
	return filepath.WalkDir(s.clone, func(path string, entry fs.DirEntry, err error) error {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return nil
		case err != nil || entry.IsDir():
			return err
		case strings.HasSuffix(path, ".lock"), strings.HasPrefix(entry.Name(), "tmp_"), strings.HasPrefix(entry.Name(), ".tmp-"):
			return os.Remove(path)
		}
		return nil
	})
}

// writeKeys puts the keys where ssh and whoever signs read them; they go with the session.
func (s *session) writeKeys() error {
	files := map[string]string{"known_hosts": s.o.KnownHosts}
	if s.at.scheme == "ssh" {
		files["key"] = s.o.Key.Reveal()
	}
	if !s.o.Signing.Key.IsZero() {
		files["signing"] = s.o.Signing.Key.Reveal()
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(s.scratch, name), []byte(strings.TrimRight(text, "\n")+"\n"), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// configure is the configuration that git gets beside none at all. It goes through the environment, which only this
// user's processes can read: arguments are everybody's.
func (s *session) configure(ctx context.Context) error {
	addr, proxy, err := s.reach(ctx)
	if err != nil {
		return err
	}
	set := func(key, value string) { s.config = append(s.config, key, value) }
	for key, value := range map[string]string{
		"core.hooksPath": "/dev/null", "core.attributesFile": "/dev/null", "core.fsmonitor": "false", "core.quotepath": "false",
		"core.logAllRefUpdates": "false", "core.fsync": "committed", "credential.helper": "", "gc.auto": "0", "maintenance.auto": "false",
		"fetch.recurseSubmodules": "false", "push.recurseSubmodules": "no", "log.showSignature": "false", "log.mailmap": "false",
		"diff.external": "", "protocol.version": "2", "protocol.allow": "never", "protocol." + s.at.scheme + ".allow": "always",
		"remote.origin.url": s.at.url.String(), "remote.origin.fetch": "", "safe.directory": "*",
		"http.followRedirects": "false", "http.lowSpeedLimit": "1", "http.lowSpeedTime": fmt.Sprint(max(int(s.o.Timeout.Seconds()), 1)),
	} {
		set(key, value)
	}
	switch {
	case s.at.scheme == "ssh":
		set("core.sshCommand", s.sshCommand(addr))
	case proxy != "":
		set("http.proxy", proxy)
	default:
		set("http.proxy", "")
		if net.ParseIP(s.at.host) == nil && addr != "" { // the address that was allowed, and not another of the same name
			if strings.Contains(addr, ":") {
				addr = "[" + addr + "]"
			}
			set("http.curloptResolve", s.at.host+":"+s.at.port+":"+addr)
		}
	}
	if s.at.scheme != "ssh" && !s.o.Token.IsZero() {
		set("http."+s.at.scheme+"://"+s.at.url.Host+"/.extraHeader", "Authorization: Basic "+basic(s.o.User, s.o.Token))
	}
	if s.o.CAFile != "" {
		set("http.sslCAInfo", s.o.CAFile)
	}
	if !s.o.Signing.Key.IsZero() {
		s.configureSigning(set)
	}
	return nil
}

// reach connects to the server once, as every connection of ADG is made, and gives the address that git has to use, or
// the proxy in between.
func (s *session) reach(ctx context.Context) (addr, proxy string, err error) {
	to := net.JoinHostPort(s.at.host, s.at.port)
	if s.at.scheme != "ssh" {
		through, err := remote.Proxy(&http.Request{URL: s.at.url})
		if err != nil {
			return "", "", adg.Errorf(adg.CodeOf(err), "reach the repository: %w", err)
		}
		if through != nil {
			return "", through.String(), nil
		}
	}
	limited, cancel := context.WithTimeoutCause(ctx, s.o.Timeout, fmt.Errorf("no connection within the timeout of %s", adg.Short(s.o.Timeout)))
	defer cancel()
	conn, err := remote.Dial(limited, "tcp", to)
	switch cause := context.Cause(limited); {
	case err != nil && cause != nil:
		return "", "", adg.Errorf(adg.Unavailable, "reach the repository: %w", cause)
	case err != nil && adg.IsPermanent(err):
		return "", "", adg.Permanent(adg.Errorf(adg.Invalid, "reach the repository: %w", err))
	case err != nil:
		return "", "", adg.Errorf(adg.Unavailable, "reach the repository: %s", s.scrub(remote.Explain(err)))
	}
	defer conn.Close()
	if peer, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		addr = peer.IP.String()
	}
	return addr, "", nil
}

// sshCommand is read by a shell, so every word that is not fixed is quoted.
func (s *session) sshCommand(addr string) string {
	alias := s.at.host
	if s.at.port != "22" {
		alias = "[" + s.at.host + "]:" + s.at.port
	}
	words := []string{s.o.SSH, "-F", "/dev/null", "-i", filepath.Join(s.scratch, "key")}
	for _, option := range []string{
		"IdentitiesOnly=yes", "IdentityAgent=none", "BatchMode=yes", "StrictHostKeyChecking=yes", "UpdateHostKeys=no", "CheckHostIP=no",
		"UserKnownHostsFile=" + filepath.Join(s.scratch, "known_hosts"), "GlobalKnownHostsFile=/dev/null",
		"HostName=" + addr, "HostKeyAlias=" + alias, fmt.Sprintf("ConnectTimeout=%d", max(int(s.o.Timeout.Seconds()), 1)),
		"PermitLocalCommand=no", "ForwardAgent=no", "ForwardX11=no", "ControlPath=none",
	} {
		words = append(words, "-o", option)
	}
	for i, word := range words {
		words[i] = "'" + strings.ReplaceAll(word, "'", `'\''`) + "'"
	}
	return strings.Join(words, " ")
}

func basic(user string, token adg.Secret) string {
	return base64.StdEncoding.EncodeToString([]byte(user + ":" + token.Reveal()))
}
