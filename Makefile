# gtr-beir. `make` prints the targets; each sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
GTR := $(BIN)/gtr-beir
READY := $(VENV)/.ready
TESTERS ?= 2
SUITE ?= public
LEVEL ?= small
FORMATS ?= md,csv,html
FLAGS ?=
.DEFAULT_GOAL := help

.PHONY: help setup demo test check verify eval bm25 colbert beir experiment leaderboard compare claims pictures \
	bench clean

help: ## print this list
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / {printf "  make %-32s %s\n", $$1, $$2}' $(MAKEFILE_LIST)
	@echo "  FLAGS='--dtype bf16 ...' is passed on to gtr-beir; see gtr-beir run --help"

setup: $(READY) ## make .venv with everything that demo, test, check and verify need

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; run make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev]'
	@touch $@

demo: $(READY) ## from plan to leaderboard on the embedded dataset and checkpoints, about a minute
	@$(GTR) demo

# Where processes share few cores, threads that wait for each other in a loop take them from all.
test: export GOMP_SPINCOUNT ?= 2000
test: $(READY) ## [TESTERS=2] run the tests, each file in one of so many processes
	$(BIN)/python -m pytest -n $(TESTERS) --dist loadfile

check: $(READY) ## run ruff, mypy --strict and the test of layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/python -m pytest tests/test_floors.py

verify: $(READY) ## compare all-MiniLM-L6-v2 on real SciFact with its published values
	$(BIN)/python benchmarks/verify_scifact.py $(FLAGS)

eval: $(READY) ## MODEL=gtr-base DATASET=scifact: one system on one dataset
	@test -n "$(MODEL)" && test -n "$(DATASET)" || { echo "make eval MODEL=gtr-base DATASET=scifact"; exit 2; }
	$(GTR) run "$(MODEL)" -d "$(DATASET)" $(FLAGS)

bm25: $(READY) ## DATASET=scifact: the BM25 baselines on one dataset
	@test -n "$(DATASET)" || { echo "make bm25 DATASET=scifact"; exit 2; }
	$(GTR) run bm25-flat -d "$(DATASET)" $(FLAGS)
	$(GTR) run bm25-multifield -d "$(DATASET)" $(FLAGS)

colbert: $(READY) ## DATASET=scifact: the ColBERT baseline on one dataset
	@test -n "$(DATASET)" || { echo "make colbert DATASET=scifact"; exit 2; }
	$(GTR) run colbert -d "$(DATASET)" $(FLAGS)

beir: $(READY) ## MODEL=gtr-base [SUITE=public]: one system on a suite, then the leaderboard
	@test -n "$(MODEL)" || { echo "make beir MODEL=gtr-base [SUITE=public|zero-shot|all]"; exit 2; }
	$(GTR) run "$(MODEL)" --suite "$(SUITE)" $(FLAGS)
	$(GTR) leaderboard

leaderboard: $(READY) ## [FORMATS=md,csv,html,latex,figures]: write results/leaderboard.* from the records and the published numbers
	$(GTR) leaderboard --format "$(FORMATS)"

compare: $(READY) ## A=results/bm25-flat B=results/gtr-base: two results beside each other, a verdict in words
	@test -n "$(A)" && test -n "$(B)" || { echo "make compare A=results/bm25-flat B=results/gtr-base"; exit 2; }
	$(GTR) compare "$(A)" "$(B)" $(FLAGS)

claims: $(READY) ## what the GTR paper says, beside what was measured
	$(GTR) claims $(FLAGS)

experiment: $(READY) ## FILE=experiment.toml: everything that a file says, then its reports
	@test -n "$(FILE)" || { echo "make experiment FILE=experiment.toml (docs/experiments.md)"; exit 2; }
	$(GTR) run "$(FILE)" $(FLAGS)

pictures: $(READY) ## the README's pictures from the records in results/ (needs Chromium)
	$(BIN)/python tools/pictures.py

bench: $(READY) ## [LEVEL=small|full]: measure speed and memory beside other libraries
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[bench]'
	$(BIN)/python benchmarks/run_all.py --level $(LEVEL)

clean: ## remove what was built; datasets and results stay
	rm -rf $(VENV) build *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
