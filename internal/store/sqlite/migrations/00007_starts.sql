-- +goose Up

-- Which deployment a key began. What is forgotten of a deployment is forgotten of its key.
CREATE TABLE starts (
    key        TEXT    PRIMARY KEY,
    deployment INTEGER NOT NULL UNIQUE REFERENCES deployments (n) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;
