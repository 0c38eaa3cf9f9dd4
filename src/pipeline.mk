# Every rule of a study, once. A study file (isles.make) states its facts and its ledger, then includes this.
#
#   archives -> $(RAW) -> $(PREPARED) -> $(RD)/RUN -> $(RD)/RUN/val_*.npy -> $(RD)/*.png, report.html -> archives/
#
# A study is of slices, or of whole volumes (KIND := volumes), which are preprocess/slice_STUDY.py and prepare_STUDY.py.
# RUN is a row of the ledger, or one of the parts that SEEDS and FOLDS make of it: gdl, or gdl/seed0, gdl/fold1_seed0.
#
# A folder records the settings that made it (arguments.txt). `stale` (stale.mk) compares that line with what would be run
# now, so that a changed EPC, NET or ledger row is noticed without starting Python; the command then says what changed.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := all
.DELETE_ON_ERROR:
.SECONDEXPANSION:
.SUFFIXES:

ledger := $(or $(wildcard $(firstword $(MAKEFILE_LIST))),$(strip $(filter-out src/%.mk,$(MAKEFILE_LIST))))
$(if $(filter undefined,$(origin venv)),$(eval include src/venv.mk))

# ---- Variables a user sets on the command line; `make -f STUDY.make help` lists them -------------------------------

settable := LEDGER SRC ZIPS LINEAGE TRUST PHANTOM RETAIN FOLD FOLDS SPLIT PREPARE SPACING LOCATOR LOCATE FIT SAMPLE INFER NET EPC BS LR RATE \
	SEED SEEDS TRAIN AUGMENT AMP COMPILE DETERMINISTIC DEVICE GPUS NPROC LAUNCH DEBUG FRESH PREDICTIONS KEEP SAVE_MINUTES SKIP_NAN TRACK RUNS RD METRICS REPORT PLOT \
	BOXPLOT HIST MODALITY SLICES EPOCH SAVE VIEW CASES PREDICT MESH COST ARCHIVE RUN RERUN
# Of these, the ones that shape no result: an archive does not record them
local    := LEDGER ZIPS LINEAGE TRUST DEVICE GPUS NPROC LAUNCH FRESH SAVE_MINUTES TRACK RD PLOT BOXPLOT HIST MODALITY SLICES EPOCH SAVE VIEW \
	CASES PREDICT MESH COST ARCHIVE RUN RERUN
