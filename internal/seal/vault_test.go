package seal_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/seal"
)

// vault answers as the documentation of Vault's HTTP API has it (api-docs/secret/transit and kv/kv-v2); its answers
// are written from documentation, not recorded.
type vault struct {
	mutex   sync.Mutex
	token   string
	version int
	wrapped map[string]string // ciphertext → plaintext
	asked   []string
	status  int    // answered to everything, with body; 0: none is
	body    string // the same
	key     string // in the key-value store
}

func (v *vault) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.asked = append(v.asked, r.Method+" "+r.URL.RequestURI()+" "+r.Header.Get("X-Vault-Namespace"))
	text, _ := io.ReadAll(r.Body)
	var asked struct {
		Plaintext  string `json:"plaintext"`
		Ciphertext string `json:"ciphertext"`
		KeyVersion int    `json:"key_version"`
	}
	_ = json.Unmarshal(text, &asked)
	refuse := func(status int, sentence string) {
		w.WriteHeader(status)
		_, _ = fmt.Fprintf(w, `{"errors":[%q]}`, sentence)
	}
	switch {
	case v.status != 0:
		w.WriteHeader(v.status)
		_, _ = io.WriteString(w, v.body)
	case r.Header.Get("X-Vault-Token") != v.token || r.Header.Get("X-Vault-Request") != "true":
		refuse(http.StatusForbidden, "permission denied")
	case r.Method == http.MethodGet && r.URL.Path == "/v1/secret/data/adg/seal":
		_, _ = fmt.Fprintf(w, `{"data":{"data":{"key":%q,"note":7},"metadata":{"created_time":"2018-03-22T02:24:06.945319214Z","custom_metadata":null,"deletion_time":"","destroyed":false,"version":2}}}`, v.key)
	case r.Method == http.MethodPost && r.URL.Path == "/v1/transit/encrypt/adg":
		version := v.version
		if asked.KeyVersion > 0 {
			version = asked.KeyVersion
		}
		made := fmt.Sprintf("vault:v%d:%032d", version, len(v.wrapped))
		v.wrapped[made] = asked.Plaintext
		_, _ = fmt.Fprintf(w, `{"data":{"ciphertext":%q,"key_version":%d}}`, made, version)
	case r.Method == http.MethodPost && r.URL.Path == "/v1/transit/decrypt/adg" && v.wrapped[asked.Ciphertext] != "":
		_, _ = fmt.Fprintf(w, `{"data":{"plaintext":%q}}`, v.wrapped[asked.Ciphertext])
	case r.URL.Path == "/v1/transit/decrypt/adg":
		refuse(http.StatusBadRequest, "cipher: message authentication failed")
	default:
		refuse(http.StatusNotFound, "no handler for route")
	}
}

// started gives a Vault, settings to use its transit key with, and the file of the token.
func started(t *testing.T) (*vault, seal.Vault, string) {
	t.Helper()
	v := &vault{token: "hvs.planted-token-1", version: 1, wrapped: map[string]string{}, key: seal.NewKey()}
	server := httptest.NewServer(v)
	t.Cleanup(server.Close)
	path := filepath.Join(t.TempDir(), "token")
	write(t, path, v.token+"\n")
	return v, seal.Vault{URL: server.URL, Namespace: "team", Token: adg.Secret{File: path}.With(v.token), Transit: &seal.Transit{Key: "adg"}}, path
}

func TestVaultWrapsTheKeysOfSecretsAndNeverLetsGoOfItsOwn(t *testing.T) {
	v, settings, _ := started(t)
	ring := ringOf(t, opened(t, settings))
	sealed := sealedBy(t, ring, at, "secret")
	if ring.Active() != "vault.transit.adg.v1" {
		t.Errorf("the key is called %s", ring.Active())
	}
	if secret, err := ring.Open(t.Context(), at, sealed); err != nil || secret.Reveal() != "secret" {
		t.Errorf("opened %q, %v", secret.Reveal(), err)
	}
	want := "POST /v1/transit/encrypt/adg team\nPOST /v1/transit/encrypt/adg team\nPOST /v1/transit/decrypt/adg team"
	if got := strings.Join(v.asked, "\n"); got != want {
		t.Errorf("asked:\n%s\nnot:\n%s", got, want)
	}
	if _, err := ring.Open(t.Context(), seal.Place{Kind: "other", Key: "row"}, sealed); adg.CodeOf(err) != adg.Invalid {
		t.Errorf("opens in another row: %v", err)
	}
}

