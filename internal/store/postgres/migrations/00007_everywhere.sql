-- +goose NO TRANSACTION
-- +goose Up

-- What is of no service or of no environment is among the events of each. There is little of it in a long log. One that was
-- broken off leaves an index that is not valid.
DROP INDEX CONCURRENTLY IF EXISTS facts_of_all_services;
CREATE INDEX CONCURRENTLY facts_of_all_services ON facts (cursor) WHERE service = '';
DROP INDEX CONCURRENTLY IF EXISTS facts_of_all_environments;
CREATE INDEX CONCURRENTLY facts_of_all_environments ON facts (cursor) WHERE environment = '';
