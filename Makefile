# Two commands for a newcomer: `make demo` and `make test`. For a change: `make check`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test check lint types doctest derivation benchmark clean

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

derivation: $(VENV)/installed
	@command -v pdflatex >/dev/null || { echo "make derivation: pdflatex is missing; install TeX Live (texlive-latex-base)" >&2; exit 1; }
	@mkdir -p build
	@$(BIN)/lr derive --check --format latex > build/derivation.tex
	@pdflatex -interaction=batchmode -halt-on-error -output-directory=build build/derivation.tex >/dev/null
	@echo build/derivation.pdf

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
