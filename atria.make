# Left atrium 2018: LGE-MRI, whole volumes. Background, atrium. A network finds the atrium in the reduced volume; the others
# are shown its box (LOCATOR= shows them all of a volume).
#   make -f atria.make                  from the challenge's archive in data/ to trainings, curves, report and archive
#   make -f atria.make SRC=phantom      the same on synthetic archives, an eighth of the size: minutes on two cores

STUDY       := atria
PREPARED_AS := ATRIA
KIND        := volumes
UNPACK      := --root 'Training Set' 'Testing Set' train validate test --drop __MACOSX lawall.nrrd '*.py' desktop.ini
PHANTOM     := --cases 20 --size 80

RETAIN       = $(if $(phantom),4,20)
NET          = VNet$(if $(phantom),($(small:,=)))
EPC          = $(if $(phantom),40,200)
BS           = $(if $(phantom),2,3)
LR           = $(if $(phantom),1e-2,3e-4)
RATE         = $(if $(phantom),steps(25,36),plateau(7,0.8))
AUGMENT      = flip(y) $(if $(phantom),noise(0.1),rotate(3) shift(3) noise(1))
MODALITY    := lgemri
CASES        = $(RAW)/$(if $(phantom),test,Testing Set)

# Nothing is found from another folder
$(if $(wildcard src/pipeline.mk),,$(error make works in the folder of $(strip $(MAKEFILE_LIST)): cd there first, or name it with make -C))

# The ledger: RUN.losses, .schedule, and what is the row's own of .net, .fit, .sample, .infer, .augment, .epc, .bs, .lr, .rate.
# In a phantom an atrium of the eighth part has the eighth part of the voxels along each axis, and so have reduction and box.
# Its voxels are means of 512 of the challenge's, with less noise; small networks with a norm learn it, at a higher rate.
# An atrium is ten such voxels wide: turned, its label would be rounded to other voxels than the image shows.
small                := kernel=3,width=8,norm=instance,levels=1-2-2,
narrow                = $(if $(phantom),$(small))
LOCATOR              := locator
LOCATE                = $(if $(phantom),--least 1 --buffer 4)
locator.losses       := dice(over=batch):1@1
locator.fit           = $(if $(phantom),reduce(2,2,1),reduce(4,4,2))
locator.bs            = $(if $(phantom),2,5)
locator.lr            = $(if $(phantom),1e-2,1e-4)
locator.rate          = $(if $(phantom),steps(25,36),plateau(15,0.85))
locator.augment      := none

dice.losses          := dice(over=batch):1@1
focal.losses         := focal(foreground=200):1
hybrid.losses        := dice(over=batch):1@1 boundary:0@1
hybrid.schedule      := rebalance(0.01,0.85)
hybrid_after.losses  := dice(over=batch):1@1 boundary:0.15@1
hybrid_after.schedule := after(dice>0.8)
bam3_dice.losses     := $(dice.losses)
bam3_dice.net         = VNet($(narrow)attention=serial,dilation=3)
bam3_dice.lr          = $(if $(phantom),1e-2,2.5e-4)
bam4_dice.losses     := $(dice.losses)
bam4_hybrid.losses   := $(hybrid.losses)
bam4_hybrid.schedule := $(hybrid.schedule)
bam4.net              = VNet($(narrow)attention=serial,dilation=4)
bam4.lr               = $(if $(phantom),1e-2,2.5e-4)
wide.losses          := $(dice.losses)
wide.net              = VNet($(if $(phantom),$(small:1-2-2,=1-3-3),layers=2))
wide.lr               = $(if $(phantom),1e-2,1.5e-4)

# Other networks of the same volumes: a U-Net, and one that gives the class at any point (brats.make and lits.make have more)
unet3d.losses        := ce:1 dice:1
unet3d.net           := UNet3D
unet3d.bs            := 1
oss_c.losses         := ce:1 aux_ce:0.1
oss_c.net             = OSSNet$(if $(phantom),(width=64,channels=32))
oss_c.sample          = $(if $(phantom),points(1024,border=0.5,each=8),points(16384))
oss_c.augment        := flip(y) noise(0.15)
oss_c.options        := --optimiser lookahead

RUNS     := dice hybrid bam4_dice
families := bam4 dtm_aaai dtm_rec dtm

include src/distance_rows.mk
include src/pipeline.mk
