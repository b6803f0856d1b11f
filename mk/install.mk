# SPDX-License-Identifier: BSD-2-Clause
# Where distributions put things: PREFIX, and DESTDIR in front of it for packages.
PREFIX ?= /usr/local
UNITS ?= $(PREFIX)/lib/systemd/system
BASH_COMPLETION := share/bash-completion/completions/suture
ZSH_COMPLETION := share/zsh/vendor-completions/_suture
FISH_COMPLETION := share/fish/vendor_completions.d/suture.fish

# What is printed from the command's own table (ctl/table.c)
build/ctl/suture.1: build/ctl/suture
	$(Q)$< man >$@
build/ctl/suture.%: build/ctl/suture
	$(Q)$< completion $* >$@

# the headers for which payloads are built
PAYLOAD_HEADERS := $(shell cd guest-agent/include && find . -type f)

## install       the command, the monitor and the agent's source (PREFIX=/usr/local, DESTDIR=)
.PHONY: install install-ctl install-monitor install-agent
install: install-ctl install-monitor install-agent
install-ctl: build/ctl/suture build/ctl/suture.1 $(addprefix build/ctl/suture.,bash zsh fish)
	install -D -m 755 build/ctl/suture $(DESTDIR)$(PREFIX)/bin/suture
	install -D -m 644 build/ctl/suture.1 $(DESTDIR)$(PREFIX)/share/man/man1/suture.1
	install -D -m 644 build/ctl/suture.bash $(DESTDIR)$(PREFIX)/$(BASH_COMPLETION)
	install -D -m 644 build/ctl/suture.zsh $(DESTDIR)$(PREFIX)/$(ZSH_COMPLETION)
	install -D -m 644 build/ctl/suture.fish $(DESTDIR)$(PREFIX)/$(FISH_COMPLETION)
	install -D -m 755 ctl/diff/prepare.sh $(DESTDIR)$(PREFIX)/share/suture/diff/prepare.sh
	for file in guest.sh init guest-shell initramfs.sh; do \
		install -D -m 755 ctl/guest/$$file $(DESTDIR)$(PREFIX)/share/suture/guest/$$file; done
	for file in ctl/fetch.sh mk/apt.sh mk/guest-kernel.sh mk/source-deb.sh; do \
		install -D -m 755 $$file $(DESTDIR)$(PREFIX)/share/suture/debian/$$(basename $$file); done
	for file in $(PAYLOAD_HEADERS); do \
		install -D -m 644 guest-agent/include/$$file $(DESTDIR)$(PREFIX)/share/suture/include/$$file; done

# the images that were built, of x86 and arm64
install-monitor: image
	for image in $(wildcard build/x86/suture.efi build/arm64/sutureaa64.efi); do \
		install -D -m 644 $$image $(DESTDIR)$(PREFIX)/lib/suture/$$(basename $$image); done
	install -D -m 644 $(IMAGE)/NOTICES $(DESTDIR)$(PREFIX)/share/doc/suture-monitor/NOTICES
	install -D -m 644 docs/boot.md $(DESTDIR)$(PREFIX)/share/doc/suture-monitor/boot.md
	install -D -m 755 packaging/suture-install $(DESTDIR)$(PREFIX)/sbin/suture-install
	install -D -m 644 packaging/suture-install.8 $(DESTDIR)$(PREFIX)/share/man/man8/suture-install.8
	install -D -m 644 packaging/suture-confirm.service $(DESTDIR)$(UNITS)/suture-confirm.service

# the module is built from source, for each kernel
RELEASE := $(shell sed -n 's/^\#define MONITOR_VERSION "\(.*\)"/\1/p' monitor/core/version.h)
AGENT_SOURCE := $(PREFIX)/src/suture-agent-$(RELEASE)
install-agent: $(AGENT_DIR)/suture-load $(AGENT_DIR)/suture-desired
	mkdir -p $(DESTDIR)$(AGENT_SOURCE)/abi
	cp -r guest-agent/*.[ch] guest-agent/Kbuild guest-agent/Makefile guest-agent/arch guest-agent/include \
		$(DESTDIR)$(AGENT_SOURCE)
	cp -r include/suture $(DESTDIR)$(AGENT_SOURCE)/abi
	sed 's/#MODULE_VERSION#/$(RELEASE)/' packaging/dkms.conf >$(DESTDIR)$(AGENT_SOURCE)/dkms.conf
	install -D -m 755 $(AGENT_DIR)/suture-load $(DESTDIR)$(PREFIX)/lib/suture/suture-load
	install -D -m 755 $(AGENT_DIR)/suture-desired $(DESTDIR)$(PREFIX)/lib/suture/suture-desired
	install -D -m 644 packaging/suture-patches.service $(DESTDIR)$(UNITS)/suture-patches.service
	install -D -m 644 packaging/suture-agent.service $(DESTDIR)$(UNITS)/suture-agent.service

## check-deb     make the packages and look at what they install (some minutes)
.PHONY: check-deb
check-deb: deb guest
	@mk/setup.sh dkms
	@$(call PYTEST,900) test_packages.py

## check-system  a Debian disk with the packages: trial boot, first patch, upgrade, removal (20 minutes)
.PHONY: check-system
SYSTEM := build/guest/disk/system.img
check-system: deb $(QEMU_NEEDS)
	@mk/setup.sh fdisk
	@mk/next-deb.sh
	@mk/system.sh $(SYSTEM) build/deb build/next/build/deb ctl/guest/guest-shell
	@$(call PYTEST,3600) -n 0 -s test_system.py

## deb           Debian packages in build/deb, looked at by lintian
.PHONY: deb
deb: $(SETUP)
	@mk/setup.sh debhelper dh-dkms lintian
	@mk/make-deb.sh
