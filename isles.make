# ISLES 2018: ischaemic stroke lesions in CT perfusion. Five modalities; background, lesion.
#   make -f isles.make               from the challenge's zips in data/ to trainings, curves, report and archive
#   make -f isles.make SRC=phantom   the same on synthetic archives
#   make -f isles.make help          targets, ledger and variables

STUDY     := isles
SLICED_AS := ISLES
UNPACK    := --root TRAINING TESTING --drop '__MACOSX' '*CT_4DPWI*'

HELD_OUT  := 20
NET       ?= UNet
EPC       ?= 100
BS        ?= 8
LR        ?= 1e-3
MODALITY  ?= mtt

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

RUNS ?= gdl gdl_surface_steal gdl_3d_surface_steal gdl_hausdorff_w

# Optional rows, for RUNS='gdl gdl_penalise ...'; docs/losses.md says what each is for
ce.losses                     := ce:1
focal.losses                  := focal:1
tversky.losses                := tversky:1@1
gdl_penalise.losses           := gdl(absent=penalise):1
gdl_surface_far.losses        := gdl(absent=penalise):1 boundary(absent=far):0.01@1
gdl_surface_far.schedule      := steal(0.01)
gdl_surface_interface.losses  := gdl:1 boundary(convention=interface,shift=optimum):0.01@1
gdl_surface_sides.losses      := gdl:1 boundary(normalise=sides):0.5@1
gdl_surface_step.losses       := gdl:1 boundary(map=step):0.01@1
gdl_surface_rebalance.losses  := gdl:1 boundary:0.01@1
gdl_surface_rebalance.schedule := rebalance(0.01)
gdl_surface_linear.losses     := gdl:1 boundary:0@1
gdl_surface_linear.schedule   := linear(0,0.1,50)
gdl_surface_after.losses      := gdl:1 boundary:0.1@1
gdl_surface_after.schedule    := after(dice>0.3)
gdl_hausdorff_both.losses     := gdl:1 hausdorff(sides=both):0.01@1
gdl_hausdorff_erosion.losses  := gdl:1 hausdorff_erosion:0.1@1

include src/pipeline.mk
