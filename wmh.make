# WMH 2017: white-matter hyperintensities in FLAIR and T1. Background, lesion; a third label, other pathology, is
# background as in the paper, or left out of every map, loss and metric with SLICE=--ignore.
#   make -f wmh.make                 from the challenge's zips in data/ to trainings, curves, report and archive
#   make -f wmh.make SRC=phantom     the same on synthetic archives

STUDY     := wmh
SLICED_AS := WMH
LINEAGE   := lineage/wmh.lineage
UNPACK    := --strip 1 --drop '__MACOSX' 'orig' '3DT1.nii.gz'

HELD_OUT  := 10
NET       := UNet
EPC       := 100
BS        := 8
LR        := 1e-3
MODALITY  := flair

# The ledger.  RUN.losses := loss[(option=value,...)]:weight[@classes] ...    RUN.schedule := rule
gdl.losses                    := gdl:1

gdl_surface_w.losses          := gdl:1 boundary:0.1@1

gdl_surface_add.losses        := gdl:1 boundary:0.01@1
gdl_surface_add.schedule      := add(0,0.01)

gdl_surface_steal.losses      := gdl:1 boundary:0.01@1
gdl_surface_steal.schedule    := steal(0.01)

gdl_3d_surface_steal.losses   := gdl:1 boundary(map=3d):0.01@1
gdl_3d_surface_steal.schedule := steal(0.01)

gdl_hausdorff_w.losses        := gdl:1 hausdorff:0.1@1

surface.losses                := boundary:1@1
hausdorff.losses              := hausdorff:1@1

RUNS := gdl gdl_surface_steal gdl_3d_surface_steal gdl_hausdorff_w

# Nothing is found from another folder
$(if $(wildcard src/pipeline.mk),,$(error make works in the folder of $(strip $(MAKEFILE_LIST)): cd there first, or name it with make -C))
include src/lesion_rows.mk
include src/pipeline.mk
