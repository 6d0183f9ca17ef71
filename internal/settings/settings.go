// Package settings reads how a server is configured: from a file, over it from variables of the environment, over
// those from flags. It is strict: everything that is wrong is said at once, with where and what to do.
package settings

import (
	"strings"
	"time"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/intake"
	"github.com/deployguardian/adg/internal/remote"
	"github.com/deployguardian/adg/internal/seal"
	"github.com/deployguardian/adg/internal/strictyaml"
)

// Settings is the configuration of a server, complete and consistent.
type Settings struct {
	Listen         string   `yaml:"listen" default:"':8443'" doc:"Address and port that the API, the dashboard and webhooks are served on."`
	BaseURL        string   `yaml:"base_url" example:"https://adg.example.com" doc:"Address that people and providers reach the server at, as in https://adg.example.com; links in notifications and the way back from a login are made of it. Where it begins with https://, browsers are told to come that way only, also where a proxy ends TLS."`
	TLS            *TLS     `yaml:"tls" doc:"The server's certificate. Without it, insecure_http has to be said."`
	InsecureHTTP   bool     `yaml:"insecure_http" default:"false" doc:"Serve without TLS. Only behind a proxy that ends TLS on the same machine or in the same pod: passwords and tokens pass in the clear."`
	TrustedProxies []string `yaml:"trusted_proxies" example:"[10.0.0.0/8]" doc:"Networks, as in 10.0.0.0/8, whose X-Forwarded-For is believed when the address of a client is put on record or limited."`

	Data  string `yaml:"data" default:"/var/lib/adg" need:"filled" doc:"Directory for what the server keeps on disk: the SQLite database, measurements, models."`
	Store Store  `yaml:"store" doc:"Where deployments and their history are kept. Unless set, SQLite in the data directory."`
	Seal  Seal   `yaml:"seal" doc:"The keys that seal secrets before they reach the store."`

	OIDC     map[string]OIDC `yaml:"oidc" doc:"Providers that people log in with, by a name of yours, which the login page shows."`
	Login    Login           `yaml:"login" doc:"Users with a password of their own here."`
	Sessions Sessions        `yaml:"sessions" doc:"How long a login in the browser lasts."`
	Tokens   Tokens          `yaml:"tokens" doc:"How long API tokens are valid."`
	Limits   Limits          `yaml:"limits" doc:"What one client may ask of the server."`

	Egress   Egress   `yaml:"egress" doc:"Where connections, notifiers and providers may be."`
	Commands Commands `yaml:"commands" doc:"Programs that sources and targets may start on the server: those of type command, git, ansible, helm, what haproxy and database are told to run, and the login of a kubeconfig."`
	Files    Files    `yaml:"files" doc:"Folders that notifiers of type log may write files in on the server."`

	Repositories map[string]string `yaml:"repositories" example:"{shop: /srv/git/shop.git}" doc:"Folders of git repositories on this machine, by service: a clone, or a bare mirror, that somebody keeps up to date. The draft of a post-mortem names the commits, files and migrations of the release from there."`

	Guard     Guard         `yaml:"guard" doc:"How replicas share the work."`
	Stop      Stop          `yaml:"stop" doc:"When the server stops rolling back by itself and calls a human, because it is rather the measurements that are broken."`
	Retention Retention     `yaml:"retention" doc:"How long what was recorded is kept. 0s keeps it for good."`
	Drain     time.Duration `yaml:"drain" default:"30s" need:"positive" doc:"How long requests and ticks under way may take to end once the server is told to."`

	Intake   map[string]Intake  `yaml:"intake" doc:"Brokers that deployments are announced through, by a name of yours."`
	Webhooks map[string]Webhook `yaml:"webhooks" doc:"Who may start deployments by a webhook, by a name of yours, which is the end of its address: /hooks/NAME."`

	Changes   Changes   `yaml:"changes" doc:"Who is told of what people change: holds, stops, freeze windows, policies, connections, users, tokens and roles."`
	Watchdog  Watchdog  `yaml:"watchdog" doc:"Who is told when the server itself is late or blind. This does not pass through the outbox."`
	Metrics   Metrics   `yaml:"metrics" doc:"The server's own metrics, for Prometheus."`
	Telemetry Telemetry `yaml:"telemetry" doc:"Traces, for OpenTelemetry."`
	Log       Log       `yaml:"log" doc:"The server's log, on standard error."`

	Demo bool `yaml:"demo" default:"false" doc:"Whether an admin can start the demo inside the server: a small shop, whose processes this server then runs. Only for a server that listens on this machine alone."`
}

// Secure tells whether browsers reach the server by TLS: its own, or that of a proxy before it, as base_url says.
func (s Settings) Secure() bool {
	return !s.InsecureHTTP || strings.HasPrefix(strings.ToLower(s.BaseURL), "https://")
}

