package haproxy

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

const (
	maxAnswer = 8 << 20 // bytes: some thousand servers
	maxLine   = 100     // commands that are sent at once; HAProxy's buffer takes 16 KiB
)

// socket is HAProxy's runtime interface. Each call has a connection of its own, as HAProxy wants it.
type socket struct {
	network string // unix or tcp
	address string
	timeout time.Duration
}

// ask sends one line and reads the whole answer.
func (s socket) ask(ctx context.Context, line string) (string, error) {
	tooLong := adg.Errorf(adg.Unavailable, "no answer within %s: HAProxy hangs, or nobody serves its socket", adg.Short(s.timeout))
	ctx, cancel := context.WithTimeoutCause(ctx, s.timeout, tooLong)
	defer cancel()
	answer, err := s.exchange(ctx, line)
	if err == nil {
		return answer, nil
	}
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if errors.Is(err, fs.ErrPermission) {
		return "", adg.Permanent(adg.Errorf(adg.Unauthorized, "HAProxy at %s: %w: adg's user needs to be in the socket's group", s.address, err))
	}
	return "", adg.Errorf(adg.Unavailable, "HAProxy at %s: %w", s.address, err)
}

// change sends commands that change something. HAProxy runs those of one line without a pause between them, and
// answers each with an empty line if it took it.
func (s socket) change(ctx context.Context, commands []string) error {
	for len(commands) > 0 {
		n := min(len(commands), maxLine)
		answer, err := s.ask(ctx, strings.Join(commands[:n], "; "))
		if err != nil {
			return err
		}
		if answer == "" {
			return adg.Errorf(adg.Unavailable, "HAProxy at %s closed the connection without an answer", s.address)
		}
		if said := strings.TrimSpace(answer); said != "" {
			return s.refusal(said)
		}
		commands = commands[n:]
	}
	return nil
}

// refusal is what HAProxy says instead of taking a command. It has no codes.
func (s socket) refusal(said string) error {
	if strings.HasPrefix(said, "Permission denied") {
		return adg.Permanent(adg.Errorf(adg.Unauthorized, "HAProxy at %s refused a command: %s: its socket needs level admin", s.address, excerpt(said)))
	}
	return adg.Errorf(adg.Unavailable, "HAProxy at %s refused a command: %s (the backend needs a balance algorithm with dynamic weights)", s.address, excerpt(said))
}

// servers reads the state of all servers of a backend.
func (s socket) servers(ctx context.Context, backend string) ([]server, error) {
	text, err := s.ask(ctx, "show servers state "+backend)
	if err != nil {
		return nil, err
	}
	servers, err := parseStates(text, backend)
	if err != nil {
		return nil, adg.Errorf(adg.Unavailable, "HAProxy at %s: %w", s.address, err)
	}
	if text, err = s.ask(ctx, "show stat "+backend+" 4 -1"); err != nil {
		return nil, err
	}
	if err := addStats(servers, text, backend); err != nil {
		return nil, adg.Errorf(adg.Unavailable, "HAProxy at %s: %w", s.address, err)
	}
	return servers, nil
}

// Private

func (s socket) exchange(ctx context.Context, line string) (string, error) {
	if err := ctx.Err(); err != nil {
		return "", err
	}
	conn, err := remote.Dial(ctx, s.network, s.address)
	if err != nil {
		return "", err
	}
	defer conn.Close()
	stop := context.AfterFunc(ctx, func() { _ = conn.SetDeadline(time.Unix(1, 0)) }) // ends the read or write under way
	defer stop()
	if _, err := io.WriteString(conn, line+"\n"); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(io.LimitReader(conn, maxAnswer+1))
	if err != nil {
		return "", err
	}
	if len(answer) > maxAnswer {
		return "", errors.New("the answer is larger than 8 MiB")
	}
	return string(answer), nil
}

// excerpt is foreign text for an error.
func excerpt(text string) string {
	const most = 200
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	if len(line) > most {
		line = strings.ToValidUTF8(line[:most], "") + "…"
	}
	return adg.Printable(line)
}
