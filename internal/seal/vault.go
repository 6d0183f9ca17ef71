package seal

import (
	"bytes"
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"sync"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
)

// Vault is where HashiCorp Vault, or OpenBao, which speaks the same, keeps the key: transit never lets go of it, kv
// hands it out at the start.
type Vault struct {
	URL            string     `yaml:"url" doc:"Address of Vault, as in https://vault.example:8200."`
	Namespace      string     `yaml:"namespace" doc:"The namespace, where Vault has several."`
	Token          adg.Secret `yaml:"token" doc:"Vault's token. A file is read again when Vault is asked, so that an agent can renew it."`
	Transit        *Transit   `yaml:"transit" doc:"Vault wraps and unwraps the keys of the secrets itself. The token may update encrypt/KEY and decrypt/KEY of the mount."`
	KV             *KV        `yaml:"kv" doc:"The key is read from the second version of Vault's key-value store at the start. The token may read it."`
	remote.Options `yaml:",inline"`
}

// Transit is a key of Vault's transit engine.
type Transit struct {
	Mount string `yaml:"mount" default:"transit" doc:"Where the transit engine is mounted."`
	Key   string `yaml:"key" doc:"The name of the key, of a type that encrypts and does not derive."`
}

// KV is a field of a secret in Vault's key-value store.
type KV struct {
	Mount   string `yaml:"mount" default:"secret" doc:"Where the key-value engine is mounted."`
	Path    string `yaml:"path" doc:"The path of the secret within the mount, as in adg/seal."`
	Field   string `yaml:"field" default:"key" doc:"The field that holds the key, as 'adg key new' prints it."`
	Version int    `yaml:"version" default:"0" doc:"Which version of the secret; 0 is the latest."`
}

// Open asks Vault once: for the key itself, or, with transit, whether it can encrypt, and with which version of its
// key. A version that Vault rotates to later is used after the next start. Unavailable: Vault cannot be reached or is
// sealed; Unauthorized: the token may not do that.
func (v Vault) Open(ctx context.Context) (Key, error) {
	c, err := v.connect()
	if err != nil {
		return nil, err
	}
	if v.KV != nil {
		return v.KV.open(ctx, c)
	}
	return v.Transit.open(ctx, c)
}

// Check reports everything that is wrong with the settings, without asking Vault.
func (v Vault) Check() error {
	_, urlErr := remote.BaseURL("vault.url", v.URL)
	var problems []error
	problems = append(problems, urlErr)
	if (v.Transit == nil) == (v.KV == nil) {
		problems = append(problems, invalid("a key in Vault is used through transit or read from kv: name one of them"))
	}
	if v.Token.IsZero() {
		problems = append(problems, invalid("vault.token is missing: name it, as in {file: /run/vault/token}"))
	}
	if t := v.Transit; t != nil && (!vaultName.MatchString(t.Key) || !vaultPath(cmp.Or(t.Mount, "transit"))) {
		problems = append(problems, invalid("vault.transit names its key and mount with letters, digits, dots, dashes and underscores"))
	}
	if kv := v.KV; kv != nil && (!vaultPath(kv.Path) || !vaultPath(cmp.Or(kv.Mount, "secret")) || kv.Version < 0) {
		problems = append(problems, invalid("vault.kv names a path and a mount, such as adg/seal in secret, and no version below 0"))
	}
	if !v.BearerToken.IsZero() || v.BasicAuth != (remote.BasicAuth{}) {
		problems = append(problems, invalid("vault takes its token in token: take out bearer_token and basic_auth"))
	}
	return errors.Join(problems...)
}

// Private

