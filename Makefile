# make demo: two months through a real Airflow on this machine.  Needs Python 3.11 or 3.12.
# make test: the tests of every day, some ten minutes on two cores.  make test-all: every test; before a release.
PYTHON ?= python3
MONTHS ?=
BIN    := .venv/bin
UV     := $(BIN)/uv
# MWAA's versions to test against: constraints/mwaa-<version>.txt
COMPAT ?= 2.10.3 2.11.2 3.0.6 3.2.1 3.3.1
# Two workers, a file at a time, in the order of tests/conftest.py; the slowest tests and each folder's time at the end.
PYTEST := $(BIN)/pytest -n 2 --dist loadfile --no-loadscope-reorder --durations=10 --durations-min=1
# The Airflow 2 whose scheduler and triggerer tests/e2e/test_kills.py runs besides Airflow 3's.
AIRFLOW_2 := .venv-compat/2.10.3

# The message of an installation that failed
OFFLINE := { echo "The installation failed, its reason is above. The package registry must be reachable (pip's and uv's settings apply); then run make again."; exit 1; }

export UV_PYTHON_DOWNLOADS := never
.PHONY: demo test test-all test-unit test-compat infra-test lint types format clean install
.DELETE_ON_ERROR:
.PRECIOUS: .venv-compat/%/.installed

install: .venv/.installed .venv-dbt/.installed

demo: install
	$(BIN)/lakehouse demo $(foreach month,$(MONTHS),--month $(month))

test: install
	$(PYTEST) -m "not slow" --hypothesis-profile quick tests lakehouse-local/tests

# A test whose tool is missing (terraform, docker, the Airflow 2 of the kills) is skipped and gives the reason.
test-all: install
	-$(MAKE) $(AIRFLOW_2)/.installed
	$(PYTEST) --hypothesis-profile thorough tests lakehouse-local/tests

test-unit: .venv/.installed
	$(BIN)/pytest -m "not slow" --hypothesis-profile quick tests/unit lakehouse-local/tests/unit

# The unit tests on the base dependencies alone, without the extra `local`: tests that need it are skipped.
test-compat: $(foreach version,$(COMPAT),compat-$(version))

compat-%: .venv-compat/%/.installed
	.venv-compat/$*/bin/python -m pytest -m "not slow" --hypothesis-profile quick tests/unit

# Applies infra/terraform to a local AWS, runs a month on it, destroys it. Needs terraform; what is absent is skipped.
infra-test: install
	$(BIN)/pytest tests/infra

lint: .venv/.installed
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: .venv/.installed
	$(BIN)/mypy

format: .venv/.installed
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf .venv .venv-dbt .venv-compat .lakehouse .pytest_cache .mypy_cache .ruff_cache .hypothesis dist
	rm -rf dbt_models/target dbt_models/logs dbt_models/dbt_packages
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(UV):
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 12))' \
	  || { echo "Python 3.11 or 3.12 is needed, and $(PYTHON) is `$(PYTHON) --version 2>&1`: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv || $(OFFLINE)

# The class archive halves the start of every Spark job.
.venv/.installed: pyproject.toml lakehouse-local/pyproject.toml constraints/dev.txt | $(UV)
	$(UV) pip install --quiet --python .venv -c constraints/dev.txt --editable ./lakehouse-local --editable '.[local]' --group dev || $(OFFLINE)
	-$(BIN)/python -m lakehouse_local.glue.jobs.class_archive
	@touch $@

# dbt lives in an environment of its own, as on MWAA: it does not resolve beside Airflow under MWAA's constraints.
.venv-dbt/.installed: dbt_models/requirements.txt constraints/dbt.txt | $(UV)
	$(BIN)/python -m venv --clear .venv-dbt
	$(UV) pip install --quiet --python .venv-dbt -c constraints/dbt.txt -r dbt_models/requirements.txt || $(OFFLINE)
	@touch $@

.venv-compat/%/.installed: constraints/mwaa-%.txt pyproject.toml | $(UV)
	$(BIN)/python -m venv --clear .venv-compat/$*
	$(UV) pip install --quiet --python .venv-compat/$* -c $< apache-airflow==$* 'moto[glue,logs,s3,sts]' pytest hypothesis --editable . || $(OFFLINE)
	@touch $@
