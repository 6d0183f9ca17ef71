package settings

import (
	"errors"
	"maps"
	"net"
	"net/netip"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/strictyaml"
)

// Private

// complete fills in what follows from other fields.
func (l *loader) complete() {
	if s := &l.s.Store; s.SQLite == nil && s.Postgres == nil {
		s.SQLite = &SQLite{Path: "adg.db"}
	}
	if s := l.s.Store.SQLite; s != nil && !filepath.IsAbs(s.Path) {
		s.Path = filepath.Join(l.s.Data, s.Path)
	}
}

// validate puts on record what is wrong with fields that could be read.
func (l *loader) validate() {
	l.serving()
	l.storing()
	l.sealing()
	for _, name := range slices.Sorted(maps.Keys(l.s.OIDC)) {
		l.provider("oidc."+name, name, l.s.OIDC[name])
	}
	l.limits()
	l.reaching()
	l.changing()
	l.announcing()
	l.watching()
	l.demonstrating()
}

func (l *loader) serving() {
	l.address("listen", l.s.Listen)
	switch t := l.s.TLS; {
	case t == nil && !l.s.InsecureHTTP:
		l.refuse("tls", "tls is missing: name tls.cert_file and tls.key_file; or, only behind a proxy on the same machine that ends TLS, say insecure_http: true")
	case t != nil && l.s.InsecureHTTP:
		l.refuse("insecure_http", "tls and insecure_http exclude each other: take one of them out")
	case t != nil:
		if t.CertFile == "" || t.KeyFile == "" {
			l.refuse("tls", "tls needs both cert_file and key_file: name the file that is missing")
		}
		if t.ClientCert == "required" && t.ClientCAFile == "" {
			l.refuse("tls.client_cert", "client_cert: required needs client_ca_file: name the authorities of the clients' certificates")
		}
	}
	if l.s.BaseURL != "" {
		if _, err := remote.BaseURL("base_url", l.s.BaseURL); err != nil {
			l.refuse("base_url", "%s", err)
		} else if strings.HasPrefix(l.s.BaseURL, "http://") && !l.s.InsecureHTTP {
			l.refuse("base_url", "base_url begins with http://, and the server serves TLS: write https://")
		}
	}
	for _, network := range l.s.TrustedProxies {
		if _, err := netip.ParsePrefix(network); err != nil {
			l.refuse("trusted_proxies", "%q is no network: write it as 10.0.0.0/8, and one address as 10.0.0.1/32", strictyaml.Cut(network))
		}
	}
	if l.s.InsecureHTTP && !loopback(l.s.Listen) && len(l.s.TrustedProxies) == 0 {
		l.doubt("insecure_http", "without TLS the server listens on %s, where others may read passwords and tokens on their way: listen on 127.0.0.1, or name the proxy before it in trusted_proxies", l.s.Listen)
	}
}

// demonstrating is about the demo, whose shop is open to whoever reaches the machine.
func (l *loader) demonstrating() {
	if l.s.Demo && !loopback(l.s.Listen) {
		l.refuse("demo", "demo: true is for trying ADG out on one machine, and listen is %s: listen on 127.0.0.1, or take demo out", l.s.Listen)
	}
}

func (l *loader) storing() {
	s := l.s.Store
	switch {
	case s.SQLite != nil && s.Postgres != nil:
		l.refuse("store", "store is exactly one of sqlite, postgres: take one of them out")
	case s.Postgres == nil:
	case s.Postgres.DSN.IsZero():
		l.refuse("store.postgres.dsn", "store.postgres.dsn is missing: name it, as in dsn: {env: ADG_POSTGRES_DSN}, or set %s", Variable("store.postgres.dsn"))
	case !dsn.MatchString(s.Postgres.DSN.Reveal()):
		l.refuse("store.postgres.dsn", "store.postgres.dsn is no address of a database: write it as postgres://user:password@host:5432/name?sslmode=verify-full, or as host=… dbname=…")
	}
	if !filepath.IsAbs(l.s.Data) {
		l.doubt("data", "data is relative to the folder that the server starts in: write the whole path")
	}
}

func (l *loader) sealing() {
	if l.s.Seal.Active == nil {
		l.refuse("seal.active", "seal.active is missing: secrets are not kept unsealed. Make a key with 'adg key new --out /etc/adg/seal.key', and say seal: {active: {file: /etc/adg/seal.key}}")
	} else if err := l.s.Seal.Active.Check(); err != nil {
		l.refuse("seal.active", "%s", sentence(err))
	}
	for i, older := range l.s.Seal.Older {
		if err := older.Check(); err != nil {
			l.refuse(numbered("seal.older", i), "%s", sentence(err))
		}
	}
}

var algorithms = []string{"RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512", "EdDSA"}

