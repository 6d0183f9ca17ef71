-- +goose NO TRANSACTION
-- +goose Up

-- Evidence is written by who holds the deployment's row, and forgotten before the deployment is: there is nothing left to
-- check, and it was checked for each of the rows that a tick writes.
ALTER TABLE measurements DROP CONSTRAINT IF EXISTS measurements_deployment_fkey;
ALTER TABLE ticks DROP CONSTRAINT IF EXISTS ticks_deployment_fkey;
