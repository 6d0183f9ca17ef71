-- +goose Up

-- Facts may be of no deployment: their number for it is 0, and so they refer to none any more. SQLite takes no constraint
-- away; the tables are written anew, outbox first, which refers to facts.
CREATE TABLE kept AS SELECT * FROM outbox;
DROP TABLE outbox;
CREATE TABLE facts_anew (
    n           INTEGER PRIMARY KEY,
    id          TEXT    NOT NULL UNIQUE,
    deployment  INTEGER NOT NULL, -- 0: of none
    fact        TEXT    NOT NULL,
    service     TEXT GENERATED ALWAYS AS (fact ->> 'service') VIRTUAL,
    environment TEXT GENERATED ALWAYS AS (fact ->> 'environment') VIRTUAL
) STRICT;
INSERT INTO facts_anew (n, id, deployment, fact) SELECT n, id, deployment, fact FROM facts ORDER BY n;
DROP TABLE facts;
ALTER TABLE facts_anew RENAME TO facts;
CREATE INDEX facts_deployment ON facts (deployment, n);
CREATE INDEX facts_service ON facts (service, n);
CREATE INDEX facts_environment ON facts (environment, n);

CREATE TABLE outbox (
    n          INTEGER PRIMARY KEY,
    fact       INTEGER NOT NULL REFERENCES facts (n),
    deployment INTEGER NOT NULL, -- 0: of none
    notifier   TEXT    NOT NULL,
    tries      INTEGER NOT NULL DEFAULT 0,
    due        INTEGER,
    dead       INTEGER NOT NULL DEFAULT 0,
    why        TEXT    NOT NULL DEFAULT '', -- the last try failed
    ended      INTEGER NOT NULL DEFAULT 0, -- when it was given up; 0: before this was noted
    UNIQUE (fact, notifier)
) STRICT;
INSERT INTO outbox (n, fact, deployment, notifier, tries, due, dead, why, ended)
SELECT n, fact, deployment, notifier, tries, due, dead, why, ended FROM kept ORDER BY n;
DROP TABLE kept;
CREATE INDEX outbox_due ON outbox (due) WHERE due IS NOT NULL;
CREATE INDEX outbox_queue ON outbox (deployment, notifier, n) WHERE dead = 0;
CREATE INDEX outbox_dead ON outbox (n) WHERE dead = 1;
CREATE INDEX outbox_deployment ON outbox (deployment);