func TestAKeyRotatedInVaultOpensTheOldAndSealsWithTheNewAfterAStart(t *testing.T) {
	v, settings, _ := started(t)
	before := ringOf(t, opened(t, settings))
	sealed := sealedBy(t, before, at, "secret")
	v.version = 2
	if again := sealedBy(t, before, at, "secret"); !strings.Contains(again, ".v1:") {
		t.Errorf("a running server changed its key: %s", again)
	}
	after := ringOf(t, opened(t, settings))
	made, err := after.Reseal(t.Context(), []seal.Record{{Place: at, Sealed: sealed}}, 10)
	if err != nil || made.Remaining != 0 || len(made.Changed) != 1 || !strings.Contains(made.Changed[0].Sealed, ".v2:") {
		t.Fatalf("%+v, %v", made, err)
	}
	if secret, err := after.Open(t.Context(), at, made.Changed[0].Sealed); err != nil || secret.Reveal() != "secret" {
		t.Errorf("opened %q, %v", secret.Reveal(), err)
	}
}

func TestARenewedTokenIsReadFromItsFile(t *testing.T) {
	v, settings, path := started(t)
	ring := ringOf(t, opened(t, settings))
	v.token = "hvs.planted-token-2"
	_, err := ring.Seal(t.Context(), at, adg.NewSecret("secret"))
	if adg.CodeOf(err) != adg.Unauthorized || strings.Contains(err.Error(), "planted") {
		t.Errorf("with the old token: %v", err)
	}
	write(t, path, v.token)
	sealedBy(t, ring, at, "secret")
}

func TestTheKeyIsReadFromVaultsKeyValueStore(t *testing.T) {
	v, settings, _ := started(t)
	settings.Transit, settings.KV = nil, &seal.KV{Path: "adg/seal", Version: 2}
	want, err := seal.ParseKey(adg.NewSecret(v.key))
	if err != nil {
		t.Fatal(err)
	}
	if key := opened(t, settings); key.ID() != want.ID() {
		t.Errorf("another key: %s, not %s", key.ID(), want.ID())
	}
	if v.asked[0] != "GET /v1/secret/data/adg/seal?version=2 team" {
		t.Errorf("asked %s", v.asked[0])
	}
	settings.KV = &seal.KV{Path: "adg/seal", Field: "note"}
	if _, err := settings.Open(t.Context()); adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), "note") {
		t.Errorf("a field that is no text: %v", err)
	}
	v.key = "planted-and-too-short"
	settings.KV = &seal.KV{Path: "adg/seal"}
	if _, err := settings.Open(t.Context()); adg.CodeOf(err) != adg.Invalid || strings.Contains(err.Error(), "planted") {
		t.Errorf("a field that is no key: %v", err)
	}
}

func TestWhatVaultCannotDoIsSaidWithoutSecrets(t *testing.T) {
	for _, one := range []struct {
		name   string
		status int
		body   string
		code   adg.Code
	}{
		{"sealed", 503, `{"errors":["Vault is sealed"]}`, adg.Unavailable},
		{"no such key", 400, `{"errors":["encryption key not found"]}`, adg.Invalid},
		{"forbidden", 403, `{"errors":["1 error occurred:\n\t* permission denied hvs.planted-token-1"]}`, adg.Unauthorized},
		{"a proxy's page", 200, `<html>hvs.planted-token-1</html>`, adg.Unavailable},
		{"nothing in it", 200, `{"data":{}}`, adg.Unavailable},
		{"no data", 200, `{}`, adg.Unavailable},
		{"another format", 200, `{"data":{"ciphertext":"aws:planted"}}`, adg.Unavailable},
		{"a version past all bounds", 200, `{"data":{"ciphertext":"vault:v99999999999999999999:planted"}}`, adg.Unavailable},
	} {
		v, settings, _ := started(t)
		v.status, v.body = one.status, one.body
		_, err := settings.Open(t.Context())
		if err == nil || adg.CodeOf(err) != one.code || strings.Contains(err.Error(), "planted") {
			t.Errorf("%s: %v (%s)", one.name, err, adg.CodeOf(err))
		}
	}
}

func TestAWrappedKeyThatVaultDoesNotKnowIsNotOpened(t *testing.T) {
	v, settings, _ := started(t)
	ring := ringOf(t, opened(t, settings))
	sealed := sealedBy(t, ring, at, "secret")
	v.wrapped = map[string]string{}
	if _, err := ring.Open(t.Context(), at, sealed); adg.CodeOf(err) != adg.Invalid || !strings.Contains(err.Error(), "message authentication failed") {
		t.Errorf("said: %v", err)
	}
	v.status, v.body = 500, "{}"
	if _, err := ring.Open(t.Context(), at, sealed); adg.CodeOf(err) != adg.Unavailable {
		t.Errorf("a Vault that fails says nothing about the secret: %v", err)
	}
}

func TestSettingsOfVaultAreCheckedAllAtOnce(t *testing.T) {
	err := seal.Vault{URL: "vault:8200", Transit: &seal.Transit{Key: "../sys"}, KV: &seal.KV{Path: "a//b"}}.Check()
	for _, want := range []string{"address", "transit or read from kv", "token", "vault.transit", "vault.kv"} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not said: %v", want, err)
		}
	}
}

func opened(t *testing.T, settings seal.Vault) seal.Key {
	t.Helper()
	key, err := settings.Open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}
