# The Python that runs everything, and the kernels in C; included by every makefile here.

include src/values.mk

# Python is .venv, made from the lock file, unless `make ... CC=/path/to/python` names another; CC may have words, as
# CC='nice python'. CC and CFLAGS are read from the command line alone, and no command sees these two: in the
# environment they belong to C compilers, of which the kernels for GPUs call one.
interpreter := .venv/bin/python
ifeq ($(origin CC),command line)
unexport CC
interpreter := $(if $(word 2,$(CC)),$(if $(shell test -f $(call path,$(CC)) && echo file),$(call path,$(CC))))
interpreter := $(or $(interpreter),$(call options,CC),.venv/bin/python)
endif
ifeq ($(origin CFLAGS),command line)
unexport CFLAGS
flags := $(call options,CFLAGS)
endif
flags ?=
ifeq ($(interpreter),.venv/bin/python)
venv := .venv/ready
endif
venv ?=

# Asked once, before its first work: whether another Python, or one with a PYTHONPATH, can do it. What draws needs no torch
packages := numpy scipy nibabel skimage matplotlib PIL tqdm
answer    = $(or $(shell $(interpreter) $(flags) src/check_python.py $1 2>&1 | tail -n 1 || true),it is no Python)
refuse    = $(if $(filter-out ready,$1),$(error $(interpreter) cannot run the study: $1. It takes Python 3.11 or newer with the \
	packages of requirements.lock; CC=/path/to/python names one, and without CC make makes .venv))
usable    = $(if $(filter-out .venv/bin/python,$(interpreter))$(and $(value PYTHONPATH),$(wildcard .venv/ready)),$(call refuse,$(call answer,$1)))
has_packages = $(eval has_packages := $(call usable,$(packages)))
has_torch    = $(eval has_torch := $(call usable,$(packages) torch))

python       = $(has_packages)PYTHONPATH=src$(if $(value PYTHONPATH),:"$$PYTHONPATH") $(interpreter) $(flags)
torch_python = $(has_torch)$(python)

# Threads that wait for each other sleep instead of spinning: the same speed alone, and several times faster
# where two runs, or other people, share the cores
export OMP_WAIT_POLICY ?= passive

# The kernels in C, where there is a compiler; without one the same things are done, slower
native := src/boundary_loss/native
ifneq ($(shell command -v cc || command -v gcc || command -v clang),)
kernels := $(native)/kernels.so
venv += $(kernels)
$(kernels): $(wildcard $(native)/*.c $(native)/*.h $(native)/build.py) | $(filter .venv/ready,$(venv))
	@$(python) -m boundary_loss.native.build
endif

# Both are touched, for a lock file dated in the future would be installed anew each time
.venv/ready: requirements.lock
	@echo "installing the locked packages into .venv (once; torch is large)"
	python3 -c 'import sys; sys.version_info >= (3, 11) or sys.exit("error: Python 3.11 or newer is needed, found " + sys.version.split()[0])'
	python3 -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@touch $^ $@

.venv/peers: requirements-peers.lock .venv/ready
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-peers.lock
	@touch $^ $@

# Sphinx in an environment of its own, which finds torch and the others where $(interpreter) does
.venv-docs/ready: requirements-docs.lock | $(filter .venv/ready,$(venv))
	$(interpreter) -m venv .venv-docs
	.venv-docs/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-docs.lock
	$(interpreter) -c 'import sysconfig; print(sysconfig.get_path("purelib"))' \
		> "$$(.venv-docs/bin/python -c 'import sysconfig; print(sysconfig.get_path("purelib"))')/packages.pth"
	@touch requirements-docs.lock $@
