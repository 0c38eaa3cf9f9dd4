# The contest of losses: the same rows (src/contest_rows.mk) on several data sets with several seeds, and one report over all.
#   make -f contest.make ACDC=dir ATRIA=dir     what is not yet trained of these sets, then the report
#   make -f contest.make SRC=phantom            the same on synthetic archives
#   make -f contest.make report                 of what is finished so far; nothing is trained
#   make -f contest.make SCALE=full             networks, batches and epochs for a GPU instead of two cores
#   make -f contest.make help                   targets, sets, rows and variables
# A set, a row or a seed more trains only what is missing, and a run that was killed goes on. Each set is a study of its own in
# $(RD)/SET, with data/contest_SET: nothing is shared with what acdc.make, ... make by themselves but the unpacked archives.

SHELL := bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := all
.SECONDEXPANSION:
# Nothing is found from another folder
$(if $(wildcard src/pipeline.mk),,$(error make works in the folder of $(strip $(MAKEFILE_LIST)): cd there first, or name it with make -C))
include src/venv.mk

# ---- Variables a user sets on the command line -------------------------------------------------------------------------

places   := HIPPOCAMPUS ATRIA ACDC
settable := SETS ROWS SEEDS SCALE BASE RD REPORT $(places)
# Given to every study; these win over what a set says of itself (docs/variables.md)
passed   := SRC PHANTOM TRUST RETAIN PREPARE SPACING FIT SAMPLE INFER NET EPC BS LR RATE TRAIN AUGMENT AMP COMPILE DETERMINISTIC \
	DEVICE GPUS NPROC LAUNCH DEBUG FRESH PREDICTIONS KEEP SAVE_MINUTES SKIP_NAN TRACK METRICS COST
$(call forget,$(settable) $(passed))
$(foreach name,$(settable) $(passed),$(eval $(name) ?=))

phantom := $(if $(filter phantom,$(SRC)),-phantom)
SCALE   := $(or $(SCALE),small)
BASE    := $(or $(BASE),ce_dice)
ifeq ($(filter small full,$(SCALE)),)
$(error SCALE=$(SCALE) is unknown; use SCALE=small (two cores) or SCALE=full (a GPU))
endif
full    := $(if $(filter full,$(SCALE)),-full)
RD      := $(or $(patsubst %/,%,$(strip $(RD))),results/contest$(full)$(phantom))

# ---- The sets ------------------------------------------------------------------------------------------------------------
# SET.study is the study's makefile, SET.place the variable that says where the data is (own.make: a folder or .tar; the others:
# the folder of the archives, and their .lineage file if one lies there), SET.rows what this set alone has. On the command line
# also SET.split=file, who is held out (SPLIT), and SET.note='...', what the report has to say beside the numbers.
# SET.always holds at both scales, SET.small on two cores, SET.full on a GPU. The learning rate ends at 0, so that the last
# epoch is a result and not one point of a walk.

epochs = EPC=$(or $(EPC),$1) RATE='cosine($(or $(EPC),$1))'

hippocampus3d.about  := hippocampus in MRI, whole volumes
hippocampus3d.study  := own
hippocampus3d.place  := HIPPOCAMPUS
hippocampus3d.seeds  := 0 1 2 3 4
hippocampus3d.always := RETAIN=40 SAMPLE=whole FIT='pad(8)' AUGMENT='flip(xyz) intensity(0.1) noise(0.05)'
hippocampus3d.small   = NET='VNet(kernel=3,width=4,levels=1-2-2-2,norm=instance)' BS=2 LR=3e-3 $(call epochs,6)
hippocampus3d.full    = NET='UNet3D(width=32)' BS=8 LR=1e-3 AMP=bf16 $(call epochs,200)

hippocampus2d.about  := hippocampus in MRI, slices
hippocampus2d.study  := own
hippocampus2d.place  := HIPPOCAMPUS
hippocampus2d.seeds  := 0 1 2 3 4
hippocampus2d.always := RETAIN=40 SAMPLE=slices FIT=none AUGMENT='flip(xy) intensity(0.1) noise(0.05)'
hippocampus2d.small   = NET='UNet(width=4)' BS=16 LR=3e-3 $(call epochs,3)
hippocampus2d.full    = NET=UNet BS=64 LR=1e-3 AMP=bf16 $(call epochs,200)

