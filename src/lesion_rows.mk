# The ledger of a study of two classes, background and lesion (isles.make, wmh.make); RUNS names the rows that are trained.
#   RUN.losses := loss[(option=value,...)]:weight[@classes] ...    RUN.schedule := rule

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

# Further rows, as RUNS='gdl gdl_penalise ...'.
# docs/losses.md says what each is for. gdl_penalise and gdl_surface_far see false positives on slices without a lesion,
# to which the paper's pair is blind.

ce.losses                     := ce:1
ce_surface_rebalance.losses   := ce:1 boundary:0.01@1
ce_surface_rebalance.schedule := rebalance(0.01)
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
gdl_hausdorff_one_sided.losses := gdl:1 hausdorff_one_sided:0.01@1
gdl_generalized_surface.losses := gdl:1 generalized_surface:0@1
gdl_generalized_surface.schedule := rebalance(0.01)
boundary_dou.losses           := boundary_dou(absent=penalise):1
gdl_surface_dice.losses       := gdl:1 surface_dice(tolerance_mm=2):0.5@1
gdl_region_wise.losses        := gdl:1 region_wise:0.5@1
gdl_skeleton_recall.losses    := gdl:1 skeleton_recall:0.5@1
gdl_cldice.losses             := gdl:1 cldice:0.5@1
gdl_cbdice.losses             := gdl:1 cbdice:0.5@1
# These give the network a second output, distances:
gdl_sdf.losses                := gdl:1 sdf:1
gdl_sdf_l1.losses             := gdl:1 sdf(norm=l1):1
gdl_sdf_product.losses        := gdl:1 sdf_product:1
gdl_foreground.losses         := gdl:1 foreground(norm=l1+l2):0.01@1
