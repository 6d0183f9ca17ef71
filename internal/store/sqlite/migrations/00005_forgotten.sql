-- +goose Up

-- What is forgotten together with a deployment is found by it.
CREATE INDEX commands_deployment ON commands (deployment);
CREATE INDEX outbox_deployment ON outbox (deployment);
