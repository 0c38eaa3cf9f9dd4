# What the dates of files do not show: that a folder was made with other settings, and that a clock was wrong.
# Included when RD is checked; `dry_run` is set with make -n.

# FORCE if folder $1 records other settings than $2, so that its command runs and says what changed; quotes do not count
same  = $(and $(findstring [$(strip $1)],[$(strip $2)]),$(findstring [$(strip $2)],[$(strip $1)]))
plain = $(subst ",,$(subst \,,$(subst ',,$1)))
stale = $(if $(wildcard $1/arguments.txt),$(if $(call same,$(call plain,$(file <$1/arguments.txt)),$(call plain,$2)),,FORCE))

.PHONY: FORCE
FORCE:

# A file that a wrong clock dated in the future would be made again by every make, or never again. What is drawn or packed
# gets an old date, so that it is made anew; every other file is dated now
in_future := find $(RD) -maxdepth 3 -name 'iter*' -prune -o -type f -newermt '+1 minute'
outputs   := -name '*.png' -o -name report.html -o -name archive.txt
future    := $(shell $(in_future) -print 2> /dev/null | LC_ALL=C tr -cd '[:print:]\n' | head -n 3)
ifneq ($(future),)
$(warning dated in the future, by a clock that was wrong: $(future))
$(if $(dry_run),,$(shell $(in_future) \( \( $(outputs) \) -exec touch -t 200001010000 {} + -o -exec touch {} + \)))
endif
