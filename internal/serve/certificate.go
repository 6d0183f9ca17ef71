package serve

import (
	"crypto/tls"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/deployguardian/adg"
)

// Private

// recheck is how often the files of a certificate are looked at.
const recheck = 10 * time.Second

// keeper holds a certificate and reads it anew when its files have changed. While the new files cannot be used the old
// certificate stays, and the log says so.
type keeper struct {
	certFile, keyFile string
	log               *slog.Logger
	now               func() time.Time

	mu      sync.Mutex
	current *tls.Certificate
	read    [2]time.Time // modification times of what is in use, or of what could not be used
	checked time.Time
}

func newKeeper(certFile, keyFile string, log *slog.Logger) (*keeper, error) {
	k := &keeper{certFile: certFile, keyFile: keyFile, log: log, now: time.Now} //nolint:forbidigo // when files are looked at again
	times, err := k.times()
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "reading the certificate: %w", err)
	}
	pair, err := tls.LoadX509KeyPair(certFile, keyFile)
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "reading the certificate %s and its key %s: %w", certFile, keyFile, err)
	}
	k.current, k.read, k.checked = &pair, times, k.now()
	return k, nil
}

func (k *keeper) certificate(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	now := k.now()
	if now.Sub(k.checked) < recheck {
		return k.current, nil
	}
	k.checked = now
	times, err := k.times()
	if err == nil && times == k.read {
		return k.current, nil
	}
	if err == nil {
		k.read = times
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(k.certFile, k.keyFile); err == nil {
			k.current = &pair
			k.log.Info("the certificate was renewed", "file", k.certFile)
			return k.current, nil
		}
	}
	k.log.Error("the renewed certificate cannot be used, the old one stays", "file", k.certFile, "error", err)
	return k.current, nil
}

func (k *keeper) times() (times [2]time.Time, err error) {
	for i, name := range []string{k.certFile, k.keyFile} {
		info, err := os.Stat(name)
		if err != nil {
			return times, err
		}
		times[i] = info.ModTime()
	}
	return times, nil
}
