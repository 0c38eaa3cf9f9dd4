# How the value of a variable reaches the shell, and what it must be to become a name.

define newline


endef
space   := $(subst ,, )
special := ` " ' \ $$ ; & | < > ( ) [ ] { } * ? ! ^ \#

# One word for the shell, whatever is in it. A path, where ~/ is the home folder. The options in the variable named $1,
# as TRAIN="--weights 'my best.pkl'": what is in quotes is one word, and the shell acts on none of it.
quoted  = '$(subst ','\'',$(subst $(newline), ,$1))'
path    = $(call quoted,$(if $(filter ~/%,$(firstword $1)),$(subst ~/,$(HOME)/,$1),$1))
options = $(if $(strip $(foreach mark,$(special),$(findstring $(mark),$($1)))),$(call requoted,$1),$(strip $($1)))
requoted = $(shell xargs bash -c 'printf "%q " "$$@"' words <<< $(call quoted,$($1)) 2> /dev/null)$(if $(filter-out 0,$(.SHELLSTATUS)),$(error \
	$1=$($1) has a quote that does not end))

# Settings come from the command line or a study's file; the environment's variables of the same names are ignored
forget = $(foreach name,$1,$(if $(filter-out environment,$(origin $(name))),,$(eval undefine $(name))))

# Characters that a name in make must not have; `special_in` finds them, `tidied` puts _ in their place
special_in_names := $(special) % : = ~
special_in = $(strip $(foreach mark,$(special_in_names),$(findstring $(mark),$1)))
tidied     = $(if $2,$(call tidied,$(subst $(firstword $2),_,$1),$(wordlist 2,99,$2)),$(subst $(space),_,$(strip $1)))

# The words of $1 that are not whole numbers in their usual spelling, as 00 and +1
no_digits = $(subst 0,,$(subst 1,,$(subst 2,,$(subst 3,,$(subst 4,,$(subst 5,,$(subst 6,,$(subst 7,,$(subst 8,,$(subst 9,,$1))))))))))
not_whole = $(strip $(foreach value,$1,$(if $(call no_digits,$(value))$(filter-out 0,$(filter 0%,$(value))),$(value))))
