# SPDX-License-Identifier: BSD-2-Clause
# Where distributions put things: PREFIX, and DESTDIR in front of it for packages.
PREFIX ?= /usr/local
BASH_COMPLETION := share/bash-completion/completions/suture
ZSH_COMPLETION := share/zsh/vendor-completions/_suture
FISH_COMPLETION := share/fish/vendor_completions.d/suture.fish

# What is printed from the command's own table (ctl/table.c)
build/ctl/suture.1: build/ctl/suture
	$(Q)$< man >$@
build/ctl/suture.%: build/ctl/suture
	$(Q)$< completion $* >$@

## install       the command with its manual page and completions (PREFIX=/usr/local, DESTDIR=)
.PHONY: install install-ctl
install: install-ctl
install-ctl: build/ctl/suture build/ctl/suture.1 $(addprefix build/ctl/suture.,bash zsh fish)
	install -D -m 755 build/ctl/suture $(DESTDIR)$(PREFIX)/bin/suture
	install -D -m 644 build/ctl/suture.1 $(DESTDIR)$(PREFIX)/share/man/man1/suture.1
	install -D -m 644 build/ctl/suture.bash $(DESTDIR)$(PREFIX)/$(BASH_COMPLETION)
	install -D -m 644 build/ctl/suture.zsh $(DESTDIR)$(PREFIX)/$(ZSH_COMPLETION)
	install -D -m 644 build/ctl/suture.fish $(DESTDIR)$(PREFIX)/$(FISH_COMPLETION)
