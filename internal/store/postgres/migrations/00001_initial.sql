-- +goose Up

-- Times are nanoseconds since 1970 in UTC; 0 is "none". Columns that every tick changes stand in narrow tables, so
-- that a tick rewrites neither the specification nor the history. Text sorts by its bytes, whatever the database does
-- otherwise.

-- adg_now is the clock of all replicas.
-- +goose StatementBegin
CREATE FUNCTION adg_now() RETURNS bigint LANGUAGE sql VOLATILE AS
'SELECT (extract(epoch FROM clock_timestamp()) * 1000000)::bigint * 1000';
-- +goose StatementEnd

CREATE TABLE deployments (
    n           bigint  PRIMARY KEY GENERATED ALWAYS AS IDENTITY, -- in the order of creation
    id          text    COLLATE "C" NOT NULL UNIQUE,
    service     text    COLLATE "C" NOT NULL,
    environment text    COLLATE "C" NOT NULL,
    version     bigint  NOT NULL,
    state       text    NOT NULL,
    live        boolean NOT NULL, -- until the deployment has ended
    due         bigint  NOT NULL, -- when the next tick is wanted; a command makes it due
    owner       text    NOT NULL DEFAULT '',
    fence       bigint  NOT NULL DEFAULT 0, -- counts the leases
    until       bigint  NOT NULL DEFAULT 0, -- the end of the lease
    ttl         bigint  NOT NULL DEFAULT 0, -- how long the lease was taken for
    bad         boolean NOT NULL DEFAULT false, -- while the release was last known as bad
    bad_since   bigint  NOT NULL DEFAULT 0
) WITH (fillfactor = 70);
CREATE INDEX deployments_due ON deployments (due, n) WHERE live;
CREATE INDEX deployments_live ON deployments (service, environment, n) WHERE live;
CREATE INDEX deployments_bad ON deployments (environment, bad_since);
CREATE INDEX deployments_service ON deployments (service, environment, n);
CREATE INDEX deployments_environment ON deployments (environment, n);

CREATE TABLE specs (
    deployment bigint PRIMARY KEY REFERENCES deployments (n),
    spec       text   NOT NULL
);

CREATE TABLE statuses (
    deployment bigint PRIMARY KEY REFERENCES deployments (n),
    status     text   NOT NULL
) WITH (fillfactor = 50);

CREATE TABLE effects (
    n          bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    op_id      text   COLLATE "C" NOT NULL UNIQUE,
    deployment bigint NOT NULL REFERENCES deployments (n),
    effect     text   NOT NULL, -- the intent
    outcome    text
);
CREATE INDEX effects_deployment ON effects (deployment, n);
CREATE UNIQUE INDEX effects_open ON effects (deployment) WHERE outcome IS NULL;

CREATE TABLE commands (
    n          bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    id         text   COLLATE "C" NOT NULL UNIQUE,
    deployment bigint NOT NULL REFERENCES deployments (n),
    command    text   NOT NULL,
    answered   bigint -- the version of the deployment that the answer made
);
CREATE INDEX commands_waiting ON commands (deployment, n) WHERE answered IS NULL;
CREATE INDEX commands_answered ON commands (deployment, answered) WHERE answered IS NOT NULL;

-- One row per tick. Rows to keep are decisions that changed something, or answered a human; they are never forgotten,
-- and neither is what was measured for them.
CREATE TABLE ticks (
    deployment bigint  NOT NULL REFERENCES deployments (n),
    seq        bigint  NOT NULL, -- the version of the deployment that the tick made
    at         bigint  NOT NULL,
    keep       boolean NOT NULL,
    assessed   boolean NOT NULL, -- the health was assessed
    tick       text    NOT NULL, -- what the decision was made from; and, where it is kept, the decision
    n          bigint  PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    UNIQUE (deployment, seq)
);
CREATE INDEX ticks_deployment ON ticks (deployment, at);

CREATE TABLE measurements (
    n           bigint  PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    deployment  bigint  NOT NULL REFERENCES deployments (n),
    at          bigint  NOT NULL,
    keep        boolean NOT NULL,
    name        text    NOT NULL, -- of the check
    measurement text    NOT NULL
);
CREATE INDEX measurements_deployment ON measurements (deployment, at);

CREATE TABLE baselines (
    n          bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    deployment bigint NOT NULL REFERENCES deployments (n),
    name       text   NOT NULL, -- of the check
    baseline   text   NOT NULL,
    UNIQUE (deployment, name)
);

