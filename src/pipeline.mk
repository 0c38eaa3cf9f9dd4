# Every rule of a study, once. A study file (isles.make) states its facts and its ledger, then includes this.
#
#   archives -> $(RAW) -> $(SLICED) -> $(RD)/RUN -> $(RD)/RUN/val_*.npy -> $(RD)/*.png, report.html -> archives/
#
# A folder records the settings that made it (arguments.txt). `stale` compares that line with what would be run now,
# so that a changed EPC, NET or ledger row is noticed without starting Python; the command then says what changed.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDEXPANSION:
.SUFFIXES:

# ---- Variables a user sets on the command line; `make -f STUDY.make help` lists them -------------------------------

SRC      ?= challenge
ZIPS     ?= data
LINEAGE  ?= lineage/$(SLICED_AS).lineage
TRUST    ?=
PHANTOM  ?= --cases 40 --size 96
FOLD     ?= 0
SLICE    ?=
NET      ?= UNet
EPC      ?= 100
BS       ?= 8
LR       ?= 1e-3
RATE     ?= plateau(20)
SEED     ?= 0
TRAIN    ?=
AUGMENT  ?=
AMP      ?= off
COMPILE  ?=
DETERMINISTIC ?=
DEVICE   ?= auto
DEBUG    ?=
FRESH    ?=
RUNS     ?= $(rows)
PLOT     ?=
BOXPLOT  ?=
HIST     ?=
MODALITY ?=
SLICES   ?=
EPOCH    ?= best
SAVE     ?=
VIEW     ?=
ARCHIVE  ?=

settable := SRC ZIPS LINEAGE TRUST PHANTOM RETAIN FOLD SLICE NET EPC BS LR RATE SEED TRAIN AUGMENT AMP COMPILE \
	DETERMINISTIC DEVICE DEBUG FRESH RUNS RD \
	PLOT BOXPLOT HIST MODALITY SLICES EPOCH SAVE VIEW ARCHIVE CC CFLAGS

include src/venv.mk

# ---- Where things are: a phantom, a debug run or another fold never stands where a result should -------------------

phantom := $(if $(filter phantom,$(SRC)),-phantom)
RETAIN  ?= $(if $(phantom),10,$(HELD_OUT))
fold    := $(if $(filter-out 0,$(FOLD)),-fold$(FOLD))

RAW    := data/$(STUDY)$(phantom)
SLICED := data/$(SLICED_AS)$(phantom)$(fold)
RD     ?= results/$(STUDY)$(phantom)$(if $(DEBUG),-debug)$(fold)

ifneq ($(filter-out challenge phantom,$(SRC)),)
$(error SRC=$(SRC) is unknown; use SRC=challenge (the archives in ZIPS=$(ZIPS)) or SRC=phantom (synthetic ones))
endif

# ---- The ledger ----------------------------------------------------------------------------------------------------

rows := $(sort $(patsubst %.losses,%,$(filter %.losses,$(.VARIABLES))))
unknown := $(filter-out $(rows),$(RUNS))
ifneq ($(unknown),)
$(error RUNS names no row of the ledger: $(unknown). The rows are: $(rows))
endif
runs := $(RUNS:%=$(RD)/%)

# The arrays of a run folder: written while training, and computed afterwards from the saved predictions
trained   := tra_loss val_loss tra_dice val_dice
evaluated := val_3d_dsc val_3d_hausdorff val_3d_hd95 val_3d_assd val_hausdorff val_boundary

# ---- Settings, and whether a folder was made with others -----------------------------------------------------------

option = $(if $(strip $2),$1 $(strip $2))
switch = $(if $(filter-out 0,$2),$1)
given  = $(if $(filter-out undefined,$(origin $1)),$($1))

# -B makes everything anew, FRESH=1 what was made with other settings; what stands there moves aside, nothing is lost
fresh := $(if $(FRESH)$(findstring B,$(filter-out --%,$(firstword -$(MAKEFLAGS)))),--fresh)

