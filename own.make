# Your own data: a data set of nnU-Net v2 or of the Medical Segmentation Decathlon, a folder or its .tar. 2D or 3D, networks
# and patches follow from the sizes of the volumes, and are said.
#   make -f own.make DATASET=Task04_Hippocampus.tar           to trainings, curves, report and archive
#   make -f own.make DATASET=Task04_Hippocampus.tar DIM=2     rows of slices alone
#   make -f own.make DATASET=Task04_Hippocampus.tar help      targets, ledger and variables
#   make -f own.make DATASET=Task04_Hippocampus.tar predict   its cases without labels, imagesTs

# Nothing is found from another folder
$(if $(wildcard src/pipeline.mk),,$(error make works in the folder of $(strip $(MAKEFILE_LIST)): cd there first, or name it with make -C))
include src/own_data.mk

PREPARED_AS := $(STUDY)-prepared
KIND        := volumes
PREPARER    := prepare_own
CASES        = $(RAW)/imagesTs

EPC         ?= $(EPOCHS)
LR          ?= 1e-3
RATE        ?= cosine($(EPC))
MODALITY    ?= $(CHANNEL)
SPLIT       ?= $(wildcard $(RAW)/splits_final.json)

ifeq ($(planned),yes)
include src/own_rows.mk
include src/pipeline.mk
endif
