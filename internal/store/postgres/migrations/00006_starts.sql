-- +goose Up

-- Which deployment a key began. Replicas of the version before keep none, and forget them with the deployments.
CREATE TABLE starts (
    key        text   COLLATE "C" PRIMARY KEY,
    deployment bigint NOT NULL UNIQUE REFERENCES deployments (n) ON DELETE CASCADE
);
