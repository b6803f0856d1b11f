# SPDX-License-Identifier: BSD-2-Clause
# V=1 shows the commands
Q := $(if $(V),,@)

WARN := -Wall -Wextra -Werror -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wundef \
	-Wpointer-arith -Wwrite-strings -Wformat=2 -Wimplicit-fallthrough

# objects of sources $(2) under the folder $(1); those of build/deps/ land in $(1)/deps/
objects = $(addprefix $(1)/,$(addsuffix .o,$(basename $(patsubst build/%,%,$(2)))))

# sources of a folder, however deep
sources = $(sort $(shell find $(1) -name '*.c' -o -name '*.S' 2>/dev/null))