// TLS is the server's side of TLS. The files are in PEM format and are read again when they change.
type TLS struct {
	CertFile     string `yaml:"cert_file" example:"/etc/adg/tls.crt" doc:"File with the certificate and those between it and its authority."`
	KeyFile      string `yaml:"key_file" example:"/etc/adg/tls.key" doc:"File with the key of the certificate."`
	ClientCAFile string `yaml:"client_ca_file" example:"/etc/adg/clients.crt" doc:"File with the authorities of clients' certificates. With it, a client that shows a certificate has to show one of theirs."`
	ClientCert   string `yaml:"client_cert" default:"optional" choices:"optional,required" doc:"Whether every client has to show a certificate; for client_ca_file."`
}

// Store is one of its fields.
type Store struct {
	_        struct{}  `pick:"one"`
	SQLite   *SQLite   `yaml:"sqlite" doc:"One file; for one server."`
	Postgres *Postgres `yaml:"postgres" doc:"PostgreSQL, or what speaks its protocol; for any number of servers."`
}

// SQLite is a store in a file.
type SQLite struct {
	Path string `yaml:"path" default:"adg.db" need:"filled" doc:"The file; relative to the data directory. Commands that read a data directory know it as adg.db only."`
}

// Postgres is a store in PostgreSQL.
type Postgres struct {
	DSN      adg.Secret `yaml:"dsn" example:"{env: ADG_POSTGRES_DSN}" doc:"How to connect, as in postgres://adg:PASSWORD@host:5432/adg?sslmode=verify-full."`
	MaxConns int        `yaml:"max_conns" default:"20" need:"positive" doc:"How many connections one server holds at most."`
}

// Seal names keys.
type Seal struct {
	Active *seal.Source  `yaml:"active" doc:"The key that seals, and opens what it sealed. 'adg key new' makes one."`
	Older  []seal.Source `yaml:"older" example:"[{file: /etc/adg/seal.key.2025}]" doc:"Keys that only open what they sealed, until everything is sealed by the active one."`
}

// OIDC is a provider of OpenID Connect.
type OIDC struct {
	Issuer         string        `yaml:"issuer" need:"required" example:"https://login.example.com" doc:"Address of the issuer, exactly as its tokens name it."`
	ClientID       string        `yaml:"client_id" need:"required" example:"adg" doc:"The id that the provider gave this server."`
	ClientSecret   adg.Secret    `yaml:"client_secret" example:"{env: ADG_OIDC_SECRET}" doc:"The secret that goes with it; without one the server is a public client, with PKCE."`
	Scopes         []string      `yaml:"scopes" default:"[openid, profile, email]" need:"filled" doc:"What is asked for."`
	UserClaim      string        `yaml:"user_claim" default:"email" need:"filled" doc:"The claim that names the user."`
	GroupsClaim    string        `yaml:"groups_claim" default:"groups" doc:"The claim that lists the user's groups, which roles are bound to."`
	UnverifiedMail bool          `yaml:"unverified_mail" default:"false" doc:"Whether a user named by an address that the provider did not verify may log in."`
	Domains        []string      `yaml:"domains" example:"[example.com]" doc:"Domains that users' addresses have to be of. Unless set, any."`
	Algorithms     []string      `yaml:"algorithms" default:"[RS256, ES256]" need:"filled" doc:"How tokens may be signed: RS256 to RS512, PS256 to PS512, ES256 to ES512, EdDSA."`
	Skew           time.Duration `yaml:"skew" default:"1m" doc:"How far the provider's clock may be off."`
	TLS            remote.TLS    `yaml:"tls" doc:"How the provider's certificate is checked."`
}

// Login is about users with a password.
type Login struct {
	Local    bool          `yaml:"local" default:"true" doc:"Whether users with a password of their own here may log in."`
	Attempts int           `yaml:"attempts" default:"10" need:"positive" doc:"Wrong passwords for one user from one network (/24, /64) until the next from there are refused for a while; from one address four times as many. After ten times as many from all networks together, those that he has not logged in from for 90 days wait, too, up to five minutes."`
	Lockout  time.Duration `yaml:"lockout" default:"1m" need:"positive" doc:"How long they are refused the first time; each further time it doubles, up to an hour."`
}

// Sessions is about logins in the browser.
type Sessions struct {
	Absolute time.Duration `yaml:"absolute" default:"12h" need:"positive" doc:"After how long everybody logs in again."`
	Idle     time.Duration `yaml:"idle" default:"1h" need:"positive" doc:"After how long without a request."`
	PerUser  int           `yaml:"per_user" default:"20" need:"positive" doc:"How many sessions a user has at once; the oldest ends for one more."`
}

