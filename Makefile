# Everything a developer types. `make check` and `make test` are all that CI runs.

.DEFAULT_GOAL := help
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
TOOLS := $(or $(CARGO_TARGET_DIR),target)/tools/bin
export PATH := $(PATH):$(abspath $(TOOLS))
# Tests wait most of their time, for leases to end and processes to start: two at a time for each core.
export RUST_TEST_THREADS ?= $(shell echo $$((2 * $$(nproc))))

.PHONY: help check fmt clippy doc deny setup test test-cluster torture test-fast bench bench-scale accuracy fuzz-smoke fixtures clean

help: ## Say what can be made.
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' Makefile

check: fmt clippy doc deny ## Formatting, lints, documentation, licences: nothing may be left to say.

fmt: ## Is everything formatted?
	cargo fmt --all -- --check

clippy: ## Lints, over tests and benches too.
	cargo clippy --locked --workspace --all-targets -- -D warnings

doc: ## The documentation builds, with every link in it.
	RUSTDOCFLAGS="-D warnings" cargo doc --locked --workspace --no-deps --document-private-items

deny: ## Licences, banned crates, sources.
	tests/setup.sh check
	cargo deny --locked --workspace check licenses bans sources

setup: ## Install what the tests need and this machine lacks.
	tests/setup.sh

test: setup ## Every test in both forms, with the real clients. Installs what is missing.
	cargo test --locked --workspace
	$(MAKE) test-cluster

# What the second pass leaves out, because its form has no part in it:
# - what runs on every engine by itself, or on real processes of either form: contract, cluster, torture;
# - what reads the source, a setting or a file, and starts no server: architecture, config, detection, conversion, peers,
#   properties, fuzz_smoke;
# - what is about the disk of the embedded form: faults::full_disk;
# - what has a form of its own in either pass: moving_house, backup;
# - processes that bring a bucket of their own in either pass: buckets, but for what is sent on to it.
ONCE := contract:: cluster:: torture:: architecture:: config:: detection:: conversion:: peers:: properties:: fuzz_smoke:: \
	faults::full_disk:: moving_house:: backup:: buckets::addressing buckets::credentials buckets::sessions buckets::tls

test-cluster: setup ## The tests once more on PostgreSQL, S3 and Redis.
	SYMDEPOT_TEST_FORM=cluster cargo test --locked --test it -- $(addprefix --skip ,$(ONCE))

torture: setup ## Kill processes of either form at moments that chance chooses: 200 rounds, the seed is printed.
	SYMDEPOT_TORTURE_ROUNDS=$(or $(ROUNDS),200) cargo test --locked --test it torture:: -- --nocapture --test-threads 1

test-fast: ## The tests of single functions only; needs nothing installed.
	cargo test --locked --workspace --lib

bench: ## Speed and memory, as ratios from one run.
	benches/run.sh

bench-scale: ## The same questions to an empty store and to one with 1 000 000 chunks, on both databases.
	benches/run.sh scale-sqlite scale-postgres

accuracy: setup ## Compare symcaches with llvm-symbolizer and addr2line, address by address; writes docs/accuracy.md.
	sh benches/fetch.sh target/bench-files
	cargo bench --locked --bench accuracy -- --large target/bench-files --report docs/accuracy.md

fuzz-smoke: ## A bounded, seeded run of every fuzz target on stable Rust.
	cargo test --locked --test it fuzz_smoke

fixtures: ## Rebuild the fixture files from their sources and compare with the ones committed.
	fixtures/build.sh

clean: ## Remove what was built or installed here.
	cargo clean
