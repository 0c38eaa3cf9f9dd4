# ISLES 2018: ischaemic stroke lesions in CT perfusion. Five modalities; background, lesion.
#   make -f isles.make               from the challenge's zips in data/ to trainings, curves, report and archive
#   make -f isles.make SRC=phantom   the same on synthetic archives
#   make -f isles.make help          targets, ledger and variables

STUDY     := isles
SLICED_AS := ISLES
UNPACK    := --root TRAINING TESTING --drop '__MACOSX' '*CT_4DPWI*'

HELD_OUT  := 20
NET       := UNet
EPC       := 100
BS        := 8
LR        := 1e-3
MODALITY  := mtt
CASES      = $(RAW)/TESTING

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
