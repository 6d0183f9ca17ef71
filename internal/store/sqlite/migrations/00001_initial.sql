-- +goose Up

-- Times are nanoseconds since 1970 in UTC; 0 is "none". Columns that every tick changes stand in narrow tables, so
-- that a tick rewrites neither the specification nor the history.

CREATE TABLE deployments (
    n           INTEGER PRIMARY KEY, -- in the order of creation
    id          TEXT    NOT NULL UNIQUE,
    service     TEXT    NOT NULL,
    environment TEXT    NOT NULL,
    version     INTEGER NOT NULL,
    state       TEXT    NOT NULL,
    live        INTEGER NOT NULL, -- 1 until the deployment has ended
    due         INTEGER NOT NULL, -- when the next tick is wanted; a command makes it due
    owner       TEXT    NOT NULL DEFAULT '',
    fence       INTEGER NOT NULL DEFAULT 0, -- counts the leases
    until       INTEGER NOT NULL DEFAULT 0, -- the end of the lease
    ttl         INTEGER NOT NULL DEFAULT 0, -- how long the lease was taken for
    bad         INTEGER NOT NULL DEFAULT 0, -- 1 while the release was last known as bad
    bad_since   INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX deployments_due ON deployments (due) WHERE live = 1;
CREATE INDEX deployments_live ON deployments (service, environment, n) WHERE live = 1;
CREATE INDEX deployments_bad ON deployments (environment, bad_since);
CREATE INDEX deployments_service ON deployments (service, environment, n);
CREATE INDEX deployments_environment ON deployments (environment, n);

CREATE TABLE specs (
    deployment INTEGER PRIMARY KEY REFERENCES deployments (n),
    spec       TEXT NOT NULL
) STRICT;

CREATE TABLE statuses (
    deployment INTEGER PRIMARY KEY REFERENCES deployments (n),
    status     TEXT NOT NULL
) STRICT;

CREATE TABLE effects (
    n          INTEGER PRIMARY KEY,
    op_id      TEXT    NOT NULL UNIQUE,
    deployment INTEGER NOT NULL REFERENCES deployments (n),
    effect     TEXT    NOT NULL, -- the intent
    outcome    TEXT
) STRICT;
CREATE INDEX effects_deployment ON effects (deployment, n);
CREATE UNIQUE INDEX effects_open ON effects (deployment) WHERE outcome IS NULL;

CREATE TABLE commands (
    n          INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    deployment INTEGER NOT NULL REFERENCES deployments (n),
    command    TEXT    NOT NULL,
    answered   INTEGER -- the version of the deployment that the answer made
) STRICT;
CREATE INDEX commands_waiting ON commands (deployment, n) WHERE answered IS NULL;
CREATE INDEX commands_answered ON commands (deployment, answered) WHERE answered IS NOT NULL;

CREATE TABLE entries (
    deployment INTEGER NOT NULL REFERENCES deployments (n),
    seq        INTEGER NOT NULL, -- the version of the deployment that the decision made
    decision   TEXT    NOT NULL,
    assessment TEXT,
    PRIMARY KEY (deployment, seq)
) STRICT;

-- Rows with keep = 1 are the evidence of a decision that changed something.
CREATE TABLE assessments (
    n          INTEGER PRIMARY KEY,
    deployment INTEGER NOT NULL REFERENCES deployments (n),
    at         INTEGER NOT NULL,
    keep       INTEGER NOT NULL,
    assessment TEXT    NOT NULL
) STRICT;
CREATE INDEX assessments_deployment ON assessments (deployment, at);

CREATE TABLE measurements (
    n           INTEGER PRIMARY KEY,
    deployment  INTEGER NOT NULL REFERENCES deployments (n),
    at          INTEGER NOT NULL,
    keep        INTEGER NOT NULL,
    name        TEXT    NOT NULL, -- of the check
    measurement TEXT    NOT NULL
) STRICT;
CREATE INDEX measurements_deployment ON measurements (deployment, at);

CREATE TABLE baselines (
    n          INTEGER PRIMARY KEY,
    deployment INTEGER NOT NULL REFERENCES deployments (n),
    name       TEXT    NOT NULL, -- of the check
    baseline   TEXT    NOT NULL,
    UNIQUE (deployment, name)
) STRICT;

CREATE TABLE facts (
    n          INTEGER PRIMARY KEY,
    id         TEXT    NOT NULL UNIQUE,
    deployment INTEGER NOT NULL REFERENCES deployments (n),
    fact       TEXT    NOT NULL
) STRICT;
CREATE INDEX facts_deployment ON facts (deployment, n);

-- A row per fact and notifier until it is delivered. Only the head of a deployment's queue to a notifier has a due
-- time: those behind it wait for it.
CREATE TABLE outbox (
    n          INTEGER PRIMARY KEY,
    fact       INTEGER NOT NULL REFERENCES facts (n),
    deployment INTEGER NOT NULL REFERENCES deployments (n),
    notifier   TEXT    NOT NULL,
    tries      INTEGER NOT NULL DEFAULT 0,
    due        INTEGER,
    dead       INTEGER NOT NULL DEFAULT 0,
    why        TEXT    NOT NULL DEFAULT '', -- the last try failed
    UNIQUE (fact, notifier)
) STRICT;
CREATE INDEX outbox_due ON outbox (due) WHERE due IS NOT NULL;
CREATE INDEX outbox_queue ON outbox (deployment, notifier, n) WHERE dead = 0;
CREATE INDEX outbox_dead ON outbox (n) WHERE dead = 1;

CREATE TABLE standings (
    n           INTEGER PRIMARY KEY, -- in the order in which they were recorded
    service     TEXT NOT NULL,
    environment TEXT NOT NULL,
    identity    TEXT NOT NULL,
    standing    TEXT NOT NULL,
    record      TEXT NOT NULL,
    UNIQUE (service, environment, identity)
) STRICT;
CREATE INDEX standings_last ON standings (service, environment, standing, n);

CREATE TABLE holds (
    service     TEXT    NOT NULL,
    environment TEXT    NOT NULL,
    identity    TEXT    NOT NULL,
    until       INTEGER NOT NULL, -- the largest integer: until lifted
    hold        TEXT    NOT NULL,
    PRIMARY KEY (service, environment, identity)
) STRICT;

-- One row per automatic rollback of the last hour.
CREATE TABLE slots (
    n  INTEGER PRIMARY KEY,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX slots_at ON slots (at);

-- Who stopped and resumed the line; the last row is how it stands.
CREATE TABLE line (
    n       INTEGER PRIMARY KEY,
    at      INTEGER NOT NULL,
    stopped INTEGER NOT NULL,
    actor   TEXT    NOT NULL,
    reason  TEXT    NOT NULL
) STRICT;
