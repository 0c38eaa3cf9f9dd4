# The Python that runs everything: .venv, made from the lock file, unless `make ... CC=/path/to/python` names another.
# CC and CFLAGS are read from the command line alone: shells export them for C compilers.

ifneq ($(origin CC),command line)
CC := .venv/bin/python
endif
ifneq ($(origin CFLAGS),command line)
CFLAGS :=
endif
ifeq ($(CC),.venv/bin/python)
venv := .venv/ready
endif
venv ?=

python := PYTHONPATH=src$(if $(value PYTHONPATH),:$(PYTHONPATH)) $(CC) $(CFLAGS)

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

.venv/ready: requirements.lock
	@echo "installing the locked packages into .venv (once; torch is large)"
	python3 -c 'import sys; sys.version_info >= (3, 11) or sys.exit("error: Python 3.11 or newer is needed, found " + sys.version.split()[0])'
	python3 -m venv .venv
	.venv/bin/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@touch $@

.venv/peers: requirements-peers.lock .venv/ready
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --no-deps -r requirements-peers.lock
	@touch $@
