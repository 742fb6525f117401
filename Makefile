# Tidewatch. `make demo` shows the main job on a real cluster, `make test` proves it, `make lint` keeps it tidy.
# All three install what they need; they want root, since the lab makes network namespaces and loads BPF programs.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

# Go tools of the lab and what else is worth keeping between runs. Never assumed to be there.
export TIDEWATCH_CACHE ?= $(CURDIR)/.cache
LAB ?= tw

CARGO_TARGET_DIR ?= $(CURDIR)/target
export CARGO_TARGET_DIR
BIN := $(CARGO_TARGET_DIR)/debug
# Tells when each stage of a long run begins.
STARTED := $(shell date +%s)
STAGE = @echo "stage $@: begins after $$(($$(date +%s) - $(STARTED))) s"
LAB_CLI := $(BIN)/tidewatch-lab

# Always the whole workspace: with -p, cargo resolves other features and compiles the dependencies a second time.
CARGO_TEST := cargo test --locked --workspace
# These want root, a kernel with BTF, or a cluster; each has a target of its own below.
ROOTED := --exclude tidewatch-lab --exclude tidewatch-kernel-tests --exclude tidewatch-scenarios

.PHONY: help
help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

.PHONY: demo
demo: tools ## a cluster loses packets, a port gets blocked: watch the monitor tell which is which (~5 minutes)
	$(BIN)/tidewatch-demo

.PHONY: test
test: check test-unit check-image test-kernel test-kernel-6-1 test-lab test-scenarios ## everything but the lane on real software: documents and manifests, unit tests, the images, the agent on this kernel and on 6.1, the lab, the scenarios

.PHONY: check check-format check-docs check-architecture check-gitops check-crds check-version check-workflows check-bundle bundle
check: check-format check-docs check-architecture check-gitops check-crds check-version check-workflows check-bundle test-rules test-charts ## documents and manifests are true and current
	$(STAGE)
check-format: tools ## rustfmt and helm lint: the part of make lint that takes seconds
	cargo fmt --all --check
	$(TIDEWATCH_CACHE)/bin/helm lint --quiet charts/tidewatch-crds charts/tidewatch
	$(TIDEWATCH_CACHE)/bin/helm lint --quiet charts/tidewatch --values e2e/manifests/values-everything.yaml
check-docs: deps ## links resolve, and troubleshooting.md has every reason, Event and alert
	docs/dev/check-docs
check-architecture: deps ## docs/dev/architecture.md: its crates, arrows and files are the code's
	docs/dev/check-architecture
check-gitops: deps ## the health checks for Argo CD, by a real Lua against their test data
	docs/gitops/check-health
check-crds: deps ## the custom resource definitions accept whatever a released version accepted
	crds/released/check-test
	crds/released/check
check-version: deps ## charts and changelog have the version of Cargo.toml
	charts/image/version --check
