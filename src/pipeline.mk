# Every rule of a study, once. A study file (isles.make) states its facts and its ledger, then includes this.
#
#   archives -> $(RAW) -> $(SLICED) -> $(RD)/RUN -> $(RD)/RUN/val_*.npy -> $(RD)/*.png, report.html -> archives/
#
# RUN is a row of the ledger, or one of the parts that SEEDS and FOLDS make of it: gdl, or gdl/seed0, gdl/fold1_seed0.
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
FOLDS    ?=
SLICE    ?=
NET      ?= UNet
EPC      ?= 100
BS       ?= 8
LR       ?= 1e-3
RATE     ?= plateau(20)
SEED     ?= 0
SEEDS    ?=
TRAIN    ?=
AUGMENT  ?=
AMP      ?= off
COMPILE  ?=
DETERMINISTIC ?=
DEVICE   ?= auto
DEBUG    ?=
FRESH    ?=
RUNS     ?= $(rows)
REPORT   ?=
PLOT     ?=
BOXPLOT  ?=
HIST     ?=
MODALITY ?=
SLICES   ?=
EPOCH    ?= best
SAVE     ?=
VIEW     ?=
ARCHIVE  ?=

settable := SRC ZIPS LINEAGE TRUST PHANTOM RETAIN FOLD FOLDS SLICE NET EPC BS LR RATE SEED SEEDS TRAIN AUGMENT AMP COMPILE \
	DETERMINISTIC DEVICE DEBUG FRESH RUNS RD REPORT PLOT BOXPLOT HIST MODALITY SLICES EPOCH SAVE VIEW ARCHIVE CC CFLAGS

include src/venv.mk

# ---- Where things are: a phantom, a debug run or another fold never stands where a result should -------------------

phantom := $(if $(filter phantom,$(SRC)),-phantom)
RETAIN  ?= $(if $(phantom),10,$(HELD_OUT))
fold     = $(if $(filter-out 0,$1),-fold$1)

RAW       := data/$(STUDY)$(phantom)
sliced_of  = data/$(SLICED_AS)$(phantom)$(call fold,$1)
SLICED    := $(foreach number,$(or $(FOLDS),$(FOLD)),$(call sliced_of,$(number)))
RD        ?= results/$(STUDY)$(phantom)$(if $(DEBUG),-debug)$(call fold,$(FOLD))

ifneq ($(filter-out challenge phantom,$(SRC)),)
$(error SRC=$(SRC) is unknown; use SRC=challenge (the archives in ZIPS=$(ZIPS)) or SRC=phantom (synthetic ones))
endif

# ---- The ledger ----------------------------------------------------------------------------------------------------

rows := $(sort $(patsubst %.losses,%,$(filter %.losses,$(.VARIABLES))))
unknown := $(filter-out $(rows),$(RUNS))
ifneq ($(unknown),)
$(error RUNS names no row of the ledger: $(unknown). The rows are: $(rows))
endif

# ---- The parts of a row: one for each of SEEDS and FOLDS, each a run of its own; without them the row is the run -----

ifneq ($(and $(SEEDS),$(filter-out 0,$(SEED))),)
$(error SEED=$(SEED) is one seed, SEEDS=$(SEEDS) several; give one of the two)
endif
ifneq ($(and $(FOLDS),$(filter-out 0,$(FOLD))),)
$(error FOLD=$(FOLD) is one fold, FOLDS=$(FOLDS) several; give one of the two)
endif

seeds := $(SEEDS:%=seed%)
parts := $(or $(foreach number,$(FOLDS),$(if $(seeds),$(seeds:%=fold$(number)_%),fold$(number))),$(seeds))
names  = $(if $(parts),$(foreach row,$1,$(parts:%=$(row)/%)),$1)
runs  := $(patsubst %,$(RD)/%,$(call names,$(RUNS)))

# Of a run's name, gdl/fold1_seed0: the row gdl, the number after `fold` or `seed` (else $3), the data it is trained on;
# of a file inside, gdl/fold1_seed0/NAME, the run
row_of    = $(firstword $(subst /, ,$1))
number_of = $(or $(patsubst $2%,%,$(filter $2%,$(subst _, ,$(word 2,$(subst /, ,$1))))),$3)
data_of   = $(call sliced_of,$(call number_of,$1,fold,$(FOLD)))
folder_of = $(patsubst %/,%,$(dir $1))

