# `make` alone prints what there is. Needs python3, pip, cargo, gcc and make; everything else goes
# into .venv.

VENV ?= .venv
PYTHON ?= python3
BIN := $(VENV)/bin
# It has a number of jobs of its own.
CARGO := env -u MAKEFLAGS cargo
PEERS := .venv-peers
OTHER_LEVELS = $(shell $(BIN)/python -c "from sparrot import _sparrot as s; print(*s.simd_levels()[:-1])")
SOLVER_TESTS := $(addprefix tests/,transport special property descent graph linear_model sparse_coding sketching)

.DEFAULT_GOAL := help
.PHONY: help install demo test test-python test-rust build-tests check lint lint-rust lint-python types bench bench-peers bench-softmax clean

help:  ## this page
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

# The virtual environment is made anew when what it is made from changes.
$(BIN)/installed: pyproject.toml Cargo.toml Cargo.lock $(shell find rust -name '*.rs' -o -name Cargo.toml)
	@command -v cargo > /dev/null || { echo "cargo is missing: install Rust 1.89 or later, https://rustup.rs"; exit 1; }
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable ".[check]"
	touch $@

install: $(BIN)/installed  ## build sparrot into .venv, with what the tests need

demo: install  ## the main job: colour transfer between two photographs, with its certificate table
	$(BIN)/python -m sparrot demo --output demo.png

test: test-rust test-python  ## all tests

test-python: install  ## the Python tests, then those of the solvers at each other instruction set, two at a time
	$(BIN)/python -m pytest -q
	printf '%s\n' $(OTHER_LEVELS) | xargs -P 2 -I LEVEL env SPARROT_SIMD=LEVEL $(BIN)/python -m pytest -q -p no:cacheprovider $(SOLVER_TESTS)

build-tests:
	$(CARGO) test --locked --quiet --no-run --workspace --exclude sparrot-python

test-rust:  ## the Rust tests
	$(CARGO) test --locked --quiet --workspace --exclude sparrot-python

lint: lint-rust lint-python  ## formatting and lints of both languages

lint-rust:
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --quiet --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --quiet --no-deps --workspace --exclude sparrot-python

lint-python: install
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: install  ## type checks, and the stubs against the native module
	$(BIN)/mypy
	$(BIN)/python -m mypy.stubtest sparrot._sparrot

check: lint types test  ## everything that must pass before a commit

bench: install  ## asv: time, memory, iterations and certificates of this commit
	$(BIN)/python -m pip install --quiet --editable ".[bench]"
	cd benches && ../$(BIN)/asv machine --yes && ../$(BIN)/asv run --quick HEAD^!

$(PEERS)/installed: pyproject.toml benches/peers/requirements.txt $(shell find rust -name '*.rs')
	test -x $(PEERS)/bin/python || $(PYTHON) -m venv $(PEERS)
	$(PEERS)/bin/python -m pip install --quiet --disable-pip-version-check . -r benches/peers/requirements.txt
	touch $@

bench-peers: $(PEERS)/installed  ## transport, the Lasso and softmax side by side with their peers, in an environment of its own
	cd benches && ../$(PEERS)/bin/python -m peers transport
	cd benches && ../$(PEERS)/bin/python -m peers lasso
	cd benches && ../$(PEERS)/bin/python -m peers softmax

bench-softmax: $(PEERS)/installed  ## the softmax methods and everybody's errors, for docs/softmax.md
	cd benches && ../$(PEERS)/bin/python -m peers softmax-accuracy
	cd benches && ../$(PEERS)/bin/python -m peers softmax-methods

clean:  ## remove what was built
	rm -rf $(VENV) $(PEERS) target .asv demo.png
