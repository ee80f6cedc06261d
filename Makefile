# make run      build the release and start the demo
# make test     every test; installs what a bare Debian with Rust lacks
# make check    format, lints, documentation, duplicate dependencies
# make crash    kill -9 under load, ROUNDS times (default 200); FAULTS=many
# make idempotency  10,000 requests sent twice each at once, across kill -9
# make backlog  Slack away for an hour while DELIVERIES=1000000 wait: figures
# make history  the history with DELIVERIES=10000000 on disk: figures
# make history-scaled-out  the same in PostgreSQL, through its ports
# make chaos    producers, consumers, brokers and database killed at random for MINUTES=10
# make simulate DELIVERIES=1000000 SEED=7   the delivery engine in a world that fails
# make mutants  the engine broken by hand, one way at a time: who notices
# make bench    the figures beside this machine's limits; ONLY="accept latency", COMPARE=REVISION, DELIVERIES=1000000
# make crowd    CONNECTIONS=10000 idle and slow connections held: what they do to the rest
# make services  a Kafka and a PostgreSQL that run on, without containers; prints where
# make services-stop  ends those; their data stays in target/services
# make measure-scaled-out  the same of producers and consumers over Kafka and PostgreSQL
# make supply-chain  licences, bans and sources of all dependencies; known vulnerabilities
# make sbom     what the program is made of, as CycloneDX
# make fuzz     each parser of foreign input, MINUTES=10 each: executions and crashes
# make schemathesis EXAMPLES=2000  requests made up from /v3/api-docs, with a token and without
# make swagger  Swagger UI tried out in headless Chromium, of a demo that runs

CARGO  ?= cargo
ROUNDS ?= 200
MINUTES ?= 10
DELIVERIES ?= 1000000
CONNECTIONS ?= 10000
EXAMPLES ?= 100

.PHONY: run test check crash idempotency backlog history history-scaled-out chaos simulate mutants crowd measure-scaled-out services services-stop supply-chain sbom fuzz schemathesis swagger tools bench

run:
	$(CARGO) build --release --locked -p error-notifier
	@exec $${CARGO_TARGET_DIR:-target}/release/error-notifier demo

test: tools
	$(CARGO) test --workspace --locked
	tests/tools/slack_sdk.sh
	tests/tools/suites.sh

check:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --no-deps --document-private-items --locked
	tests/tools/duplicates.sh
	$(CARGO) clippy --locked --manifest-path fuzz/Cargo.toml --target-dir $${CARGO_TARGET_DIR:-target}/fuzz-check -- -D warnings

crash:
	$(CARGO) run --release --locked -p tests --bin crash -- --rounds $(ROUNDS) $(if $(FAULTS),--faults $(FAULTS))

idempotency:
	$(CARGO) run --release --locked -p tests --bin crash -- --twins 10000

backlog:
	$(CARGO) run --release --locked -p tests --bin backlog -- $(DELIVERIES)

history:
	$(CARGO) run --release --locked -p tests --bin history -- $(DELIVERIES)

history-scaled-out:
	$(CARGO) run --release --locked -p tests --bin history_scaled_out -- $(DELIVERIES)

chaos: tools
	$(CARGO) build --release --locked -p error-notifier
	$(CARGO) run --release --locked -p tests --bin chaos -- --minutes $(MINUTES) $(if $(SEED),--seed $(SEED))

simulate:
	DELIVERIES=$(DELIVERIES) $(if $(SEED),SEED=$(SEED)) \
	  $(CARGO) test --release --locked -p consumer --test simulation -- --nocapture

mutants:
	tests/tools/mutants.sh

bench:
	$(CARGO) build --release --locked -p error-notifier
	$(CARGO) build --release --locked -p bench
	bench/run.sh "$(ONLY)" "$(COMPARE)" $(DELIVERIES)

crowd:
	$(CARGO) build --release --locked -p error-notifier
	$(CARGO) run --release --locked -p tests --bin crowd -- $(CONNECTIONS)

measure-scaled-out: tools
	$(CARGO) build --release --locked -p error-notifier
	$(CARGO) run --release --locked -p tests --bin measure_scaled_out

services: tools
	@$(CARGO) run --quiet --locked -p tests --bin services

services-stop:
	@$(CARGO) run --quiet --locked -p tests --bin services -- stop

supply-chain:
	tests/tools/supply_chain.sh

sbom:
	tests/tools/supply_chain.sh sbom

fuzz:
	tests/tools/fuzz.sh $(MINUTES)

schemathesis:
	$(CARGO) build --release --locked -p error-notifier
	tests/tools/schemathesis.sh $(EXAMPLES) $(SEED)

swagger:
	tests/tools/swagger_ui.sh

tools:
	@tests/tools/install.sh