// Tokens is about API tokens.
type Tokens struct {
	Default time.Duration `yaml:"default" default:"90d" need:"positive" doc:"How long a token is valid that does not say."`
	Longest time.Duration `yaml:"longest" default:"365d" need:"positive" doc:"How long one can be valid."`
}

// Limits bound what a client can ask.
type Limits struct {
	PerSecond int           `yaml:"per_second" default:"50" need:"positive" doc:"Requests a second, on average, of one identity, or of one address before it has logged in."`
	Burst     int           `yaml:"burst" default:"200" need:"positive" doc:"Requests at once."`
	Logins    int           `yaml:"logins" default:"20" need:"positive" doc:"Logins a minute from one address."`
	Body      int           `yaml:"body" default:"4194304" need:"positive" doc:"Largest request, in bytes."`
	Request   time.Duration `yaml:"request" default:"30s" need:"positive" doc:"How long one request may take; streams of events end by themselves."`
	Watchers  int           `yaml:"watchers" default:"2000" need:"positive" doc:"Streams of events at once, on one server."`
	PerCaller int           `yaml:"watchers_per_caller" default:"1000" need:"positive" doc:"Of these, those of one person with all of his tokens; never more than half of them."`

	Connections int           `yaml:"connections" default:"10000" need:"positive" doc:"Open connections at once; further ones are closed at once."`
	PerAddress  int           `yaml:"connections_per_address" default:"2000" need:"positive" doc:"Of these, those of one address, or of one /64 of IPv6. Behind an address there may be a whole office; proxies that are trusted do not count."`
	Reading     time.Duration `yaml:"reading" default:"1m" need:"positive" doc:"How long a client may take to read an answer, or one message of a stream; who takes longer is cut off."`
}

// Egress is the allow-list of outgoing requests.
type Egress struct {
	Allow []string `yaml:"allow" example:"[prometheus.example.com, '*.internal.example.com:443', 10.0.0.0/8]" doc:"Hosts and networks that may be asked: prometheus.example.com, *.example.com, 10.0.0.0/8, each with a port if only that is meant. Unless set, everything but link-local and metadata addresses, which are never asked."`
	Proxy string   `yaml:"proxy" example:"http://proxy.example.com:3128" doc:"Address of an HTTP proxy for what does not name one itself, or 'direct'; empty: as HTTP_PROXY, HTTPS_PROXY and NO_PROXY say."`
}

// Commands is the allow-list of programs.
type Commands struct {
	Allow []string `yaml:"allow" example:"[/usr/local/bin/deploy]" doc:"The programs, each by its whole path. Unless set, none: no command is ever started."`
}

// Files is the allow-list of folders to write in.
type Files struct {
	Allow []string `yaml:"allow" example:"[/var/log/adg]" doc:"The folders, each by its whole path. Unless set, none: whoever may register a notifier can have no file of the machine written."`
}

// Guard is how a server takes part in the work.
type Guard struct {
	Name    string        `yaml:"name" example:"adg-1" doc:"What this server is called in leases and logs; unique among the replicas. Unless set, the name of the machine and the process."`
	Workers int           `yaml:"workers" default:"64" need:"positive" doc:"Deployments that this server works on at the same moment; most of them wait for their sources."`
	Lease   time.Duration `yaml:"lease" default:"8s" need:"positive" doc:"For how long a server takes a deployment; after a crash another takes over that much later."`
	Poll    time.Duration `yaml:"poll" default:"500ms" need:"positive" doc:"How often the store is asked for what is due."`
	Batch   int           `yaml:"batch" default:"64" need:"positive" doc:"How many deployments are taken at once."`
	Effect  time.Duration `yaml:"effect" default:"5m" need:"positive" doc:"How long one thing done at a target may take at most, whatever a policy says."`
}

// Stop is when automation stops.
type Stop struct {
	Services  int           `yaml:"services" default:"3" need:"positive" doc:"So many services that turn bad in one environment …"`
	Within    time.Duration `yaml:"within" default:"5m" need:"positive" doc:"… within this time hold all automatic rollbacks there."`
	Rollbacks int           `yaml:"rollbacks" default:"10" need:"positive" doc:"Automatic rollbacks in an hour, over all services, past which a human decides."`
}

// Retention is how long records are kept.
type Retention struct {
	Measurements time.Duration `yaml:"measurements" default:"7d" doc:"Measurements of ticks that changed nothing."`
	Decisions    time.Duration `yaml:"decisions" default:"365d" doc:"Decisions with their evidence, and deployments that have ended."`
	Events       time.Duration `yaml:"events" default:"30d" doc:"Events that were delivered."`
	Dead         time.Duration `yaml:"dead" default:"30d" doc:"Events that could not be delivered."`
}

