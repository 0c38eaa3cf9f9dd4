# LiTS 2017: the liver with its tumours in CT, by networks that give the class at any point of a volume.
#   make -f lits.make               from the challenge's zips in data/ to trainings, curves, report and archive
#   make -f lits.make SRC=phantom   the same on a synthetic archive of an eighth of the size
#   make -f lits.make help          targets, ledger and variables

STUDY       := lits
PREPARED_AS := LITS
KIND        := volumes
UNPACK      := --drop '__MACOSX'
PHANTOM     ?= --cases 8 --size 64

HELD_OUT    := 20
RETAIN      ?= $(if $(phantom),2,$(HELD_OUT))
LEVELS      := 5
BS          ?= 4
FIT         ?= stretch(512)
SAMPLE      ?= $(if $(phantom),points(512,border=0.5,each=8),points(16384,border=0.5))
MODALITY    ?= ct
EPC         ?= $(if $(phantom),12,50)
RATE        ?= $(if $(phantom),steps(8,11),steps(20,30))

# 512 voxels a side do not fit a U-Net
unet3d.fit    := stretch(224)
unet3d.sample := whole

# Nothing is found from another folder
$(if $(wildcard src/pipeline.mk),,$(error make works in the folder of $(strip $(MAKEFILE_LIST)): cd there first, or name it with make -C))

include src/occupancy_rows.mk
include src/pipeline.mk
