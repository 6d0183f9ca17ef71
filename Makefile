# The verbs of this repository. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
GO ?= go
BIN := bin/adg
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)

.PHONY: help build demo test lint verify release-api bench bench-judge mutants crash

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build the one static binary, bin/adg
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/adg

demo: build ## See a good release promoted and a bad one caught, rolled back and verified (needs nothing but Go)
	@$(BIN) demo

test: ## Run all tests with the race detector; installs the servers they need where it can
	@scripts/test-servers
	$(GO) test -race -timeout 20m ./...
	$(GO) -C tools/api test ./...

lint: ## Check the style of the code
	$(GO) vet ./...
	$(GO) -C tools/api vet ./...
	$(GO) tool -modfile=tools/go.mod golangci-lint run ./...

verify: ## Prove in a clean clone that the generated files are fresh
	@scripts/verify

release-api: ## Note the API's definition as released: later ones have to be compatible with it
	$(GO) -C tools/api run . release

bench: ## Measure, and print the figures that bench/README.md records
	@bench/run

bench-judge: ## Judge a few canaries by ADG's rule and by the field's: does the benchmark work?
	$(GO) run ./bench/judge -quick >/dev/null

mutants: ## Break each safety law once and see a test notice
	$(GO) run ./internal/rollout/mutants

crash: ## Kill the real process 200 times during rollbacks and count at the target
	ADG_CRASH_KILLS=200 $(GO) test -count=1 -run TestKilledAtAnyInstant -v -timeout 60m ./scenarios
