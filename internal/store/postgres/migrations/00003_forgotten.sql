-- +goose NO TRANSACTION
-- +goose Up

-- What is forgotten together with a deployment is found by it. The indexes are made while others write, as before.
SET lock_timeout = '2min';
DROP INDEX CONCURRENTLY IF EXISTS commands_deployment;
CREATE INDEX CONCURRENTLY commands_deployment ON commands (deployment);
DROP INDEX CONCURRENTLY IF EXISTS outbox_deployment;
CREATE INDEX CONCURRENTLY outbox_deployment ON outbox (deployment);
SET lock_timeout = '3s';
