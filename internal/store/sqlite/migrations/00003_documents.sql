-- +goose Up

CREATE TABLE documents (
    n       INTEGER PRIMARY KEY,
    kind    TEXT    NOT NULL,
    key     TEXT    NOT NULL,
    version INTEGER NOT NULL,
    updated INTEGER NOT NULL,
    expires INTEGER NOT NULL, -- the largest integer: never
    data    BLOB    NOT NULL,
    UNIQUE (kind, key)
) STRICT;
CREATE INDEX documents_expires ON documents (expires) WHERE expires < 9223372036854775807;

-- The digest of a row is of all its other columns; prev is the digest of the row before.
CREATE TABLE audit (
    seq         INTEGER PRIMARY KEY, -- from 1, without gaps
    at          INTEGER NOT NULL,
    actor       TEXT    NOT NULL,
    address     TEXT    NOT NULL, -- that the request came from
    action      TEXT    NOT NULL,
    resource    TEXT    NOT NULL,
    service     TEXT    NOT NULL,
    environment TEXT    NOT NULL,
    outcome     TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    detail      TEXT    NOT NULL,
    prev        TEXT    NOT NULL,
    digest      TEXT    NOT NULL
) STRICT;
CREATE INDEX audit_at ON audit (at);
CREATE INDEX audit_actor ON audit (actor, seq);
CREATE INDEX audit_action ON audit (action, seq);
CREATE INDEX audit_resource ON audit (resource, seq);
CREATE INDEX audit_service ON audit (service, seq);
CREATE INDEX audit_environment ON audit (environment, seq);

-- Rows are appended, and that is all: what replaces a row would delete it without a word to the trigger for that.
-- +goose StatementBegin
CREATE TRIGGER audit_appended BEFORE INSERT ON audit
WHEN new.seq IS NOT (SELECT coalesce(max(seq), 0) + 1 FROM audit)
BEGIN
    SELECT raise(ABORT, 'the audit log is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_unchanged BEFORE UPDATE ON audit
BEGIN
    SELECT raise(ABORT, 'the audit log is append-only');
END;
-- +goose StatementEnd
-- +goose StatementBegin
CREATE TRIGGER audit_kept BEFORE DELETE ON audit
BEGIN
    SELECT raise(ABORT, 'the audit log is append-only');
END;
-- +goose StatementEnd

-- What events are selected by.
ALTER TABLE facts ADD COLUMN service TEXT GENERATED ALWAYS AS (fact ->> 'service') VIRTUAL;
ALTER TABLE facts ADD COLUMN environment TEXT GENERATED ALWAYS AS (fact ->> 'environment') VIRTUAL;
CREATE INDEX facts_service ON facts (service, n);
CREATE INDEX facts_environment ON facts (environment, n);

-- A stop takes the place of two rows of the line, one that stopped it and one that resumed it.
CREATE TABLE stops (
    n           INTEGER PRIMARY KEY,
    service     TEXT    NOT NULL, -- empty: all
    environment TEXT    NOT NULL, -- empty: all
    actor       TEXT    NOT NULL,
    reason      TEXT    NOT NULL,
    at          INTEGER NOT NULL,
    ended       INTEGER, -- NULL while it is in force
    ended_by    TEXT
) STRICT;
CREATE UNIQUE INDEX stops_in_force ON stops (service, environment) WHERE ended IS NULL;

INSERT INTO stops (service, environment, actor, reason, at, ended, ended_by)
SELECT '', '', actor, reason, at, ended, ended_by
FROM (SELECT *, lead(at) OVER (ORDER BY n) AS ended, lead(actor) OVER (ORDER BY n) AS ended_by FROM line)
WHERE stopped ORDER BY n;
DROP TABLE line;
