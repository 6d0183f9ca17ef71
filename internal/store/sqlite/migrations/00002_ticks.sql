-- +goose Up

-- Ticks take the place of entries and assessments, which did not hold what a decision was made from. What they told of
-- deployments before is not carried over; facts, effects and measurements of those stay.
DROP TABLE assessments;
DROP TABLE entries;

-- One row per tick. Rows with keep = 1 are decisions that changed something, or answered a human; they are never
-- forgotten, and neither is what was measured for them.
CREATE TABLE ticks (
    n          INTEGER PRIMARY KEY,
    deployment INTEGER NOT NULL REFERENCES deployments (n),
    seq        INTEGER NOT NULL, -- the version of the deployment that the tick made
    at         INTEGER NOT NULL,
    keep       INTEGER NOT NULL,
    assessed   INTEGER NOT NULL, -- 1 where the health was assessed
    tick       TEXT    NOT NULL, -- what the decision was made from; and, with keep = 1, the decision
    UNIQUE (deployment, seq)
) STRICT;
CREATE INDEX ticks_deployment ON ticks (deployment, at);
