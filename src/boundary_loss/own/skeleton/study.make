# @NAME@: what the data is, how many patients, which images, which classes. One line is enough.
#   make -f @NAME@.make          from the archive in data/ to trainings, curves, report and archive
#   make -f @NAME@.make help     targets, ledger and variables
#
# This file runs as it is, on the six synthetic patients of data/@NAME@-example.zip. To make it yours:
#   1. lineage/@NAME@.lineage     the names of your archives; TRUST=1 accepts their checksums once
#   2. preprocess/@SCRIPT@.py     where the files of a patient are, and which labels they hold
#   3. the numbers below, and the ledger

STUDY       := @NAME@
PREPARED_AS := @NAME@-prepared
LINEAGE     := lineage/@NAME@.lineage
KIND        := @KIND@

# What is kept of the archives: paths from the first folder of this name on, without what --drop lists
UNPACK      := --root patients --drop __MACOSX

# Patients held out for validation: a fifth of yours
HELD_OUT    := 2

# For real data: @REAL@, EPC := 100
NET         := @NET@
EPC         := 5
BS          := @BS@
LR          := 5e-3
RATE        := cosine($(EPC))
@SHOWN@
# The image under the contours of pictures: one of the modalities
MODALITY    := image

# Nothing is found from another folder
$(if $(wildcard src/pipeline.mk),,$(error make works in the folder of $(strip $(MAKEFILE_LIST)): cd there first, or name it with make -C))

# The ledger.  RUN.losses := loss[(option=value,...)]:weight[@classes] ...    RUN.schedule := rule
# docs/losses.md lists the losses; @1 is the first class beside the background, @1,2 the first two.
ce_dice.losses        := ce:1 dice:1@1
ce_boundary.losses    := ce:1 dice:1@1 boundary:0.01@1
ce_boundary.schedule  := rebalance(0.01,0.5)

# The rows that are trained and compared
RUNS := ce_dice ce_boundary

include src/pipeline.mk
