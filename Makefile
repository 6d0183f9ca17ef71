# The verbs of this repository. `make` alone lists them.
SHELL := /bin/bash
.DEFAULT_GOAL := help
GO ?= go
BIN := bin/adg
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo unknown)
LDFLAGS := -s -w -X main.version=$(VERSION)

# Packages without goroutines, in which the race detector finds nothing: their tests draw little under it, and all without it.
SINGLE := ./internal/judge/sequential ./internal/predict ./internal/predict/evaluate ./internal/rollout
# -race checks what is done with pointers, too. In SQLite, translated from C, that takes half of the time and finds nothing of ours.
# Nor is its memory Go's, where the race detector looks: the engine goes without, its driver and all else do not.
RACE := -race -gcflags=modernc.org/...=-d=checkptr=0 '-gcflags=modernc.org/sqlite/lib=-d=checkptr=0 -race=false'

.PHONY: help build demo test lint verify release-api bench bench-judge mutants crash chaos soak

help: ## List the verbs
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## Build the one static binary, bin/adg
	CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)' -o $(BIN) ./cmd/adg

demo: build ## See a good release promoted and a bad one caught, rolled back and verified (needs nothing but Go)
	@$(BIN) demo

test: ## Run all tests with the race detector; installs the servers they need where it can
	@scripts/test-servers
	$(GO) test $(SINGLE)
	$(GO) test $(RACE) -timeout 20m $$($(GO) list ./... | grep -v /scenarios)
	$(GO) test $(RACE) -timeout 45m -p 1 ./scenarios/... # whole stories have deadlines of real time: nothing else runs beside them
	$(GO) -C tools/api test ./...

lint: ## Check the style of the code
	$(GO) vet ./...
	$(GO) -C tools/api vet ./...
	$(GO) tool -modfile=tools/go.mod golangci-lint run ./...
	@scripts/lint-dashboard

verify: ## Prove in a clean clone that the generated files are fresh
	@scripts/verify

release-api: ## Note the API and the statements to PostgreSQL as released: later ones have to be compatible
	$(GO) -C tools/api run . release
	ADG_RELEASE=true $(GO) test -count=1 -run TestStatementsOfTheLastReleaseAreUnderstood ./internal/store/postgres

bench: ## Measure, and print the figures that bench/README.md records
	@bench/run

bench-judge: ## Judge a few canaries by ADG's rule and by the field's: does the benchmark work?
	$(GO) run ./bench/judge -quick >/dev/null

mutants: ## Break each safety law once and see a test notice
	$(GO) run ./internal/rollout/mutants

crash: ## Kill the real process 200 times during rollbacks and count at the target
	ADG_CRASH_KILLS=200 $(GO) test -count=1 -run TestKilledAtAnyInstant -v -timeout 60m ./scenarios

chaos: ## Break everything around three replicas for ten minutes while they guard 500 deployments, and count at the target
	ADG_CHAOS_DEPLOYMENTS=$${ADG_CHAOS_DEPLOYMENTS:-500} ADG_CHAOS_SERVICES=$${ADG_CHAOS_SERVICES:-40} ADG_CHAOS_SECONDS=$${ADG_CHAOS_SECONDS:-620} \
	ADG_CHAOS_LIMIT_SECONDS=$${ADG_CHAOS_LIMIT_SECONDS:-10} ADG_CHAOS_GAP_MS=$${ADG_CHAOS_GAP_MS:-3000} ADG_CHAOS_INTERVAL_MS=$${ADG_CHAOS_INTERVAL_MS:-4000} \
		$(GO) test -count=1 -run TestNothingIsLost -v -timeout 60m ./scenarios/chaos

soak: ## Load one server for two hours (ADG_SOAK) and see that its memory, goroutines and file handles do not grow
	ADG_SOAK=$${ADG_SOAK:-2h} ADG_SOAK_CSV=$${ADG_SOAK_CSV:-$(CURDIR)/bin/soak.csv} $(GO) test -count=1 -run TestServerUnderLoadDoesNotGrow -v -timeout 24h ./scenarios/chaos
