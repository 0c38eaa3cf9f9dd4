# The front door. The studies have their own: make -f isles.make, wmh.make, ... (each with `help`).

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help
# Nothing is found from another folder
$(if $(wildcard src/pipeline.mk),,$(error make works in the folder of $(strip $(MAKEFILE_LIST)): cd there first, or name it with make -C))
include src/venv.mk

.PHONY: help setup peers demo new-study index docs test check bench gpu soak

help:  ## this page
	@echo "make TARGET"; echo
	@sed -nE 's/^([a-z-]+):.*##  *(.*)/\1|\2/p' Makefile | while IFS='|' read -r name text; do printf '  %-9s %s\n' "$$name" "$$text"; done
	@echo; echo "Studies: make -f NAME for each of $(wildcard *.make); add help for targets and variables"

setup: $(venv)  ## .venv from the lock file

peers: $(if $(filter .venv/ready,$(venv)),.venv/peers)  ## optional packages that some tests compare with, into .venv

# What the demo trains: small enough for 8 minutes on two cores. The rate falls to 0, so that the last epoch is a result
# and not one point of a walk.
demo: RD   := results/isles-demo
demo: NET  := UNet(width=8)
demo: EPC  := 18
demo: LR   := 5e-3
demo: RATE := cosine(18)
demo: $(venv)  ## synthetic ISLES archives through the whole pipeline: trainings, curves, report, archive
	$(MAKE) -f isles.make SRC=phantom RD=$(RD) NET='$(NET)' EPC=$(EPC) LR=$(LR) RATE='$(RATE)'
	@$(MAKE) -s -f isles.make view SRC=phantom RD=$(RD) NET='$(NET)' EPC=$(EPC) LR=$(LR) RATE='$(RATE)' SAVE=$(RD)/view
	@echo
	@echo "report    $(RD)/report.html (and report.csv)"
	@echo "curves    $(RD)/*.png"
	@echo "overlays  $(RD)/view/*.png"
	@echo "archive   $$(cat $(RD)/archive.txt)"

new-study: $(venv)  ## NAME=brain: the files of a new study, which run as they are on a tiny example; KIND=slices
	@$(python) -m boundary_loss.own.new_study $(call quoted,$(NAME)) --kind $(call quoted,$(KIND))

index: $(venv)  ## results/index.html: all studies and archives
	$(python) -m boundary_loss.index results

# Built aside and moved, so that docs/_site is always whole; a warning of Sphinx, as a broken link, is an error
docs: $(venv) .venv-docs/ready  ## the documentation as a site, docs/_site/index.html: pages, API, pictures, all offline
	rm -rf docs/_site_tmp
	PYTHONPATH=src .venv-docs/bin/python -m sphinx -q -W --keep-going -c docs -d docs/_site_tmp/.doctrees . docs/_site_tmp
	.venv-docs/bin/python docs/check_links.py docs/_site_tmp
	rm -rf docs/_site_tmp/.doctrees docs/_site
	mv docs/_site_tmp docs/_site
	@echo "docs/_site/index.html"

test: $(venv)  ## the whole test suite
	$(interpreter) $(flags) -W error -m pytest --numprocesses auto --maxprocesses 4 --dist loadfile $(call options,TESTS)

TESTS :=

check: $(venv)  ## lint, types, import contract
	$(interpreter) -m ruff check .
	$(interpreter) -m ruff format --check .
	$(interpreter) -m mypy
	$(python) -c 'from importlinter.cli import lint_imports_command; lint_imports_command()' --no-logo

bench: $(venv)  ## where the time of an epoch goes, and how fast each loss is; see benchmarks/README.md
	$(python) benchmarks/epoch.py $(call options,BENCH)

soak: $(venv)  ## kill a small study twenty times; it must end as one that was left in peace
	$(python) benchmarks/soak.py

gpu: $(venv)  ## with a GPU: the tests and benchmarks that need one, tables in results/gpu; GPU='tests dice' for some
	$(python) benchmarks/gpu.py $(call options,GPU)

NAME  :=
KIND  := volumes
BENCH :=
GPU   :=
