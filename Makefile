# Two commands for a newcomer: `make demo` and `make test`. For a change: `make check`.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
TESTED := README.md pyproject.toml $(shell find scaling cli tests notebooks figures -type f -not -path '*/__pycache__/*' 2>/dev/null)
OPTIMA := scaling/data/marek_adam_1d.csv

# PyTorch in one version, so that what CI proves does not change by itself.
TORCH ?= torch==2.13.0

.PHONY: demo test check check-torch check-lowest fuzz lint types doctest derivation theory figures notebooks golden evidence benchmark clean

demo: $(VENV)/installed
	@echo "An 11M-parameter language model was tuned at seven batch sizes (Marek et al. 2025,"
	@echo "arXiv 2507.07101). Which learning rate does Adam want at batch size 512?"
	@echo
	@echo "$$ lr query --points $(OPTIMA) --batch-size 512"
	@$(BIN)/lr query --points $(OPTIMA) --batch-size 512

test: $(VENV)/installed-test
	$(BIN)/python -m pytest --numprocesses auto -m "not torch"
	@touch $(VENV)/tested

# All that trains: the laboratory, measurements, the engines for PyTorch and optax.
check-torch: $(VENV)/installed-torch
	$(BIN)/python -m pytest --numprocesses auto -m torch
	$(BIN)/python -m pytest --doctest-modules $(wildcard scaling/lab scaling/measure)
	@echo "make check-torch: all is well"

# Tests that passed are not run again before a file has changed.
check: lint types doctest $(VENV)/tested
	@echo "make check: all is well"

$(VENV)/tested: $(VENV)/installed-test $(TESTED)
	$(MAKE) test

# The oldest versions that pyproject.toml allows, in an environment of their own. Their warnings are
# theirs, and older versions of Matplotlib place labels differently.
LOWEST := $(VENV)-lowest
check-lowest:
	$(PYTHON) -m venv $(LOWEST)
	$(PYTHON) tests/lowest.py > $(LOWEST)/constraints.txt
	$(LOWEST)/bin/python -m pip install --quiet --disable-pip-version-check --constraint $(LOWEST)/constraints.txt \
		--editable '.[sweeps]' pytest pytest-xdist hypothesis jsonschema ml-dtypes pandas polars
	$(LOWEST)/bin/python -m pytest --numprocesses auto -W ignore -m "not torch" \
		--deselect tests/plotting/test_figures.py::test_figure tests/cli tests/numeric tests/plotting
	@echo "make check-lowest: all is well"

# Calls of lr that nobody would make; FUZZ="--calls 10000 --seed 2" draws others.
FUZZ ?= --calls 10000 --seed 1
fuzz: $(VENV)/installed-test
	$(BIN)/python tests/fuzz/fuzz.py $(FUZZ)

lint: $(VENV)/installed-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(VENV)/installed-test
	$(BIN)/mypy scaling cli

doctest: $(VENV)/installed-test
	$(BIN)/python -m pytest --doctest-modules --doctest-ignore-import-errors scaling cli

# Ratios of running times against what a user would do instead; not part of any test.
benchmark: $(VENV)/installed-test
	$(BIN)/python tests/benchmarks/vectorised.py
	$(BIN)/python tests/benchmarks/start_up.py
	$(BIN)/python tests/benchmarks/exact_moments.py
	$(BIN)/python tests/benchmarks/population.py
	$(BIN)/python tests/benchmarks/sweep_speed.py
	$(BIN)/python tests/benchmarks/noise_scale.py
	$(BIN)/python tests/benchmarks/plan_speed.py
	$(BIN)/python tests/benchmarks/worth_it.py

# The derivation as a PDF, with every step checked.
derivation: $(VENV)/installed
	@command -v pdflatex >/dev/null || { echo "make derivation: pdflatex is missing; install TeX Live (texlive-latex-base)" >&2; exit 1; }
	@mkdir -p build
	@$(BIN)/lr derive --check --format latex > build/derivation.tex
	@pdflatex -interaction=batchmode -halt-on-error -output-directory=build build/derivation.tex >/dev/null
	@echo build/derivation.pdf

# The derivation as it is committed; a test compares.
theory: $(VENV)/installed
	@$(BIN)/lr derive --format markdown > scaling/symbolic/THEORY.md

# What `lr plot` draws, all of it; a test redraws and compares.
figures: $(VENV)/installed
	@$(BIN)/lr plot --all --out figures

# The notebooks, executed anew; a test does the same and compares what they print.
notebooks: $(VENV)/installed-test
	@$(BIN)/python tests/notebooks/execute.py

# The golden record, anew where answers have changed; review its diff.
golden: $(VENV)/installed-test
	@$(BIN)/python tests/golden/replay.py

# How near the answers come to real optima; sweeps that are not in DATA are passed over. After the
# data, or how optima are read, have changed, `learn_prior.py --write` comes first.
DATA ?= ../shared/data
evidence: $(VENV)/installed-test
	@$(BIN)/python tests/evidence/evidence.py $(DATA)
	@$(BIN)/python tests/evidence/plan_replay.py $(DATA) > tests/evidence/PLAN.md.new
	@mv tests/evidence/PLAN.md.new tests/evidence/PLAN.md

clean:
	rm -rf $(VENV) $(LOWEST)

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

# An editable install is not compiled; the first `lr` is to start like all others.
$(VENV)/installed: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	@$(BIN)/python -m compileall -q scaling cli
	@touch $@

$(VENV)/installed-torch: $(VENV)/installed-test
	$(BIN)/python -m pip install --quiet --disable-pip-version-check '$(TORCH)'
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[dask,lightning,optax,torch,transformers]'
	@touch $@

$(VENV)/installed-test: pyproject.toml | $(VENV)/bin/python
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[test]'
	@touch $@ $(VENV)/installed
