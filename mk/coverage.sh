#!/bin/sh
# SPDX-License-Identifier: BSD-2-Clause
# Build and run the unit tests with the given variables of make, and turn what gcov counted into
# DIR/index.html. Only files of monitor/, arch/ and guest-agent/ are counted.
#   mk/coverage.sh DIR VARIABLE=VALUE...
set -eu

dir=$1
shift
mkdir -p "$dir"
# gcov would add to the counts of an earlier run
find "$dir" -name '*.gcda' -delete
status=0
"${MAKE:-make}" -s "$@" check-unit >"$dir/unit.log" 2>&1 || status=$?
grep -E '^[0-9]+ passed, [0-9]+ failed$' "$dir/unit.log" || {
	tail -n 20 "$dir/unit.log" >&2
	echo "coverage: the tests were not run; the whole output is in $dir/unit.log" >&2
	exit 1
}

{
	lcov --capture --directory "$dir/unit" --base-directory . --no-external \
		--output-file "$dir/all.info" &&
		lcov --extract "$dir/all.info" "$PWD/monitor/*" "$PWD/arch/*" "$PWD/guest-agent/*" \
			--output-file "$dir/unit.info" &&
		genhtml --prefix "$PWD" --title 'Suture, unit tests' --output-directory "$dir" "$dir/unit.info"
} >"$dir/lcov.log" 2>&1 || {
	tail -n 20 "$dir/lcov.log" >&2
	echo "coverage: lcov failed; the whole output is in $dir/lcov.log" >&2
	exit 1
}
lcov --summary "$dir/unit.info" 2>&1 | grep -E 'lines|functions'
echo "coverage: $dir/index.html"
exit $status
