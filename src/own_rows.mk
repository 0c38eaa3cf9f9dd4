# The ledger of own data (own.make): any number of classes, rows of volumes and rows of slices; RUNS names those that are
# trained. What they share is said of their families, 3d and 2d. data/NAME/plan.mk says what fits the data: FOREGROUND, the
# numbers of the classes beside the background, as 1,2, and the networks, samples and batch sizes.
#   RUN.losses := loss[(option=value,...)]:weight[@classes] ...    RUN.schedule := rule

families  := 3d 2d

3d.sample := $(SAMPLE_3D)
3d.fit    := $(FIT_3D)
3d.net    := $(NET_3D)
3d.bs     := $(BS_3D)

2d.sample := slices
2d.fit    := none
2d.net    := $(NET_2D)
2d.bs     := $(BS_2D)

# Cross-entropy and Dice, which nnU-Net trains with, and the boundary loss beside them, with a weight that grows
ce_dice            := ce:1 dice:1@$(FOREGROUND)
with_boundary      := $(ce_dice) boundary:0.01@$(FOREGROUND)

3d_ce_dice.losses     := $(ce_dice)
3d_boundary.losses    := $(with_boundary)
3d_boundary.schedule  := rebalance(0.01,0.5)
2d_ce_dice.losses     := $(ce_dice)
2d_boundary.losses    := $(with_boundary)
2d_boundary.schedule  := rebalance(0.01,0.5)

# Further rows, as RUNS='3d_ce_dice 3d_hausdorff'; docs/losses.md says what each is for
3d_gdl.losses         := gdl:1
3d_dice.losses        := dice:1@$(FOREGROUND)
3d_hausdorff.losses   := $(ce_dice) hausdorff:0.01@$(FOREGROUND)
3d_sdf.losses         := $(ce_dice) sdf:1
2d_gdl.losses         := gdl:1
2d_dice.losses        := dice:1@$(FOREGROUND)
2d_hausdorff.losses   := $(ce_dice) hausdorff:0.01@$(FOREGROUND)
2d_sdf.losses         := $(ce_dice) sdf:1

RUNS ?= $(if $(filter 3,$(DIM)),3d_ce_dice 3d_boundary $(BESIDE_3D),2d_ce_dice 2d_boundary)
