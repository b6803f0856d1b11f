#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Rules that no other tool knows: prints each line that breaks one.
set -u
status=0

refuse() { # what, lines
	[ -z "$2" ] && return
	printf 'lint: %s:\n%s\n' "$1" "$2" >&2
	status=1
}

list() { git ls-files --cached --others --exclude-standard -- "$@"; }

refuse 'architecture asked for outside arch/' "$(list 'monitor/*.[chS]' 'include/*.h' |
	xargs -r grep -nE '#[[:space:]]*(if|ifdef|ifndef|elif).*(__x86_64__|__aarch64__|__arm64__|CONFIG_X86|CONFIG_ARM64)')"

# comments name registers and sections of both; the list of them is in vendor.c
refuse 'virtualization of one vendor named in common code' "$(list 'arch/x86/*.[chS]' 'monitor/*.[ch]' 'include/*.h' |
	grep -vE '^arch/x86/(svm/|vmx/|vendor\.c$)' |
	xargs -r grep -nE '\b(svm|vmx|npt|ept|vmcb|vmcs)_[a-z]|#include "(svm|vmx)/' |
	grep -vF 'extern const struct hv_ops svm_ops, vmx_ops;')"

refuse 'path of one machine' "$(list ':!mk/lint-tree.sh' |
	xargs -r grep -nIE '(^|[^A-Za-z0-9_.$}])/(home|root|work)/')"

# what is fetched comes through apt, from the mirrors of the machine (mk/apt.sh)
refuse 'host of a mirror or download' "$(list 'mk/*' Makefile '.ci/*' ':!mk/lint-tree.sh' |
	xargs -r grep -nIE '(https?|ftp|rsync)://|(debian|ubuntu)\.(org|com|net)\b')"

refuse 'no SPDX line at the top' "$(list '*.[chS]' '*.py' '*.sh' '*.mk' Makefile |
	while read -r file; do
		[ -s "$file" ] && ! head -n 2 "$file" | grep -q SPDX-License-Identifier && echo "$file"
	done)"

# a make of others' has no use for the flags of ours (--no-builtin-rules)
refuse 'make called with the flags of the make above (unset MAKEFLAGS MAKELEVEL MFLAGS)' "$(list 'mk/*.sh' |
	xargs -r grep -lE '^[^#]*\bmake (-|install|[a-z]+$)' | xargs -r grep -L 'MAKEFLAGS')"

# the name of a function in a stack is no complaint
refuse 'words of kernel faults outside tests/qemu/complaints.py' "$(list 'tests/qemu/*.py' ':!tests/qemu/complaints.py' |
	xargs -r grep -nE "dmesg.*(BUG:|Oops|WARNING: CPU|stall)")"

shellcheck packaging/suture-install ctl/guest/guest.sh || status=1

exit $status
