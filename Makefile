# The commands of this repository; CI runs `make test` and nothing else. `make` alone lists them.

CARGO ?= cargo

.DEFAULT_GOAL := help
.PHONY: help tools generate build test bench chaos soak isolation seats limits snapshots lint docs chart image image-rootfs sbom demo clean

help: ## list the targets
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "  make %-12s %s\n", $$1, $$2 }'

tools: ## install Maloja; build Prometheus, etcd, kube-apiserver, kube-controller-manager, kubectl and helm; the last line is their folder
	@tools/maloja
	@tools/build prometheus
	@tools/build

generate: ## write from the code: the CustomResourceDefinitions, for crds/ and for the chart, the tables of docs/reasons.md, docs/metrics.md and the chart's README
	$(CARGO) run -q --bin scrobble-operator -- crds --output-dir crds
	cp crds/*.yaml charts/scrobble-operator/files/crds/
	SCROBBLE_OPERATOR_GENERATE=1 $(CARGO) test -q --features testing --test it -- documents::the_tables chart::readme

build: ## build the operator, as it is released
	$(CARGO) build --release --bin scrobble-operator

# The operator under test carries the test clock; the test programs find it and the tools by themselves. The one in the image's
# root filesystem does not: it is what is shipped, but for the optimisation. Tests of processes mostly wait, so that more of
# them run at a time than there are processors.
test: ## run all tests against a real control plane
	tools=$$(tools/build) || exit 1; \
	tools=$$(printf '%s\n' "$$tools" | tail -n 1); \
	maloja=$$(tools/maloja) || exit 1; \
	maloja=$$(printf '%s\n' "$$maloja" | tail -n 1); \
	rootfs=$$(tools/rootfs --profile dev) || exit 1; \
	rootfs=$$(printf '%s\n' "$$rootfs" | tail -n 1); \
	prometheus=$$(tools/build prometheus) || exit 1; \
	prometheus=$$(printf '%s\n' "$$prometheus" | tail -n 1); \
	export SCROBBLE_OPERATOR_TOOLS="$$tools" SCROBBLE_OPERATOR_MALOJA="$$maloja"; \
	export SCROBBLE_OPERATOR_PROMETHEUS="$$prometheus" SCROBBLE_OPERATOR_ROOTFS="$$rootfs"; \
	$(CARGO) build --workspace --features testing --all-targets && \
	RUST_TEST_THREADS=$${RUST_TEST_THREADS:-8} $(CARGO) test --workspace --features testing

# A short run of the same is part of `make test`. The compiler's words are left out, not those of the run.
chaos: ## kill the operator more than 200 times under all rotation policies; fails where a token is lost without need
	@tools=$$(tools/build) || exit 1; \
	tools=$$(printf '%s\n' "$$tools" | tail -n 1); \
	export SCROBBLE_OPERATOR_TOOLS="$$tools" SCROBBLE_OPERATOR_CHAOS=full; \
	$(CARGO) build -q --features testing --bins && \
	$(CARGO) test -q --features testing --test it -- --nocapture chaos::

# A short run of the same is part of `make test`.
soak: ## kill the operator 20 times while services fail at random, and play for a day; fails where a play is lost or doubled
	@tools=$$(tools/build) || exit 1; \
	tools=$$(printf '%s\n' "$$tools" | tail -n 1); \
	export SCROBBLE_OPERATOR_TOOLS="$$tools" SCROBBLE_OPERATOR_SOAK=full; \
	$(CARGO) build -q --features testing --bins && \
	$(CARGO) test -q --features testing --test it -- --nocapture soak:: listening::marathon

# A short run of the same is part of `make test`.
seats: ## 2,000 accounts race for 1,000 seats while operators are killed; fails where one is granted too many, or a number twice
	@tools=$$(tools/build) || exit 1; \
	tools=$$(printf '%s\n' "$$tools" | tail -n 1); \
	export SCROBBLE_OPERATOR_TOOLS="$$tools" SCROBBLE_OPERATOR_SEATS=full; \
	$(CARGO) build -q --features testing --bins && \
	$(CARGO) test -q --features testing --test it -- --nocapture plans::race

# A short run of the same is part of `make test`.
isolation: ## read 199 accounts on time beside one of each kind of poisoned data; fails where one of them shows an error
	@tools=$$(tools/build) || exit 1; \
	tools=$$(printf '%s\n' "$$tools" | tail -n 1); \
	export SCROBBLE_OPERATOR_TOOLS="$$tools" SCROBBLE_OPERATOR_ISOLATION=full; \
	$(CARGO) build -q --features testing --bins && \
	$(CARGO) test -q --features testing --test it -- --nocapture isolation::neighbours

# A short run of the same is part of `make test`.
limits: ## 200 accounts at a gate, in real time, and a day of a budget of 400 calls for 40 accounts
	@tools=$$(tools/build) || exit 1; \
	tools=$$(printf '%s\n' "$$tools" | tail -n 1); \
	export SCROBBLE_OPERATOR_TOOLS="$$tools" SCROBBLE_OPERATOR_LIMITS=full; \
	$(CARGO) build -q --features testing --bins && \
	$(CARGO) test -q --features testing --test it -- --nocapture limits::

# A third of the cases are part of `make test`.
snapshots: ## each failure that the simulator can make: the status that results, and the status afterwards, beside their files
	@tools=$$(tools/build) || exit 1; \
	tools=$$(printf '%s\n' "$$tools" | tail -n 1); \
	export SCROBBLE_OPERATOR_TOOLS="$$tools" SCROBBLE_OPERATOR_SNAPSHOTS=full; \
	$(CARGO) build -q --features testing --bins && \
	$(CARGO) test -q --features testing --test it -- --nocapture snapshots::

# Built as a release is, but for link-time optimisation. The table goes to standard output and to target/bench/report.md.
bench: ## measure the operator beside a naive controller; BENCH_ACCOUNTS="1000 10000" says with how many accounts
	@tools=$$(tools/build) || exit 1; \
	tools=$$(printf '%s\n' "$$tools" | tail -n 1); \
	export SCROBBLE_OPERATOR_TOOLS="$$tools"; \
	$(CARGO) build -q --profile benchmark -p scrobble-operator -p scrobble-simulator -p scrobble-bench -p scrobble-naive --bins && \
	"$${CARGO_TARGET_DIR:-target}/benchmark/bench"

lint: ## check the format and the lints
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --features testing -- -D warnings

# A test holds every link of every page, as part of `make test`. An operator is read by those who change it: private items are
# documented, too.
docs: generate ## write what is written from the code, check the links of all pages, and document the source; warnings are errors
	$(CARGO) test -q --features testing --test it -- documents::links documents::contributing
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items

chart: ## lint the chart with every set of values and package it; prints the package
	@tools=$$(tools/build) || exit 1; \
	tools/chart "$$(printf '%s\n' "$$tools" | tail -n 1)" target/chart

image: ## build the container image with docker, podman or buildah (IMAGE, TAG, PLATFORMS, PUSH=1, ENGINE)
	@tools/image

image-rootfs: ## lay out the image's root filesystem without a container engine; prints its folder (ARCHITECTURE)
	@tools/rootfs $(if $(ARCHITECTURE),--architecture $(ARCHITECTURE))

sbom: ## write the program's bill of materials (CycloneDX), one for each architecture; prints the files
	@tools/sbom target/image

demo: ## show plays travel from a simulated Spotify to two services; KEEP=1 leaves everything running
	@tools=$$(tools/build) || exit 1; \
	tools=$$(printf '%s\n' "$$tools" | tail -n 1); \
	export SCROBBLE_OPERATOR_TOOLS="$$tools"; \
	$(CARGO) build -q --features testing --bin scrobble-operator && \
	$(CARGO) build -q -p scrobble-simulator --bin scrobble-simulator && \
	$(CARGO) run -q -p scrobble-harness --bin demo -- $(if $(KEEP),--keep)

clean: ## remove what cargo built; the tools stay in the user's cache
	$(CARGO) clean
