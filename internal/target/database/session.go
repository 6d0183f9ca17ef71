package database

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"hash/fnv"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgconn/ctxwatch"

	"github.com/deployguardian/adg"
	"github.com/deployguardian/adg/internal/migration"
)

// Private

const (
	connectTimeout = 10 * time.Second
	lastWords      = 3 * time.Second // for what is written down after the context has ended
	poll           = 50 * time.Millisecond
)

// session is one connection, for one call.
type session struct {
	t        *target
	conn     *pgx.Conn
	name     string // of the session, on the server
	book     book
	table    table // of the bookkeeping, with its schema
	journal  table // of the operations
	database string
	log      []byte // what the server and the programs said, its end, without secrets
}

// table is a name with its schema.
type table struct{ schema, name string }

// String is the name as SQL has it.
func (t table) String() string { return pgx.Identifier{t.schema, t.name}.Sanitize() }

// connect opens a session whose limits hold on the server, for the day when this process is the one that hangs.
func (t *target) connect(ctx context.Context, purpose string) (*session, error) {
	name := "adg " + adg.Printable(purpose)
	s := &session{t: t, name: strings.ToValidUTF8(name[:min(len(name), 63)], "")}
	config := t.config.Copy()
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = connectTimeout
	}
	config.OnNotice = func(_ *pgconn.PgConn, n *pgconn.Notice) { s.say(n.Severity + ": " + n.Message) }
	config.BuildContextWatcherHandler = func(c *pgconn.PgConn) ctxwatch.Handler {
		return &pgconn.CancelRequestContextWatcherHandler{Conn: c, DeadlineDelay: time.Second}
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return nil, t.explain(ctx, "connect to the database", err)
	}
	s.conn = conn
	if err := s.limit(ctx); err != nil {
		s.close()
		return nil, err
	}
	var current *string
	if err := conn.QueryRow(ctx, "SELECT current_database(), current_schema()").Scan(&s.database, &current); err != nil {
		s.close()
		return nil, t.explain(ctx, "look at the database", err)
	}
	s.table = t.table
	if s.table.schema == "" {
		if current == nil {
			s.close()
			return nil, adg.Permanent(adg.Errorf(adg.Invalid, "the database has no schema in the user's search_path: write table as SCHEMA.NAME"))
		}
		s.table.schema = *current
	}
	s.journal = table{s.table.schema, "adg_schema_operations"}
	s.book = bookOf(t.format, s.table)
	return s, nil
}

// limit sets the limits of the session, and reads them back. They are not asked for when the session begins, because a
// pooler refuses such a wish, or takes no notice of it.
func (s *session) limit(ctx context.Context) error {
	const doing = "set the limits of the session"
	names := []string{"lock_timeout", "statement_timeout", "idle_in_transaction_session_timeout"}
	values := []string{milliseconds(s.t.o.LockTimeout), milliseconds(s.t.o.StatementTimeout), milliseconds(time.Minute)}
	const set = "SELECT pg_catalog.set_config(name, value, false) FROM unnest($1::text[], $2::text[]) AS wanted (name, value)"
	if _, err := s.conn.Exec(ctx, set, append(slices.Clip(names), "application_name"), append(slices.Clip(values), s.name)); err != nil {
		return s.t.explain(ctx, doing, err)
	}
	rows, err := s.conn.Query(ctx, "SELECT setting FROM pg_catalog.pg_settings WHERE name = ANY ($1) ORDER BY array_position($1, name)", names)
	if err != nil {
		return s.t.explain(ctx, doing, err)
	}
	now, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return s.t.explain(ctx, doing, err)
	}
	if !slices.Equal(now, values) {
		return adg.Permanent(adg.Errorf(adg.Invalid, "%s: %v are %v and not %v ms: a pooler in between has to keep a session together", doing, names, now, values))
	}
	return nil
}

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// close ends the session on the server, and with it the lock.
func (s *session) close() {
	ctx, cancel := context.WithTimeout(context.Background(), lastWords)
	defer cancel()
	_ = s.conn.Close(ctx) // what was to be kept was committed
}

// rollBack ends a transaction, also after its context has ended. After a commit it does nothing.
func rollBack(ctx context.Context, tx pgx.Tx) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastWords)
	defer cancel()
	_ = tx.Rollback(ctx) // what fails here ends with the connection
}

