package postgres

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/deployguardian/adg"
)

// explain turns an error of the database into one that says what to do. The end of the caller's context comes first;
// errors that have a code already stay.
func explain(ctx context.Context, err error) error {
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if _, coded := errors.AsType[*adg.Error](err); coded {
		return err
	}
	code := codeOf(err)
	if sentence, known := sentences[code]; known {
		return adg.Errorf(adg.Unavailable, "PostgreSQL: %s: %w", sentence, err)
	}
	switch class(code) {
	case "22", "54": // a value that the database does not take: a NUL, no UTF-8, too large
		return adg.Errorf(adg.Invalid, "PostgreSQL cannot store this: %w", err)
	case "28":
		return adg.Errorf(adg.Unavailable, "PostgreSQL refuses the user or the password of the DSN, or has no entry for it in pg_hba.conf: %w", err)
	case "57":
		return adg.Errorf(adg.Unavailable, "PostgreSQL is being stopped or started: try again: %w", err)
	case "":
		return adg.Errorf(adg.Unavailable, "PostgreSQL does not answer: check that it runs and can be reached from here: %w", err)
	default:
		return adg.Errorf(adg.Unavailable, "PostgreSQL: %w", err)
	}
}

// Private

const (
	serialization = "40001"
	deadlock      = "40P01"
	locked        = "55P03"
)

// sentences are for those that are not ours and have a cure.
var sentences = map[string]string{
	serialization: "others were writing the same, again and again: try again",
	deadlock:      "others were writing the same, again and again: try again",
	locked:        "what this needs was locked for too long: try again, and look for long transactions in pg_stat_activity",
	"57014":       "it took too long: try again, and look at the load of the server",
	"25006":       "this server is a standby that takes no writes: name the primary, or several with target_session_attrs=read-write",
	"3D000":       "there is no such database: create it, empty, and owned by the user of the DSN",
	"42501":       "the user of the DSN may not do this: it has to own the database's tables",
	"53100":       "its disk is full: free some space, nothing that was stored is lost and the work goes on by itself",
	"53300":       "it has no connections left: raise its max_connections, or lower what each replica may have",
}

// passing tells whether a transaction came to nothing only because of others at the same time.
func passing(err error) bool {
	code := codeOf(err)
	return code == serialization || code == deadlock
}

// codeOf is the SQLSTATE; empty where the error is none of the server's.
func codeOf(err error) string {
	if e, ok := errors.AsType[*pgconn.PgError](err); ok {
		return e.Code
	}
	return ""
}

func class(code string) string { return code[:min(2, len(code))] }
