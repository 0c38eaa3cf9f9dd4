# ACDC 2017: the heart in cine MRI. One modality; background, right ventricle, myocardium, left ventricle.
# With four classes the boundary loss also learns alone, with no regional loss beside it.
#   make -f acdc.make                from the challenge's zip in data/ to trainings, curves, report and archive
#   make -f acdc.make SRC=phantom    the same on synthetic archives

STUDY       := acdc
PREPARED_AS := ACDC-2D
LINEAGE     := lineage/acdc.lineage
UNPACK      := --root training --drop '__MACOSX' '*_4d.nii.gz'

HELD_OUT    := 25
NET         := ENet
EPC         := 100
BS          := 8
LR          := 5e-4
MODALITY    := img
TRAIN       := --group

# The ledger.  RUN.losses := loss[(option=value,...)]:weight[@classes] ...    RUN.schedule := rule
ce.losses       := ce:1
diceloss.losses := dice:1
boundary.losses := boundary:1@0,1,2,3

RUNS := ce diceloss boundary

of_pairs := val_ejection_error
curves   := val_dice tra_dice tra_loss val_3d_dsc val_3d_hd95
boxplots := val_3d_dsc val_3d_hd95

# Nothing is found from another folder
$(if $(wildcard src/pipeline.mk),,$(error make works in the folder of $(strip $(MAKEFILE_LIST)): cd there first, or name it with make -C))
include src/pipeline.mk
