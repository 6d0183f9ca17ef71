package brokertest

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// NATS starts a NATS server of the test's own, with JetStream.
func NATS(t *testing.T) *Server {
	t.Helper()
	server := program(t, "nats-server", "/usr/sbin/nats-server")
	dir := t.TempDir()
	listen := port(t)
	config := filepath.Join(dir, "nats.conf")
	write(t, config, "listen: 127.0.0.1:"+listen+"\njetstream { store_dir: \""+dir+"\" }\n"+
		"authorization { users = [ {user: "+User+", password: \""+Password+"\"}, {user: stranger, password: \""+Password+"\", permissions: {publish: \"none\"}} ] }\n")
	s := &Server{Addr: "127.0.0.1:" + listen, ready: "Server is ready", command: func() *exec.Cmd { return exec.Command(server, "-c", config) }}
	t.Cleanup(s.Kill)
	s.Start(t)
	return s
}
