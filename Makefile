# `make` lists the targets. Everything is installed into .venv and client/node_modules.
SHELL := /bin/bash
.DEFAULT_GOAL := help

PYTHON ?= python3
BIN := .venv/bin
MODELS ?= default
SECS ?= 60
CLIENT_SOURCES := $(shell find client/src client/public client/index.html client/*.ts client/*.json -type f 2>/dev/null)

.PHONY: help run setup models client test client-test lint format unit integration e2e evals \
  evals-live soak load fuzz bench answers costs latency faults interruptions accuracy migration lock clean

help: ## list the targets
	@grep -hE '^[a-z0-9-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: setup ## set up what is missing and start the service at http://localhost:7860
	@$(BIN)/python -m runner $(ARGS)

setup: .venv/installed client/dist/index.html models ## all of `run` but the start

models: .venv/installed ## get the offline models (MODELS=tiny|default|large)
	@$(BIN)/python -m runner models pull $(MODELS)

client: client/dist/index.html ## build the browser client

# What does not listen to the clock runs side by side; the output of each comes when it has ended.
test: setup .make/test-tools ## set up what the tests need and run those for every change (15 minutes)
	$(MAKE) --jobs=2 --output-sync=target unit lint client-test
	$(BIN)/pytest -m 'not (long or faults)' tests/integration tests/e2e

unit: .venv/installed ## run the tests that need neither models nor a browser
	$(BIN)/pytest tests/unit

integration: setup ## run all tests of the service with the offline models (45 minutes)
	$(BIN)/pytest tests/integration

e2e: setup .make/test-tools ## run all tests with a real browser
	$(BIN)/pytest tests/e2e

evals: setup ## hold the conversations that every bot must get right, with offline models
	$(BIN)/pytest tests/integration/test_evals.py

evals-live: setup ## hold them with the real services whose keys are set
	$(BIN)/pytest tests/live

lint: .venv/installed client/node_modules/installed ## check style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	cd client && npm run --silent lint && npm run --silent typecheck

client-test: client/node_modules/installed
	cd client && npm test --silent

format: .venv/installed ## format the Python code
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

soak: setup .make/test-tools ## hold fifty calls, and one of ten minutes in a browser, and look for what they leave behind
	$(BIN)/pytest tests/soak -s

load: setup ## start a thousand sessions in ten seconds, and ten thousand that nobody joins
	$(BIN)/pytest tests/load -s

fuzz: .venv/installed ## send what no client should to every decoder and serializer (SECS=60)
	$(BIN)/python -m tests.fuzz --secs $(SECS)

bench: answers costs interruptions accuracy latency ## measure everything below
	$(MAKE) latency ARGS="--profile tiny --itself"
	$(MAKE) latency ARGS="--calls 2"

answers: setup ## measure how often the offline receptionist is right
	$(BIN)/python tests/bench/receptionist_offline.py
	$(BIN)/python tests/bench/booking_offline.py

costs: setup ## measure the start, and what calls cost beside a bare Pipecat pipeline
	$(BIN)/python tests/bench/start.py
	$(BIN)/python tests/bench/overhead.py
	$(BIN)/python tests/bench/idle_calls.py
	$(BIN)/python tests/bench/bot_processes.py
	$(BIN)/python tests/bench/instructions.py

latency: setup ## measure how fast the bot answers, beside a vanilla Pipecat bot
	$(BIN)/python tests/bench/latency.py $(ARGS)

faults: setup ## test every fault of every service, and measure how long callers wait then
	$(BIN)/pytest -m faults tests/integration
	$(BIN)/python tests/bench/faults.py $(ARGS)

interruptions: setup .make/voices ## measure how fast an interrupted bot falls silent, and what interrupts it
	$(BIN)/python tests/bench/barge_in.py
	$(BIN)/python tests/bench/false_barge_in.py

accuracy: setup .make/voices ## measure words misheard, signals for the end of a turn, and half-way answers
	@$(BIN)/python -m runner models pull tiny
	$(BIN)/python tests/bench/accuracy.py
	for set in tuning held_out; do \
	  $(BIN)/python tests/bench/turn_features.py $$set .make/turn_features_$$set.csv || exit; \
	done
	$(BIN)/python tests/bench/turn_signals.py .make/turn_features_{tuning,held_out}.csv
	$(BIN)/python tests/bench/silences.py
	$(BIN)/python tests/bench/half_way.py
	$(BIN)/python tests/bench/half_way.py --preset patient

migration: .venv/installed ## write a migration after a change of runner/tables.py (NAME=what_it_does)
	$(BIN)/python scripts/migration.py $(NAME)

lock: .venv/installed ## resolve the dependencies again
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header --extra local --extra dev \
	  --output-file requirements.lock pyproject.toml

clean: ## remove what was installed and built here, but not the models
	rm -rf .venv .make client/node_modules client/dist

.venv/installed: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit("Python 3.11 to 3.13 is needed, this is " + sys.version.split()[0] + ": make PYTHON=python3.11" if not (3, 11) <= sys.version_info < (3, 14) else 0)'
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || scripts/need python3-venv
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --compile-bytecode --python $(BIN)/python --require-hashes -r requirements.lock
	$(BIN)/uv pip install --quiet --python $(BIN)/python --no-deps --editable .
	@$(BIN)/python -c 'import xllamacpp' 2>/dev/null || scripts/need libgomp1
	@touch $@

client/node_modules/installed: client/package.json client/package-lock.json
	@command -v npm >/dev/null || { echo "Node.js 20 or newer is needed: https://nodejs.org"; exit 1; }
	cd client && npm ci --no-fund --no-audit --loglevel=error
	@touch $@

client/dist/index.html: client/node_modules/installed $(CLIENT_SOURCES)
	cd client && npm run --silent build
	@touch $@

.make/test-tools:
	@command -v chromium >/dev/null || scripts/need chromium
	@command -v curl >/dev/null || scripts/need curl
	@{ command -v ip && command -v parec; } >/dev/null || scripts/need \
	  iproute2 pulseaudio pulseaudio-utils libasound2-plugins libportaudio2 || echo "Two tests are left out."
	@ls /usr/lib/postgresql/*/bin/initdb >/dev/null 2>&1 || scripts/need postgresql || echo "Tests with PostgreSQL are left out."
	@command -v redis-server >/dev/null || scripts/need redis-server || echo "Tests with Redis are left out."
	@command -v turnserver >/dev/null || scripts/need coturn || echo "Tests with a TURN server are left out."
	@mkdir -p .make && touch $@

.make/voices:
	@{ command -v flite && command -v espeak-ng; } >/dev/null || scripts/need flite espeak-ng
	@mkdir -p .make && touch $@
