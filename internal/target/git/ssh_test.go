package git

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"

	"golang.org/x/crypto/ssh"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/target/targettest"
)

// sshServer serves a repository to the owner of one key.
type sshServer struct {
	*repository
	listener net.Listener
	config   *ssh.ServerConfig
	host     ssh.Signer
	client   []byte // the private key that is let in
	working  sync.WaitGroup
}

func newKey(t *testing.T) (ssh.Signer, []byte) {
	t.Helper()
	_, private, err := ed25519.GenerateKey(rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	block, err := ssh.MarshalPrivateKey(private, targettest.Planted)
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.NewSignerFromKey(private)
	if err != nil {
		t.Fatal(err)
	}
	return signer, pem.EncodeToMemory(block)
}

func newSSHServer(t *testing.T) *sshServer {
	t.Helper()
	if _, err := os.Stat("/usr/bin/ssh"); err != nil {
		missing(t, "ssh")
	}
	s := &sshServer{repository: newRepository(t)}
	var allowed ssh.Signer
	s.host, _ = newKey(t)
	allowed, s.client = newKey(t)
	s.config = &ssh.ServerConfig{PublicKeyCallback: func(_ ssh.ConnMetadata, key ssh.PublicKey) (*ssh.Permissions, error) {
		if string(key.Marshal()) != string(allowed.PublicKey().Marshal()) {
			return nil, errors.New("unknown key")
		}
		return nil, nil
	}}
	s.config.AddHostKey(s.host)
	var err error
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	s.working.Go(func() { s.accept(t) })
	t.Cleanup(func() {
		_ = s.listener.Close()
		s.working.Wait()
	})
	return s
}

func (s *sshServer) accept(t *testing.T) {
	for {
		conn, err := s.listener.Accept()
		if err != nil {
			return
		}
		s.working.Go(func() {
			defer conn.Close()
			s.serve(t, conn)
		})
	}
}

func (s *sshServer) serve(t *testing.T, conn net.Conn) {
	s.mu.Lock()
	fault, mended := s.fault, s.mended
	s.mu.Unlock()
	if fault != nil && *fault == targettest.Hang {
		<-mended
		return
	}
	if fault != nil && *fault == targettest.Unreachable {
		return
	}
	server, channels, requests, err := ssh.NewServerConn(conn, s.config)
	if err != nil {
		return
	}
	defer server.Close()
	go ssh.DiscardRequests(requests)
	for opened := range channels {
		channel, requests, err := opened.Accept()
		if err != nil {
			return
		}
		s.session(t, channel, requests)
	}
}

// session runs the one program that is asked for.
func (s *sshServer) session(t *testing.T, channel ssh.Channel, requests <-chan *ssh.Request) {
	defer channel.Close()
	env := []string{"PATH=" + os.Getenv("PATH"), "HOME=/nonexistent", "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL=/dev/null"}
	for req := range requests {
		switch req.Type {
		case "env":
			var pair struct{ Name, Value string }
			if ssh.Unmarshal(req.Payload, &pair) == nil && pair.Name == "GIT_PROTOCOL" {
				env = append(env, pair.Name+"="+pair.Value)
			}
			_ = req.Reply(true, nil)
		case "exec":
			var wanted struct{ Command string }
			_ = ssh.Unmarshal(req.Payload, &wanted)
			program, path, _ := strings.Cut(wanted.Command, " ")
			if path != "'/team/deploy.git'" || program != "git-upload-pack" && program != "git-receive-pack" {
				t.Errorf("the server is asked to run %q", wanted.Command)
				return
			}
			_ = req.Reply(true, nil)
			cmd := exec.Command(gitProgram(t), strings.TrimPrefix(program, "git-"), s.dir)
			cmd.Env, cmd.Stdout, cmd.Stderr = env, channel, channel.Stderr()
			in, err := cmd.StdinPipe()
			if err != nil || cmd.Start() != nil {
				return
			}
			go func() {
				_, _ = io.Copy(in, channel)
				_ = in.Close()
			}()
			code := uint32(0)
			if cmd.Wait() != nil {
				code = 1
			}
			_, _ = channel.SendRequest("exit-status", false, ssh.Marshal(struct{ Code uint32 }{code}))
			return
		default:
			_ = req.Reply(false, nil)
		}
	}
}

func (s *sshServer) options(t *testing.T) Options {
	o := s.repository.options(t)
	o.Token = adg.Secret{}
	o.Repository = "ssh://git@" + s.listener.Addr().String() + "/team/deploy.git"
	o.Key = adg.NewSecret(string(s.client))
	_, port, _ := net.SplitHostPort(s.listener.Addr().String())
	o.KnownHosts = "[127.0.0.1]:" + port + " " + string(ssh.MarshalAuthorizedKey(s.host.PublicKey()))
	return o
}

func TestTheGitTargetKeepsTheContractOverSSH(t *testing.T) {
	t.Parallel()
	targettest.Run(t, targettest.Case{
		Open: func(t *testing.T) targettest.Fixture {
			s := newSSHServer(t)
			o := s.options(t)
			return targettest.Fixture{
				Target: openAt(t, o, t.TempDir()), World: s, Reopen: func(t *testing.T) adg.Target { return openAt(t, o, t.TempDir()) },
			}
		},
		Faults: []targettest.Fault{targettest.Unreachable, targettest.Hang, targettest.Lie}, Fences: true,
	})
}

func TestAServerOrAKeyThatIsNotTheRightOneIsAPermanentError(t *testing.T) {
	t.Parallel()
	s := newSSHServer(t)
	other, stranger := newKey(t)
	for name, c := range map[string]struct {
		spoil func(*Options)
		says  string
	}{
		"another server": {func(o *Options) {
			o.KnownHosts = strings.Fields(o.KnownHosts)[0] + " " + string(ssh.MarshalAuthorizedKey(other.PublicKey()))
		}, "known_hosts"},
		"a key that is not let in": {func(o *Options) { o.Key = adg.NewSecret(string(stranger)) }, "check key"},
		"a key that is none":       {func(o *Options) { o.Key = adg.NewSecret("nonsense " + targettest.Planted) }, "check key"},
	} {
		o := s.options(t)
		c.spoil(&o)
		_, err := openAt(t, o, t.TempDir()).Current(t.Context())
		if adg.CodeOf(err) != adg.Unauthorized || !adg.IsPermanent(err) || !strings.Contains(err.Error(), c.says) || strings.Contains(err.Error(), targettest.Planted) {
			t.Errorf("%s: %v", name, err)
		}
	}
}