func (l *loader) provider(at, name string, p OIDC) {
	l.named(at, name)
	if _, err := remote.BaseURL("issuer", p.Issuer); err != nil && p.Issuer != "" {
		l.refuse(at+".issuer", "%s", err)
	} else if strings.HasPrefix(p.Issuer, "http://") && !loopback(strings.TrimPrefix(p.Issuer, "http://")) {
		l.refuse(at+".issuer", "an issuer is asked over https only: whoever is between could be anybody's identity")
	}
	for _, a := range p.Algorithms {
		if !slices.Contains(algorithms, a) {
			l.refuse(at+".algorithms", "algorithms cannot hold %q: choose from %s", strictyaml.Cut(a), strictyaml.Choices(algorithms))
		}
	}
	if !slices.Contains(p.Scopes, "openid") {
		l.refuse(at+".scopes", "scopes has to hold openid: without it the provider tells nobody's name")
	}
	if p.Skew > 5*time.Minute {
		l.refuse(at+".skew", "skew is at most 5m: an expired token would be good for as long")
	}
	if l.s.BaseURL == "" {
		l.refuse("base_url", "base_url is missing: provider %s has to send people back to it after the login", name)
	}
	if _, err := p.TLS.Config(); err != nil {
		l.refuse(at+".tls", "%s", sentence(err))
	}
}

func (l *loader) limits() {
	s := l.s
	if s.Sessions.Idle > s.Sessions.Absolute {
		l.refuse("sessions.idle", "sessions.idle is longer than sessions.absolute: a session ends after the shorter one; set it to %s or less", adg.Short(s.Sessions.Absolute))
	}
	if s.Tokens.Default > s.Tokens.Longest {
		l.refuse("tokens.default", "tokens.default is longer than tokens.longest: set it to %s or less", adg.Short(s.Tokens.Longest))
	}
	if s.Limits.Burst < s.Limits.PerSecond {
		l.refuse("limits.burst", "limits.burst is below limits.per_second, which could never be reached: set it to %d or more", s.Limits.PerSecond)
	}
	if s.Limits.Body > 64<<20 {
		l.refuse("limits.body", "limits.body is at most 67108864 (64 MiB): every request could take that much memory")
	}
	if s.Limits.Reading < time.Second {
		l.refuse("limits.reading", "limits.reading is below 1s: a slow line would be cut off in the middle of an answer")
	}
	for _, most := range []struct {
		field       string
		value, most int
	}{
		{"guard.workers", s.Guard.Workers, 1024}, {"guard.batch", s.Guard.Batch, 1024}, {"limits.watchers", s.Limits.Watchers, 100_000},
		{"limits.connections", s.Limits.Connections, 1_000_000},
	} {
		if most.value > most.most {
			l.refuse(most.field, "%s is at most %d", most.field, most.most)
		}
	}
	if s.Guard.Poll*4 > s.Guard.Lease {
		l.refuse("guard.poll", "guard.poll is more than a quarter of guard.lease, so that one slow answer of the store loses the lease: set it to %s or less", adg.Short(s.Guard.Lease/4))
	}
	if s.Guard.Lease > 10*time.Minute {
		l.refuse("guard.lease", "guard.lease is at most 10m: for so long nobody would look after a deployment whose server died")
	} else if s.Guard.Lease > 10*time.Second {
		l.doubt("guard.lease", "after a crash nobody looks after a deployment for %s: leave guard.lease at 8s", adg.Short(s.Guard.Lease))
	}
	if p := s.Store.Postgres; p != nil && p.MaxConns < 4 {
		l.refuse("store.postgres.max_conns", "store.postgres.max_conns is at least 4: one to take work, one to listen, and some to answer")
	}
	if s.Guard.Name != "" && !name.MatchString(s.Guard.Name) {
		l.refuse("guard.name", "guard.name is 1 to 63 letters, digits, dots, dashes and underscores")
	}
}

// reaching is about where the server may go, and what it may start.
func (l *loader) reaching() {
	for i, entry := range l.s.Egress.Allow {
		if !destination(entry) {
			l.refuse(numbered("egress.allow", i), "%q is neither a host nor a network: write prometheus.example.com, *.example.com:443 or 10.0.0.0/8", strictyaml.Cut(entry))
		}
	}
	if p := l.s.Egress.Proxy; p != "" && p != "direct" {
		if _, err := remote.BaseURL("egress.proxy", p); err != nil {
			l.refuse("egress.proxy", "%s", err)
		}
	}
	for i, program := range l.s.Commands.Allow {
		if !filepath.IsAbs(program) || filepath.Clean(program) != program {
			l.refuse(numbered("commands.allow", i), "%q is no whole path of a program: write it as /usr/local/bin/deploy", strictyaml.Cut(program))
		}
	}
	for i, folder := range l.s.Files.Allow {
		if !filepath.IsAbs(folder) || filepath.Clean(folder) != folder {
			l.refuse(numbered("files.allow", i), "%q is no whole path of a folder: write it as /var/log/adg", strictyaml.Cut(folder))
		}
	}
}

// changing is about what tells of changes.
func (l *loader) changing() {
	for _, service := range slices.Sorted(maps.Keys(l.s.Repositories)) {
		folder := l.s.Repositories[service]
		if !filepath.IsAbs(folder) || filepath.Clean(folder) != folder {
			l.refuse("repositories."+service, "%q is no whole path of a folder: write it as /srv/git/shop.git", strictyaml.Cut(folder))
		}
	}
}

