# make lab and make test are all that most people need; `make help` names the rest.
.DEFAULT_GOAL := help
.PHONY: help lab test lint widgets watch site notebooks states robust doctor clean
.DELETE_ON_ERROR:

BIN := .venv/bin
# The lessons that learners change: a copy that Git ignores, so that an update never meets their answers.
WORK := work
# Its language: make lab EDITION=de (then it stays so); English unless said.
EDITION ?=
FIRST ?= $(WORK)/00_start_here.ipynb
# more arguments for pytest: make test ARGS="-k router"
ARGS ?=
# Two files at a time, each on one core: on two cores that takes two thirds of the time. JOBS=0 for --pdb.
JOBS ?= 2
PYTEST := OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile
# Lessons see what they saw when their outputs were stored (authoring.environment), but on one thread instead of two:
# what they print must not hang on the order in which a machine adds.
AS_STORED := CUDA_VISIBLE_DEVICES= PYTHONHASHSEED=0
# Another interpreter or another place for PyTorch: make lab PYTHON=python3.12 TORCH_INDEX=https://...
export PYTHON TORCH_INDEX
# As in every notebook kernel (moe_lessons/idle_threads.py).
export GOMP_SPINCOUNT ?= 5000

help:  ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' Makefile

lab: .venv/ready  ## set up if need be, then open lesson 00 in JupyterLab, in your own copy of the lessons
	@$(BIN)/moe-lessons copy --quiet $(if $(EDITION),--language $(EDITION)) $(WORK)
	@echo "Opening lesson 00 in your browser; Ctrl-C here stops JupyterLab."
	@$(BIN)/jupyter lab --ServerApp.log_level=ERROR --LabApp.log_level=ERROR --ServerApp.ip=127.0.0.1 \
		$$(test "$$(id -u)" != 0 || echo --allow-root) --LabApp.default_url=/lab/tree/$(FIRST)

test: .venv/ready-test lint  ## every check: style, package, browser, all notebooks compared with what they show
	@$(PYTEST) tests $(ARGS)
	@$(AS_STORED) $(PYTEST) notebooks --nbval --nbval-current-env \
		--nbval-sanitize-with tests/sanitize.cfg $(ARGS) || { test $$? = 5 && test -n '$(ARGS)'; }

lint: .venv/ready-test  ## style alone
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --check --quiet moe_lessons tests
	@test ! -e node_modules/.bin/biome || npm run --silent lint
	@test ! -e node_modules/.bin/pyright || npm run --silent types

widgets: node_modules/.package-lock.json  ## build the widgets' front ends anew from their sources; needs npm
	@npm run --silent build

watch: node_modules/.package-lock.json  ## the same after each edit; notebooks opened with ANYWIDGET_HMR=1 show it at once
	@npm run --silent watch

site: .venv/ready-site node_modules/.package-lock.json  ## the lessons as a web site in site/; LESSONS="00 05" or LANGUAGES=de for these alone
	@$(BIN)/python -m moe_lessons.site $(if $(LESSONS),--lessons $(LESSONS)) $(if $(LANGUAGES),--languages $(LANGUAGES))

notebooks: .venv/ready-test  ## execute every notebook again, in place
	@$(BIN)/python -m moe_lessons.authoring run

states: .venv/ready-test  ## execute every notebook for its widgets' states alone, which the site shows
	@$(BIN)/python -m moe_lessons.authoring states

robust: .venv/ready-test  ## every statement on other machines, seeds and busy cores; QUICK=1 for a few minutes of it
	@MOE_LESSONS_STOP_AFTER=1800 $(BIN)/python -m moe_lessons.authoring robust $(if $(QUICK),--quick) $(ARGS)

doctor: .venv/ready  ## what this machine has, and what to do about what it lacks
	@$(BIN)/moe-lessons doctor

clean:  ## remove .venv, caches and built files; lessons stay
	rm -rf .venv node_modules build dist site .pytest_cache .ruff_cache .hypothesis *.egg-info
	find . -name __pycache__ -prune -exec rm -rf {} +

.venv/ready: pyproject.toml constraints.txt .ci/setup.sh
	@if test -e .venv/ready-test; then sh .ci/setup.sh test; else sh .ci/setup.sh; fi
	@touch $@

.venv/ready-test: pyproject.toml constraints.txt package-lock.json .ci/setup.sh
	@sh .ci/setup.sh test
	@touch .venv/ready $@

.venv/ready-site: .venv/ready constraints.txt pyproject.toml
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e ".[site]"
	@touch $@

node_modules/.package-lock.json: package-lock.json
	@npm ci --silent
	@touch $@
