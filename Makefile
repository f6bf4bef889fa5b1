# The only entry point, for people and for CI. `make` alone lists the targets.
# CARGO_TARGET_DIR is respected; without it everything is built in ./target.

TARGET := $(or $(CARGO_TARGET_DIR),target)
IMAGE ?= assay:dev

.DEFAULT_GOAL := help
.PHONY: help demo test test-fast test-openfeature build fmt lint bench proto deny helm image check

help:
	@sed -n 's/^\([a-z-]*\):[^#]*## \(.*\)/\1\t\2/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r name text; do \
		printf '  %-17s %s\n' "$$name" "$$text"; done

demo: ## Build the binary and run a complete experiment in one process, nothing else needed
	cargo build --release --locked -p assay-cli
	$(TARGET)/release/assay demo

test: ## Run every test; installs etcd, Redis and PostgreSQL if they are missing, and starts private ones
	tools/install-servers.sh
	cargo build --workspace --all-targets --locked
	cargo test --workspace --locked --no-fail-fast
	cargo test --release --locked -p assay-core --lib -- bucketing:: hashing::
	$(MAKE) test-openfeature

test-fast: ## Run the tests that need no servers
	cargo test --workspace --exclude assay-tests --features assay-storage/laws --locked --no-fail-fast

test-openfeature: ## Run the official OpenFeature providers (Python, Node, web, Rust); part of `test` where node and python3 are
	tools/test-openfeature.sh

build: ## Build everything, for development
	cargo build --workspace --locked

fmt: ## Format the code
	cargo fmt --all

lint: ## Check format, clippy, docs, who imports whom, and what may not be in the build
	cargo fmt --all --check
	cargo clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" cargo doc --workspace --no-deps --locked
	cargo test --workspace --locked --test it -- edges::

bench: ## Measure, each figure beside its limit; installs etcd, Redis and PostgreSQL if they are missing, as `test` does
	tools/install-servers.sh
	cargo bench --locked -p assay-tests

proto: ## Check the .proto files (buf, rules STANDARD)
	tools/check-proto.sh

deny: ## Check bans, licenses and sources of dependencies (cargo-deny)
	tools/check-deny.sh

helm: ## Lint and render the chart
	tools/check-helm.sh

image: ## Build the container image
	docker build --file deploy/Dockerfile --tag $(IMAGE) .

check: ## All that CI runs, nothing more
	$(MAKE) lint
	$(MAKE) proto
	$(MAKE) deny
	$(MAKE) helm
	$(MAKE) test
	$(MAKE) demo </dev/null