check-workflows: deps ## the workflows of GitHub, by actionlint
	cd e2e/lab/tools/actionlint && go tool actionlint $(CURDIR)/.github/workflows/*.yaml
bundle: tools ## write charts/bundle anew from the charts
	charts/bundle/generate
check-bundle: tools ## charts/bundle is what the charts render, and its kustomization builds
	charts/bundle/generate --check

.PHONY: image check-image
image: deps ## the images of operator and agent, as OCI archives with their bills of materials, in target/image
	cargo build --locked --release --workspace --bins
	charts/image/build $(CARGO_TARGET_DIR)/release $(CARGO_TARGET_DIR)/image
check-image: build ## the images of what the tests use: contents, user, labels, that they start, and that a second build is the same
	$(STAGE)
	charts/image/check $(BIN)

.PHONY: test-all
test-all: export SCENARIOS = all
test-all: test test-real-short ## the same with every fault scenario, five minutes of health, and minutes on real software

.PHONY: test-unit
test-unit: tools ## tests that need neither root nor a cluster
	$(STAGE)
	$(CARGO_TEST) --lib --bins
	$(CARGO_TEST) $(ROOTED) --test '*'

.PHONY: test-kernel
test-kernel: build ## the agent against this kernel's own counters
	$(STAGE)
	$(CARGO_TEST) --test counters --test identity --test outcomes --test privileges --test node --test redirect -- --test-threads=1

KERNELS := $(CARGO_TEST) --test kernels -- --test-threads=1 --nocapture
# Of each kind one, since an emulated machine is slow.
SHORT_KERNEL_TESTS := single_time_outs,nobody_waits,peers_reset,older_than_the_agent_is_seen,ipv6,services_address,each_missing
.PHONY: test-kernel-6-1
test-kernel-6-1: build ## some of the same on Debian's 6.1, emulated; its package is kept in the cache
	$(STAGE)
	TIDEWATCH_ONLY=$(SHORT_KERNEL_TESTS) $(KERNELS) --exact the_agent_tells_the_truth_on_linux_6_1

.PHONY: test-kernels
test-kernels: build ## the same on Debian's 6.1, 6.12, 6.16 and 7, and what is said on 5.10, under lockdown and without BTF
	$(KERNELS)

.PHONY: test-lab
test-lab: tools ## the lab comes up, works, and leaves nothing behind
	$(STAGE)
	$(CARGO_TEST) --test lifecycle -- --test-threads=1

.PHONY: test-scenarios
test-scenarios: tools ## faults on a real cluster; SCENARIO=name runs one, SCENARIOS=all all of them
	$(STAGE)
	$(CARGO_TEST) --test scenarios

.PHONY: test-real test-real-short
test-real: tools ## faults and ordinary life on nginx, redis, PostgreSQL, …: all of it, hours
	REAL=whole $(CARGO_TEST) --test real
test-real-short: tools ## minutes of the same
	REAL=short $(CARGO_TEST) --test real

.PHONY: lint
lint: check-format ## clippy (the C program's warnings are errors of the build), fmt, helm lint
	$(STAGE)
	cargo clippy --locked --workspace --all-targets -- -D warnings

.PHONY: test-rules
test-rules: deps ## the chart's alerts by promtool, and that alerts and dashboards use metrics that exist
	charts/tests/promtool check rules charts/tidewatch/files/rules.yaml
	charts/tests/promtool test rules charts/tests/rules_test.yaml
	charts/tests/make-dashboards --check
	charts/tests/check-metrics

.PHONY: test-charts
test-charts: tools ## the charts with each combination of values, against the API's own schema
	charts/tests/check-render

.PHONY: bench
bench: tools ## what operator, collector and agent cost; each ends with a line BENCH {json}
	$(BIN)/tidewatch-demo
	cargo bench --locked -p tidewatch --bench collector --bench canaries --bench alarms
	cargo build --locked --release -p tidewatch-agent -p tidewatch-kernel-tests
	$(CARGO_TARGET_DIR)/release/agent-bench

.PHONY: bench-nhi
bench-nhi: deps ## the verdicts against the published methods, on clusters never seen
	cargo run --locked --release -p tidewatch-sim --bin bench-nhi

NAB ?=
.PHONY: bench-bands
bench-bands: deps ## the band engine beside the usual methods, on generated series never seen (NAB=dir: a checkout of the Numenta Anomaly Benchmark too)
	cargo run --locked --release -p tidewatch-band-bench
	$(if $(NAB),cargo run --locked --release -p tidewatch-band-bench -- --nab $(NAB))

.PHONY: lab-up lab-down
lab-up: tools ## a 3-zone, 6-node cluster on this machine (LAB=name)
	$(LAB_CLI) up --name $(LAB)
lab-down: ## take it down; leaves nothing behind
	$(LAB_CLI) down --name $(LAB)

.PHONY: deps tools build
deps:
	@e2e/install-apt
tools: build
	$(STAGE)
	$(LAB_CLI) build-tools
# All but the benchmarks, which are built in release.
build: deps
	$(STAGE)
	cargo build --locked --workspace --lib --bins --tests