// Intake is a broker that announces deployments.
type Intake struct {
	Type        string     `yaml:"type" need:"required" example:"rabbitmq" choices:"kafka,rabbitmq,nats" doc:"What kind of broker it is."`
	Addresses   []string   `yaml:"addresses" need:"required,filled" example:"['amqps://broker.example.com:5671/adg']" doc:"Where it is: host:port for kafka, or tls://host:port; one amqps://host:port/vhost for rabbitmq; tls://host:port for nats."`
	Topic       string     `yaml:"topic" need:"required" example:"deployments" doc:"The topic, queue or stream that is read."`
	Group       string     `yaml:"group" default:"adg" need:"filled" doc:"The group or durable consumer that all replicas share."`
	Username    string     `yaml:"username" example:"adg" doc:"Name of the user."`
	Password    adg.Secret `yaml:"password" example:"{env: ADG_BROKER_PASSWORD}" doc:"Password of the user."`
	TLS         remote.TLS `yaml:"tls" doc:"How the broker's certificate is checked."`
	SASL        string     `yaml:"sasl" default:"scram-sha-256" choices:"scram-sha-256,scram-sha-512,plain" doc:"How the user is proved, for kafka."`
	Service     string     `yaml:"service" need:"required" example:"'shop-*'" doc:"Services that may be announced: a name, or the beginning of one and *."`
	Environment string     `yaml:"environment" need:"required" example:"production" doc:"Environments that may be announced: a name, or the beginning of one and *."`
}

// Webhook is who may start deployments by a webhook.
type Webhook struct {
	Type        string     `yaml:"type" need:"required" example:"github" choices:"github,gitlab,cloudevents" doc:"Who sends it, and so how it is signed."`
	Secret      adg.Secret `yaml:"secret" need:"required" example:"{env: ADG_WEBHOOK_SECRET}" doc:"The secret that signs it, of at least 16 characters."`
	Before      adg.Secret `yaml:"before" example:"{env: ADG_WEBHOOK_SECRET_BEFORE}" doc:"The secret before this one, while it is exchanged."`
	Service     string     `yaml:"service" need:"required" example:"'shop-*'" doc:"Services that it may start: a name, or the beginning of one and *."`
	Environment string     `yaml:"environment" need:"required" example:"production" doc:"Environments that it may start them in: a name, or the beginning of one and *."`
	Ref         string     `yaml:"ref" default:"'*'" need:"filled" doc:"Branches or tags that it may come from, as in refs/tags/v*, where * is any text."`

	Rules []intake.Rule `yaml:"rules" example:"[{event: release, repository: example/shop, service: shop, environment: production}]" doc:"Which events of github or gitlab start what; the first that fits counts. cloudevents say it themselves."`
}

// Changes is who is told of what people change.
type Changes struct {
	Notify []string `yaml:"notify" example:"[audit-hook]" doc:"Connections of notifiers that are told of every change, in the order of the audit log. Unless set, changes are events and nobody is told."`
}

// Watchdog is who is told about the server itself.
type Watchdog struct {
	Webhook adg.Secret    `yaml:"webhook" example:"{env: ADG_WATCHDOG_WEBHOOK}" doc:"Address that the alarm is posted to as JSON."`
	Late    time.Duration `yaml:"late" default:"10s" need:"positive" doc:"A tick that is due for so long is late."`
	Blind   time.Duration `yaml:"blind" default:"5m" need:"positive" doc:"No answer from any source of a deployment for so long is blind."`
	Again   time.Duration `yaml:"again" default:"1h" need:"positive" doc:"When people are told again."`
}

// Metrics is where the server's metrics are.
type Metrics struct {
	Listen string     `yaml:"listen" example:"127.0.0.1:9464" doc:"An address and port of their own for /metrics, /livez and /readyz, without TLS, as in 127.0.0.1:9464. Unless set, they are served with everything else."`
	Token  adg.Secret `yaml:"token" example:"{env: ADG_METRICS_TOKEN}" doc:"Token that a scrape of /metrics has to show, on either port. Without it the main port does not serve them, and a port of their own asks for none."`
}

// Telemetry is where traces go.
type Telemetry struct {
	Endpoint string                `yaml:"endpoint" example:"https://collector.example.com:4318" doc:"Address that traces are sent to by OTLP over HTTP, as in https://collector.example.com:4318. Unless set, none are."`
	Headers  map[string]adg.Secret `yaml:"headers" example:"{authorization: {env: ADG_OTLP_AUTHORIZATION}}" doc:"Headers that go with them, by name."`
	Sample   strictyaml.Percent    `yaml:"sample" default:"10%" doc:"Which part of the traces that start here is kept."`
	TLS      remote.TLS            `yaml:"tls" doc:"How the collector's certificate is checked."`
}

// Log is how the log is written.
type Log struct {
	Level  string `yaml:"level" default:"info" choices:"debug,info,warn,error" doc:"What is logged, and everything above it."`
	Format string `yaml:"format" default:"json" choices:"json,text" doc:"json for machines, text for people."`
}
