# make demo: the whole chain on the embedded world.  make test: the whole suite.  Each sets up what it needs, once.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= $(shell command -v python3.11 || command -v python3)
CORES ?= $(shell nproc 2>/dev/null || echo 2)
CONFIG ?= config/demo.yaml
# MB that the jobs of the rehearsal and of the real run share
MEMORY ?= 24000
ENVIRONMENTS ?= $(wildcard envs/*.yaml)

VENV := .venv
READY := $(VENV)/.ready
# programs of the environment are called through its interpreter, so that a checkout may be moved
RUN := $(VENV)/bin/python -m
SNAKEMAKE = $(RUN) snakemake --configfile $(CONFIG)
NAME = $(shell sed -n 's/^name: *//p' $(CONFIG))
TORCH := $(shell sed -n 's/^\(torch==[^ ]*\).*/\1/p' requirements.txt)
PIP := $(RUN) pip install --quiet --disable-pip-version-check --constraint constraints.txt

RULES := Snakefile workflow/rules

export MPLBACKEND := Agg
# where the home folder cannot be written, caches of Snakemake and of libraries lie in the checkout
ifneq ($(shell test -w "$$HOME" && echo yes),yes)
export XDG_CACHE_HOME ?= $(CURDIR)/.snakemake/cache/xdg_cache_home
export MPLCONFIGDIR ?= $(CURDIR)/.snakemake/cache/mplconfigdir
endif

.PHONY: help setup demo validation studies joint real rehearsal rehearse-real explain paper test test-chaos test-slurm lint format docs bench schema lock clean

help:
	@echo "make setup   the environment .venv, which all others make first where it is missing"
	@echo "make demo    the whole chain on the embedded world: results/demo/report.html"
	@echo "make validation  cycle and score the validation period alone: the test stays unseen (CONFIG=…)"
	@echo "make studies the demonstration and experiments beside it: 3D-Var alone, cut-offs, unrolling, hybrid training, observations in the loss"
	@echo "make joint   analyses that learnt from observations too, against the reanalysis and the truth: about an hour"
	@echo "make real    2020 at 5.6 degrees from public archives, scored beside HRES, FuXi, Pangu-Weather and GraphCast (MONTHS=\"2020-07 2020-08\" for a part)"
	@echo "make rehearsal  every rule at the paper's size on few days, and what each took beside what it asked for: about two hours"
	@echo "make rehearse-real  the run of config/real.yaml, shortened, from a mirror of the public archives on this machine"
	@echo "make explain what would run again, and which setting, function or file is why (CONFIG=config/demo.yaml)"
	@echo "make paper   figures as PDF and numbers as LaTeX, each with its query, from the tables of a finished run (CONFIG=config/demo.yaml)"
	@echo "make test    the test suite, with an end-to-end run"
	@echo "make test-chaos  damaged and missing files, killed jobs, full disks: what a finished run makes of them"
	@echo "make test-slurm  tests on a real Slurm, installed and started here (Debian, root; about a quarter of an hour)"
	@echo "make lint    formatters, ruff and snakemake --lint"
	@echo "make format  ruff format and snakefmt on all files"
	@echo "make docs    the documentation as a site: site/index.html"
	@echo "make bench   side-by-side measurements against named peers"
	@echo "make schema  write config/schema.json and docs/reference/configuration.md anew"
	@echo "make lock    explicit lists of the conda environments' packages (needs conda and conda-forge)"
	@echo "make clean   removes .venv"

setup: $(READY)

# torch first and alone: resolved together with the rest, its accelerated builds may bring gigabytes
$(READY): requirements.txt constraints.txt
	@"$(PYTHON)" -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
		|| { echo "Python 3.11 or newer is needed; name it with PYTHON=/path/to/python3.11"; exit 1; }
	@echo "setting up $(VENV) (once, a few minutes)"
	@test -x $(VENV)/bin/python || "$(PYTHON)" -m venv $(VENV)
	@$(PIP) $(TORCH)
	@$(PIP) --requirement requirements.txt
	@$(PIP) --no-build-isolation --no-deps --editable .
	@touch $@

demo: $(READY)
	$(SNAKEMAKE) --cores $(CORES) --report-after-run --report results/$(NAME)/report.html
	$(RUN) fuxiflow acceptance results/$(NAME)
	@echo "report: results/$(NAME)/report.html"

validation: $(READY)
	$(SNAKEMAKE) --cores $(CORES) validation
	@test -f results/$(NAME)/validation/scores.parquet || { echo "$(CONFIG): no periods.validation"; exit 1; }
	@echo "scores: results/$(NAME)/validation/scores.parquet"

studies: CONFIG := config/demo.yaml config/studies.yaml
studies: NAME := demo
studies: demo

joint: CONFIG := config/joint.yaml
joint: demo

# make real MONTHS="2020-07 2020-08" runs the first to the second of these months of the test alone
real: CONFIG := config/real.yaml $(if $(MONTHS),results/real/test_months.yaml)
real: NAME := real
real: $(READY)
ifdef MONTHS
	@test $(words $(MONTHS)) -le 2 || { echo 'MONTHS="$(MONTHS)", allowed: the first and the last month'; exit 1; }
	@mkdir -p results/real
	$(RUN) fuxiflow test-months $(firstword $(MONTHS)) $(lastword $(MONTHS)) config/real.yaml > results/real/test_months.yaml
endif
	$(SNAKEMAKE) --cores $(CORES) --resources mem_mb=$(MEMORY)
	$(SNAKEMAKE) --report results/$(NAME)/report.html
	@echo "report: results/$(NAME)/report.html"

rehearsal: CONFIG := config/rehearsal.yaml
rehearsal: $(READY)
	$(SNAKEMAKE) --cores $(CORES) --resources mem_mb=$(MEMORY)
	$(RUN) fuxiflow rehearsal $(CONFIG)

# the embedded world stands for the real one; synthetic files stay out of resources/archive, as the
# run has a folder of its own
REHEARSE := results/rehearse_real
rehearse-real: $(READY)
	$(RUN) snakemake --configfile config/rehearse_world.yaml --cores $(CORES) world
	$(RUN) fuxiflow publish config/rehearse_world.yaml --folder results/rehearse_world/mirror
	$(RUN) fuxiflow serve --config config/rehearse_real.yaml results/rehearse_world/mirror -- \
		$(RUN) snakemake --configfile config/real.yaml config/rehearse_real.yaml \
		--directory $(REHEARSE) --cores $(CORES)
	$(RUN) snakemake --configfile config/real.yaml config/rehearse_real.yaml \
		--directory $(REHEARSE) --report report.html \
		--report-stylesheet $(CURDIR)/workflow/report/report.css
	@echo "report: $(REHEARSE)/report.html"

explain: $(READY)
	@$(RUN) fuxiflow explain $(CONFIG)

paper: $(READY)
	@$(RUN) fuxiflow paper $(CONFIG)

# in the order of testpaths, the longest first, so that no process ends alone with the end-to-end run
test: $(READY)
	$(RUN) pytest --numprocesses $(CORES) --dist loadfile --no-loadscope-reorder --durations 40

# with FINISHED=folder the run that `make test` left there is harmed, and none is made
test-chaos: $(READY)
	$(RUN) tests.chaos $(if $(FINISHED),--finished $(FINISHED))

test-slurm: $(READY)
	$(RUN) pytest tests/slurm -p no:xdist --durations 20

lint: $(READY)
	$(RUN) ruff format --check --quiet .
	$(RUN) ruff check .
	$(RUN) snakefmt --check --compact-diff $(RULES)
	$(VENV)/bin/lint-imports --no-cache
	@$(SNAKEMAKE) --lint

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --strict --quiet
	@echo "documentation: site/index.html"

bench: $(READY)
	@for script in benchmarks/[a-z]*.py; do \
		echo "== $$script"; $(RUN) "benchmarks.$$(basename "$$script" .py)"; done

format: $(READY)
	$(RUN) ruff format .
	$(RUN) ruff check --fix .
	$(RUN) snakefmt $(RULES)

schema: $(READY)
	$(RUN) fuxiflow schema > config/schema.json.tmp && mv config/schema.json.tmp config/schema.json
	$(RUN) fuxiflow reference > docs/reference/configuration.md.tmp
	mv docs/reference/configuration.md.tmp docs/reference/configuration.md

# envs/{stage}.{platform}.pin.txt, which Snakemake takes before envs/{stage}.yaml; such a list cannot hold what pip installs
lock:
	@command -v conda > /dev/null || { echo "make lock needs conda, and a way to conda-forge"; exit 1; }
	@platform=$$(conda info --json | "$(PYTHON)" -c 'import json, sys; print(json.load(sys.stdin)["platform"])'); \
	for file in $(ENVIRONMENTS); do \
		list=$${file%.yaml}.$$platform.pin.txt; \
		if grep -q "pip:" "$$file"; then echo "$$file: has packages of pip, left as it is"; continue; fi; \
		folder=$$(mktemp -d); \
		conda env create --quiet --file "$$file" --prefix "$$folder/env" > /dev/null; \
		conda list --explicit --md5 --prefix "$$folder/env" > "$$list.tmp" && mv "$$list.tmp" "$$list"; \
		rm -rf "$$folder"; echo "$$list"; \
	done

clean:
	rm -rf $(VENV)
