# Which data set own.make is of. Its name, that of the folder or .tar, is the study's: results/NAME, data/NAME. Before any
# rule can be read it has to be known what the data is: where data/NAME/plan.mk is missing, the only rule brings the data
# set and starts make again.

include src/venv.mk

$(call forget,DIM SRC FRESH)
DATASET ?=
DIM     ?=
FRESH   ?=
ifneq ($(origin DATASET),command line)
$(error own.make needs a data set: make -f own.make DATASET=path, a folder with dataset.json (nnU-Net v2, Decathlon) or its .tar)
endif

named := $(notdir $(patsubst %/,%,$(subst $(space),_,$(strip $(DATASET)))))
STUDY := $(patsubst %.tgz,%,$(patsubst %.tar,%,$(patsubst %.tar.gz,%,$(named))))
ifneq ($(or $(call special_in,$(STUDY)),$(filter -% .%,$(STUDY)),$(if $(STUDY),,empty)),)
$(error DATASET='$(DATASET)': the last part of its path names the study, with letters, digits and . _ - alone; link or rename it)
endif
ifeq ($(call given,SRC),phantom)
$(error own.make has no synthetic data: SRC=phantom goes with the other studies)
endif
ifneq ($(filter-out 2 3,$(DIM)),)
$(error DIM=$(DIM) is 2 or 3, or left out)
endif

# What brings it; another size of dataset.json or of the .tar is noticed, while there is one
described := $(call path,$(DATASET))$(if $(wildcard $(subst $(space),\ ,$(DATASET))/.),/dataset.json)
size      := $(strip $(shell wc -c < $(described) 2> /dev/null))
brought   := $(wildcard data/$(STUDY)/arguments.txt)
BRING     := $(if $(size),--bytes $(size),$(if $(brought),$(file <$(brought)),--bytes 0))

plan := data/$(STUDY)/plan.mk
same_size := $(filter --bytes$(size),$(subst --bytes ,--bytes,$(if $(brought),$(file <$(brought)))))
ifneq ($(and $(wildcard $(plan)),$(if $(and $(size),$(call on,$(FRESH))),$(same_size),yes)),)
planned := yes
include $(plan)
else
planned :=
# With -n nothing is started again: what would follow is not known yet
again   := $(if $(findstring n,$(filter-out --%,$(firstword -$(MAKEFLAGS)))),,+)
MAKECMDGOALS ?=

.DEFAULT_GOAL := all
.PHONY: bring
$(or $(MAKECMDGOALS),all): bring ;
bring: | $(venv)
	$(torch_python) -m boundary_loss.own data/$(STUDY) $(BRING) --dataset $(call path,$(DATASET)) $(call option,--dim,$(DIM)) $(if $(call on,$(FRESH)),--fresh)
	$(again)@$(MAKE_COMMAND) --no-print-directory -f own.make $(MAKECMDGOALS)
endif