// lock waits until nobody else migrates this schema: no other adg, and no tool that locks. It asks again and again,
// because CREATE INDEX CONCURRENTLY waits for everybody who waits inside a statement.
func (s *session) lock(ctx context.Context) error {
	limited, cancel := context.WithTimeout(ctx, s.t.o.Wait)
	defer cancel()
	for _, key := range s.lockKeys() {
		err := s.lockOne(limited, key)
		if err != nil && limited.Err() != nil && ctx.Err() == nil {
			return adg.Errorf(adg.Unavailable, "nothing was begun: somebody else migrates the schema, for longer than %s (wait)%s", adg.Short(s.t.o.Wait), s.holder(ctx, key))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// holder says whose session has a lock, and how a person ends it; empty where that cannot be found out.
func (s *session) holder(ctx context.Context, key int64) string {
	ctx, cancel := context.WithTimeout(ctx, lastWords)
	defer cancel()
	var pid int
	var program, user string
	err := s.conn.QueryRow(ctx, `SELECT a.pid, coalesce(a.application_name, ''), coalesce(a.usename, '')
		FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a USING (pid)
		WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 AND a.datname = current_database()
		AND (l.classid::bigint << 32) | l.objid::bigint = $1 LIMIT 1`, key).Scan(&pid, &program, &user)
	if err != nil {
		return "" // it has ended meanwhile, or the connection has
	}
	return adg.Printable(fmt.Sprintf(": session %d of user %s (%s) has the lock: wait for it, or end it by SELECT pg_terminate_backend(%d)",
		pid, user, cmp.Or(program, "a program without a name"), pid))
}

func (s *session) lockOne(ctx context.Context, key int64) error {
	ticker := time.NewTicker(poll)
	defer ticker.Stop()
	for {
		var taken bool
		if err := s.conn.QueryRow(ctx, "SELECT pg_try_advisory_lock($1)", key).Scan(&taken); err != nil {
			return s.t.explain(ctx, "wait for others who migrate the schema", err)
		}
		if taken {
			return nil
		}
		select {
		case <-ctx.Done():
			return adg.Errorf(adg.Unavailable, "nothing was begun: %w", context.Cause(ctx))
		case <-ticker.C:
		}
	}
}

// lockKeys are those that the tool itself takes, so that it and adg never migrate at once.
func (s *session) lockKeys() []int64 {
	switch s.t.format {
	case migration.GolangMigrate:
		// With an address the tool counts the slash before the name to the name, and with a connection it does not.
		const salt = 1486364155
		prefix := s.table.schema + "\x00" + s.table.name + "\x00"
		return []int64{
			int64(crc32.ChecksumIEEE([]byte(prefix+"/"+s.database)) * salt),
			int64(crc32.ChecksumIEEE([]byte(prefix+s.database)) * salt),
		}
	case migration.Goose:
		return []int64{4097083626} // where its program has switched a session lock on
	case migration.Flyway:
		const magic = int64('F')<<40 + int64('l')<<32 + int64('y')<<24 + int64('w')<<16 + int64('a')<<8 + int64('y')
		var hash int32 // of Java's String
		for _, c := range s.table.String() {
			hash = 31*hash + c
		}
		return []int64{magic + int64(hash)}
	case migration.SQL:
	}
	h := fnv.New64a()
	_, _ = h.Write([]byte("adg migrates " + s.table.String())) // it never fails
	return []int64{int64(h.Sum64())}                           // any 64 bits will do
}

// say keeps the end of what was said, and more of it than is shown: colours go, and cuts come between lines.
func (s *session) say(text string) {
	s.log = append(s.log, s.t.redact(strings.ToValidUTF8(text, ""))+"\n"...)
	s.log = s.log[max(len(s.log)-4*adg.MaxLog, 0):]
}

// explain makes an error of the driver one of ours: what it means for trying again, without secrets.
func (t *target) explain(ctx context.Context, doing string, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		return adg.Errorf(adg.Unavailable, "%s: %w", doing, cause)
	}
	text := errors.New(t.redact(err.Error()))
	server, ok := errors.AsType[*pgconn.PgError](err)
	if !ok {
		return adg.Errorf(adg.Unavailable, "%s: %w", doing, text)
	}
	switch code := server.Code; {
	case strings.HasPrefix(code, "28"):
		return adg.Permanent(adg.Errorf(adg.Unauthorized, "%s: %w: correct the user and the password in dsn", doing, text))
	case code == "42501":
		return adg.Permanent(adg.Errorf(adg.Unauthorized, "%s: %w: grant it to the user in dsn", doing, text))
	case code == "3D000":
		return adg.Permanent(adg.Errorf(adg.NotFound, "%s: %w", doing, text))
	case code == "55P03":
		return adg.Errorf(adg.Unavailable, "%s: somebody holds a lock on what it changes (lock_timeout): %w", doing, text)
	case code == "57014":
		return adg.Errorf(adg.Unavailable, "%s: it was stopped by statement_timeout, or by somebody: %w", doing, text)
	case code == "53300":
		return adg.Throttled(adg.Errorf(adg.Unavailable, "%s: %w", doing, text), 0)
	case strings.HasPrefix(code, "22"), strings.HasPrefix(code, "23"), strings.HasPrefix(code, "42"), strings.HasPrefix(code, "0A"):
		return adg.Permanent(adg.Errorf(adg.Invalid, "%s: %w", doing, text))
	default:
		return adg.Errorf(adg.Unavailable, "%s: %w", doing, text)
	}
}
