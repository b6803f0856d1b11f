#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Run all stages of PARTs of `make check`, or of the part `long`, each stage with its log in LOGDIR.
# A stage that fails does not stop the later ones. Each part has a time limit: its time is printed
# beside the limit, with a warning if it is longer. The last line is `N passed, N failed` over all
# stages; the exit status is 1 after a failure.
#   mk/check.sh LOGDIR PART...
set -u

logs=$1
shift
mkdir -p "$logs"
passed=0
failed=0
beside=

# A stage in the background does not get the terminal's interrupt: the shell has it ignored.
interrupted() {
	trap - INT TERM
	[ -z "$beside" ] || kill "$beside" 2>/dev/null
	exit 130
}
trap interrupted INT TERM

# Become make with this target, in a shell of its own; the output goes to the stage's log.
run() { # name, target (and variables)
	# shellcheck disable=SC2086 # words of make's
	exec "${MAKE:-make}" -k -j2 $2 >"$logs/$1.log" 2>&1 </dev/null
}

# Run a make target. `counts`: its output has the figures; else it counts as one.
stage() { # name, target (and variables), whether it counts
	echo "== $1"
	start=$(date +%s)
	(run "$1" "$2")
	result "$1" $? "$3"
}

# A stage that keeps one CPU busy at most begins beside the next one; finish() waits for it.
begin() { # name, target (and variables)
	echo "== $1, beside the next"
	begun=$(date +%s)
	run "$1" "$2" &
	beside=$!
}

finish() { # name, whether it counts
	echo "== $1"
	start=$begun
	wait "$beside"
	status=$?
	beside=
	result "$1" "$status" "$2"
}

# Count what a stage's log says.
result() { # name, exit status of make, whether it counts
	log=$logs/$1.log
	status=$2
	ok=0
	bad=0
	if [ "$3" = counts ]; then
		# cmocka runner: "5 passed, 0 failed"; pytest: "1 failed, 4 passed, 1 error in 9.0s"
		line=$(grep -E '^[^a-z]*[0-9]+ (passed|failed|error)' "$log" | tail -n 1)
		ok=$(echo "$line" | sed -nE 's/.*\b([0-9]+) passed.*/\1/p')
		bad=$(echo "$line" | sed -nE 's/.*\b([0-9]+) failed.*/\1/p')
		errors=$(echo "$line" | sed -nE 's/.*\b([0-9]+) errors?.*/\1/p')
		ok=${ok:-0}
		bad=$((${bad:-0} + ${errors:-0}))
	elif [ "$status" -eq 0 ]; then
		ok=1
	fi
	# a stage that fails without a failed test, or runs no test, counts as a failure
	if [ "$status" -ne 0 ] && [ "$bad" -eq 0 ]; then
		bad=1
	fi
	if [ $((ok + bad)) -eq 0 ]; then
		bad=1
	fi
	if [ "$bad" -ne 0 ]; then
		tail -n 40 "$log"
	elif [ "$3" = counts ]; then
		grep -h 'measured ' "$log"
	fi
	echo "   $ok passed, $bad failed in $(($(date +%s) - start)) s ($log)"
	passed=$((passed + ok))
	failed=$((failed + bad))
}

# The stages of a part, with its limit in minutes on two cores without other load.
part() { # name
	case $1 in
	host)
		minutes=8
		stage build all -
		stage lint lint -
		stage unit check-unit counts
		stage fuzz check-fuzz -
		stage model check-model counts
		stage mutants check-mutants counts
		;;
	amd)
		minutes=20
		begin fixes check-fixes
		stage kernel 'check-kernel GUEST=6.12-cloud-amd64' counts
		finish fixes counts
		stage qemu check-qemu-amd counts
		;;
	intel)
		minutes=6
		stage qemu-intel 'check-qemu-intel VENDOR=intel' counts
		;;
	rest)
		minutes=7
		stage hostile check-qemu-rest counts
		;;
	arm64)
		minutes=15
		stage lint-arm64 'lint-cppcheck lint-tidy ARCH=arm64' -
		stage qemu-arm64 'check-qemu-arm64 ARCH=arm64' counts
		;;
	long)
		minutes=
		stage fuzz 'check-fuzz FUZZ_SECONDS=3600' -
		stage counts check-counts counts
		stage arm64 'check-arm64-long ARCH=arm64' counts
		stage intel 'check-intel-long VENDOR=intel' counts
		stage intel-debug 'check-qemu-intel VENDOR=intel DEBUG=1' counts
		stage kernels check-kernels counts
		stage kernels-arm64 'check-kernels ARCH=arm64' counts
		stage boot check-boot counts
		stage boot-arm64 'check-boot ARCH=arm64' counts
		stage diffs check-diffs counts
		stage races check-races counts
		stage disk check-disk counts
		stage packages check-deb counts
		stage system check-system counts
		stage soak soak counts
		;;
	*)
		echo "check: there is no part '$1'" >&2
		exit 1
		;;
	esac
}

# Print the time of a part beside its limit.
account() { # name, seconds
	line="-- part $1 took $(($2 / 60)):$(printf %02d $(($2 % 60))) min"
	if [ -z "$minutes" ]; then
		echo "$line"
	elif [ "$2" -le $((minutes * 60)) ]; then
		echo "$line of $minutes:00"
	else
		echo "$line of $minutes:00: WARNING: $(($2 - minutes * 60)) s more than its allotment" \
			"(two cores that do nothing else)"
	fi
}

# each stage has its own architecture, platform and kernel
unset MAKEFLAGS MAKELEVEL MFLAGS GUEST SUTURE_PLATFORM VENDOR
accounts=
for name in "$@"; do
	part_start=$(date +%s)
	part "$name"
	accounts="$accounts$(account "$name" $(($(date +%s) - part_start)))
"
done
printf %s "$accounts"
echo "$passed passed, $failed failed"
[ $failed -eq 0 ]
