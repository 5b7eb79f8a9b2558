# `make` lists the targets. All run in .venv, which is made when it is missing or out of date.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGE := $(VENV)/.package
INSTALLED := $(VENV)/.installed
CONSTRAINTS ?= constraints.txt
ARGS ?=
NAME ?= omniglot

# Real data, where it is at hand: the tests that need it are skipped otherwise.
ifndef ONESHOT_DATA
ifneq ($(wildcard ../shared/data),)
export ONESHOT_DATA := $(abspath ../shared/data)
endif
endif

.DEFAULT_GOAL := help
.PHONY: help install locked lock demo test lint audit format train rows row publish compare bench reliability gallery screens tables docs man site clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-11s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(INSTALLED)  ## the virtual environment, with the package and its development tools

$(PACKAGE): pyproject.toml $(CONSTRAINTS)
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c $(CONSTRAINTS) -e '.[pad]'
	touch $@

$(INSTALLED): $(PACKAGE)
	$(BIN)/python -m pip install --quiet -c $(CONSTRAINTS) -e '.[dev]'
	touch $@

locked:  ## the same environment from requirements.lock: files are checked by their hashes, but for torch
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet -c $(CONSTRAINTS) torch torchvision
	$(BIN)/python -m pip install --quiet --require-hashes --no-deps -r requirements.lock
	$(BIN)/python -m pip install --quiet --no-deps -e .
	touch $(PACKAGE) $(INSTALLED)

lock:  ## requirements.lock, made again from pyproject.toml and constraints.txt (needs pip-tools)
	pip-compile --quiet --no-header --generate-hashes --strip-extras --no-emit-index-url \
	  --extra dev --extra tensorboard --extra video --unsafe-package torch --unsafe-package torchvision --unsafe-package oneshot-cli \
	  -c $(CONSTRAINTS) --output-file requirements.lock pyproject.toml

demo: $(PACKAGE)  ## variations of three characters, in out/demo, and what to try next
	$(BIN)/oneshot vary --example --output out/demo --force $(ARGS)
	@echo
	@echo 'Now open out/demo/grid.png. Then try:'
	@echo '  $(BIN)/oneshot vary --example --closeness 0.5 -o freer.png   freer variations, in one picture'
	@echo '  $(BIN)/oneshot vary photo.jpg                                a character of your own'
	@echo '  $(BIN)/oneshot animate --example                             a film of the drawing'
	@echo '  $(BIN)/oneshot pad                                           draw on a page in the browser'

test: $(INSTALLED)  ## the tests, in two processes (ARGS="-k splits" for some of them)
	$(BIN)/python -m pytest -n 2 --dist loadfile $(ARGS)

lint: $(INSTALLED)  ## style and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

audit: $(INSTALLED)  ## published advisories on the versions in constraints.txt
	$(BIN)/python -m benchmarks.reliability.audit $(CONSTRAINTS)

format: $(INSTALLED)  ## put the code into the style that lint asks for
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

train: $(INSTALLED)  ## train a checkpoint that ships, or go on (NAME=mnist ARGS="--max-time 9m")
	$(BIN)/python checkpoints/train.py $(NAME) $(ARGS)

rows: $(INSTALLED)  ## train the rows of the MNIST tables, or go on (ARGS="--list", ARGS="--max-time 9m")
	$(BIN)/python checkpoints/train.py tables $(ARGS)

row: $(INSTALLED)  ## measure a trained row of the tables (NAME=nade); then: make tables
	$(BIN)/python checkpoints/measure_row.py $(NAME) $(ARGS)

publish: $(INSTALLED)  ## measure that run and make it the checkpoint that ships
	$(BIN)/python checkpoints/publish.py runs/$(NAME) $(NAME) $(ARGS)

compare: $(INSTALLED)  ## the recipe's table: short runs at equal time, changing one thing each
	$(BIN)/python checkpoints/compare.py $(ARGS)

bench: $(INSTALLED)  ## how fast training and drawing are on this machine
	$(BIN)/python -m benchmarks $(ARGS)

reliability: $(INSTALLED)  ## docs/reliability.md: kills, damaged files, faults; takes half an hour
	@for part in kills fuzz faults; do \
		$(BIN)/python -m benchmarks.reliability $$part --output docs/results/reliability || failed=1; \
	done; $(BIN)/python docs/make_reliability.py; exit $${failed:-0}

gallery: $(INSTALLED)  ## the pictures of the README and docs/gallery.md, drawn again
	$(BIN)/python docs/make_gallery.py

screens: $(INSTALLED)  ## the pictures of terminals and of an output folder, taken again (needs tmux)
	$(BIN)/python docs/make_screens.py

tables: $(INSTALLED)  ## all figures in README.md, the cards, docs/results.md and docs/reading.md
	$(BIN)/python docs/make_tables.py
	$(BIN)/python docs/make_reading.py
	$(BIN)/python checkpoints/make_cards.py

docs: $(INSTALLED)  ## the references of commands and of Python, from the program itself
	$(BIN)/python docs/make_commands.py
	$(BIN)/python docs/make_api.py

man: $(INSTALLED)  ## the manual page, docs/oneshot.1, from the program itself
	$(BIN)/python docs/make_man.py

site: $(INSTALLED)  ## the documentation as a site, in site/
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict $(ARGS)

clean:  ## remove the environment and what was built, drawn and cached here; runs stay
	rm -rf $(VENV) build dist out site .pytest_cache .mypy_cache .ruff_cache
