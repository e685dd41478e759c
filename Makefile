# Everything that developers and CI run. `make help` lists it.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
DAGSTER_BIN := .venv-dagster/bin
DAGSTER_STAMP := .venv-dagster/.installed
SPARK_BIN := .venv-spark/bin
SPARK_STAMP := .venv-spark/.installed
# An installed Postgres, or one from PyPI.
POSTGRES := $(firstword $(shell command -v initdb) $(wildcard /usr/lib/postgresql/*/bin/initdb))
POSTGRES_STAMP := $(STAMP) $(if $(POSTGRES),,.venv-postgres/.installed)
ON_POSTGRES = PATH="$(if $(POSTGRES),,$$(echo $(CURDIR)/.venv-postgres/lib/python*/site-packages/pgserver/pginstall/bin):)$$PATH" \
  $(BIN)/python tests/support/postgres_server.py
export PIP_DISABLE_PIP_VERSION_CHECK := 1

.DEFAULT_GOAL := help
.PHONY: help install demo test test-rest test-variants test-postgres test-duckdb chromium soak postgres-check spark-check versions-check privacy faults nights bench docs spellings schema picture dagster dagster-check check format lint types clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

install: $(STAMP) ## create .venv with the versions of constraints.txt

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or later is needed; name one with: make PYTHON=python3.12 ..."; exit 2; }
	@echo "installing into $(VENV) (a minute or two, once)"
	@$(PYTHON) -m venv --clear $(VENV)
	@$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	@touch $@

demo: $(STAMP) ## load a local Passona into demo/warehouse.duckdb and answer three questions
	@$(BIN)/python pipelines/tools/demo.py

# One process more than cores: some tests wait for slow servers.
PYTEST := $(BIN)/python -m pytest -n 3 --dist loadfile --no-loadscope-reorder
test: $(STAMP) ## the core of the tests, on DuckDB; two and a half minutes on two cores
	@$(PYTEST) -m 'core and not postgres'

test-rest: $(STAMP) ## all other tests on DuckDB, at most two more variants of each; half an hour
	@$(PYTEST) -m 'not core and not postgres and not variant'

test-variants: $(STAMP) ## the variants that make check leaves out; half an hour
	@$(PYTEST) -m 'variant and not postgres'

test-postgres: $(POSTGRES_STAMP) ## the core of the tests, on a Postgres server of their own, started and stopped
	@$(ON_POSTGRES) $(PYTEST) -m '((both and core) or postgres) and not duckdb'

test-duckdb: ## the core of the tests, on the newest DuckDB
	@$(PYTHON) pipelines/tools/versions.py --only duckdb -- -m 'core and not postgres'

# Without a browser, the tests of the report in one are skipped. A root without one is in a container, or is CI.
chromium:
	@if [ "$$(id -u)" = 0 ] && ! command -v chromium >/dev/null && command -v apt-get >/dev/null; then \
	  echo "installing Chromium, for the tests of the report in a browser"; \
	  apt-get -qq update && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends chromium >/dev/null; fi || \
	  echo "Chromium could not be installed; the tests of the report in a browser are skipped"

soak: $(STAMP) ## 300 killed runs with logs of up to 300 MB, 200 copies under 20 readers, 190 foreign variables; two hours
	@PASSONA_KILLS=200 PASSONA_PUBLICATIONS=200 PASSONA_FOREIGN=1 \
	  $(BIN)/python -m pytest -n 2 tests/loading/test_kills.py tests/analytics/test_publish.py tests/engines/test_isolation.py
	@PASSONA_LOGS=2,30,300 PASSONA_ROUNDS=4 $(BIN)/python -m pytest -n 1 tests/loading/test_big_kills.py

privacy: $(STAMP) ## load 100,000 hostile rows in each privacy mode, also with kills, and search every byte for people; ten minutes
	@PYTHONPATH=pipelines/tools $(BIN)/python benchmarks/privacy.py
	@PASSONA_PEOPLE=100000 $(BIN)/python -m pytest tests/privacy/test_forget_everywhere.py -k one_of_many

postgres-check: $(POSTGRES_STAMP) ## all tests that are the same on both engines, on a Postgres server; half an hour
	@$(ON_POSTGRES) $(PYTEST) -m '(both or postgres) and not duckdb'

# Only its programs are used: the rest of the package needs dependencies and starts servers differently.
.venv-postgres/.installed: constraints.txt
	@echo "installing Postgres into .venv-postgres (half a minute, once; 50 MB)"
	@$(PYTHON) -m venv --clear .venv-postgres
	@.venv-postgres/bin/python -m pip install --quiet --constraint constraints.txt --no-deps pgserver
	@touch $@