# What is drawn of slices: the first part of each row, and the data of the first fold
pictured := $(if $(parts),$(RUNS:%=$(RD)/%/$(firstword $(parts))),$(runs))

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
slice_settings    = --source $(RAW) --retain $(RETAIN) --fold $(or $(word 2,$(subst -fold, ,$1)),0) $(SLICE)
train_settings    = --data $(call data_of,$1) $(call row_settings,$(call row_of,$1)) --seed $(call number_of,$1,seed,$(SEED)) \
	$(TRAIN) $(call given,$(call row_of,$1).options) $(DEBUG)
row_settings      = --losses $(foreach term,$($1.losses),'$(term)') \
	$(call option,--schedule,$(patsubst %,'%',$(call given,$1.schedule))) \
	$(call option,--augment,$(foreach transform,$(or $(call given,$1.augment),$(AUGMENT)),'$(transform)')) \
	--network '$(NET)' --epochs $(EPC) --batch_size $(BS) --lr $(LR) --rate '$(RATE)' \
	$(call option,--amp,$(filter-out off,$(AMP))) $(call switch,--compile,$(COMPILE)) \
	$(call switch,--deterministic,$(DETERMINISTIC))

same  = $(and $(findstring [$(strip $1)],[$(strip $2)]),$(findstring [$(strip $2)],[$(strip $1)]))
plain = $(subst ',,$1)
stale = $(if $(wildcard $1/arguments.txt),$(if $(call same,$(call plain,$(file <$1/arguments.txt)),$(call plain,$2)),,FORCE))
stale_run = $(or $(call stale,$(RD)/$1,$(call train_settings,$1)),$(if $(wildcard $(RD)/$1/*/arguments.txt),FORCE))

.PHONY: FORCE
FORCE:

# ---- Goals ---------------------------------------------------------------------------------------------------------

.PHONY: all data train metrics hausdorff boundary plot report check-paper pack unpack verify view help

all: report pack  ## everything: data, trainings, metrics, plots, report, archive

data: $(SLICED)  ## unpack and slice the data

train: $(runs) $(foreach run,$(runs),$(trained:%=$(run)/%.npy))  ## the trainings in RUNS; one alone: results/STUDY/RUN

# ---- Data: published whole, then read-only -------------------------------------------------------------------------

$(RAW)-zips: $(call stale,$(RAW)-zips,$(phantom_settings)) | $(venv)
	$(python) -m boundary_loss.phantom $@ $(phantom_settings) $(fresh)

$(RAW): $(call stale,$(RAW),$(unpack_settings)) | $(if $(phantom),$(RAW)-zips) $(venv)
	$(python) -m boundary_loss.unpack $@ $(unpack_settings) $(unpack_from) $(fresh)

$(SLICED): %: $$(call stale,$$@,$$(call slice_settings,$$@)) | $(RAW) $(venv)
	$(python) preprocess/slice_$(STUDY).py $@ $(call slice_settings,$@) $(fresh)

# ---- Trainings: a stray file among the data must not cost a day, hence order-only; run.json has the data's checksum --

$(patsubst %,$(RD)/%,$(call names,$(rows))): $(RD)/%: $$(call stale_run,$$*) | $$(call data_of,$$*) $(venv)
	$(python) -m boundary_loss.train $@ $(call train_settings,$*) --device $(DEVICE) --queue $(runs) $(fresh)

ifneq ($(parts),)
$(rows:%=$(RD)/%): | $$(addprefix $$@/,$$(parts))
	@:
endif

$(foreach name,$(trained),$(RD)/%/$(name).npy): $$(call stale_run,$$*) | $(RD)/%
	@test -f $@ || { echo "error: $@ is missing from a finished run; train it again with: rm -r $(RD)/$*" >&2; exit 2; }

# ---- Metrics over epochs, from the saved predictions ---------------------------------------------------------------

$(foreach name,$(evaluated),$(RD)/%/$(name).npy): $$(call stale_run,$$*) | $(RD)/%
	$(python) -m boundary_loss.evaluate $(RD)/$* --data $(call data_of,$*)

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
$(RD)/runs.txt: $(if $(call same,$(file <$(RD)/runs.txt),$(call names,$(RUNS))),,FORCE)
	@mkdir -p $(@D) && echo '$(call names,$(RUNS))' > $@

$(RD)/%_boxplot.png: $(runs:=/%.npy) $(RD)/runs.txt | $(venv)
	$(python) -m boundary_loss.boxplot $@ --runs $(runs) --study $(STUDY) $(BOXPLOT)

$(RD)/%_hist.png: $(runs:=/%.npy) $(RD)/runs.txt | $(venv)
	$(python) -m boundary_loss.hist $@ --runs $(runs) --study $(STUDY) $(HIST)

$(RD)/%.png: $(runs:=/%.npy) $(RD)/runs.txt | $(venv)
	$(python) -m boundary_loss.plot $@ --runs $(runs) --study $(STUDY) $(PLOT)

# ---- Report, archive, pictures -------------------------------------------------------------------------------------

$(RD)/report.html: $(plots) $(foreach run,$(runs),$(evaluated:%=$(run)/%.npy)) | $(venv)
	$(python) -m boundary_loss.report $(RD) --runs $(runs) --study $(STUDY) --data $(SLICED) $(REPORT) \
		$(call option,--modality,$(MODALITY)) --quiet

report: $(RD)/report.html  ## table and statistics of the runs; report.html, .tex, .csv and comparisons.csv beside them
	@$(python) -m boundary_loss.report $(RD) --runs $(runs) --study $(STUDY) --data $(SLICED) $(REPORT) --show

check-paper: $(foreach run,$(runs),$(evaluated:%=$(run)/%.npy)) | $(venv)  ## our numbers beside those of the papers
	@$(python) -m boundary_loss.published lineage/$(STUDY).published --runs $(runs)

$(RD)/archive.txt: $(RD)/report.html | $(venv)
	$(python) -m boundary_loss.archive pack archives --study $(notdir $(RD)) --folder $(RD) --runs $(runs) --stamp $@

pack: $(RD)/archive.txt  ## archives/REPO-DATE-HASH-HOST-STUDY.tar.gz, read-only
	@echo "archive: $$(cat $<)"

unpack: | $(venv)  ## ARCHIVE=archives/... back under results/
	$(python) -m boundary_loss.archive unpack '$(or $(ARCHIVE),$(error unpack needs ARCHIVE=archives/...tar.gz))' results

verify: | $(venv)  ## ARCHIVE=archives/... against the checksums inside it
	$(python) -m boundary_loss.archive verify '$(or $(ARCHIVE),$(error verify needs ARCHIVE=archives/...tar.gz))'

view: $(pictured) | $(venv)  ## contours over images: SLICES='case_10_00_0003 ...' EPOCH=best SAVE=folder
	$(python) -m boundary_loss.view --data $(firstword $(SLICED)) --runs $(pictured) --epoch $(EPOCH) $(call option,--slices,$(SLICES)) \
		$(call option,--modality,$(MODALITY)) --save '$(or $(SAVE),$(RD)/view)' $(if $(SAVE),,--window) $(VIEW)

$(RD)/%.gif: | $$(RD)/$$(call folder_of,$$*) $(venv)
	$(python) -m boundary_loss.gif $@ --data $(call data_of,$(call folder_of,$*)) $(call option,--modality,$(MODALITY))

# ---- The last resort: a name that nothing above makes --------------------------------------------------------------

results/%:
	@echo "error: nothing makes $@; with these variables the results are in $(RD)" >&2; exit 2

data/%:
	@echo "error: nothing makes $@; with these variables the data is $(RAW), then $(SLICED)" >&2; exit 2

$(RD)/%:
	@echo "error: nothing makes $@; the runs of the ledger are: $(rows)$(if $(parts),; the parts of each: $(parts))" >&2; exit 2

help:  ## this page
	@echo "make -f $(STUDY).make [TARGET] [VARIABLE=value] [-n] [-B] [-j2]"
	@echo; echo "Targets (here: $(RAW) -> $(SLICED) -> $(RD) -> archives)"
	@sed -nE 's/^([a-z-]+):.*##  *(.*)/\1|\2/p' src/pipeline.mk | while IFS='|' read -r name text; do printf '  %-11s %s\n' "$$name" "$$text"; done
	@echo; echo "Runs of the ledger (* in RUNS)"
	@$(foreach row,$(rows),echo '  $(if $(filter $(row),$(RUNS)),*, ) $(row): $($(row).losses) $(call given,$(row).schedule)';)
	@echo; echo "Variables"
	@$(foreach name,$(settable),echo '  $(name) = $(call plain,$($(name)))';)
