-- +goose NO TRANSACTION
-- +goose Up

-- Facts may be of no deployment: their number for it is 0. Those of deployments are written by who holds the deployment's
-- row, and forgotten before the deployment is.
SET lock_timeout = '3s';
ALTER TABLE facts DROP CONSTRAINT IF EXISTS facts_deployment_fkey;
ALTER TABLE outbox DROP CONSTRAINT IF EXISTS outbox_deployment_fkey;