-- The cursor of a fact is given to it after it was committed, see the event log.
CREATE SEQUENCE facts_cursor;
CREATE TABLE facts (
    n           bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    id          text   COLLATE "C" NOT NULL UNIQUE,
    deployment  bigint NOT NULL REFERENCES deployments (n),
    service     text   COLLATE "C" NOT NULL, -- of the deployment
    environment text   COLLATE "C" NOT NULL,
    kind        text   NOT NULL,
    fact        text   NOT NULL,
    cursor      bigint
) WITH (fillfactor = 70);
CREATE INDEX facts_deployment ON facts (deployment, n);
CREATE UNIQUE INDEX facts_events ON facts (cursor);
CREATE INDEX facts_scope ON facts (service, environment, cursor);
CREATE INDEX facts_new ON facts (n) WHERE cursor IS NULL;

-- A row per fact and notifier until it is delivered. Only the head of a deployment's queue to a notifier has a due
-- time: those behind it wait for it.
CREATE TABLE outbox (
    n          bigint  PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    fact       bigint  NOT NULL REFERENCES facts (n),
    deployment bigint  NOT NULL REFERENCES deployments (n),
    notifier   text    COLLATE "C" NOT NULL,
    tries      bigint  NOT NULL DEFAULT 0,
    due        bigint,
    dead       boolean NOT NULL DEFAULT false,
    why        text    NOT NULL DEFAULT '', -- the last try failed
    UNIQUE (fact, notifier)
);
CREATE INDEX outbox_heads ON outbox (n, due) WHERE due IS NOT NULL;
CREATE INDEX outbox_queue ON outbox (deployment, notifier, n) WHERE NOT dead;
CREATE INDEX outbox_dead ON outbox (n) WHERE dead;

CREATE SEQUENCE standings_order;
CREATE TABLE standings (
    n           bigint NOT NULL DEFAULT nextval('standings_order'), -- in the order in which they were recorded
    service     text   COLLATE "C" NOT NULL,
    environment text   COLLATE "C" NOT NULL,
    identity    text   COLLATE "C" NOT NULL,
    standing    text   NOT NULL,
    record      text   NOT NULL,
    PRIMARY KEY (service, environment, identity)
);
CREATE INDEX standings_last ON standings (service, environment, standing, n);
CREATE INDEX standings_newest ON standings (n);

CREATE TABLE holds (
    service     text   COLLATE "C" NOT NULL,
    environment text   COLLATE "C" NOT NULL,
    identity    text   COLLATE "C" NOT NULL,
    until       bigint NOT NULL, -- the largest integer: until lifted
    hold        text   NOT NULL,
    PRIMARY KEY (service, environment, identity)
);

-- One row per automatic rollback of the last hour.
CREATE TABLE slots (
    n  bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    at bigint NOT NULL
);
CREATE INDEX slots_at ON slots (at);

-- Who stopped what, and who ended that. Empty: all services, all environments.
CREATE TABLE stops (
    n           bigint PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
    service     text   COLLATE "C" NOT NULL,
    environment text   COLLATE "C" NOT NULL,
    actor       text   NOT NULL,
    reason      text   NOT NULL,
    at          bigint NOT NULL,
    ended       bigint, -- NULL: it is in force
    ended_by    text   NOT NULL DEFAULT ''
);
CREATE UNIQUE INDEX stops_in_force ON stops (service, environment) WHERE ended IS NULL;

CREATE TABLE documents (
    kind    text   COLLATE "C" NOT NULL,
    key     text   COLLATE "C" NOT NULL,
    version bigint NOT NULL,
    data    bytea  NOT NULL,
    updated bigint NOT NULL,
    expires bigint NOT NULL, -- the largest integer: never
    PRIMARY KEY (kind, key)
);
CREATE INDEX documents_expires ON documents (expires) WHERE expires < 9223372036854775807;

CREATE TABLE audit (
    seq         bigint PRIMARY KEY,
    at          bigint NOT NULL,
    actor       text   COLLATE "C" NOT NULL,
    origin      text   NOT NULL,
    action      text   COLLATE "C" NOT NULL,
    resource    text   COLLATE "C" NOT NULL,
    service     text   COLLATE "C" NOT NULL,
    environment text   COLLATE "C" NOT NULL,
    outcome     text   NOT NULL,
    reason      text   NOT NULL,
    detail      text   NOT NULL,
    prev        text   NOT NULL,
    digest      text   NOT NULL
);
CREATE INDEX audit_actor ON audit (actor, seq);
CREATE INDEX audit_resource ON audit (resource, seq);
CREATE INDEX audit_service ON audit (service, environment, seq);
CREATE INDEX audit_at ON audit (at);

-- The log is append-only, also for those who can reach the database; whoever takes that away first is found by the
-- digests.
-- +goose StatementBegin
CREATE FUNCTION adg_refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit log is append-only';
END $$;
-- +goose StatementEnd
CREATE TRIGGER audit_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON audit EXECUTE FUNCTION adg_refuse();
