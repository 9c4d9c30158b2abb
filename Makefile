# Every target sets up what it needs. Python 3.11 or newer and make are all that must be there.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
STAMP  := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install run demo test audit check style types format bench docs lock clean

help:            ## what can be made
	@sed -n 's/^\([a-z]*\):[^#]*## /\1\t/p' $(MAKEFILE_LIST) | awk -F'\t' '{printf "  make %-9s %s\n", $$1, $$2}'

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "jtgate needs Python 3.11 or newer; name one with: make PYTHON=/path/to/python3.11"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null || { echo "This Python cannot make environments; on Debian and Ubuntu: apt-get install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $@

install: $(STAMP)   ## the environment in .venv, with all extras

run: $(STAMP)    ## the gateway, on an embedded Postgres unless JTGATE_DATABASE_URL is set
	@exec $(BIN)/jtgate serve

demo: $(STAMP)   ## the gateway and a simulated fleet of 50 vehicles
	@exec $(BIN)/jtgate demo

test: $(STAMP)   ## the whole suite
	$(BIN)/python -m pytest -n auto

audit: $(STAMP)  ## the long form of the trust argument: 500 terminals, a minute, kill -9 of each side
	JTGATE_TEST_TERMINALS=500 JTGATE_TEST_SECONDS=60 $(BIN)/python -m pytest -s tests/e2e/test_audit.py

check: style types   ## style and types

style: $(STAMP)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(STAMP)
	$(BIN)/mypy

format: $(STAMP)  ## lay the code out as `make check` wants it
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(STAMP)  ## the benchmarks; results in benchmarks/results
	$(BIN)/jtgate bench

docs: $(STAMP)   ## docs/messages.md, from the catalogue
	$(BIN)/python -m protocol.docs > docs/messages.md

vectors: $(STAMP)  ## frames that others published, held against what they assert
	$(BIN)/python -m tests.protocol.test_vectors

fuzz: $(STAMP)   ## 10 million broken inputs to the codec; FUZZ="--seconds 60" bounds it
	$(BIN)/python -m tests.protocol.fuzz $(FUZZ)

lock:            ## pin every dependency anew (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --all-extras --no-header -o requirements.lock pyproject.toml
clean:           ## remove the environment and what builds left behind
	rm -rf $(VENV) build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
