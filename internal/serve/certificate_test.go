package serve

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"log/slog"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCertificateIsReadAnewWhenItsFilesChange(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	pair := func(serial int64, changed time.Time) {
		t.Helper()
		private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		der, err := x509.CreateCertificate(rand.Reader, &x509.Certificate{SerialNumber: big.NewInt(serial)}, &x509.Certificate{SerialNumber: big.NewInt(serial)}, private.Public(), private)
		if err != nil {
			t.Fatal(err)
		}
		secret, err := x509.MarshalPKCS8PrivateKey(private)
		if err != nil {
			t.Fatal(err)
		}
		write(t, cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), changed)
		write(t, key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: secret}), changed)
	}
	start := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	pair(1, start)
	var log bytes.Buffer
	k, err := newKeeper(cert, key, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	now := start
	k.now, k.checked = func() time.Time { return now }, start
	serial := func() int64 {
		t.Helper()
		c, err := k.certificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		leaf, err := x509.ParseCertificate(c.Certificate[0])
		if err != nil {
			t.Fatal(err)
		}
		return leaf.SerialNumber.Int64()
	}
	pair(2, start.Add(time.Minute))
	if serial() != 1 {
		t.Error("the files are looked at for each connection")
	}
	now = now.Add(recheck)
	if serial() != 2 {
		t.Error("the renewed certificate is not used")
	}
	write(t, key, []byte("half written"), start.Add(2*time.Minute))
	now = now.Add(recheck)
	if serial() != 2 || !strings.Contains(log.String(), "the old one stays") || strings.Contains(log.String(), "half written") {
		t.Errorf("a broken key: %s", log.String())
	}
	pair(3, start.Add(3*time.Minute))
	now = now.Add(recheck)
	if serial() != 3 {
		t.Error("after a broken certificate a good one is not used")
	}
}

func write(t *testing.T, name string, text []byte, changed time.Time) {
	t.Helper()
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chtimes(name, changed, changed); err != nil {
		t.Fatal(err)
	}
}
