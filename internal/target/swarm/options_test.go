package swarm

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

func TestAllProblemsOfTheOptionsAreReportedAtOnce(t *testing.T) {
	o := Driver.Options.(Options)
	o.Host, o.Services, o.Image, o.LiveLabel, o.Order = "ftp://x", []string{"a b", "c", "c"}, "shop", "=", "newest-first"
	o.Parallelism, o.RegistryUser, o.Timeout, o.DrainTimeout, o.SplitElsewhere = -1, "robot", 0, -1, true
	_, err := Driver.Open(t.Context(), o, adg.Host{})
	if adg.CodeOf(err) != adg.Invalid || !adg.IsPermanent(err) {
		t.Fatalf("got %v", err)
	}
	for _, option := range []string{"host", "services: there are 3", "a b", "twice", "image", "live_label", "split_elsewhere", "order", "parallelism", "registry_user", "timeout", "drain_timeout"} {
		if !strings.Contains(err.Error(), option) {
			t.Errorf("nothing about %s in %v", option, err)
		}
	}
}

func TestOpeningReachesForNothing(t *testing.T) {
	o := Driver.Options.(Options)
	o.Host, o.Services = "tcp://192.0.2.1:2376", []string{"shop"}
	openTarget(t, o)
}

// authority signs certificates for a day around a time.
type authority struct {
	dir  string
	key  *ecdsa.PrivateKey
	cert *x509.Certificate
}

func newAuthority(t *testing.T) *authority {
	a := &authority{dir: t.TempDir()}
	a.key, a.cert = a.issue(t, "ca", time.Now(), nil)
	return a
}

func (a *authority) issue(t *testing.T, name string, at time.Time, signer *authority) (*ecdsa.PrivateKey, *x509.Certificate) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(at.UnixNano()), Subject: pkix.Name{CommonName: name}, NotBefore: at.Add(-12 * time.Hour), NotAfter: at.Add(12 * time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: signer == nil,
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	parent, by := template, key
	if signer != nil {
		parent, by = signer.cert, signer.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, by)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for file, block := range map[string]*pem.Block{name + ".pem": {Type: "CERTIFICATE", Bytes: der}, name + ".key": {Type: "PRIVATE KEY", Bytes: private}} {
		if err := os.WriteFile(filepath.Join(a.dir, file), pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return key, cert
}

func TestAnEngineOverTLSWantsACertificateThatHasNotExpired(t *testing.T) {
	t.Parallel()
	w := startWorld(t, 1, 0, "")
	a := newAuthority(t)
	a.issue(t, "engine", time.Now(), a)
	a.issue(t, "adg", time.Now(), a)
	a.issue(t, "old", time.Now().Add(-48*time.Hour), a)
	pair, err := tls.LoadX509KeyPair(filepath.Join(a.dir, "engine.pem"), filepath.Join(a.dir, "engine.key"))
	if err != nil {
		t.Fatal(err)
	}
	trusted := x509.NewCertPool()
	trusted.AddCert(a.cert)
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: "docker"})
	transport := &http.Transport{DialContext: dialUnix(w.socket)}
	proxy.Transport = transport
	server := httptest.NewUnstartedServer(proxy)
	server.TLS = &tls.Config{Certificates: []tls.Certificate{pair}, ClientCAs: trusted, ClientAuth: tls.RequireAndVerifyClientCert, MinVersion: tls.VersionTLS12}
	server.Config.ErrorLog = nil
	server.StartTLS()
	t.Cleanup(func() { server.Close(); transport.CloseIdleConnections() })
	o := w.options()
	o.Host = "tcp://" + server.Listener.Addr().String()
	o.TLS = remote.TLS{CAFile: filepath.Join(a.dir, "ca.pem"), CertFile: filepath.Join(a.dir, "adg.pem"), KeyFile: filepath.Join(a.dir, "adg.key")}
	if _, err := openTarget(t, o).Current(t.Context()); err != nil {
		t.Errorf("with a good certificate: %v", err)
	}
	o.TLS.CertFile, o.TLS.KeyFile = filepath.Join(a.dir, "old.pem"), filepath.Join(a.dir, "old.key")
	if _, err := openTarget(t, o).Current(t.Context()); adg.CodeOf(err) != adg.Unauthorized || !adg.IsPermanent(err) {
		t.Errorf("with an old certificate: %v", err)
	}
	o.TLS = remote.TLS{InsecureSkipVerify: true}
	if _, err := openTarget(t, o).Current(t.Context()); adg.CodeOf(err) != adg.Unauthorized || !adg.IsPermanent(err) {
		t.Errorf("without a certificate: %v", err)
	}
}
