// Package oidctest runs a real OpenID provider for tests, in a process of its own.
package oidctest

import (
	"bufio"
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"
)

// ErrMissing says that the provider is not installed on this machine.
var ErrMissing = errors.New("the OpenID provider is not installed: run scripts/test-servers, which needs npm")

// Account is what the provider says about somebody, by claim.
type Account map[string]any

// Server is a provider that runs. It ends with the process that started it at the latest.
type Server struct {
	Issuer string // its address

	command *exec.Cmd
	stop    func()
}

// Installed gives ErrMissing where the provider of that folder, testdata/provider, is not installed.
func Installed(folder string) error {
	_, _, err := installed(folder)
	return err
}

// Start starts the provider of a folder, testdata/provider, on a port of this machine; "0" is a free one. It knows the
// client adg, with the password adg-secret, and sends people back to those addresses besides its own.
func Start(folder, port string, back ...string) (*Server, error) {
	node, modules, err := installed(folder)
	if err != nil {
		return nil, err
	}
	script, err := filepath.Abs(filepath.Join(folder, "server.mjs"))
	if err != nil {
		return nil, err
	}
	command := exec.Command(node, append([]string{script, port}, back...)...)
	command.Dir = modules
	stdin, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	stdout, err := command.StdoutPipe()
	if err != nil {
		return nil, err
	}
	if err := command.Start(); err != nil {
		return nil, err
	}
	s := &Server{command: command, stop: func() { _ = stdin.Close() }}
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		s.Stop()
		return nil, fmt.Errorf("the provider did not start: %w", err)
	}
	s.Issuer = strings.TrimSpace(line)
	return s, nil
}

// Stop ends the provider; more than once is fine.
func (s *Server) Stop() {
	if s.command != nil {
		s.stop()
		_ = s.command.Wait()
		s.command = nil
	}
}

// Accounts says who there is from now on, by the name to log in by.
func (s *Server) Accounts(all map[string]Account) error {
	return s.control(map[string]any{"accounts": all})
}

// Rotate has the provider sign with new keys.
func (s *Server) Rotate() error { return s.control(map[string]any{"rotate": true}) }

// Answer is what a person answers to a page of the provider: where its form is posted to, and what is posted. A page
// without a form gives "".
func Answer(page []byte, account string) (action string, values url.Values) {
	form := formAction.FindSubmatch(page)
	switch {
	case form == nil:
		return "", nil
	case bytes.Contains(page, []byte(`name="login"`)):
		return string(form[1]), url.Values{"prompt": {"login"}, "login": {account}, "password": {"any"}}
	default:
		return string(form[1]), url.Values{"prompt": {"consent"}}
	}
}

// Private

var formAction = regexp.MustCompile(`action="([^"]+)"`)

// installed finds node, and the folder that scripts/test-servers put the provider's modules into.
func installed(folder string) (node, modules string, err error) {
	lock, err := os.ReadFile(filepath.Join(folder, "package-lock.json"))
	if err != nil {
		return "", "", err
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", "", err
	}
	sum := sha256.Sum256(lock)
	modules = filepath.Join(cache, "adg", "test-provider-"+hex.EncodeToString(sum[:8]))
	node, err = exec.LookPath("node")
	if _, missing := os.Stat(filepath.Join(modules, "node_modules", "oidc-provider")); err != nil || missing != nil {
		return "", "", fmt.Errorf("%w (%w)", ErrMissing, errors.Join(err, missing))
	}
	return node, modules, nil
}

func (s *Server) control(change map[string]any) error {
	body, err := json.Marshal(change)
	if err != nil {
		return err
	}
	once := http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 20 * time.Second}
	answer, err := once.Post(s.Issuer+"/control", "application/json", bytes.NewReader(body))
	if err != nil {
		return err
	}
	return answer.Body.Close()
}