atria.about   := left atrium in MRI with contrast, whole volumes cut around it
atria.study   := atria
atria.place   := ATRIA
atria.lineage := lineage/ATRIA.lineage
atria.seeds   := 0 1 2
atria.always   = LOCATOR= $(if $(phantom),,RETAIN=20) AUGMENT='flip(y) noise(0.1)'
atria.small    = FIT='reduce($(if $(phantom),2,4),$(if $(phantom),2,4),2)' NET='VNet(kernel=3,width=8,norm=instance,levels=1-2-2)' BS=2 LR=3e-3 $(call epochs,20)
atria.full     = FIT='pad(16)' SAMPLE='patch(112,112,80,each=4)' NET='VNet(kernel=3,width=16,norm=instance)' BS=4 LR=1e-3 AMP=bf16 $(call epochs,200)

acdc.about   := heart in cine MRI, slices
acdc.study   := acdc
acdc.place   := ACDC
acdc.lineage := lineage/acdc.lineage
acdc.seeds   := 0 1 2
acdc.rows    := boundary_alone
acdc.always   = $(if $(phantom),,RETAIN=10) AUGMENT='flip(xy) intensity(0.1) noise(0.05)'
acdc.small    = PREPARE='--shape 128 128' NET='UNet(width=4)' BS=8 LR=3e-3 $(call epochs,10)
acdc.full     = NET=UNet BS=16 LR=1e-3 AMP=bf16 $(call epochs,200)

sets := hippocampus3d hippocampus2d atria acdc

# ---- Which sets, rows and seeds --------------------------------------------------------------------------------------------

# A path may have spaces and begin with ~/
found     = $(wildcard $(subst $(space),\ ,$(patsubst ~/%,$(HOME)/%,$(strip $1))))
archives  = $($($1.place))
of_own    = $(filter own,$($1.study))
is_here   = $(if $(phantom),$(if $(of_own),,yes),$(call found,$(call archives,$1)))
with_data := $(strip $(foreach set,$(sets),$(if $(call is_here,$(set)),$(set))))
asked     := $(or $(SETS),$(with_data))
reported  := $(or $(SETS),$(foreach set,$(sets),$(if $(filter $(set),$(with_data))$(wildcard $(RD)/$(set)),$(set))))
ifneq ($(filter-out $(sets),$(asked)),)
$(error SETS names no set of the contest: $(filter-out $(sets),$(asked)). The sets are: $(sets))
endif

include src/contest_rows.mk
known  := $(patsubst %.losses,%,$(filter %.losses,$(.VARIABLES)))
unknown := $(filter-out $(known),$(ROWS) $(BASE))
ifneq ($(unknown),)
$(error no row of src/contest_rows.mk: $(unknown). The rows are: $(sort $(known)))
endif

# Of a set: its rows, the base first, and its seeds
rows_of  = $(strip $(BASE) $(filter-out $(BASE),$(or $(ROWS),$(contest) $(call given,$1.rows))))
seeds_of = $(strip $(or $(SEEDS),$($1.seeds)))
wrong   := $(call not_whole,$(foreach set,$(sets),$(call seeds_of,$(set))))
ifneq ($(wrong),)
$(error SEEDS are whole numbers, as SEEDS='0 1 2'; not: $(wrong))
endif

# ---- A study's make: what the set says, then what the command line says -----------------------------------------------------

