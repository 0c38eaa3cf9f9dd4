# BraTS 2020: the whole tumour in four MR modalities, by networks that give the class at any point of a volume.
#   make -f brats.make               from the challenge's zip in data/ to trainings, curves, report and archive
#   make -f brats.make SRC=phantom   the same on a synthetic archive of an eighth of the size
#   make -f brats.make help          targets, ledger and variables

STUDY       := brats
PREPARED_AS := BRATS
KIND        := volumes
UNPACK      := --strip 1 --drop '__MACOSX'
PHANTOM     ?= --cases 8 --size 32

HELD_OUT    := 45
RETAIN      ?= $(if $(phantom),2,$(HELD_OUT))
LEVELS      := 4
BS          ?= $(if $(phantom),4,8)
FIT         ?= $(if $(phantom),pad(4),pad(32))
SAMPLE      ?= $(if $(phantom),points(512,border=0.5,each=8),points(16384))
MODALITY    ?= flair

unet3d.sample := patch(128,128,128)

# Nothing is found from another folder
$(if $(wildcard src/pipeline.mk),,$(error make works in the folder of $(strip $(MAKEFILE_LIST)): cd there first, or name it with make -C))

include src/occupancy_rows.mk
include src/pipeline.mk
