package brokertest

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"
)

// RabbitMQ starts a RabbitMQ of the test's own: node, cookie, port mapper, directories and ports are private. It also
// speaks TLS, with Certificate.
func RabbitMQ(t *testing.T) *Server {
	t.Helper()
	// Debian's /usr/sbin/rabbitmq-server changes the user and the directory; the program behind it does not.
	server := program(t, "/usr/lib/rabbitmq/bin/rabbitmq-server", "rabbitmq-server")
	mapper := program(t, "epmd")
	dir := t.TempDir()
	listen, secure, dist, names := port(t), port(t), port(t), port(t)
	cert := NewCertificate(t)
	write(t, filepath.Join(dir, "rabbitmq.conf"), "listeners.tcp.1 = 127.0.0.1:"+listen+"\ndefault_user = "+User+"\ndefault_pass = "+Password+
		"\nloopback_users = none\nlisteners.ssl.1 = 127.0.0.1:"+secure+
		"\nssl_options.cacertfile = "+cert.File+"\nssl_options.certfile = "+cert.File+"\nssl_options.keyfile = "+cert.KeyFile+"\nlog.console = false\nlog.file = "+filepath.Join(dir, "log")+"\n")
	write(t, filepath.Join(dir, "plugins"), "[].\n")
	write(t, filepath.Join(dir, ".erlang.cookie"), "PRIVATE")
	if err := os.Chmod(filepath.Join(dir, ".erlang.cookie"), 0o400); err != nil {
		t.Fatal(err)
	}
	env := append(os.Environ(), "HOME="+dir, "ERL_EPMD_PORT="+names, "ERL_EPMD_ADDRESS=127.0.0.1",
		"RABBITMQ_NODENAME=adg"+listen+"@localhost", "RABBITMQ_DIST_PORT="+dist, "RABBITMQ_CONFIG_FILE="+filepath.Join(dir, "rabbitmq.conf"),
		"RABBITMQ_CONF_ENV_FILE="+filepath.Join(dir, "none"), "RABBITMQ_ENABLED_PLUGINS_FILE="+filepath.Join(dir, "plugins"),
		"RABBITMQ_MNESIA_BASE="+filepath.Join(dir, "mnesia"), "RABBITMQ_LOG_BASE="+dir, "RABBITMQ_GENERATED_CONFIG_DIR="+dir,
		"RABBITMQ_PID_FILE="+filepath.Join(dir, "pid"), "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS=+S 1:1 -start_epmd false -kernel inet_dist_use_interface {127,0,0,1}")
	epmd := exec.Command(mapper)
	epmd.Env = env
	if err := epmd.Start(); err != nil {
		t.Fatal(err)
	}
	s := &Server{Addr: "127.0.0.1:" + listen, TLSAddr: "127.0.0.1:" + secure, Certificate: cert, ready: "completed with", command: func() *exec.Cmd {
		cmd := exec.Command(server)
		cmd.Env, cmd.Dir = env, dir
		return cmd
	}}
	t.Cleanup(func() {
		s.Kill()
		_ = epmd.Process.Kill()
		_ = epmd.Wait() // killed, what else
	})
	s.Start(t)
	return s
}
