# Two commands for a newcomer: `make demo` and `make test`. For a change: `make check`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check lint types doctest benchmark clean

demo: $(VENV)/installed
	@$(BIN)/lr --help

test: $(VENV)/installed-test
	$(BIN)/python -m pytest

check: lint types doctest test

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-test
	$(BIN)/mypy scaling cli

doctest: $(VENV)/installed-test
	$(BIN)/python -m pytest --doctest-modules scaling cli

clean:
	rm -rf $(VENV)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(VENV)/installed-test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ $(VENV)/installed
