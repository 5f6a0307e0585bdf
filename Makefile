# The two commands of README.md are `make demo` and `make test`. Each sets up what it needs by itself.

PYTHON ?= $(firstword $(foreach name,python3.11 python3 python,$(shell command -v $(name) 2>/dev/null)))
# Compilers are started as child processes: they have to be found on PATH.
WITH_PATH = PATH="$(CURDIR)/.venv/bin:$(CURDIR)/node_modules/.bin:$$PATH"

.DEFAULT_GOAL := help
.PHONY: help setup setup-dev demo test test-unit test-integration test-ape clients conformance faults official fuzz check format bench clean clean-all

help: ## list the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-18s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: require-python ## install what the demo needs into .venv and node_modules
	@"$(PYTHON)" scripts/setup.py demo

setup-dev: require-python ## install what tests and checks need as well (torch among it)
	@"$(PYTHON)" scripts/setup.py dev

demo: setup ## three swaps whose fee a model sets; MODEL=file.onnx DATA=samples.npz for a model of yours
	@$(WITH_PATH) python -m scripts.demo $(if $(MODEL),--model "$(MODEL)") $(if $(DATA),--data "$(DATA)")

test: setup-dev ## every test that CI runs
	@$(WITH_PATH) scripts/test

test-unit: setup-dev ## unit and property tests alone
	@$(WITH_PATH) scripts/test unit

test-integration: setup-dev ## integration and end-to-end tests alone
	@$(WITH_PATH) scripts/test integration

test-ape: setup-dev ## the example's own suite, run by `ape test` on the fork
	@$(WITH_PATH) scripts/test ape

clients: setup-dev ## forge, cast, viem, ethers and Hardhat against the development node
	@npm ci --prefix tests/clients/hardhat --loglevel=error
	@$(WITH_PATH) pytest tests/clients

fuzz: setup-dev ## hostile JSON-RPC requests, many more than `make test` sends
	@$(WITH_PATH) HYPOTHESIS_PROFILE=nightly pytest tests/integration/test_rpc_fuzz.py

faults: setup-dev ## break everything around real relayers for about an hour, with a report in .build/faults
	@$(WITH_PATH) FORETELL_FAULTS=long pytest tests/faults

check: setup-dev ## format, lint, types, architecture, Vyper rules, generated files
	@$(WITH_PATH) scripts/check

format: setup-dev ## rewrite Python files in the project's format
	@$(WITH_PATH) ruff format --quiet . && $(WITH_PATH) ruff check --fix --quiet .

conformance: setup-dev ## 10,000 random transactions on the fork, stock py-evm, EELS and revm; TRANSACTIONS=n SEED=n
	@$(WITH_PATH) scripts/conformance

official: setup-dev ## official tests from packages, and from a folder of yours: FIXTURES=folder
	@$(WITH_PATH) scripts/official

bench: setup-dev ## measure the figures that docs quote
	@$(WITH_PATH) sh -c 'for file in scripts/bench/[a-z]*.py; do echo "== $$file"; python -m scripts.bench.$$(basename "$$file" .py) || exit 1; done'

clean: ## remove what builds, tests and demos wrote
	rm -rf .build .cache build dist out .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find precompile relayer scripts tests \( -name __pycache__ -o -name '*.egg-info' \) -prune -exec rm -rf {} +

clean-all: clean ## remove .venv and node_modules too
	rm -rf .venv node_modules

.PHONY: require-python
require-python:
	@test -n "$(PYTHON)" || { echo "Python 3.11 not found. Install it (Debian, Ubuntu: apt-get install python3.11 python3.11-venv; macOS: brew install python@3.11)." >&2; exit 1; }