, := ,
# Nothing reaches the study that is not named here. A recipe that calls it begins with +: make does not see that it is a make
MAKEOVERRIDES :=
typed    = $(foreach name,$1,$(if $(filter command,$(firstword $(origin $(name)))),$(name)))
given_on = $(foreach name,$(call typed,$(passed) CC CFLAGS),$(call quoted,$(name)=$($(name))))
beside   = $(addprefix $(strip $(call archives,$1))/,$(notdir $(lastword $(call found,$(call archives,$1)/*.lineage))))
from_zips = ZIPS=$(call path,$(call archives,$1)) LINEAGE=$(call path,$(or $(call beside,$1),$($1.lineage)))
where    = $(if $(phantom),,$(if $(of_own),DATASET=$(call path,$(call archives,$1)),$(from_zips)))
split_of = $(if $(call given,$1.split),SPLIT=$(call path,$($1.split)))
study    = $(MAKE) --no-print-directory -f $($1.study).make RD=$(RD)/$1 PREPARED_AS=contest_$1$(full) LEDGER=src/contest_rows.mk \
	RUNS='$(call rows_of,$1)' KEEP=0 $(call where,$1) $(call split_of,$1) $($1.always) $($1.$(SCALE)) $(given_on)

no_data  = error: $1 has no data: $(if $(of_own),name its folder or .tar$(,) $($1.place)=path,name the folder of its archives$(,) $($1.place)=folder; $($1.lineage) says where they come from)
here     = $(if $(call is_here,$1),,echo $(call quoted,$(call no_data,$1)) >&2; exit 2;)
nothing  = error: no set has data: name where it is, as one of $(places:%=%=path), or try SRC=phantom
left_out = $(if $(SETS),,$(strip $(foreach set,$(filter-out $(asked),$(sets)),$(set) (no $($(set).place)=path))))
contest_command = $(python) -m boundary_loss.contest $(RD) --base $(BASE) $(call options,REPORT) $1 \
	$(foreach set,$(reported),--set $(set) --about $(call quoted,$($(set).about)) $(call option,--note,$(call given,$(set).note)) --rows $(call rows_of,$(set)) --seeds $(call seeds_of,$(set)))

# ---- Goals -------------------------------------------------------------------------------------------------------------------

# The first seed of every set comes first, so that all sets have a result early
by_seed   := $(sort $(foreach set,$(sets),$(call seeds_of,$(set))))
seeded     = $(foreach seed,$(by_seed),$(foreach set,$1,$(if $(filter $(seed),$(call seeds_of,$(set))),$(set).seed$(seed))))
trainings := $(call seeded,$(sets))

.PHONY: all train report page cost help $(sets) $(sets:=.data) $(sets:=.report) $(sets:=.cost) $(trainings)

all: train | $(venv)  ## what is missing of the sets, rows and seeds, then the report
	@$(call contest_command)

train: $(call seeded,$(asked))  ## the trainings and their metrics; of one set: acdc, of one seed: acdc.seed0
	$(if $(asked),,@echo '$(nothing)' >&2; exit 2)
	$(if $(left_out),@echo 'left out: $(left_out)')

$(sets): $$(call seeded,$$@)

$(sets:=.data): | $(venv)
	+@$(call here,$(basename $@)) $(call study,$(basename $@)) data

# Both are made of one data set, which is brought once
hippocampus2d.data: | $(filter $(asked:=.data),hippocampus3d.data)

$(trainings): $$(basename $$@).data
	+@$(call study,$(basename $@)) SEEDS=$(patsubst .seed%,%,$(suffix $@)) metrics

$(sets:=.report): $$(call seeded,$$(basename $$@))
	+@$(call study,$(basename $@)) SEEDS='$(call seeds_of,$(basename $@))' report

$(sets:=.cost): $$(basename $$@).data
	+@$(call study,$(basename $@)) losscost

report: | $(venv)  ## of what is finished so far: contest.html, .csv, .tex, .md and plots
	@$(call contest_command)

page: | $(venv)  ## the same, and the results in docs/contest.md with their picture
	@$(call contest_command,--page docs/contest.md)

cost: $(asked:=.cost)  ## milliseconds and MiB that the losses of each row take in a step; trains nothing

help:  ## this page
	@echo 'make -f contest.make [TARGET] [VARIABLE=value] [-n] [-j2]'
	@echo; echo 'Targets (results in $(RD)); SET.report: the report of one set with its gallery'
	@sed -nE 's/^([a-z]+):.*##  *(.*)/\1|\2/p' contest.make | while IFS='|' read -r name text; do printf '  %-8s %s\n' "$$name" "$$text"; done
	@echo; echo 'Sets (* with data)'
	@$(foreach set,$(sets),echo $(call quoted,  $(if $(filter $(set),$(with_data)),*, ) $(set): $($(set).about); $($(set).place)=$(call archives,$(set)); seeds $(call seeds_of,$(set)); $($(set).always) $($(set).$(SCALE)));)
	@echo; echo 'Rows (- not in this contest)'
	@$(foreach row,$(sort $(known)),echo $(call quoted,  $(if $(filter $(row),$(foreach set,$(sets),$(call rows_of,$(set)))), ,-) $(row): $($(row).losses) $(call given,$(row).schedule));)
	@echo; echo 'Variables; $(passed) are given to every study'
	@$(foreach name,$(settable),echo $(call quoted,  $(name) = $($(name)));)