$(call forget,$(settable) SLICE SLICED_AS KIND PREPARER BRING families curves boxplots hists of_pairs)
ifneq ($(filter-out undefined,$(origin SLICE) $(origin SLICED_AS)),)
$(error SLICE is called PREPARE now, and SLICED_AS in a study's file PREPARED_AS)
endif

KIND     ?= slices
SAMPLE   ?= $(whole:volumes=whole)
SRC      ?= challenge
ZIPS     ?= data
LINEAGE  ?= lineage/$(PREPARED_AS).lineage
PHANTOM  ?= --cases 40 --size 96
RETAIN   ?= $(if $(phantom),10,$(HELD_OUT))
FOLD     ?= 0
NET      ?= UNet
EPC      ?= 100
BS       ?= 8
LR       ?= 1e-3
RATE     ?= plateau(20)
SEED     ?= 0
AMP      ?= off
DEVICE   ?= auto
NPROC    ?= 1
SAVE_MINUTES ?= 10
RUNS     ?= $(rows)
RD       ?= results/$(STUDY)$(phantom)$(if $(DEBUG),-debug)$(call fold,$(FOLD))
METRICS  ?= $(or $(whole),default)
EPOCH    ?= best
# The others are empty
$(foreach name,$(settable) BRING families of_pairs,$(eval $(name) ?=))

# ---- Where things are: a phantom, a debug run or another fold never stands where a result should -------------------

phantom := $(if $(filter phantom,$(SRC)),-phantom)
whole   := $(filter volumes,$(KIND))

# Whole numbers in their usual spelling: '00' and '0' would be one seed, pooled as two
wrong := $(foreach name,RETAIN FOLD EPC BS SEED NPROC $(filter %.epc %.bs,$(.VARIABLES)),$(if $(filter-out 1,$(words $($(name))))$(call not_whole,$($(name))),$(name)))
ifneq ($(strip $(wrong)),)
$(error $(foreach name,$(wrong),$(name)='$($(name))') must be a whole number, as 0 or 12)
endif
ifneq ($(call not_whole,$(SEEDS) $(FOLDS)),)
$(error SEEDS='$(SEEDS)' and FOLDS='$(FOLDS)' are whole numbers, as SEEDS='0 1 2'; not: $(call not_whole,$(SEEDS) $(FOLDS)))
endif

fold       = $(if $(filter-out 0,$1),-fold$1)
RAW       := data/$(STUDY)$(phantom)
prepared_of = data/$(PREPARED_AS)$(phantom)$(call fold,$1)
PREPARER  ?= $(if $(whole),prepare,slice)_$(STUDY)
PREPARED  := $(foreach number,$(or $(FOLDS),$(FOLD)),$(call prepared_of,$(number)))

ifeq ($(filter slices volumes,$(KIND)),)
$(error KIND=$(KIND) is unknown; use slices or volumes)
endif
ifeq ($(filter challenge phantom,$(SRC)),)
$(error SRC=$(SRC) is unknown; use SRC=challenge (the archives in ZIPS=$(ZIPS)) or SRC=phantom (synthetic ones))
endif

# RD becomes part of every name, hence no spaces, and none of make's and the shell's own characters
override RD := $(patsubst ~/%,$(HOME)/%,$(or $(patsubst %/,%,$(RD)),$(RD)))
ifneq ($(word 2,$(RD)),)
$(warning RD='$(RD)': make cannot have spaces in names; the results go to $(subst $(space),_,$(strip $(RD))))
override RD := $(subst $(space),_,$(strip $(RD)))
endif
inside := $(subst [$(CURDIR)/,,[$(abspath $(RD)))
above  := $(findstring [$(subst //,/,$(or $(realpath $(RD)),$(abspath $(RD)))/),[$(CURDIR)/)
ours   := results data archives $(foreach folder,src tests docs benchmarks preprocess lineage .git .venv,$(folder) $(folder)/%)
ifneq ($(or $(call special_in,$(RD)),$(filter -%,$(RD)),$(above),$(filter $(ours),$(inside)),$(if $(RD),,empty)),)
$(error RD='$(RD)' must be a folder of its own, as RD=results/another, named with letters, digits and . _ - alone)
endif

# ---- The ledger ----------------------------------------------------------------------------------------------------

# Rows that several studies share; what the study's own file says of a row of the same name is lost
ifneq ($(strip $(LEDGER)),)
$(if $(and $(wildcard $(LEDGER)),$(if $(word 2,$(LEDGER)),,one)),,$(error LEDGER='$(LEDGER)' is no file; it names a file of rows, as src/contest_rows.mk))
include $(LEDGER)
endif

rows := $(sort $(foreach name,$(filter %.losses,$(.VARIABLES)),$(if $(filter-out environment,$(origin $(name))),$(name:.losses=))))
ifneq ($(call special_in,$(rows))$(findstring /,$(rows))$(filter .%,$(rows)),)
$(error a row is named with letters, digits and . _ - alone, and begins with no dot; the rows are: $(rows))
endif
unknown := $(filter-out $(rows),$(RUNS))
ifneq ($(unknown),)
$(error RUNS names no row of the ledger: $(unknown). The rows are: $(rows))
endif
ifneq ($(filter-out $(rows),$(LOCATOR))$(word 2,$(LOCATOR))$(if $(whole),,$(LOCATOR)),)
$(error LOCATOR='$(LOCATOR)' is one row of the ledger, that finds where to look in whole volumes; the rows are: $(rows))
endif
ifneq ($(words $(RUNS)),$(words $(sort $(RUNS))))
$(error RUNS='$(RUNS)' names a row twice)
endif
ifeq ($(strip $(RUNS)),)
$(error RUNS is empty; the rows of the ledger are: $(rows))
endif

# ---- The parts of a row: one for each of SEEDS and FOLDS, each a run of its own; without them the row is the run -----

ifneq ($(and $(SEEDS),$(filter-out 0,$(SEED))),)
$(error SEED=$(SEED) is one seed, SEEDS=$(SEEDS) several; give one of the two)
endif
ifneq ($(and $(FOLDS),$(filter-out 0,$(FOLD))),)
$(error FOLD=$(FOLD) is one fold, FOLDS=$(FOLDS) several; give one of the two)
endif
ifneq ($(words $(SEEDS)) $(words $(FOLDS)),$(words $(sort $(SEEDS))) $(words $(sort $(FOLDS))))
$(error SEEDS='$(SEEDS)' or FOLDS='$(FOLDS)' names a number twice)
endif
seeds := $(SEEDS:%=seed%)
parts := $(or $(foreach number,$(FOLDS),$(if $(seeds),$(seeds:%=fold$(number)_%),fold$(number))),$(seeds))
names  = $(if $(parts),$(foreach row,$1,$(parts:%=$(row)/%)),$1)
runs  := $(patsubst %,$(RD)/%,$(call names,$(RUNS)))

# Of a run's name, gdl/fold1_seed0: the row gdl, the number after `fold` or `seed` (else $3), its data and its seed;
# of a file inside, gdl/fold1_seed0/NAME, the run
row_of    = $(firstword $(subst /, ,$1))
number_of = $(or $(patsubst $2%,%,$(filter $2%,$(subst _, ,$(word 2,$(subst /, ,$1))))),$3)
data_of   = $(call prepared_of,$(call number_of,$1,fold,$(FOLD)))
seed_of   = $(call number_of,$1,seed,$(SEED))
folder_of = $(patsubst %/,%,$(dir $1))
fold_in   = $(or $(word 2,$(subst -fold, ,$1)),0)

# Where to look: the row LOCATOR is trained first, and its boxes are what the other rows are shown. With SEEDS and FOLDS
# the first seed of each fold finds the boxes. Of a fold: its boxes, and the run that finds them; of a run, its boxes
boxes_in  = data/$(PREPARED_AS)_CROP$(phantom)$(if $(DEBUG),-debug)$(call fold,$1)
finder    = $(LOCATOR)$(if $(parts),/$(firstword $(filter fold$1 fold$1_%,$(parts)) $(parts)))
boxes_of  = $(if $(LOCATOR),$(if $(filter-out $(LOCATOR),$(call row_of,$1)),$(if $(call on_planes,$1),,$(call boxes_in,$(call number_of,$1,fold,$(FOLD))))))
# A row that is trained on slices sees whole planes
on_planes = $(filter slices,$(call said,$(call row_of,$1),sample,SAMPLE))
BOXES    := $(if $(LOCATOR),$(foreach number,$(or $(FOLDS),$(FOLD)),$(call boxes_in,$(number))))
finder_of = $(if $(call boxes_of,$1),$(RD)/$(call finder,$(call number_of,$1,fold,$(FOLD))))
finders  := $(if $(LOCATOR),$(foreach number,$(or $(FOLDS),$(FOLD)),$(RD)/$(call finder,$(number))))

# What is drawn of slices: the first part of each row, and the data of the first fold
pictured := $(if $(parts),$(RUNS:%=$(RD)/%/$(firstword $(parts))),$(runs))

# Arrays that a training writes, arrays computed from its predictions, and sets that a report shows: one table, in Python
names_in     = $(shell sed -nE '/^$1: .*= \{/,/^\}/s/^    "([a-z0-9_]+)": .*/\1/p' src/boundary_loss/metric_definitions.py)
trained     := $(call names_in,_TRAINING)
evaluated   := $(filter-out $(if $(whole),val_hausdorff val_boundary),$(call names_in,_OF_EVERY_STUDY)) $(of_pairs)
metric_sets := $(call names_in,METRIC_SETS)
by_area     := $(call names_in,_OF_AREAS)
unknown := $(filter-out $(metric_sets) $(trained) $(evaluated) $(by_area),$(METRICS))
ifneq ($(unknown),)
$(error METRICS names nothing that $(STUDY) has: $(unknown). Sets: $(metric_sets); arrays: $(trained) $(evaluated) $(by_area))
endif

# ---- Settings, and whether a folder was made with others -----------------------------------------------------------

# What a row says of itself (dice.lr), else its families in their order (dtm.lr, of dtm_sdf and dtm_hd), else the study (LR);
# what the command line says comes first
places = $1.$2 $(foreach family,$(families),$(if $(filter $(family)_%,$1),$(family).$2)) $3
typed  = $(foreach name,$1,$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
stated_at = $(call typed,$1) $(foreach name,$1,$(if $(call given,$(name)),$(name))) $(lastword $1)
said   = $($(firstword $(call stated_at,$(call places,$1,$2,$3))))
trust  = $(if $(findstring :,$(foreach row,$1,$(call said,$(row),net,NET))),--trust_network)
# Of a row, by these names
of_row = fit:FIT sample:SAMPLE infer:INFER augment:AUGMENT net:NET epc:EPC bs:BS lr:LR rate:RATE

# -B makes everything anew, FRESH=1 what was made with other settings; what stands there moves aside, nothing is lost
flags_of_make := $(filter-out --%,$(firstword -$(MAKEFLAGS)))
dry_run       := $(findstring n,$(flags_of_make))
anew          := $(findstring B,$(flags_of_make))
fresh         := $(if $(call on,$(FRESH))$(anew),--fresh)

include src/stale.mk

phantom_settings := --study $(STUDY) $(call options,PHANTOM)
# A data set of one's own is brought instead of archives that a lineage file lists (own.make)
unpacker         := boundary_loss.$(if $(BRING),own,unpack)
unpack_settings  := $(or $(BRING),--lineage $(if $(phantom),$(RAW)-zips/phantom.lineage,$(call path,$(LINEAGE))) $(UNPACK))
unpack_from      := $(if $(BRING),--dataset $(call path,$(DATASET)),--zips $(if $(phantom),$(RAW)-zips,$(call path,$(ZIPS))) $(call switch,--trust,$(TRUST)))
# The size of a voxel, where the headers lost it
stated           := $(if $(strip $(SPACING)),--spacing $(call quoted,$(strip $(SPACING))))
prepare_options  := $(call options,PREPARE)
split_option     := $(if $(strip $(SPLIT)),--split $(call path,$(SPLIT)))
prepare_settings  = --source $(RAW) --retain $(RETAIN) --fold $(call fold_in,$1) $(split_option) $(stated) $(prepare_options)
train_options    := $(call options,TRAIN)
debug_options    := $(call options,DEBUG)
box_option        = $(call option,--boxes,$(call boxes_of,$1))
train_settings    = --data $(call data_of,$1) $(call box_option,$1) $(call row_settings,$(call row_of,$1)) --seed $(call seed_of,$1) $(call row_options,$(call row_of,$1))
row_options       = $(train_options) $(if $(call given,$1.options),$(call options,$1.options)) $(debug_options)
row_settings      = $(call list,--losses,$($1.losses)) $(call option,--schedule,$(call given,$1.schedule)) \
	$(call list,--fit,$(call said,$1,fit,FIT)) $(call option,--sample,$(call said,$1,sample,SAMPLE)) \
	$(call option,--infer,$(call said,$1,infer,INFER)) $(call list,--augment,$(call said,$1,augment,AUGMENT)) \
	--network $(call quoted,$(call said,$1,net,NET)) --epochs $(call said,$1,epc,EPC) --batch_size $(call said,$1,bs,BS) \
	--lr $(call quoted,$(call said,$1,lr,LR)) --rate $(call quoted,$(call said,$1,rate,RATE)) \
	$(call option,--amp,$(filter-out off,$(AMP))) $(call switch,--compile,$(COMPILE)) \
	$(call switch,--deterministic,$(DETERMINISTIC)) $(call option,--predictions,$(PREDICTIONS)) $(call option,--keep,$(KEEP))

# A run is also stale that is asked as one and holds seeds or folds: its command says the ways on
stale_run = $(or $(call stale,$(RD)/$1,$(call train_settings,$1)),$(if $(wildcard $(RD)/$1/seed*/arguments.txt $(RD)/$1/fold*/arguments.txt),FORCE))

# What an archive says of how it was made: every setting that shapes a result, the ledger's rows too
row_words  = $(foreach part,losses schedule options,$(if $(call given,$1.$(part)),$(call quoted,$1.$(part)=$($1.$(part))))) \
	$(foreach pair,$(of_row),$(call row_word,$1,$(firstword $(subst :, ,$(pair))),$(lastword $(subst :, ,$(pair)))))
row_word   = $(if $(call same,$(call said,$1,$2,$3),$($3)),,$(call quoted,$1.$2=$(call said,$1,$2,$3)))
made_with  = $(foreach name,$(filter-out $(local),$(settable)),$(call quoted,$(name)=$($(name)))) \
	$(foreach row,$(RUNS) $(filter-out $(RUNS),$(LOCATOR)),$(call row_words,$(row)))

# ---- Goals ---------------------------------------------------------------------------------------------------------

.PHONY: all data train check-ledger metrics hausdorff boundary plot report check-paper pack unpack verify rerun index view pred predict mesh cost losscost help

all: report pack  ## everything: data, trainings, metrics, plots, report, archive
data: $(PREPARED)  ## unpack and prepare the data
train: $(runs) $(foreach run,$(runs),$(trained:%=$(run)/%.npy))  ## the trainings in RUNS; one alone: results/STUDY/RUN

# ---- Data: published whole, then read-only -------------------------------------------------------------------------

$(RAW)-zips: $(call stale,$(RAW)-zips,$(phantom_settings)) | $(venv)
	$(python) -m boundary_loss.phantom $@ $(phantom_settings) $(fresh)

$(RAW): $(call stale,$(RAW),$(unpack_settings)) | $(if $(phantom),$(RAW)-zips) $(venv)
	$(python) -m $(unpacker) $@ $(unpack_settings) $(unpack_from) $(fresh)

# Folds of whole volumes differ in the split alone: the arrays of one stand in the others as links
sibling = $(if $(whole),$(filter-out $1,$(firstword $(wildcard $(call prepared_of,0)) $(PREPARED))))

$(PREPARED): %: $$(call stale,$$@,$$(call prepare_settings,$$@)) | $(RAW) $$(call sibling,$$@) $(venv)
	$(torch_python) preprocess/$(PREPARER).py $@ $(call prepare_settings,$@) $(call option,--link,$(call sibling,$@)) $(fresh)

# ---- How a training is started -------------------------------------------------------------------------------------

# The number of -jN; all runs at once where it is a bare -j
jobs   = $(if $(filter -j%,$(MAKEFLAGS)),$(or $(patsubst -j%,%,$(firstword $(filter -j%,$(MAKEFLAGS)))),$(words $(runs))),1)
launch = $(if $(strip $(LAUNCH)),$(call options,LAUNCH) env )$(torch_python)
where  = --device $(call quoted,$(DEVICE)) $(call option,--gpus,$(GPUS)) --nproc $(NPROC) --share $(if $(strip $(LAUNCH)),1,$(jobs))

# ---- The rows are checked before the first of several is trained: what is wrong with the last need not wait a day ----

# Rows that a goal names, in RUNS or not
goals := $(or $(call given,MAKECMDGOALS),all)
named := $(filter $(rows),$(foreach goal,$(filter $(RD)/%,$(goals)),$(call row_of,$(goal:$(RD)/%=%))))

# A run that will be trained waits for the check. Python drops the rows that no goal asks for and the finished ones
check_before = $(if $(or $(anew),$(call stale_run,$1),$(if $(wildcard $(RD)/$1),,missing)),check-ledger)
part_words   = --data $(call data_of,$1) $(call box_option,$1) --seed $(call seed_of,$1)
all_parts    = $(foreach part,$(parts),--part $(part) $(call part_words,-/$(part)))
all_rows     = $(foreach row,$(sort $(RUNS) $(named) $(LOCATOR)),--run $(RD)/$(row) $(if $(parts),,$(call part_words,$(row))) \
	$(call row_settings,$(row)) $(call row_options,$(row)) $(fresh))

check-ledger: | $(PREPARED) $(venv)  ## the rows of RUNS, without training: what is wrong with any is said at once
	@$(torch_python) -m boundary_loss.goals $(call list,--goals,$(goals)) --rows $(RUNS) $(call option,--locator,$(LOCATOR)) $(if $(anew),--anew) $(all_parts) $(all_rows)

# ---- Trainings: a stray file among the data must not cost a day, hence order-only; run.json has the data's checksum --

$(patsubst %,$(RD)/%,$(call names,$(rows))): $(RD)/%: $$(call stale_run,$$*) | $(PREPARED) $$(call data_of,$$*) $$(call boxes_of,$$*) $(venv) $$(call check_before,$$*)
	$(launch) -m boundary_loss.train $@ $(call train_settings,$*) $(where) --queue $(runs) \
		--save_minutes $(call quoted,$(SAVE_MINUTES)) $(call switch,--skip_nan,$(SKIP_NAN)) $(call option,--track,$(TRACK)) $(fresh)

# ---- Boxes: a run notes those that it was shown; another locator is noticed by its settings, not by its path ------------

box_settings = $(call options,LOCATE) --data $(call prepared_of,$1) --found_by='$(call plain,$(call train_settings,$(call finder,$1)))'

ifneq ($(BOXES),)
$(BOXES): %: $$(call stale,$$@,$$(call box_settings,$$(call fold_in,$$@))) | $$(RD)/$$(call finder,$$(call fold_in,$$@)) $(venv)
	$(torch_python) -m boundary_loss.locate $@ --run $(RD)/$(call finder,$(call fold_in,$@)) $(call box_settings,$(call fold_in,$@)) \
		--device $(call quoted,$(DEVICE)) $(call trust,$(LOCATOR)) $(fresh)
endif

ifneq ($(parts),)
$(rows:%=$(RD)/%): | $$(addprefix $$@/,$$(parts))
	@:
endif

$(foreach name,$(trained),$(RD)/%/$(name).npy): $$(call stale_run,$$*) | $(RD)/%
	@test -f $(call quoted,$@) || { echo $(call quoted,error: $@ is missing from a finished run; train it again with: rm -r $(RD)/$*) >&2; exit 2; }

# ---- Metrics over epochs, from the saved predictions ---------------------------------------------------------------

$(foreach name,$(evaluated),$(RD)/%/$(name).npy): $$(call stale_run,$$*) | $(RD)/%
	$(torch_python) -m boundary_loss.evaluate $(call quoted,$(RD)/$*) --data $(call data_of,$*)

# Each array is written whole, and those of an earlier evaluation are still right if this one fails
.PRECIOUS: $(foreach name,$(evaluated) $(by_area),$(RD)/%/$(name).npy)

metrics: $(foreach run,$(runs),$(evaluated:%=$(run)/%.npy))  ## every metric of every epoch: overlap, surface, lesions
hausdorff: $(foreach run,$(runs),$(patsubst %,$(run)/%.npy,$(filter val_3d_hausdorff val_hausdorff,$(evaluated))))  ## Hausdorff distances only
boundary: $(foreach run,$(runs),$(patsubst %,$(run)/%.npy,$(filter val_boundary,$(evaluated))))  ## boundary values only, of slices

# ---- Plots: drawn from the arrays alone; a deleted one is redrawn alone --------------------------------------------

curves   ?= tra_loss val_loss tra_dice val_dice val_3d_dsc val_3d_hausdorff val_3d_hd95
boxplots ?= val_3d_dsc val_3d_hd95
hists    ?= val_dice
plots := $(curves:%=$(RD)/%.png) $(boxplots:%=$(RD)/%_boxplot.png) $(hists:%=$(RD)/%_hist.png)

# Those of areas take long, and are measured only if they are asked for: by METRICS, a goal or a list of plots
areas := $(strip $(if $(filter surfaces,$(METRICS)),$(by_area),$(foreach name,$(by_area),$(if $(findstring $(name),$(METRICS) $(goals) $(curves) $(boxplots) $(hists)),$(name)))))

$(foreach name,$(areas),$(RD)/%/$(name).npy): $$(call stale_run,$$*) | $(RD)/%
	$(torch_python) -m boundary_loss.evaluate $(call quoted,$(RD)/$*) --data $(call data_of,$*) --metrics $(areas)

metrics: $(foreach run,$(runs),$(areas:%=$(run)/%.npy))

plot: $(plots)  ## all plots; one alone: results/STUDY/val_dice.png, val_3d_hd95_boxplot.png, val_dice_hist.png

# Which runs the pictures show, and what the report: another list makes them anew
$(RD)/runs.txt: $(if $(call same,$(file <$(RD)/runs.txt),$(call names,$(RUNS))),,FORCE) | $(runs)
	@mkdir -p $(@D) && echo $(call quoted,$(call names,$(RUNS))) > $@
shown = $(strip $(METRICS) $(MODALITY) $(REPORT))
$(RD)/metrics.txt: $(if $(call same,$(file <$(RD)/metrics.txt),$(shown)),,FORCE) | $(runs)
	@mkdir -p $(@D) && echo $(call quoted,$(shown)) > $@

$(RD)/%_boxplot.png: $(runs:=/%.npy) $(RD)/runs.txt | $(venv)
	$(python) -m boundary_loss.boxplot $(call quoted,$@) --runs $(runs) --study $(STUDY) $(call options,BOXPLOT)

$(RD)/%_hist.png: $(runs:=/%.npy) $(RD)/runs.txt | $(venv)
	$(python) -m boundary_loss.hist $(call quoted,$@) --runs $(runs) --study $(STUDY) $(call options,HIST)

$(RD)/%.png: $(runs:=/%.npy) $(RD)/runs.txt | $(venv)
	$(python) -m boundary_loss.plot $(call quoted,$@) --runs $(runs) --study $(STUDY) $(call options,PLOT)

# ---- Report, archive, pictures -------------------------------------------------------------------------------------

# results/index.html, whenever what it lists has changed; a folder elsewhere (RD=...) is in no index. A report or an
# archive that is made stays made where the index cannot be written
index = $(if $(filter results/%,$(RD)),@$(python) -m boundary_loss.index results --quiet || echo 'warning: no new index' >&2)

reports := $(addprefix $(RD)/,report.html report.tex report.csv comparisons.csv comparisons.txt)

# Pictures of the surfaces are in the report where they are made, or asked for with it
meshes := $(if $(filter mesh $(runs:%=%/mesh),$(goals)),$(runs:%=%/mesh),$(wildcard $(runs:%=%/mesh/surfaces.csv)))

$(reports) &: $(RD)/metrics.txt $(plots) $(foreach run,$(runs),$(evaluated:%=$(run)/%.npy) $(areas:%=$(run)/%.npy)) $(meshes) | $(venv)
	$(python) -m boundary_loss.report $(RD) --runs $(runs) --study $(STUDY) --data $(PREPARED) --metrics $(or $(METRICS),$(whole),default) $(call options,REPORT) \
		$(call option,--modality,$(MODALITY)) --quiet
	$(call index)

report: $(reports)  ## table and statistics of the runs; report.html, .tex, .csv, comparisons.csv and .txt beside them
	@$(python) -m boundary_loss.report $(RD) --runs $(runs) --study $(STUDY) --data $(PREPARED) --metrics $(or $(METRICS),$(whole),default) $(call options,REPORT) --show

check-paper: $(foreach run,$(runs),$(evaluated:%=$(run)/%.npy)) | $(venv)  ## our numbers beside those of the papers
	@$(python) -m boundary_loss.published lineage/$(STUDY).published --runs $(runs)

$(RD)/archive.txt: $(reports) | $(venv)
	$(python) -m boundary_loss.archive pack archives --study $(notdir $(RD)) --folder $(RD) --runs $(runs) $(filter-out $(runs),$(finders)) --stamp $@ \
		--ledger $(call quoted,$(ledger)) --data $(PREPARED) --made_with $(made_with)
	$(call index)

pack: $(RD)/archive.txt  ## archives/REPO-DATE-HASH-HOST-STUDY.tar.gz, read-only
	@echo "archive: $$(cat $<)"

ifneq ($(and $(filter unpack verify rerun,$(goals)),$(if $(strip $(ARCHIVE)),,none)),)
$(error $(filter unpack verify rerun,$(goals)) needs ARCHIVE=archives/...tar.gz)
endif

unpack: | $(venv)  ## ARCHIVE=archives/... back under results/
	$(python) -m boundary_loss.archive unpack $(call path,$(ARCHIVE)) results

verify: | $(venv)  ## ARCHIVE=archives/... against the checksums inside it; arrays read, plots and report drawn again
	$(python) -m boundary_loss.archive verify $(call path,$(ARCHIVE))

rerun: | $(venv)  ## ARCHIVE=archives/... the commands that made it; RUN=1 runs them and compares
	$(python) -m boundary_loss.archive rerun $(call path,$(ARCHIVE)) \
		$(call options,RERUN) $(if $(call on,$(RUN)),--run $(call list,--make,$(foreach name,ZIPS DATASET TRUST CC,$(if $(filter command,$(origin $(name))),$(name)=$($(name))))))

index: | $(venv)  ## results/index.html: all studies and archives
	$(python) -m boundary_loss.index results

view: $(pictured) | $(venv)  ## the gallery in a browser: SLICES='case_10_00_0003 ...' EPOCH=best; as pictures: SAVE=folder
	$(python) -m boundary_loss.view --data $(firstword $(PREPARED)) --runs $(pictured) --epoch $(call quoted,$(EPOCH)) $(call list,--slices,$(SLICES)) \
		$(call option,--modality,$(MODALITY)) $(if $(SAVE),--save $(call path,$(SAVE))) $(call options,VIEW)

$(RD)/%.gif: | $$(RD)/$$(call folder_of,$$*) $(venv)
	$(python) -m boundary_loss.gif $(call quoted,$@) --data $(call data_of,$(call folder_of,$*)) $(call option,--modality,$(MODALITY))

# ---- Back to the scanner's space: volumes in the grid and the format of their images ------------------------------------

pred_settings = --run $(RD)/$1 --data $(call data_of,$1) --epoch $(call quoted,$(EPOCH))
stale_pred    = $(call stale,$(RD)/$1/pred,$(call pred_settings,$1))

$(patsubst %,$(RD)/%/pred,$(call names,$(rows))): $(RD)/%/pred: $$(call stale_run,$$*) $$(call stale_pred,$$*) | $(RD)/%
	$(torch_python) -m boundary_loss.predict $@ $(call pred_settings,$*) $(fresh)

pred: $(runs:%=%/pred)  ## the saved predictions of the validation cases as volumes, EPOCH=best; one run: results/STUDY/RUN/pred

ifeq ($(filter predict,$(call given,MAKECMDGOALS))$(CASES),predict)
$(error predict needs CASES=folder of new cases, in the layout that the study's archives have, or CASES=list.csv)
endif

# What is said of planes in LOCATE holds for new cases too
least = $(subst :, ,$(filter --least:%,$(subst --least ,--least:,$(LOCATE))))

# New cases may have come: the command looks each time, and predicts those that are not there yet
new_cases := pred_$(patsubst %.csv,%,$(notdir $(patsubst %/,%,$(call tidied,$(CASES),$(special_in_names)))))

$(patsubst %,$(RD)/%/$(new_cases),$(call names,$(rows))): $(RD)/%/$(new_cases): FORCE $$(call stale_run,$$*) | $(RD)/% $$(call finder_of,$$*) $(if $(filter $(RAW)/%,$(CASES)),$(RAW))
	$(torch_python) -m boundary_loss.predict $@ --weights $(RD)/$*/best.pkl --source $(call path,$(CASES)) $(stated) $(call options,PREDICT) \
		$(if $(call finder_of,$*),--locator $(call finder_of,$*)/best.pkl $(least)) --device $(call quoted,$(DEVICE)) --batch_size $(call said,$(call row_of,$*),bs,BS) $(call trust,$(call row_of,$*) $(LOCATOR)) $(fresh)

predict: $(runs:%=%/$(new_cases))  ## the networks of RUNS on new cases: CASES=folder or list.csv -> RUN/pred_NAME

# ---- Surfaces of what `pred` holds, in mm, and a picture of each case -----------------------------------------------

mesh_settings = --source $(RD)/$1/pred --truth $(call data_of,$1) --epoch $(call quoted,$(EPOCH)) $(call options,MESH)

$(patsubst %,$(RD)/%/mesh,$(call names,$(rows))): $(RD)/%/mesh: $$(call stale_run,$$*) $$(call stale,$(RD)/$$*/mesh,$$(call mesh_settings,$$*)) | $(RD)/%/pred
	$(python) -m boundary_loss.mesh $@ $(call mesh_settings,$*) $(fresh)

mesh: $(runs:%=%/mesh)  ## surfaces of the predictions as .ply and .obj, with a picture of each case beside its truth

# ---- What the rows cost, by the size of the volume -------------------------------------------------------------------

cost_rows = $(foreach row,$(RUNS),--run $(RD)/$(row) $(call part_words,$(row)) $(call row_settings,$(row)) $(call row_options,$(row)))

cost: | $(PREPARED) $(venv)  ## memory and runtime of the rows of RUNS by size: memory.csv, runtime.csv and plots; no training
	$(torch_python) -m boundary_loss.cost $(RD) --device $(call quoted,$(DEVICE)) $(call options,COST) $(cost_rows)

losscost: | $(PREPARED) $(venv)  ## what the losses of the rows of RUNS take in a step, in turns: step_cost.csv; no training
	$(torch_python) -m boundary_loss.losscost $(RD) --device $(call quoted,$(DEVICE)) $(call options,COST) $(cost_rows)

# ---- The last resort: a name that nothing above makes --------------------------------------------------------------

results/%:
	@echo $(call quoted,error: nothing makes $@; with these variables the results are in $(RD)) >&2; exit 2

data/%:
	@echo $(call quoted,error: nothing makes $@; with these variables the data is $(RAW) and $(PREPARED)$(if $(BOXES),; the boxes are $(BOXES))) >&2; exit 2

$(RD)/%:
	@echo $(call quoted,error: nothing makes $@; the runs of the ledger are: $(rows)$(if $(parts),; the parts of each: $(parts))) >&2; exit 2

help:  ## this page
	@echo "make -f $(ledger) $(if $(BRING),DATASET=... )[TARGET] [VARIABLE=value] [-n] [-B] [-j2]"
	@echo; echo "Targets (here: $(RAW) -> $(PREPARED) $(if $(BOXES),-> $(BOXES) )-> $(RD) -> archives)"
	@sed -nE 's/^([a-z-]+):.*##  *(.*)/\1|\2/p' src/pipeline.mk | while IFS='|' read -r name text; do printf '  %-11s %s\n' "$$name" "$$text"; done
	@echo; echo "Runs of the ledger (* in RUNS)"
	@$(foreach row,$(rows),echo $(call quoted,  $(if $(filter $(row),$(RUNS)),*, ) $(row): $($(row).losses) $(call given,$(row).schedule));)
	@echo; echo "Variables"
	@$(foreach name,$(settable),echo $(call quoted,  $(name) = $($(name)));)
	@echo $(call quoted,  CC = $(interpreter)); echo $(call quoted,  CFLAGS = $(flags))
