# The front door. `make help` lists the targets.
.DEFAULT_GOAL := help
.PHONY: help build quick dist tools demo lab images test test-browser test-stranger test-compose unit lint doc deny bench plots profile fuzz

CARGO ?= cargo

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## the release binary: target/release/landfast
	$(CARGO) build --release --locked

quick: ## the same without optimisation, in a fraction of the time: target/debug/landfast
	$(CARGO) build --locked

dist: build ## what is given out, in target/dist/: archive, Debian package, SBOM, sums
	scripts/dist.sh

tools: ## fetch the OpenBao servers and the linters that tests use (into .tools/)
	scripts/tools.sh

demo: quick ## a hybrid node gets its certificate, on a real server, in a minute
	scripts/tools.sh servers
	scripts/demo.sh

lab: quick ## the development stack as plain processes, until Ctrl-C; SERVERS=3 for three servers
	scripts/tools.sh servers
	scripts/tools.sh kms
	scripts/lab.sh

images: build ## the images that no registry has, for vault-config/compose; wants Docker
	scripts/images.sh

test: tools ## every test: rules, wire, and end to end on real servers
	CARGO="$(CARGO)" scripts/test.sh

test-browser: ## the lab's page and the server's web console in headless Chromium; wants the Debian packages chromium and chromium-driver
	tests/browser/run.sh

test-stranger: ## the SDK as it is published, in crates outside of this workspace, on real servers
	scripts/tools.sh servers
	CARGO="$(CARGO)" tests/stranger/run.sh

test-compose: ## the development stack in containers; wants Docker and docker-compose
	tests/compose/run.sh

unit: ## only the tests that need no server
	$(CARGO) test --locked --workspace --lib

lint: ## formatting and clippy, warnings denied
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings

doc: ## the documentation of every crate, warnings denied
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --document-private-items

deny: ## licences, sources and banned crates
	scripts/deny.sh

bench: build ## measure against the built-in engine and the budgets; writes docs/performance*.md
	scripts/tools.sh servers
	scripts/tools.sh kms
	scripts/tools.sh nginx
	failed=0; for what in run cluster node seal acme large tidy quantum public; do python3 bench/$$what.py || failed=1; done; $(MAKE) plots || failed=1; exit $$failed

plots: ## the pictures of docs/performance*.md, drawn from their tables
	scripts/tools.sh plots
	.tools/plots/bin/python bench/plots.py

profile: ## what the engine's time consists of, by Linux perf; writes docs/performance-profile.md
	CARGO_PROFILE_RELEASE_STRIP=none $(CARGO) build --release --locked --target-dir target/profile
	scripts/tools.sh servers
	python3 bench/profile.py --binary target/profile/release/landfast

fuzz: ## each fuzz target for FUZZ_SECONDS (default 10); needs a nightly toolchain
	scripts/fuzz.sh
