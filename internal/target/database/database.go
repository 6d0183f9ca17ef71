// Package database brings a PostgreSQL schema to the revision that a release needs, by migrations in the format and with
// the bookkeeping of the tool that a team already has.
package database

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/migration"
	"github.com/deployguardian/adg/internal/remote"
)

// Options are what a policy says about a target of type database.
type Options struct {
	DSN              adg.Secret            `yaml:"dsn" doc:"Address of the database: postgres://user:password@host:5432/name?sslmode=verify-full. A pooler in between must keep a session together."`
	Folder           string                `yaml:"folder" doc:"Folder of the migrations on the machine that adg runs on; it has to hold those of the newest release, also while an older one is live."`
	Format           string                `yaml:"format" doc:"Whose rules the folder follows: golang-migrate, goose, flyway or sql (NAME.sql and NAME.down.sql in the order of their names)."`
	Table            string                `yaml:"table" doc:"Table in which the tool keeps what was applied; empty: schema_migrations, goose_db_version, flyway_schema_history or adg_schema_history."`
	Wait             time.Duration         `yaml:"wait" doc:"How long to wait for others who migrate the same schema."`
	LockTimeout      time.Duration         `yaml:"lock_timeout" doc:"How long a statement may wait for a lock on a table, while everybody else waits behind it."`
	StatementTimeout time.Duration         `yaml:"statement_timeout" doc:"How long one statement may run."`
	AllowDown        bool                  `yaml:"allow_down" doc:"Whether a rollback may take migrations back, where the last good release is not declared compatible: after a backup that was verified, and only if nothing is lost by it."`
	Backup           Program               `yaml:"backup" doc:"The program that makes a backup before migrations are taken back. Beside env and secrets it gets ADG_OP_ID, ADG_DEPLOYMENT, ADG_REVISION (the schema's now) and ADG_WANTED_REVISION."`
	Verify           Program               `yaml:"verify" doc:"The program that proves, with exit status 0, that the backup made just now can be read."`
	Restore          Program               `yaml:"restore" doc:"The program that puts the backup back, where taking a migration back failed half-way and no transaction undid it; empty: nothing is put back, and people are told."`
	Env              map[string]string     `yaml:"env" doc:"Environment variables for the programs, beside PATH, HOME and LANG; nothing else is inherited."`
	Secrets          map[string]adg.Secret `yaml:"secrets" doc:"Environment variables for the programs whose values are secret, such as PGPASSWORD."`
	DryRun           bool                  `yaml:"dry_run" doc:"Whether to refuse every change of the schema, and say which migrations would be run or taken back."`
}

// Program is what to run. It is started directly; no shell reads any of it.
type Program struct {
	Path    string        `yaml:"path" doc:"The program's path, with a slash in it; PATH is not searched."`
	Args    []string      `yaml:"args" doc:"Its arguments, passed as they are."`
	Timeout time.Duration `yaml:"timeout" doc:"How long it may run before it and its children are stopped."`
}

// Driver opens targets that are schemas of PostgreSQL databases.
var Driver = adg.NewTargetDriver("database", "Brings the schema of a PostgreSQL database to the revision that a release needs, and says whether its code can go back.", Options{
	Wait: time.Minute, LockTimeout: 5 * time.Second, StatementTimeout: 10 * time.Minute,
	Backup: Program{Timeout: 30 * time.Minute}, Verify: Program{Timeout: 30 * time.Minute}, Restore: Program{Timeout: time.Hour},
}, open)

// Private

type target struct {
	o      Options
	format migration.Format
	host   adg.Host
	config *pgx.ConnConfig
	table  table
	env    []string
	log    *slog.Logger
	redact func(string) string
}

// asked leaves a host's name as it is: what drivers may reach is judged by the name that was asked for.
func asked(_ context.Context, host string) ([]string, error) { return []string{host}, nil }

// defaultTables are those of the tools.
var defaultTables = map[migration.Format]string{
	migration.GolangMigrate: "schema_migrations",
	migration.Goose:         "goose_db_version",
	migration.Flyway:        "flyway_schema_history",
	migration.SQL:           "adg_schema_history",
}

var tableName = regexp.MustCompile(`^([A-Za-z_][A-Za-z0-9_]{0,62}\.)?[A-Za-z_][A-Za-z0-9_]{0,62}$`)