var vaultName = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9._-]{0,63}$`)

// vaultPath tells whether a path is names with slashes between.
func vaultPath(path string) bool {
	if len(path) > 512 {
		return false
	}
	for name := range strings.SplitSeq(path, "/") {
		if !vaultName.MatchString(name) {
			return false
		}
	}
	return true
}

// vaultClient asks Vault with the token as it is now.
type vaultClient struct {
	base    *url.URL
	options remote.Options
	headers map[string]adg.Secret
	token   adg.Secret

	mutex   sync.Mutex
	current string // the token that client sends
	client  *remote.Client
}

func (v Vault) connect() (*vaultClient, error) {
	if err := v.Check(); err != nil {
		return nil, err
	}
	base, err := remote.BaseURL("vault.url", v.URL)
	if err != nil {
		return nil, err
	}
	headers := map[string]adg.Secret{"X-Vault-Request": adg.NewSecret("true")}
	if v.Namespace != "" {
		headers["X-Vault-Namespace"] = adg.NewSecret(v.Namespace)
	}
	for name, value := range v.Headers {
		headers[name] = value
	}
	o := v.Options
	o.MaxBytes = cmp.Or(o.MaxBytes, 1<<20)
	return &vaultClient{base: base, options: o, headers: headers, token: v.Token}, nil
}

// session is a client with the token as the file has it now.
func (c *vaultClient) session() (*remote.Client, error) {
	token := c.token.Reveal()
	if c.token.File != "" {
		text, err := readOwn(c.token.File)
		if err != nil {
			return nil, adg.Errorf(adg.Unauthorized, "reading Vault's token: %w", err)
		}
		token = strings.TrimSpace(string(text))
	}
	c.mutex.Lock()
	defer c.mutex.Unlock()
	if c.client != nil && c.current == token {
		return c.client, nil
	}
	o := c.options
	o.Headers = map[string]adg.Secret{"X-Vault-Token": adg.NewSecret(token)}
	for name, value := range c.headers {
		o.Headers[name] = value
	}
	client, err := remote.New(o)
	if err != nil {
		return nil, err
	}
	if c.client != nil {
		_ = c.client.Close() // lets go of idle connections only, and has no error to tell
	}
	c.client, c.current = client, token
	return client, nil
}

// ask sends a request and reads the data of the answer into that.
func (c *vaultClient) ask(ctx context.Context, method, path string, body, data any) error {
	client, err := c.session()
	if err != nil {
		return err
	}
	var text []byte
	if body != nil {
		if text, err = json.Marshal(body); err != nil {
			return adg.Errorf(adg.Internal, "asking Vault: %w", err)
		}
		defer clear(text)
	}
	to := *c.base
	path, to.RawQuery, _ = strings.Cut(path, "?")
	to = *to.JoinPath("v1", path)
	request, err := http.NewRequest(method, to.String(), bytes.NewReader(text))
	if err != nil {
		return adg.Errorf(adg.Internal, "asking Vault: %w", err)
	}
	request.Header.Set("Content-Type", "application/json")
	answer, err := client.Do(ctx, request)
	if err != nil {
		return adg.Errorf(adg.CodeOf(err), "asking Vault: %w", err)
	}
	defer clear(answer.Body)
	if err := json.Unmarshal(answer.Body, &struct {
		Data any `json:"data"`
	}{data}); err != nil {
		return adg.Errorf(adg.Unavailable, "asking Vault: %s answered what is not Vault's: check vault.url", to.Path) // the text may be a key
	}
	return nil
}

func (k KV) open(ctx context.Context, c *vaultClient) (Key, error) {
	var found struct {
		Data map[string]any `json:"data"`
	}
	path := cmp.Or(k.Mount, "secret") + "/data/" + k.Path
	if k.Version > 0 {
		path += fmt.Sprintf("?version=%d", k.Version)
	}
	if err := c.ask(ctx, http.MethodGet, path, nil, &found); err != nil {
		return nil, err
	}
	field := cmp.Or(k.Field, "key")
	text, ok := found.Data[field].(string)
	if !ok {
		return nil, invalid("the secret %s in Vault has no field %s that is text: check vault.kv", k.Path, field)
	}
	key, err := ParseKey(adg.NewSecret(text))
	if err != nil {
		return nil, adg.Errorf(adg.Invalid, "the field %s of the secret %s in Vault: %w", field, k.Path, err)
	}
	return key, nil
}

// transit is a key that Vault does not let go of.
type transit struct {
	client  *vaultClient
	mount   string
	name    string
	version int // of the key, used to wrap
}

func (t Transit) open(ctx context.Context, c *vaultClient) (Key, error) {
	made := transit{client: c, mount: cmp.Or(t.Mount, "transit"), name: t.Key}
	probe := random()
	defer clear(probe)
	wrapped, err := made.Wrap(ctx, probe)
	if err != nil {
		return nil, err
	}
	made.version, err = versionOf(wrapped)
	return made, err
}

func (t transit) prefix() string {
	return "vault." + strings.ReplaceAll(t.mount, "/", ".") + "." + t.name + ".v"
}

func (t transit) ID() string { return fmt.Sprintf("%s%d", t.prefix(), t.version) }

func (t transit) Opens(id string) bool {
	version, found := strings.CutPrefix(id, t.prefix())
	return found && version != "" && strings.Trim(version, "0123456789") == ""
}

func (t transit) Wrap(ctx context.Context, dataKey []byte) ([]byte, error) {
	asked := map[string]any{"plaintext": base64.StdEncoding.EncodeToString(dataKey)}
	if t.version > 0 {
		asked["key_version"] = t.version // so that ID tells the truth after Vault has rotated the key
	}
	var answer struct {
		Ciphertext string `json:"ciphertext"`
	}
	if err := t.client.ask(ctx, http.MethodPost, t.mount+"/encrypt/"+t.name, asked, &answer); err != nil {
		return nil, err
	}
	version, err := versionOf([]byte(answer.Ciphertext))
	if err == nil && t.version > 0 && version != t.version {
		err = adg.Errorf(adg.Unavailable, "Vault wrapped with version %d of the key %s, asked for %d", version, t.name, t.version)
	}
	return []byte(answer.Ciphertext), err
}

func (t transit) Unwrap(ctx context.Context, id string, wrapped []byte) ([]byte, error) {
	if version, err := versionOf(wrapped); err != nil || fmt.Sprintf("%s%d", t.prefix(), version) != id {
		return nil, invalid("the wrapped key is not of %s", id)
	}
	var answer struct {
		Plaintext string `json:"plaintext"`
	}
	asked := map[string]any{"ciphertext": string(wrapped)}
	if err := t.client.ask(ctx, http.MethodPost, t.mount+"/decrypt/"+t.name, asked, &answer); err != nil {
		return nil, err
	}
	dataKey, err := base64.StdEncoding.DecodeString(answer.Plaintext)
	if err != nil {
		return nil, adg.Errorf(adg.Unavailable, "Vault's answer holds no base64: check vault.url")
	}
	return dataKey, nil
}

var wrappedByVault = regexp.MustCompile(`^vault:v([1-9][0-9]{0,8}):.`)

// versionOf is the version of Vault's key that wrapped, as the text of Vault begins.
func versionOf(wrapped []byte) (int, error) {
	hit := wrappedByVault.FindSubmatch(wrapped)
	if hit == nil {
		return 0, adg.Errorf(adg.Unavailable, "Vault did not answer with what it wrapped: check vault.url and vault.transit.key")
	}
	version := 0
	for _, digit := range hit[1] {
		version = version*10 + int(digit-'0')
	}
	return version, nil
}

func invalid(format string, args ...any) error {
	return adg.Permanent(adg.Errorf(adg.Invalid, format, args...))
}
