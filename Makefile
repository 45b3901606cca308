.DEFAULT_GOAL := help
.PHONY: help setup run test check bench soak bench-dns bench-proxy lock clean

CONFIG ?= config/sumun.yaml
# workers for the tests; they start real servers, and two cores are the smallest machine we think of
JOBS ?= 2
TESTS ?= tests
# times that a failed test is run again; whoever develops wants to know at once
RERUNS ?= 0
SOAK ?= 600
BIN := .venv/bin

help:  ## list what one can do
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-11s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## make .venv/ with everything, to run and to develop (PYTHON=... to choose the interpreter)
	@tools/setup dev

run:  ## set up what is needed, then filter with CONFIG=config/sumun.yaml until Ctrl-C
	@tools/setup run
	@exec $(BIN)/sumun up --config $(CONFIG)

test: setup  ## run all tests (TESTS=tests/unit for a part); what needs root is skipped without
	$(BIN)/pytest -n $(JOBS) --dist loadfile --reruns $(RERUNS) --rerun-show-tracebacks $(TESTS)  # the tests of one file share what they start

check: setup  ## formatting, lints, types, import contracts, documents, configurations
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(BIN)/pytest -q tests/unit/project
	@for file in $(CONFIG) config/templates/*.yaml deploy/config/*.yaml; do \
		echo "sumun check --config $$file"; $(BIN)/sumun check --config $$file || exit 1; done

bench: setup  ## measure, on this machine
	@for file in lists sinkhole encrypted million reloads killed proxy pages; do echo "== $$file"; $(BIN)/python benchmarks/$$file.py || exit 1; done

bench-dns: setup  ## measure the sinkhole beside its peers, into docs/reference/benchmarks.md
	@for file in sinkhole encrypted million reloads killed; do $(BIN)/python benchmarks/$$file.py || exit 1; done

soak: setup  ## ten minutes of load, reloads, stalled upstreams and killed workers (SOAK=60 for other seconds)
	@$(BIN)/python -m tests.support.soak --seconds $(SOAK)

bench-proxy: setup  ## measure the proxy beside Squid and bare mitmproxy, into docs/reference/benchmarks.md
	@$(BIN)/python benchmarks/proxy.py

lock: setup  ## write the lock files anew from pyproject.toml, for every platform and Python version
	@tools/lock $(UPGRADE)

clean:  ## remove .venv/ and caches; var/ (events, certificates) stays
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
