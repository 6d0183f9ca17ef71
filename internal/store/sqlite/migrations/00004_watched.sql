-- +goose Up

-- What deployments are selected by. Times are UTC, so that they sort as texts do once the Z is gone.
ALTER TABLE specs ADD COLUMN actor TEXT GENERATED ALWAYS AS (spec ->> '$.actor') VIRTUAL;
ALTER TABLE specs ADD COLUMN release_version TEXT GENERATED ALWAYS AS (spec ->> '$.release.version') VIRTUAL;
ALTER TABLE specs ADD COLUMN created TEXT GENERATED ALWAYS AS (rtrim(spec ->> '$.created', 'Z')) VIRTUAL;
CREATE INDEX specs_actor ON specs (actor, deployment);
CREATE INDEX specs_release ON specs (release_version, deployment);
CREATE INDEX specs_created ON specs (created, deployment);

-- When a delivery was given up; 0: before this was noted.
ALTER TABLE outbox ADD COLUMN ended INTEGER NOT NULL DEFAULT 0;
