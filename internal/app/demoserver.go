package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"syscall"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/cli"
	"github.com/deployguardian/adg/internal/identity"
	"github.com/deployguardian/adg/internal/seal"
	"github.com/deployguardian/adg/internal/settings"
	"github.com/deployguardian/adg/internal/telemetry"
)

// serveDemo runs a server for this machine alone, with the demo inside it, until it is told to end.
func (a *App) serveDemo(ctx context.Context, o cli.DemoOptions, t cli.Terminal) (err error) {
	ctx, stop := signal.NotifyContext(ctx, os.Interrupt, syscall.SIGTERM)
	defer stop()
	context.AfterFunc(ctx, stop) // from then on a signal does what it does by itself
	dir, err := demoDir(o.DataDir)
	if err != nil {
		return err
	}
	key, err := demoKey(dir)
	if err != nil {
		return err
	}
	flags := map[string]string{
		"listen": o.Listen, "insecure_http": "true", "data": dir, "seal.active.file": key, "demo": strconv.FormatBool(true), "log.level": "warn", "log.format": "text",
	}
	all, err := settings.LoadAll("", nil, flags)
	if err != nil {
		return err
	}
	set := all.Settings
	s := &server{app: a, unsignal: stop, set: set, listed: listed(all.Listed), out: t.Out, metrics: telemetry.NewMetrics(a.version)}
	s.log = s.metrics.Log(telemetry.TraceIDs(handler(set.Log, t.Err)))
	if s.store, err = openStore(ctx, set, s.log); err != nil {
		return err
	}
	defer both(&err, s.store.Close)
	s.demo = newShowcase(s)
	s.demo.haproxy = o.HAProxy
	s.demo.told = func(text string) { _, _ = fmt.Fprintln(t.Out, text) }
	s.greet = func(ctx context.Context, url string) error { return s.greetDemo(ctx, url, o.Fault, dir) }
	return s.run(ctx)
}

// Private

// demoAdmin is who the demo's server knows.
const demoAdmin = "demo"

// demoKey is the file with the key that seals the secrets of the demo's server; it is made where it is missing.
func demoKey(dir string) (string, error) {
	path := filepath.Join(dir, "seal.key")
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return path, nil
	}
	if err != nil {
		return "", adg.Errorf(adg.Unavailable, "making the key of the demo's server: %w", err)
	}
	_, err = f.WriteString(seal.NewKey() + "\n")
	if err = errors.Join(err, f.Close()); err != nil {
		return "", adg.Errorf(adg.Unavailable, "making the key of the demo's server: %w", err)
	}
	return path, nil
}

// greetDemo makes the admin of the demo's server, says how to come in, and starts the demo as him.
func (s *server) greetDemo(ctx context.Context, url, fault, dir string) error {
	password := rand.Text()
	who, err := s.demoCaller(ctx, password)
	if err != nil {
		return err
	}
	token, _, err := s.directory.CreateToken(ctx, who, identity.NewToken{Label: "adg demo"})
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(s.out, `ADG serves at %[1]s with a shop in it. Log in at %[1]s/login as %[2]s with the password %[3]s, or go on here:

  export ADG_SERVER=%[1]s
  export ADG_TOKEN=%[4]s
  adg deploy list

v2 is good and goes up step by step; then v3 is deployed (fault: %[5]s). All of it is in %[6]s.
An interrupt ends the server.

`, url, demoAdmin, password, token.Reveal(), fault, dir)
	if err != nil {
		return err
	}
	s.demo.parts.Go(func() {
		if _, _, err := s.demo.Start(s.demo.running, who, fault); err != nil && s.demo.running.Err() == nil {
			s.demo.told("The demo did not start: " + err.Error())
		}
	})
	return nil
}

// demoCaller is the admin of the demo's server, who has that password from now on.
func (s *server) demoCaller(ctx context.Context, password string) (identity.Caller, error) {
	by := identity.Caller{From: "127.0.0.1", Reason: "adg demo --serve"}
	first, err := s.directory.Bootstrap(ctx)
	if err != nil {
		return by, err
	}
	if first.IsZero() { // the directory is of an earlier demo
		if by.Identity, err = s.directory.Identify(ctx, demoAdmin); err != nil {
			return by, err
		}
		return by, s.directory.SetPassword(ctx, by, demoAdmin, adg.NewSecret(password))
	}
	if by.Identity, err = s.directory.Authenticate(ctx, first.Reveal()); err != nil {
		return by, err
	}
	if err = s.directory.CreateUser(ctx, by, demoAdmin, adg.NewSecret(password)); err != nil {
		return by, err
	}
	if err = s.directory.Grant(ctx, by, identity.Binding{Subject: "user:" + demoAdmin, Role: identity.Admin, Service: "*", Environment: "*"}); err != nil {
		return by, err
	}
	by.Identity, err = s.directory.Identify(ctx, demoAdmin)
	return by, err
}