// announcing is about who may start deployments from outside.
func (l *loader) announcing() {
	for _, id := range slices.Sorted(maps.Keys(l.s.Intake)) {
		at, in := "intake."+id, l.s.Intake[id]
		l.named(at, id)
		l.bound(at, in.Service, in.Environment)
		if _, err := in.TLS.Config(); err != nil {
			l.refuse(at+".tls", "%s", sentence(err))
		}
		if (in.Username == "") != in.Password.IsZero() {
			l.refuse(at, "%s names a user or a password: it needs both, or none", at)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(l.s.Webhooks)) {
		at, hook := "webhooks."+id, l.s.Webhooks[id]
		l.named(at, id)
		l.bound(at, hook.Service, hook.Environment)
		if err := hook.Bound().Check(); err != nil && !l.unread(at) {
			l.refuse(at, "%s", sentence(err))
		}
	}
}

// watching is about what the server tells of itself.
func (l *loader) watching() {
	if l.s.Metrics.Listen != "" {
		l.address("metrics.listen", l.s.Metrics.Listen)
		if l.s.Metrics.Listen == l.s.Listen {
			l.refuse("metrics.listen", "metrics.listen and listen are the same: give the metrics a port of their own, or take metrics.listen out")
		}
	}
	for i, notifier := range l.s.Changes.Notify {
		l.named(numbered("changes.notify", i), notifier)
		if slices.Contains(l.s.Changes.Notify[:i], notifier) {
			l.refuse(numbered("changes.notify", i), "%s is named twice", notifier)
		}
	}
	for _, one := range [][2]string{{"telemetry.endpoint", l.s.Telemetry.Endpoint}, {"watchdog.webhook", l.s.Watchdog.Webhook.Reveal()}} {
		field, address := one[0], one[1]
		if err := remote.ValidURL(address); address != "" && err != nil {
			l.refuse(field, "%s: %s", field, err)
		}
	}
	if _, err := l.s.Telemetry.TLS.Config(); err != nil {
		l.refuse("telemetry.tls", "%s", sentence(err))
	}
}

var (
	name    = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$`)
	host    = regexp.MustCompile(`^(?:\*\.)?[A-Za-z0-9](?:[A-Za-z0-9-]{0,62})(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]{0,62}))*\.?$`)
	pattern = regexp.MustCompile(`^(?:[A-Za-z0-9][A-Za-z0-9._-]{0,62})?\*?$`)
	dsn     = regexp.MustCompile(`^(?:postgres(?:ql)?://.|.*\b(?:host|dbname|service)\s*=)`)
)

// named refuses a name of the file's choice that cannot stand in an address.
func (l *loader) named(at, id string) {
	if !name.MatchString(id) {
		l.refuse(at, "%q cannot be a name: use at most 63 letters, digits, dots, dashes and underscores", strictyaml.Cut(id))
	}
}

// bound refuses what is no pattern of services and environments.
func (l *loader) bound(at, service, environment string) {
	for _, one := range [][2]string{{"service", service}, {"environment", environment}} {
		if field, text := one[0], one[1]; text == "" || !pattern.MatchString(text) {
			l.refuse(at+"."+field, "%s is a name, the beginning of one and *, or *", field)
		}
	}
}

// address refuses what cannot be listened on.
func (l *loader) address(field, text string) {
	_, port, err := net.SplitHostPort(text)
	n, numberErr := strconv.ParseUint(port, 10, 16)
	if err != nil || numberErr != nil || n == 0 && port != "0" {
		l.refuse(field, "%q is no address to listen on: write it as 127.0.0.1:8443, or :8443 for every address of the machine", strictyaml.Cut(text))
	}
}

// loopback tells whether an address is of this machine only.
func loopback(address string) bool {
	host, _, err := net.SplitHostPort(strings.SplitN(address, "/", 2)[0])
	if err != nil {
		host = strings.SplitN(address, "/", 2)[0]
	}
	ip, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && ip.IsLoopback()
}

// destination tells whether an entry of the allow-list can be read: a network, or a host or address with a port or not.
func destination(entry string) bool {
	if _, err := netip.ParsePrefix(entry); err == nil {
		return true
	}
	if _, err := netip.ParseAddr(entry); err == nil {
		return true
	}
	to := entry
	if before, port, err := net.SplitHostPort(entry); err == nil {
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 {
			return false
		}
		to = before
	}
	if _, err := netip.ParseAddr(to); err == nil {
		return true
	}
	return len(to) <= 253 && host.MatchString(to)
}

func numbered(field string, i int) string { return field + "[" + strconv.Itoa(i) + "]" }

// sentence is what several errors say on one line.
func sentence(err error) string {
	if joined, ok := errors.AsType[interface {
		error
		Unwrap() []error
	}](err); ok {
		var all []string
		for _, one := range joined.Unwrap() {
			all = append(all, one.Error())
		}
		return strings.Join(all, "; ")
	}
	return err.Error()
}