spark-check: $(SPARK_STAMP) ## build the models on Spark and run their unit tests; needs Java 17; three minutes, not part of check
	@$(SPARK_BIN)/python benchmarks/spark_units.py

$(SPARK_STAMP): pyproject.toml constraints.txt benchmarks/spark-constraints.txt
	@echo "installing into .venv-spark (some minutes, once; 900 MB)"
	@$(PYTHON) -m venv --clear .venv-spark
	@$(SPARK_BIN)/python -m pip install --quiet --constraint constraints.txt \
	  --constraint benchmarks/spark-constraints.txt --editable '.[spark]'
	@touch $@

versions-check: ## run all tests on the newest DuckDB, those of loads and the source on each Python here; an hour (one: ONLY=3.13)
	@$(PYTHON) pipelines/tools/versions.py $(if $(ONLY),--only $(ONLY))

faults: $(STAMP) ## write docs/faults.md: some fifty faults, applied to the program and to dlt's rest_api; ten minutes
	@PYTHONPATH=pipelines/tools $(BIN)/python benchmarks/faults.py

nights: $(STAMP) ## thirty nights of a live account, seven of them bad, end in the truth; some minutes
	@PASSONA_NIGHTS=1 $(BIN)/python -m pytest tests/loading/test_nights.py -k thirty

bench: $(STAMP) ## write benchmarks/RESULTS.md: speed and memory, compared with others; half an hour (one: ONLY=name)
	@$(BIN)/python benchmarks/bench.py $(if $(ONLY),--only $(ONLY))

docs: $(STAMP) ## update docs/errors.md from the code, and the results in docs/sql.md and docs/dlt.md
	@$(BIN)/python pipelines/tools/error_docs.py
	@$(BIN)/python pipelines/tools/sql_docs.py
	@$(BIN)/python pipelines/tools/dlt_docs.py

spellings: $(STAMP) ## update docs/spellings.md and docs/spreadsheets.md: some ninety spellings of a number, and as many files
	@$(BIN)/python pipelines/tools/spelling_docs.py
	@$(BIN)/python pipelines/tools/spreadsheet_docs.py

schema: $(STAMP) ## update schemas/export/passona.schema.yaml, dlt's schema as a load leaves it
	@$(BIN)/python pipelines/tools/schema_export.py

picture: $(STAMP) ## update docs/report.png, the report of the demo; needs Chromium
	@$(BIN)/python pipelines/tools/picture.py

# dagster-dbt looks for dbt on the path; Dagster keeps its runs in DAGSTER_HOME.
dagster dagster-check: export PATH := $(CURDIR)/$(DAGSTER_BIN):$(PATH)
dagster: export DAGSTER_HOME ?= $(CURDIR)/.dagster
dagster: export PASSONA_WAREHOUSE ?= $(CURDIR)/warehouse.duckdb
dagster: $(DAGSTER_STAMP) ## run Dagster at http://127.0.0.1:3000, with this environment's token and PASSONA_WAREHOUSE
	@mkdir -p $(DAGSTER_HOME) && cp pipelines/dagster_project/dagster.yaml $(DAGSTER_HOME)
	@$(DAGSTER_BIN)/dagster dev --host 127.0.0.1 --port 3000 --python-file pipelines/dagster_project/definitions.py

dagster-check: $(DAGSTER_STAMP) ## run a night, a subset and a refused token in Dagster, against a sandbox
	@$(DAGSTER_BIN)/python pipelines/dagster_project/check.py

$(DAGSTER_STAMP): pyproject.toml constraints.txt pipelines/dagster_project/constraints.txt
	@echo "installing into .venv-dagster (some minutes, once; 670 MB)"
	@$(PYTHON) -m venv --clear .venv-dagster
	@$(DAGSTER_BIN)/python -m pip install --quiet --constraint constraints.txt \
	  --constraint pipelines/dagster_project/constraints.txt --editable '.[dagster]'
	@touch $@

check: format lint types chromium test test-rest test-postgres test-duckdb ## what CI runs; three quarters of an hour

format: $(STAMP) ## check the formatting
	@$(BIN)/ruff format --check --quiet . || { echo "run: $(BIN)/ruff format ."; exit 1; }

lint: $(STAMP) ## run the linter
	@$(BIN)/ruff check --quiet .

types: $(STAMP) ## check the types, strictly
	@$(BIN)/mypy

clean: ## delete the environments, the demo and all caches
	@rm -rf $(VENV) .venv-dagster .venv-spark .venv-postgres .venv-versions .dagster demo .mypy_cache .pytest_cache .ruff_cache .hypothesis
