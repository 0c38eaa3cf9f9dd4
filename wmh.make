# WMH 2017: white-matter hyperintensities in FLAIR and T1. Background, lesion; a third label, other pathology, is
# background as in the paper, or left out of every map, loss and metric with PREPARE=--ignore.
#   make -f wmh.make                 from the challenge's zips in data/ to trainings, curves, report and archive
#   make -f wmh.make SRC=phantom     the same on synthetic archives

STUDY       := wmh
PREPARED_AS := WMH
LINEAGE     := lineage/wmh.lineage
UNPACK      := --strip 1 --drop '__MACOSX' 'orig' '3DT1.nii.gz'

HELD_OUT    := 10
NET         := UNet
EPC         := 100
BS          := 8
LR          := 1e-3
MODALITY    := flair

# Nothing is found from another folder
$(if $(wildcard src/pipeline.mk),,$(error make works in the folder of $(strip $(MAKEFILE_LIST)): cd there first, or name it with make -C))

# The ledger; rows of this study alone go below the shared ones, and win over them
include src/lesion_rows.mk
RUNS := gdl gdl_surface_steal gdl_3d_surface_steal gdl_hausdorff_w

include src/pipeline.mk
