SHELL := /bin/bash
PYTHON := .venv/bin/python
BENCH_TIMES ?= 105
TESTS_AT_ONCE ?= 2
.DEFAULT_GOAL := help
.NOTPARALLEL:
.PHONY: help setup setup-dev setup-tests demo nightly attest test test-fast lint types bench lock clean

help:  ## Say what there is to run
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup:  ## Set up what the commands need: Java, Python packages, jars
	@echo "Setting up Wardlake"
	@infra/setup/python.sh runtime
	@infra/setup/jars.sh
	@infra/setup/classes.sh
	@echo "Ready: .venv/bin/wardlake doctor"

setup-dev:  ## Set up what needs no server: tests, linters, types
	@infra/setup/python.sh tests
	@infra/setup/jars.sh
	@infra/setup/classes.sh

setup-tests: setup-dev  ## Set up the servers that the tests start: PostgreSQL, OpenBao, MinIO, Trino, Keycloak, Airflow
	@infra/setup/python.sh airflow
	@infra/setup/servers.sh

demo: setup  ## Turn the bundled sample into a de-identified dataset
	@.venv/bin/wardlake keys create --source synthea --lake .lake/demo
	@.venv/bin/wardlake dev refresh --source synthea --lake .lake/demo

nightly: setup-tests  ## Run a night of the sample's practices on a real Airflow, with servers of its own
	@$(PYTHON) -m tests.dags.nightly

test: setup-tests lint types  ## Run every check and every test, servers included; TESTS_AT_ONCE=2 processes share them by file
	@$(PYTHON) -m pytest -n $(TESTS_AT_ONCE) --dist loadfile --no-loadscope-reorder --durations 15

test-fast: setup-dev  ## Run the tests that start no server
	@$(PYTHON) -m pytest -n $(TESTS_AT_ONCE) --dist loadfile --no-loadscope-reorder tests/architecture tests/unit tests/spec

attest: setup-tests  ## Attack the sample's marts in a real Trino, as one practice after another's rows
	@$(PYTHON) -m tests.end_to_end.attest_sample

lint: setup-dev  ## Check style and the layers
	@.venv/bin/ruff check lib tests airflow_dags jobs
	@.venv/bin/ruff format --check lib tests airflow_dags jobs
	@.venv/bin/lint-imports

types: setup-dev  ## Check types
	@.venv/bin/mypy

bench:  ## Run the benchmarks (hours); BENCH_TIMES=105 makes ten million rows of the bundled sample
	@infra/setup/python.sh bench
	@infra/setup/jars.sh
	@for each in tokenise scan residue detection; do $(PYTHON) -m tests.benchmarks.$$each || exit 1; done
	@test -d .bench/synthea || $(PYTHON) -m tests.benchmarks.amplify --from tests/data/synthea --to .bench/synthea --times $(BENCH_TIMES) --seed 1
	@for each in snapshot others refresh; do $(PYTHON) -m tests.benchmarks.$$each --from .bench/synthea || exit 1; done

lock: setup-dev  ## Resolve the lock files again, and take the sums of the jars
	@infra/setup/lock.sh

clean:  ## Remove the demo's lake and caches; other lakes, environments and tools stay
	@rm -rf .lake/demo .bench .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis spark-warehouse metastore_db derby.log