phantom_settings := --study $(STUDY) $(PHANTOM)
unpack_settings  := --lineage $(if $(phantom),$(RAW)-zips/phantom.lineage,$(LINEAGE)) $(UNPACK)
unpack_from      := --zips $(if $(phantom),$(RAW)-zips,$(ZIPS)) $(if $(TRUST),--trust)
slice_settings   := --source $(RAW) --retain $(RETAIN) --fold $(FOLD) $(SLICE)
train_settings    = --data $(SLICED) --losses $(foreach term,$($1.losses),'$(term)') \
	$(call option,--schedule,$(patsubst %,'%',$(call given,$1.schedule))) \
	$(call option,--augment,$(foreach transform,$(or $(call given,$1.augment),$(AUGMENT)),'$(transform)')) \
	--network '$(NET)' --epochs $(EPC) --batch_size $(BS) --lr $(LR) --rate '$(RATE)' --seed $(SEED) \
	$(call option,--amp,$(filter-out off,$(AMP))) $(call switch,--compile,$(COMPILE)) $(call switch,--deterministic,$(DETERMINISTIC)) \
	$(TRAIN) $(call given,$1.options) $(DEBUG)

same  = $(and $(findstring [$(strip $1)],[$(strip $2)]),$(findstring [$(strip $2)],[$(strip $1)]))
plain = $(subst ',,$1)
stale = $(if $(wildcard $1/arguments.txt),$(if $(call same,$(call plain,$(file <$1/arguments.txt)),$(call plain,$2)),,FORCE))
stale_run = $(call stale,$(RD)/$1,$(call train_settings,$1))

.PHONY: FORCE
FORCE:

# ---- Goals ---------------------------------------------------------------------------------------------------------

.PHONY: all data train metrics hausdorff boundary plot report pack unpack verify view help

all: report pack  ## everything: data, trainings, metrics, plots, report, archive

data: $(SLICED)  ## unpack and slice the data

train: $(runs) $(foreach run,$(runs),$(trained:%=$(run)/%.npy))  ## the trainings in RUNS; one alone: results/STUDY/RUN

# ---- Data: published whole, then read-only -------------------------------------------------------------------------

$(RAW)-zips: $(call stale,$(RAW)-zips,$(phantom_settings)) | $(venv)
	$(python) -m boundary_loss.phantom $@ $(phantom_settings) $(fresh)

$(RAW): $(call stale,$(RAW),$(unpack_settings)) | $(if $(phantom),$(RAW)-zips) $(venv)
	$(python) -m boundary_loss.unpack $@ $(unpack_settings) $(unpack_from) $(fresh)

$(SLICED): $(call stale,$(SLICED),$(slice_settings)) | $(RAW) $(venv)
	$(python) preprocess/slice_$(STUDY).py $@ $(slice_settings) $(fresh)

# ---- Trainings: a stray file among the data must not cost a day, hence order-only; run.json has the data's checksum --

$(rows:%=$(RD)/%): $(RD)/%: $$(call stale_run,$$*) | $(SLICED) $(venv)
	$(python) -m boundary_loss.train $@ $(call train_settings,$*) --device $(DEVICE) --queue $(RUNS) $(fresh)

$(foreach name,$(trained),$(RD)/%/$(name).npy): $$(call stale_run,$$*) | $(RD)/%
	@test -f $@ || { echo "error: $@ is missing from a finished run; train it again with: rm -r $(RD)/$*" >&2; exit 2; }

# ---- Metrics over epochs, from the saved predictions ---------------------------------------------------------------

$(foreach name,$(evaluated),$(RD)/%/$(name).npy): $$(call stale_run,$$*) | $(RD)/%
	$(python) -m boundary_loss.evaluate $(RD)/$* --data $(SLICED)

metrics: $(foreach run,$(runs),$(evaluated:%=$(run)/%.npy))  ## Dice, HD, HD95, ASSD, boundary value of every epoch
hausdorff: $(foreach run,$(runs),$(run)/val_3d_hausdorff.npy $(run)/val_hausdorff.npy)  ## Hausdorff distances only
boundary: $(runs:%=%/val_boundary.npy)  ## boundary values only

# ---- Plots: drawn from the arrays alone; a deleted one is redrawn alone --------------------------------------------

curves   ?= tra_loss val_loss tra_dice val_dice val_3d_dsc val_3d_hausdorff val_3d_hd95
boxplots ?= val_3d_dsc val_3d_hd95
hists    ?= val_dice
plots := $(curves:%=$(RD)/%.png) $(boxplots:%=$(RD)/%_boxplot.png) $(hists:%=$(RD)/%_hist.png)

plot: $(plots)  ## all plots; one alone: results/STUDY/val_dice.png, val_3d_hd95_boxplot.png, val_dice_hist.png

# Which runs the pictures show: another list of RUNS redraws them
$(RD)/runs.txt: $(if $(call same,$(file <$(RD)/runs.txt),$(RUNS)),,FORCE)
	@mkdir -p $(@D) && echo '$(RUNS)' > $@

$(RD)/%_boxplot.png: $(runs:=/%.npy) $(RD)/runs.txt | $(venv)
	$(python) -m boundary_loss.boxplot $@ --runs $(runs) --study $(STUDY) $(BOXPLOT)

$(RD)/%_hist.png: $(runs:=/%.npy) $(RD)/runs.txt | $(venv)
	$(python) -m boundary_loss.hist $@ --runs $(runs) --study $(STUDY) $(HIST)

$(RD)/%.png: $(runs:=/%.npy) $(RD)/runs.txt | $(venv)
	$(python) -m boundary_loss.plot $@ --runs $(runs) --study $(STUDY) $(PLOT)

# ---- Report, archive, pictures -------------------------------------------------------------------------------------

$(RD)/report.html: $(plots) $(foreach run,$(runs),$(evaluated:%=$(run)/%.npy)) | $(venv)
	$(python) -m boundary_loss.report $(RD) --runs $(runs) --study $(STUDY) --data $(SLICED) $(call option,--modality,$(MODALITY)) --quiet

report: $(RD)/report.html  ## table of every run; also report.html and report.csv beside the runs
	@$(python) -m boundary_loss.report $(RD) --runs $(runs) --study $(STUDY) --data $(SLICED) --show

$(RD)/archive.txt: $(RD)/report.html | $(venv)
	$(python) -m boundary_loss.archive pack archives --study $(notdir $(RD)) --folder $(RD) --runs $(runs) --stamp $@

pack: $(RD)/archive.txt  ## archives/REPO-DATE-HASH-HOST-STUDY.tar.gz, read-only
	@echo "archive: $$(cat $<)"

unpack: | $(venv)  ## ARCHIVE=archives/... back under results/
	$(python) -m boundary_loss.archive unpack '$(or $(ARCHIVE),$(error unpack needs ARCHIVE=archives/...tar.gz))' results

verify: | $(venv)  ## ARCHIVE=archives/... against the checksums inside it
	$(python) -m boundary_loss.archive verify '$(or $(ARCHIVE),$(error verify needs ARCHIVE=archives/...tar.gz))'

view: $(runs) | $(venv)  ## contours over images: SLICES='case_10_00_0003 ...' EPOCH=best SAVE=folder
	$(python) -m boundary_loss.view --data $(SLICED) --runs $(runs) --epoch $(EPOCH) $(call option,--slices,$(SLICES)) \
		$(call option,--modality,$(MODALITY)) --save '$(or $(SAVE),$(RD)/view)' $(if $(SAVE),,--window) $(VIEW)

$(RD)/%.gif: | $$(RD)/$$(firstword $$(subst /, ,$$*)) $(venv)
	$(python) -m boundary_loss.gif $@ --data $(SLICED) $(call option,--modality,$(MODALITY))

# ---- The last resort: a name that nothing above makes --------------------------------------------------------------

results/%:
	@echo "error: nothing makes $@; with these variables the results are in $(RD)" >&2; exit 2

data/%:
	@echo "error: nothing makes $@; with these variables the data is $(RAW), then $(SLICED)" >&2; exit 2

$(RD)/%:
	@echo "error: nothing makes $@; the runs of the ledger are: $(rows)" >&2; exit 2

help:  ## this page
	@echo "make -f $(STUDY).make [TARGET] [VARIABLE=value] [-n] [-B] [-j2]"
	@echo; echo "Targets (here: $(RAW) -> $(SLICED) -> $(RD) -> archives)"
	@sed -nE 's/^([a-z]+):.*##  *(.*)/\1|\2/p' src/pipeline.mk | while IFS='|' read -r name text; do printf '  %-10s %s\n' "$$name" "$$text"; done
	@echo; echo "Runs of the ledger (* in RUNS)"
	@$(foreach row,$(rows),echo '  $(if $(filter $(row),$(RUNS)),*, ) $(row): $($(row).losses) $(call given,$(row).schedule)';)
	@echo; echo "Variables"
	@$(foreach name,$(settable),echo '  $(name) = $(call plain,$($(name)))';)
