# The rows of the contest of losses (contest.make), the same in every study, for any number of classes. In one study alone:
#   make -f acdc.make LEDGER=src/contest_rows.mk RUNS='ce_dice ce_dice_boundary'
# Each is cross-entropy and Dice over a batch, as nnU-Net trains, with one term more or with another term for one of the two.
# The weight of a term is the largest power of ten at which its gradient at the logits is no larger than that of the
# cross-entropy, over the first epoch on ACDC's training slices (TRAIN=--gradients); no weight was tuned on reported cases.

overlap := dice(over=batch,smooth=1e-5):1@1-

ce_dice.losses                     := ce:1 $(overlap)

# The weight grows tenfold, as its authors let it grow (Kervadec et al., MedIA 2021)
ce_dice_boundary.losses            := ce:1 $(overlap) boundary:0.01@1-
ce_dice_boundary.schedule           = linear(0.01,0.1,$(EPC))
ce_dice_hausdorff.losses           := ce:1 $(overlap) hausdorff:0.1@1-
ce_dice_hausdorff_one_sided.losses := ce:1 $(overlap) hausdorff_one_sided:0.001@1-
ce_dice_generalized_surface.losses := ce:1 $(overlap) generalized_surface:1@1-
ce_dice_boundary_dou.losses        := ce:1 $(overlap) boundary_dou:1@1-
ce_dice_surface_dice.losses        := ce:1 $(overlap) surface_dice:0.1@1-
# A second head of the network learns the signed distance
ce_dice_sdf.losses                 := ce:1 $(overlap) sdf:1@1-

ce_gdl.losses                      := ce:1 gdl:1
ce_tversky.losses                  := ce:1 tversky:1@1-
focal_dice.losses                  := focal:1 $(overlap)

# No regional loss, where there are several classes (acdc.make)
boundary_alone.losses              := boundary:1

contest := ce_dice ce_dice_boundary ce_dice_hausdorff ce_dice_hausdorff_one_sided ce_dice_generalized_surface ce_dice_boundary_dou \
	ce_dice_surface_dice ce_dice_sdf ce_gdl ce_tversky focal_dice
