package ssh

import (
	"context"
	_ "embed"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/crypto/ssh"
	"golang.org/x/crypto/ssh/knownhosts"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

//go:embed host.sh
var hostScript string

// Private

const (
	lockWait  = 30 * time.Second // as host.sh waits
	keepAlive = 10 * time.Second
	maxOutput = 256 << 10
)

// How host.sh ends.
const (
	exitWrite    = 70
	exitBusy     = 75
	exitNote     = 76
	exitLink     = 77
	exitNoFolder = 78
	exitProgram  = 80
)

// errChanged says that somebody else has written the note since it was read.
var errChanged = errors.New("another owner has changed the note on the host")

// programError is a program on the host that failed, with the tail of what it printed.
type programError struct {
	status string
	log    string
}

// Error says how it ended; the log is told elsewhere.
func (e *programError) Error() string { return "it ended with status " + e.status }

// login is how hosts are entered, and known.
type login struct {
	user   string
	signer ssh.Signer
	known  ssh.HostKeyCallback
}

func newLogin(o Options, dir string) (login, error) {
	signer, err := ssh.ParsePrivateKey([]byte(o.Key.Reveal()))
	if err != nil {
		// The cause may repeat what is in the key.
		return login{}, errors.New("key: it is no private key in PEM format, or has a passphrase")
	}
	if strings.TrimSpace(o.KnownHosts) == "" {
		return login{}, errors.New("known_hosts: it is missing (ssh-keyscan prints the lines: compare them with what the servers' operator publishes)")
	}
	if dir == "" {
		return login{}, errors.New("the target has no directory of its own")
	}
	known, err := parseKnownHosts(o.KnownHosts, dir)
	if err != nil {
		return login{}, fmt.Errorf("known_hosts: %w", err)
	}
	return login{o.User, signer, known}, nil
}

// parseKnownHosts goes by a file, because the parser reads nothing else.
func parseKnownHosts(text, dir string) (ssh.HostKeyCallback, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	file, err := os.CreateTemp(dir, "known_hosts")
	if err != nil {
		return nil, err
	}
	defer func() {
		_ = file.Close()
		_ = os.Remove(file.Name())
	}()
	if _, err := file.WriteString(text); err != nil {
		return nil, err
	}
	known, err := knownhosts.New(file.Name())
	if err != nil {
		return nil, errors.New("a line is none of a known_hosts file: copy what ssh-keyscan prints")
	}
	return known, nil
}

// algorithms are those of the keys that are known for a host: a server with more keys must not offer another one.
func (l login) algorithms(address string) []string {
	var unknown *knownhosts.KeyError
	if !errors.As(l.known(address, &net.TCPAddr{IP: net.IPv4zero}, l.signer.PublicKey()), &unknown) {
		return nil
	}
	var names []string
	for _, key := range unknown.Want {
		if key.Key.Type() == ssh.KeyAlgoRSA {
			names = append(names, ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256)
		}
		names = append(names, key.Key.Type())
	}
	return names
}

// link is a host, with the connection to it while a call lasts. It is used by one goroutine at a time.
type link struct {
	t      *target
	host   string // with its port
	client *ssh.Client
	ended  sync.WaitGroup
}

// name is the host as people know it.
func (l *link) name() string {
	name, port, _ := net.SplitHostPort(l.host) // checked when the options were read
	if port == "22" {
		return name
	}
	return l.host
}

func (l *link) close() {
	if l.client != nil {
		_ = l.client.Close() // nothing is left to be sent
		l.client = nil
	}
	l.ended.Wait()
}

// connect logs in.
func (l *link) connect(ctx context.Context) error {
	ctx, cancel := context.WithTimeoutCause(ctx, l.t.o.Connect, adg.Errorf(adg.Unavailable, "it did not let adg in within %s", adg.Short(l.t.o.Connect)))
	defer cancel()
	conn, err := remote.Dial(ctx, "tcp", l.host)
	if err != nil {
		return l.failure(ctx, err)
	}
	stop := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer stop()
	c, channels, requests, err := ssh.NewClientConn(conn, l.host, &ssh.ClientConfig{
		User: l.t.login.user, Auth: []ssh.AuthMethod{ssh.PublicKeys(l.t.login.signer)},
		HostKeyCallback: l.t.login.known, HostKeyAlgorithms: l.t.login.algorithms(l.host),
	})
	if err != nil {
		_ = conn.Close()
		return l.failure(ctx, err)
	}
	client := ssh.NewClient(c, channels, requests)
	l.client = client
	gone := make(chan struct{})
	l.ended.Go(func() {
		_ = client.Wait() // why it ended is told to whoever uses it
		close(gone)
	})
	l.ended.Go(func() { stayAlive(client, gone) })
	return nil
}

// stayAlive closes the connection to a host that answers nothing any more.
func stayAlive(client *ssh.Client, gone <-chan struct{}) {
	ticker := time.NewTicker(keepAlive)
	defer ticker.Stop()
	for {
		select {
		case <-gone:
			return
		case <-ticker.C:
		}
		dead := time.AfterFunc(keepAlive, func() { _ = client.Close() })
		_, _, _ = client.SendRequest("keepalive@openssh.com", true, nil) // any answer, a refusal too, is a sign of life
		dead.Stop()
	}
}

// run has host.sh do something, and gives what it printed.
func (l *link) run(ctx context.Context, limit time.Duration, verb string, args ...string) ([]byte, error) {
	if err := context.Cause(ctx); err != nil {
		return nil, adg.Errorf(adg.Unavailable, "%s: nothing was begun: %w", l.name(), err)
	}
	if l.client == nil {
		if err := l.connect(ctx); err != nil {
			return nil, err
		}
	}
	ctx, cancel := context.WithTimeoutCause(ctx, limit, adg.Errorf(adg.Unavailable, "no answer within %s", adg.Short(limit)))
	defer cancel()
	client := l.client
	stop := context.AfterFunc(ctx, func() { _ = client.Close() })
	defer stop()
	session, err := client.NewSession()
	if err != nil {
		return nil, l.lost(ctx, err)
	}
	defer func() { _ = session.Close() }() // it has ended by then, or its connection has
	out, complaint := &bounded{limit: maxOutput}, &bounded{limit: 4 << 10}
	session.Stdin, session.Stdout, session.Stderr = strings.NewReader(hostScript), out, complaint
	err = session.Run(quoted(append([]string{"/bin/sh", "-s", "--", l.t.o.Root, verb}, args...)...))
	if exit := (*ssh.ExitError)(nil); errors.As(err, &exit) {
		return nil, l.exit(exit.ExitStatus(), out.kept, strings.TrimSpace(string(complaint.kept)))
	}
	if err != nil {
		return nil, l.lost(ctx, err)
	}
	return out.kept, nil
}

// lost gives the connection up.
func (l *link) lost(ctx context.Context, err error) error {
	l.close()
	return l.failure(ctx, err)
}

// exit is the error that host.sh ended with.
func (l *link) exit(status int, out []byte, complaint string) error {
	said := l.t.scrub(complaint)
	switch status {
	case exitProgram:
		return &programError{status: said, log: l.t.tail(out)}
	case exitNote:
		return errChanged
	case exitBusy:
		return adg.Errorf(adg.Unavailable, "%s: another operation is still running there", l.name())
	case exitLink:
		return adg.Errorf(adg.Conflict, "%s: somebody else has changed the link current meanwhile: see what is live there", l.name())
	case exitNoFolder:
		return adg.Permanent(adg.Errorf(adg.NotFound, "%s: the folder of the release has vanished from %s/releases: bring it back, or set fetch", l.name(), l.t.o.Root))
	case exitWrite:
		return adg.Errorf(adg.Unavailable, "%s: %s: check its owner, and that the disk has room", l.name(), said)
	default:
		return adg.Errorf(adg.Unavailable, "%s: the shell there ended with status %d: %s", l.name(), status, said)
	}
}

// failure says what is wrong with a host that cannot be talked to.
func (l *link) failure(ctx context.Context, err error) error {
	var stranger *knownhosts.KeyError
	var revoked *knownhosts.RevokedError
	switch {
	case errors.As(err, &stranger), errors.As(err, &revoked), strings.Contains(err.Error(), "no common algorithm for host key"):
		return adg.Permanent(adg.Errorf(adg.Unauthorized, "%s is not the server of known_hosts: compare its key with what its operator publishes", l.name()))
	case strings.Contains(err.Error(), "unable to authenticate"):
		return adg.Permanent(adg.Errorf(adg.Unauthorized, "%s refused the key of user %s: check key, and that its public half is in authorized_keys", l.name(), l.t.o.User))
	case context.Cause(ctx) != nil:
		return adg.Errorf(adg.Unavailable, "%s does not answer: %w", l.name(), context.Cause(ctx))
	case adg.IsPermanent(err):
		return fmt.Errorf("%s: %w", l.name(), err)
	default:
		return adg.Errorf(adg.Unavailable, "%s does not answer: %s", l.name(), l.t.scrub(err.Error()))
	}
}

// tail is the end of what a program printed, fit to be shown.
func (t *target) tail(out []byte) string {
	text := adg.Printable(t.redact(strings.ToValidUTF8(string(out), "")))
	return strings.ToValidUTF8(text[max(len(text)-adg.MaxLog, 0):], "")
}

// bounded keeps the first bytes written to it and drops the rest.
type bounded struct {
	kept  []byte
	limit int
}

// Write never fails.
func (b *bounded) Write(p []byte) (int, error) {
	b.kept = append(b.kept, p[:min(len(p), b.limit-len(b.kept))]...)
	return len(p), nil
}
