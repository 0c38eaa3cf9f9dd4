# ISLES 2018: ischaemic stroke lesions in CT perfusion. Five modalities; background, lesion.
#   make -f isles.make               from the challenge's zips in data/ to trainings, curves, report and archive
#   make -f isles.make SRC=phantom   the same on synthetic archives
#   make -f isles.make help          targets, ledger and variables

STUDY       := isles
PREPARED_AS := ISLES
UNPACK      := --root TRAINING TESTING --drop '__MACOSX' '*CT_4DPWI*'

HELD_OUT    := 20
NET         := UNet
EPC         := 100
BS          := 8
LR          := 1e-3
MODALITY    := mtt
CASES        = $(RAW)/TESTING

# Nothing is found from another folder
$(if $(wildcard src/pipeline.mk),,$(error make works in the folder of $(strip $(MAKEFILE_LIST)): cd there first, or name it with make -C))

# The ledger; rows of this study alone go below the shared ones, and win over them
include src/lesion_rows.mk
RUNS := gdl gdl_surface_steal gdl_3d_surface_steal gdl_hausdorff_w

include src/pipeline.mk
