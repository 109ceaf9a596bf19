# `make help` lists the targets. Needs Rust (rust-toolchain.toml names the version), a C compiler, Python 3.

CARGO ?= cargo
TARGET_DIR := $(or $(CARGO_TARGET_DIR),target)
MAKEFLAGS += --no-print-directory

.DEFAULT_GOAL := help

.PHONY: help
help: ## List the targets
	@sed -n 's/^\([a-z-]*\):.* ## \(.*\)/  \1|\2/p' $(MAKEFILE_LIST) | while IFS='|' read -r name text; do printf '%-18s %s\n' "$$name" "$$text"; done

.PHONY: build
build: ## Build slipway and slipway-agent (target/debug)
	$(CARGO) build -p slipway-cli -p slipway-agent

.PHONY: demo
demo: build ## Show it all: control plane, agent, a real deployment, in a scratch directory
	@echo
	@$(TARGET_DIR)/debug/slipway demo

.PHONY: test
test: test-rust test-acceptance ## Run every test

.PHONY: test-rust
test-rust: ## Unit, integration and documentation tests
	scripts/prepare
	scripts/test-rust

.PHONY: test-acceptance
test-acceptance: ## The stock AWS CLI and boto3 against the built programs
	@scripts/prepare
	@tests/run

.PHONY: simulate
simulate: ## Run the engine through SEEDS simulated disasters (default 10000) from FIRST on; SEED=n tells the story of one
	@$(CARGO) run --quiet --release -p slipway-engine --features sim --example simulate -- $(if $(SEED),--seed $(SEED),$(or $(SEEDS),10000) $(or $(FIRST),0))

.PHONY: lint
lint: ## Formatting, clippy, licences and sources of dependencies
	scripts/lint

.PHONY: bench
bench: ## Measure: deployment time, memory, requests per second (release build)
	bench/run

.PHONY: deb
deb: ## Debian packages of the agent and of the control plane (release build, target/packages)
	$(CARGO) build --release -p slipway-cli -p slipway-agent
	packaging/build

.PHONY: clean
clean: ## Remove everything that was built
	$(CARGO) clean
	rm -rf .venv
