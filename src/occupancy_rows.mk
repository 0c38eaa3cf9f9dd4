# The ledger of a study whose networks give the class at any point of a volume (brats.make, lits.make); RUNS names the
# rows that are trained. OSS-Net A to D (Reich et al. 2021), O-Net (Mescheder et al. 2019), two U-Nets to compare with.
# Of two classes, ce is their binary cross-entropy; aux_ce is that of the coarse map that the encoder predicts.
#   RUN.losses := loss[(option=value,...)]:weight[@classes] ...    RUN.net, RUN.sample, ...: where a row differs
# A phantom has few cases of an eighth of the size: narrow networks learn them in minutes, at a higher rate. Their
# trainings have 300 steps, in the first hundreds of which RAdam takes small ones: they are Adam's. In its volumes less
# than one voxel in a hundred is of the object: half of the points lie at the border.

EPC     ?= $(if $(phantom),24,50)
LR      ?= $(if $(phantom),3e-3,3e-4)
RATE    ?= $(if $(phantom),steps(16,22),steps(20,30))
NET     ?= $(call ossnet,oss_c)
AUGMENT ?= flip(xy) noise(0.15)
TRAIN   ?= $(if $(phantom),,--optimiser lookahead)
KEEP    ?= 0
METRICS ?= volumes val_dice

ossnet  = OSSNet(config=$1,levels=$(LEVELS)$(if $(phantom),$(narrow)))
narrow := ,width=64,channels=32

onet.losses             := ce:1
onet.net                 = $(call ossnet,onet)
oss_a.losses            := ce:1
oss_a.net                = $(call ossnet,oss_a)
oss_b.losses            := ce:1
oss_b.net                = $(call ossnet,oss_b)
oss_c.losses            := ce:1 aux_ce:0.1
oss_d.losses            := ce:1 aux_ce:0.1
oss_d.net                = $(call ossnet,oss_d)

# OSS-Net C with other points, with the boundary loss, and with Dice
oss_c_uniform.losses    := $(oss_c.losses)
oss_c_uniform.sample    := points(16384)
oss_c_uniform_13.losses := $(oss_c.losses)
oss_c_uniform_13.sample := points(8192)
oss_c_uniform_15.losses := $(oss_c.losses)
oss_c_uniform_15.sample := points(32768)
oss_c_border.losses     := $(oss_c.losses)
oss_c_border.sample     := points(16384,border=0.5)
oss_c_border_13.losses  := $(oss_c.losses)
oss_c_border_13.sample  := points(8192,border=0.5)
oss_c_border_15.losses  := $(oss_c.losses)
oss_c_border_15.sample  := points(32768,border=0.5)
oss_c_sobel.losses      := $(oss_c.losses)
oss_c_sobel.sample      := points(16384,border=0.5,band=sobel)
oss_c_boundary.losses   := $(oss_c.losses) boundary:0.01@1
oss_c_dice.losses       := $(oss_c.losses) dice:1

# Convolutions, on voxels and on slices
unet3d.losses           := ce:1 dice:1
unet3d.net               = UNet3D$(if $(phantom),(width=8))
unet3d.bs               := 1
unet2d.losses           := ce:1 dice:1
unet2d.net               = ResidualUNet$(if $(phantom),(width=8))
unet2d.sample           := slices
unet2d.fit              := none

RUNS ?= $(if $(phantom),onet oss_c,onet oss_a oss_b oss_c oss_d unet3d unet2d)
