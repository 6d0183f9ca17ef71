-- +goose NO TRANSACTION
-- +goose Up

-- Also where this was tried before, and came as far as the longer wait below.
SET lock_timeout = '3s';

-- When a delivery was given up; 0: before this was noted.
ALTER TABLE outbox ADD COLUMN IF NOT EXISTS ended bigint NOT NULL DEFAULT 0;

-- What deployments are selected by. The indexes are made while replicas of the version before are at work, which write
-- meanwhile; one that was not finished is made again. JSON may hold a zero byte, which jsonb refuses. Times are UTC, so
-- that they sort as texts do once the Z is gone.
--
-- These wait for all transactions that are under way, and keep nobody waiting meanwhile: so they may take their time.
SET lock_timeout = '2min';
DROP INDEX CONCURRENTLY IF EXISTS specs_actor;
CREATE INDEX CONCURRENTLY specs_actor ON specs ((replace(spec, '\u0000', '\ufffd')::jsonb ->> 'actor'));
DROP INDEX CONCURRENTLY IF EXISTS specs_release;
CREATE INDEX CONCURRENTLY specs_release ON specs ((replace(spec, '\u0000', '\ufffd')::jsonb #>> '{release,version}'));
DROP INDEX CONCURRENTLY IF EXISTS specs_created;
CREATE INDEX CONCURRENTLY specs_created ON specs ((rtrim(replace(spec, '\u0000', '\ufffd')::jsonb ->> 'created', 'Z') COLLATE "C"));
SET lock_timeout = '3s';
