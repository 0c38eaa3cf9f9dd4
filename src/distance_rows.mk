# The rows of a contest of losses that use distance maps (Ma et al., MIDL 2020, and their code), with one network on patches
# of volumes; included by atria.make. What they share is said of their families, dtm, dtm_aaai and dtm_rec.
# Distances are in voxels and Dice is of a whole batch, as there; the region losses are cross-entropy and Dice.

dtm.net      := VNet(kernel=3,width=16,norm=batch,dropout=0.5,blocks=plain)
dtm_aaai.net := VNet(kernel=3,width=16,norm=batch,dropout=0.5,blocks=plain,branch=distance)
dtm_rec.net  := VNet(kernel=3,width=16,norm=batch,dropout=0.5,blocks=plain,branch=shared)
dtm.sample   := patch(112,112,80)
dtm.bs       := 4
dtm.lr       := 1e-3
dtm.augment  := none
dtm_regions  := ce:1 dice(over=batch,smooth=1e-5):1@1

dtm_base.losses := ce:0.5 dice(over=batch,smooth=1e-5):0.5@1
dtm_bd.losses   := $(dtm_regions) boundary:0@1
dtm_bd.schedule := rebalance(0.01,0.99)
dtm_hd.losses   := $(dtm_regions) hausdorff(unit=voxel):0@1
dtm_hd.schedule := rebalance(0.001,0.99)
dtm_sdf.losses  := $(dtm_regions) sdf(unit=voxel):1

# The segmentation is read off the distances (Xue et al., AAAI 2020)
dtm_aaai_sdf.losses    := dice(over=batch,smooth=1e-5):1@1 sdf_product(unit=voxel):10@1
dtm_aaai_sdf_l1.losses := dice(over=batch,smooth=1e-5):1@1 sdf(unit=voxel,norm=l1):1@1

# A second head, of the distance inside the object or of the signed distance
dtm_mh_fgdtm_l1.losses   := $(dtm_regions) foreground(unit=voxel,norm=l1):1@1
dtm_mh_fgdtm_l2.losses   := $(dtm_regions) foreground(unit=voxel,norm=l2):1@1
dtm_mh_fgdtm_l1l2.losses := $(dtm_regions) foreground(unit=voxel,norm=l1+l2):1@1
dtm_mh_sdf_l1.losses     := $(dtm_regions) sdf(unit=voxel,norm=l1):1@1
dtm_mh_sdf_l2.losses     := $(dtm_regions) sdf(unit=voxel,norm=l2):1@1
dtm_mh_sdf_l1l2.losses   := $(dtm_regions) sdf(unit=voxel,norm=l1+l2):1@1

# The same head before the last dropout, named reconstruction branch
dtm_rec_fgdtm_l1.losses   := $(dtm_mh_fgdtm_l1.losses)
dtm_rec_fgdtm_l2.losses   := $(dtm_mh_fgdtm_l2.losses)
dtm_rec_fgdtm_l1l2.losses := $(dtm_mh_fgdtm_l1l2.losses)
dtm_rec_sdf_l1.losses     := $(dtm_mh_sdf_l1.losses)
dtm_rec_sdf_l2.losses     := $(dtm_mh_sdf_l2.losses)
dtm_rec_sdf_l1l2.losses   := $(dtm_mh_sdf_l1l2.losses)
