package brokertest

import (
	"os/exec"
	"path/filepath"
	"testing"
)

// NATS starts a NATS server of the test's own, with JetStream.
func NATS(t *testing.T) *Server {
	t.Helper()
	return startNATS(t, nil, "")
}

// NATSWithTLS starts one that speaks nothing but TLS.
func NATSWithTLS(t *testing.T) *Server {
	t.Helper()
	cert := NewCertificate(t)
	return startNATS(t, cert, "tls { timeout: 60, cert_file: \""+cert.File+"\", key_file: \""+cert.KeyFile+"\" }\n")
}

// Private

func startNATS(t *testing.T, cert *Certificate, further string) *Server {
	t.Helper()
	server := program(t, "nats-server", "/usr/sbin/nats-server")
	dir := t.TempDir()
	listen := port(t)
	config := filepath.Join(dir, "nats.conf")
	write(t, config, "listen: 127.0.0.1:"+listen+"\njetstream { store_dir: \""+dir+"\" }\n"+
		"authorization { timeout: 60, users = [ {user: "+User+", password: \""+Password+"\"}, {user: stranger, password: \""+Password+"\", permissions: {publish: \"none\"}} ] }\n"+further)
	s := &Server{Addr: "127.0.0.1:" + listen, Certificate: cert, ready: "Server is ready", command: func() *exec.Cmd { return exec.Command(server, "-c", config) }}
	t.Cleanup(s.Kill)
	s.Start(t)
	return s
}
