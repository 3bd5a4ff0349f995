# Two commands do everything on a fresh Debian or Ubuntu machine with cargo:
#   make demo    installs what is missing, builds, tells a story with the real commands
#   make test    the same for all tests
# One target directory, and the whole workspace with all features in every call: another selection
# of packages would give other features to RocksDB's build dependencies, and its C++ would be
# compiled again.

export CARGO_TARGET_DIR ?= $(HOME)/.cache/blocknet/target
export CARGO_TERM_COLOR ?= auto
WORKSPACE := --workspace --all-features

.PHONY: help demo test check fmt clippy doc build examples bench clean-demo deps

help: ## What the targets do
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 14

demo: build ## Install what is missing, build, and tell the story of a small city
	@$(CARGO_TARGET_DIR)/debug/blocknet demo

test: deps ## Install what is missing and run all tests, documentation examples and examples
	cargo test $(WORKSPACE)
	$(MAKE) --no-print-directory examples

examples: deps ## Run the programs in examples/
	@cargo build --quiet $(WORKSPACE) --examples
	@set -e; for file in examples/*.rs; do \
	    name=$$(basename $$file .rs); echo "== example $$name"; \
	    $(CARGO_TARGET_DIR)/debug/examples/$$name; \
	done

check: fmt clippy doc ## Formatting, lints and documentation, warnings as errors

fmt:
	cargo fmt --all --check

clippy: deps
	cargo clippy $(WORKSPACE) --all-targets -- -D warnings
	cargo clippy -p blocknet-geocode -p blocknet-wal -p blocknet-query --no-default-features -- -D warnings

doc: deps
	RUSTDOCFLAGS="-D warnings" cargo doc $(WORKSPACE) --no-deps

build: deps ## Build the command-line tool
	cargo build $(WORKSPACE)

bench: deps ## Benchmarks: ratios against named peers, in one run
	cargo bench $(WORKSPACE) --profile dev --bench engine
	cargo bench $(WORKSPACE) --profile dev --bench planner
	cargo bench $(WORKSPACE) --profile dev --bench propagate
	cargo bench $(WORKSPACE) --profile dev --bench ripple

# RocksDB is C++ and its bindings are generated with libclang.
deps:
	@./.ci/deps
