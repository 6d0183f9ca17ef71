package tcpprobe

import (
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/source/sourcetest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var now = time.Date(2026, 11, 20, 10, 0, 0, 0, time.UTC)

func opened(t *testing.T, o Options) adg.Source {
	t.Helper()
	source, err := Driver.Open(t.Context(), o, adg.Host{Name: "port"})
	if err != nil {
		t.Fatal(err)
	}
	return source
}

// listening gives the port of a listener that says nothing.
func listening(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return port
}

func TestTheConformanceSuite(t *testing.T) {
	sourcetest.Run(t, sourcetest.Case{
		Open: func(t *testing.T) adg.Source {
			return opened(t, Options{Address: "127.0.0.1:$port", Timeout: 10 * time.Second})
		},
		Good:  adg.Query{Vars: map[string]string{"port": listening(t)}, At: now},
		Bad:   adg.Query{Text: "anything", At: now},
		Probe: true,
		Faulty: func(t *testing.T, address string, _ adg.Secret) adg.Source {
			return opened(t, Options{Address: address, Timeout: 2 * time.Minute})
		},
	})
}

func TestAProbeSaysOneOrZeroAndWhy(t *testing.T) {
	secure := httptest.NewUnstartedServer(http.NotFoundHandler())
	secure.Config.ErrorLog = log.New(io.Discard, "", 0)
	secure.StartTLS()
	t.Cleanup(secure.Close)
	authority := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(authority, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: secure.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name    string
		options Options
		want    float64
		why     string
	}{
		{"a port that listens", Options{Address: "127.0.0.1:" + listening(t)}, 1, ""},
		{"a port that does not", Options{Address: "127.0.0.1:1"}, 0, "refused: check that the server runs"},
		{"a name that does not resolve", Options{Address: "adg-test..invalid:80"}, 0, "adg-test..invalid"},
		{"TLS with a trusted certificate", Options{Address: secure.Listener.Addr().String(), UseTLS: true, TLS: remote.TLS{CAFile: authority}}, 1, ""},
		{"TLS with a certificate for another name", Options{Address: secure.Listener.Addr().String(), UseTLS: true, TLS: remote.TLS{CAFile: authority, ServerName: "other.test"}}, 0, "tls.server_name"},
		{"TLS with an unknown authority", Options{Address: secure.Listener.Addr().String(), UseTLS: true}, 0, "tls.ca_file"},
		{"TLS with a server that never answers", Options{Address: "127.0.0.1:" + listening(t), UseTLS: true, Timeout: 50 * time.Millisecond}, 0, "timeout of 50ms"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if c.options.Timeout == 0 {
				c.options.Timeout = 10 * time.Second
			}
			answer, err := opened(t, c.options).Query(t.Context(), adg.Query{At: now})
			if err != nil {
				t.Fatal(err)
			}
			if len(answer.Series) != 1 || answer.Series[0].Samples[0] != (adg.Sample{At: now, Value: c.want}) {
				t.Errorf("got %+v", answer)
			}
			if why := strings.Join(answer.Warnings, "|"); !strings.Contains(why, c.why) || (why == "") != (c.want == 1) {
				t.Errorf("because %q, without %q", why, c.why)
			}
		})
	}
}

func TestAProbeThatIsTooLateNamesItsTimeoutAndNothingElse(t *testing.T) {
	address := "127.0.0.1:" + listening(t)
	for i := range 1000 {
		timeout := time.Duration(1+i%200) * time.Microsecond
		answer, err := opened(t, Options{Address: address, Timeout: timeout}).Query(t.Context(), adg.Query{At: now})
		if err != nil {
			t.Fatal(err)
		}
		if why := strings.Join(answer.Warnings, "|"); why != "" && !strings.HasPrefix(why, "no connection within the timeout of ") {
			t.Fatalf("after %s because %q", timeout, why)
		}
	}
}

func TestAProbeThatIsSetUpWrongIsAnErrorAndNoNewsAboutTheService(t *testing.T) {
	for name, address := range map[string]string{"the cloud's metadata": "169.254.169.254:80", "a value that is no part of a name": "x$odd:80"} {
		_, err := opened(t, Options{Address: address, Timeout: time.Second}).Query(t.Context(), adg.Query{Vars: map[string]string{"odd": "a:1/"}, At: now})
		if !adg.IsPermanent(err) || adg.CodeOf(err) != adg.Invalid {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestAllProblemsOfTheOptionsAreReportedAtOnce(t *testing.T) {
	_, err := Driver.Open(t.Context(), Options{Address: "nowhere", TLS: remote.TLS{CAFile: "/nonexistent"}}, adg.Host{Name: "port"})
	if !adg.IsPermanent(err) {
		t.Fatalf("error %v", err)
	}
	for _, want := range []string{"source port", "address", "timeout", "ca_file"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is missing in %q", want, err)
		}
	}
}