func open(_ context.Context, o Options, host adg.Host) (adg.Target, error) {
	t := &target{o: o, format: migration.Format(o.Format), host: host, log: cmp.Or(host.Log, slog.New(slog.DiscardHandler))}
	var problems []error
	problem := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	config, err := pgx.ParseConfig(o.DSN.Reveal())
	if err != nil || o.DSN.IsZero() {
		// The cause repeats parts of what it could not read, and the password may be in any of them.
		problem("dsn: it cannot be read: it has the form postgres://user:password@host:5432/name?sslmode=verify-full")
	}
	if err == nil && config.Password != "" && !host.Own() && !holds(o.DSN.Reveal(), config.Password) {
		problem("dsn: it holds no password, and that of the server's own environment is for its own store: write the user's")
	}
	if t.config = config; config != nil {
		config.DialFunc, config.LookupFunc = remote.Dial, asked
	}
	if o.Folder == "" {
		problem("folder: name the folder of the migrations")
	}
	if !slices.Contains(migration.Formats(), t.format) {
		problem("format: %q: use one of %v", o.Format, migration.Formats())
	}
	name := cmp.Or(o.Table, defaultTables[t.format])
	if name != "" && !tableName.MatchString(name) {
		problem("table: %q: use NAME or SCHEMA.NAME of letters, digits and '_'", name)
	}
	t.table.schema, t.table.name, _ = strings.Cut(name, ".")
	if t.table.name == "" {
		t.table = table{name: name}
	}
	for option, d := range map[string]time.Duration{"wait": o.Wait, "lock_timeout": o.LockTimeout, "statement_timeout": o.StatementTimeout} {
		if d < time.Millisecond {
			problem("%s: %s: it must be 1ms at least", option, d)
		}
	}
	o.checkPrograms(host, problem)
	if len(problems) > 0 {
		slices.SortFunc(problems, func(a, b error) int { return strings.Compare(a.Error(), b.Error()) })
		return nil, adg.Permanent(adg.Errorf(adg.Invalid, "%w", errors.Join(problems...)))
	}
	secrets := slices.Collect(maps.Values(o.Secrets))
	t.redact = remote.Redactor(append(secrets, o.DSN, adg.NewSecret(config.Password))...)
	t.env = o.environment()
	return t, nil
}

// holds tells whether the address of a database holds the password that would be sent to it, so that none comes from the
// environment.
func holds(dsn, password string) bool {
	if u, err := url.Parse(dsn); err == nil && u.Host != "" {
		own, _ := u.User.Password()
		return own == password || slices.Contains(u.Query()["password"], password)
	}
	return strings.Contains(strings.NewReplacer(`\\`, `\`, `\'`, `'`).Replace(dsn), password)
}

// Can is to move the schema.
func (t *target) Can() adg.Capabilities { return adg.Capabilities{Migrate: true, Reports: true} }

// Current reads the revision of the schema, and which releases it was brought there for.
func (t *target) Current(ctx context.Context) (adg.Observed, error) {
	s, err := t.connect(ctx, "current")
	if err != nil {
		return adg.Observed{}, err
	}
	defer s.close()
	return s.look(ctx)
}

// Apply brings the schema to the newest revision that a release of the state needs. A rollback asks for the revision of
// the releases with traffic, and leaves a newer one as it is where that is declared to be compatible.
func (t *target) Apply(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	if err := want.Validate(); err != nil {
		return adg.Observed{}, adg.Permanent(err)
	}
	if cause := context.Cause(ctx); cause != nil {
		return adg.Observed{}, adg.Errorf(adg.Unavailable, "apply %s: nothing was begun: %w", want.OpID, cause)
	}
	s, err := t.connect(ctx, want.OpID)
	if err != nil {
		return adg.Observed{}, fmt.Errorf("apply %s: %w", want.OpID, err)
	}
	defer s.close()
	if t.o.DryRun {
		return s.pretend(ctx, want)
	}
	if err := s.apply(ctx, want); err != nil {
		return adg.Observed{}, fmt.Errorf("apply %s: %w", want.OpID, err)
	}
	seen, err := s.look(ctx)
	if err != nil {
		// What was asked for is done. What is live now is not known, and the next Current may tell.
		return adg.Observed{OpID: want.OpID, Text: "applied, but " + err.Error()}, nil
	}
	return seen, nil
}

// pretend refuses to do what there is to do, and says what that is: nothing that builds on it may go on. Where nothing is to
// be done, what is there is reported.
func (s *session) pretend(ctx context.Context, want adg.Desired) (adg.Observed, error) {
	folder, err := s.t.folder()
	if err != nil {
		return adg.Observed{}, err
	}
	now, err := s.read(ctx)
	if err != nil {
		return adg.Observed{}, err
	}
	p, err := s.t.plan(folder, now, want)
	if err != nil {
		return adg.Observed{}, err
	}
	if len(p.steps) > 0 {
		return adg.Observed{}, adg.Permanent(adg.Errorf(adg.Conflict, "dry run, nothing is changed: it %s", p.said))
	}
	return s.look(ctx)
}

// apply does an operation that is not done yet, alone, and writes down how it ended.
func (s *session) apply(ctx context.Context, want adg.Desired) error {
	if err := s.lock(ctx); err != nil {
		return err
	}
	done, err := s.begin(ctx, want)
	if err != nil || done {
		return err
	}
	said, err := s.converge(ctx, want)
	state := doneState
	if err != nil {
		state, said = failedState, err.Error()
		if adg.IsPermanent(err) {
			state = refusedState
		}
	}
	return errors.Join(err, s.end(ctx, want, state, said))
}
