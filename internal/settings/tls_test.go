package settings_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"log/slog"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/seal"
	"github.com/deployguardian/adg/internal/settings"
)

func TestACertificateIsReadAgainWhenItsFileChanges(t *testing.T) {
	folder := t.TempDir()
	own := settings.TLS{CertFile: filepath.Join(folder, "tls.crt"), KeyFile: filepath.Join(folder, "tls.key"), ClientCert: "optional"}
	certify(t, own.CertFile, own.KeyFile, "first.example")
	var log bytes.Buffer
	address := served(t, own, &log)
	if name := shown(t, address, nil); name != "first.example" {
		t.Errorf("serves %s", name)
	}
	certify(t, own.CertFile, own.KeyFile, "second.example")
	if name := shown(t, address, nil); name != "second.example" {
		t.Errorf("after the change it serves %s", name)
	}
	if err := os.WriteFile(own.CertFile, []byte("half of a certifi"), 0o600); err != nil {
		t.Fatal(err)
	}
	for range 3 {
		if name := shown(t, address, nil); name != "second.example" {
			t.Errorf("with a broken file it serves %s", name)
		}
	}
	if n := strings.Count(log.String(), "stays in force"); n != 1 {
		t.Errorf("said %d times:\n%s", n, log.String())
	}
	certify(t, own.CertFile, own.KeyFile, "third.example")
	if name := shown(t, address, nil); name != "third.example" {
		t.Errorf("once the file is whole it serves %s", name)
	}
}

func TestClientsShowACertificateOfTheAuthorityWhereTheyHaveTo(t *testing.T) {
	folder := t.TempDir()
	file := func(name string) string { return filepath.Join(folder, name) }
	certify(t, file("tls.crt"), file("tls.key"), "server.example")
	certify(t, file("client.crt"), file("client.key"), "client.example")
	certify(t, file("stranger.crt"), file("stranger.key"), "stranger.example")
	client, stranger := pair(t, file("client.crt"), file("client.key")), pair(t, file("stranger.crt"), file("stranger.key"))
	for _, one := range []struct {
		mode string
		cert *tls.Certificate
		good bool
	}{
		{"required", client, true}, {"required", nil, false}, {"required", stranger, false},
		{"optional", client, true}, {"optional", nil, true}, {"optional", stranger, false},
	} {
		var log bytes.Buffer
		address := served(t, settings.TLS{CertFile: file("tls.crt"), KeyFile: file("tls.key"), ClientCAFile: file("client.crt"), ClientCert: one.mode}, &log)
		if got := shown(t, address, one.cert) != ""; got != one.good {
			t.Errorf("%s, with certificate: %t: served %t", one.mode, one.cert != nil, got)
		}
	}
}

func TestFilesThatCannotBeUsedAreFoundBeforeTheStart(t *testing.T) {
	folder := t.TempDir()
	s := parsed(t, fewest)
	s.TLS.CertFile, s.TLS.KeyFile = filepath.Join(folder, "tls.crt"), filepath.Join(folder, "tls.key")
	path := filepath.Join(folder, "seal.key")
	s.Seal.Active.File = &path
	err := s.Probe(t.Context(), nil)
	for _, want := range []string{"tls.crt", "seal.key"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said: %v", want, err)
		}
	}
	certify(t, s.TLS.CertFile, s.TLS.KeyFile, "server.example")
	if err := os.WriteFile(path, []byte(seal.NewKey()), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Probe(t.Context(), nil); err != nil {
		t.Errorf("all is there: %v", err)
	}
	s.TLS.ClientCAFile = path
	if err := s.Probe(t.Context(), nil); adg.CodeOf(err) == adg.Unavailable || err == nil || !strings.Contains(err.Error(), "client_ca_file") {
		t.Errorf("a key as an authority: %v", err)
	}
}

// served gives the address of a server with those settings.
func served(t *testing.T, own settings.TLS, log *bytes.Buffer) string {
	t.Helper()
	config, err := own.Config(slog.New(slog.NewTextHandler(log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(http.NotFoundHandler())
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server.Listener.Close()
	server.Listener = tls.NewListener(listener, config)
	server.Start()
	t.Cleanup(server.Close)
	return listener.Addr().String()
}

// shown is the name in the certificate that a client with one of its own, or none, is shown; empty: it is not served.
func shown(t *testing.T, address string, own *tls.Certificate) string {
	t.Helper()
	config := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{"http/1.1"}}
	if own != nil {
		// Shown whatever authorities the server names.
		config.GetClientCertificate = func(*tls.CertificateRequestInfo) (*tls.Certificate, error) { return own, nil }
	}
	conn, err := tls.Dial("tcp", address, config)
	if err != nil {
		return ""
	}
	defer conn.Close()
	if _, err := conn.Write([]byte("GET / HTTP/1.0\r\n\r\n")); err != nil {
		return ""
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return ""
	}
	return conn.ConnectionState().PeerCertificates[0].Subject.CommonName
}

// certified counts files, each of which is a second younger than the one before: the clocks of file systems tick slowly.
var certified atomic.Int64

func certify(t *testing.T, certFile, keyFile, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	form := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: name}, DNSNames: []string{name}, NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageCertSign | x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, form, form, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for path, block := range map[string]*pem.Block{certFile: {Type: "CERTIFICATE", Bytes: cert}, keyFile: {Type: "PRIVATE KEY", Bytes: raw}} {
		// As tools renew certificates: a new file takes the place of the old one.
		if err := os.WriteFile(path+".new", pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Unix(1_800_000_000+certified.Add(1), 0)
		if err := os.Chtimes(path+".new", at, at); err != nil {
			t.Fatal(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Fatal(err)
		}
	}
}

func pair(t *testing.T, certFile, keyFile string) *tls.Certificate {
	t.Helper()
	made, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		t.Fatal(err)
	}
	return &made
}
