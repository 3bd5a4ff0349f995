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
	cargo bench $(WORKSPACE) --profile dev --bench verify

# RocksDB is C++ and its bindings are generated with libclang.
deps:
	@./.ci/deps

# Fuzzing is a workspace of its own, built for the address sanitizer without RocksDB. cargo-fuzz
# needs options that a stable compiler grants only with RUSTC_BOOTSTRAP. What is found goes beside
# the build: only seeds are kept in fuzz/corpus.
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= $(sort $(notdir $(basename $(wildcard fuzz/fuzz_targets/*.rs))))

.PHONY: fuzz
fuzz: ## Fuzz every decoder, the import and the command line, FUZZ_SECONDS for each
	@cargo fuzz --version >/dev/null 2>&1 || cargo install cargo-fuzz --locked
	@set -e; export RUSTC_BOOTSTRAP=1; cd fuzz; cargo fuzz build; \
	for target in $(FUZZ_TARGETS); do \
	    echo "== fuzz $$target"; \
	    found=$(CARGO_TARGET_DIR)/fuzz/$$target; mkdir -p $$found corpus/$$target; \
	    cargo fuzz run $$target $$found corpus/$$target -- -max_total_time=$(FUZZ_SECONDS) \
	        -len_control=0 -timeout=25 -print_final_stats=1; \
	done

# Real processes and real files. Stores of processes that are killed lie in memory; where the disk
# itself is tortured, it is one that is recorded, or made to fail.
TORTURE_SEED ?= 1
TORTURE_WORK ?= /dev/shm
TORTURE_DISK ?= /var/tmp
TORTURE_COMMITS ?= 50
TORTURE_STRIDE ?= 1
TORTURE_KILLS ?= 1000
TORTURE_BACKUP_KILLS ?= 200
TORTURE_BACKUP_STRIDE ?= 41
TORTURE_RECORDINGS ?= 4
TORTURE_IMAGES ?= 50
TORTURE_PERCENT ?= 100
TORTURE := $(CARGO_TARGET_DIR)/debug/blocknet-torture

.PHONY: torture
torture: build ## Kill, cut the power, fill the disk, at the sizes TORTURE_...; prints counts and seeds
	@status=0; at="--work $(TORTURE_WORK) --seed $(TORTURE_SEED)"; \
	$(TORTURE) kill $$at --commits $(TORTURE_COMMITS) --stride $(TORTURE_STRIDE) || status=1; \
	$(TORTURE) kill $$at --commits $(TORTURE_COMMITS) --action kill-before --action tear \
	    --stride 25 --nested 1 --nested-calls 12 || status=1; \
	$(TORTURE) sigkill $$at --kills $(TORTURE_KILLS) || status=1; \
	$(TORTURE) backup $$at --kills $(TORTURE_BACKUP_KILLS) --stride $(TORTURE_BACKUP_STRIDE) \
	    || status=1; \
	$(TORTURE) power $$at --recordings $(TORTURE_RECORDINGS) --images $(TORTURE_IMAGES) || status=1; \
	$(TORTURE) faults --work $(TORTURE_DISK) --seed $(TORTURE_SEED) --percent $(TORTURE_PERCENT) \
	    || status=1; \
	exit $$status

# Both work without RocksDB, and so in a target directory of their own.
SIMULATE_SEEDS ?= 100000

.PHONY: simulate planted
simulate: ## Simulate the write path on a disk that fails and lies, SIMULATE_SEEDS traces
	CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/simulate BLOCKNET_SEEDS=$(SIMULATE_SEEDS) \
	    cargo test -p blocknet-engine --no-default-features --test simulation -- --nocapture

planted: ## Plant the bugs in planted/ one by one and see that the tests catch each
	CARGO_TARGET_DIR=$(CARGO_TARGET_DIR)/simulate BLOCKNET_PLANTED_DIR=$(CARGO_TARGET_DIR)/planted \
	    cargo test -p blocknet-engine --no-default-features --test planted -- --ignored --nocapture
