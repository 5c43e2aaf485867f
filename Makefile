# make demo: two months through a real Airflow on this machine.  make test: the test suite.  Needs Python 3.11 or 3.12.
PYTHON ?= python3
MONTHS ?=
BIN    := .venv/bin
UV     := $(BIN)/uv
# MWAA's versions to test against: constraints/mwaa-<version>.txt
COMPAT ?= 2.10.3 2.11.2 3.0.6 3.2.1 3.3.1
# What of the unit tests must pass on the base dependencies alone, without the extra `local`
COMPAT_TESTS := tests/unit --ignore=tests/unit/glue_scripts --ignore=tests/unit/demo \
                --ignore=tests/unit/test_sample_data.py --ignore=tests/unit/test_architecture.py

# What to say when an installation fails
OFFLINE := { echo "The installation failed, its reason is above. The package registry must be reachable (pip's and uv's settings apply); then run make again."; exit 1; }

export UV_PYTHON_DOWNLOADS := never
.PHONY: demo test test-unit test-compat infra-test lint types format clean install
.DELETE_ON_ERROR:
.PRECIOUS: .venv-compat/%/.installed

install: .venv/.installed .venv-dbt/.installed

demo: install
	$(BIN)/lakehouse demo $(foreach month,$(MONTHS),--month $(month))

test: install
	$(BIN)/pytest -n 2 --dist loadfile tests lakehouse-local/tests

test-unit: .venv/.installed
	$(BIN)/pytest tests/unit lakehouse-local/tests/unit

test-compat: $(foreach version,$(COMPAT),compat-$(version))

# Of Airflow 2 also the kills in a real scheduler and triggerer; those of Airflow 3 are among `make test`.
compat-%: .venv-compat/%/.installed install
	.venv-compat/$*/bin/python -m pytest $(COMPAT_TESTS)
	$(if $(filter 2.10.%,$*),LAKEHOUSE_AIRFLOW_PYTHON=$(CURDIR)/.venv-compat/$*/bin/python $(BIN)/pytest tests/e2e/test_kills.py)

# Applies infra/terraform to a local AWS, runs a month on it, destroys it. Needs terraform; what is absent is skipped.
infra-test: install
	$(BIN)/pytest -m "infra or not infra" tests/infra

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
