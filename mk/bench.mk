# SPDX-License-Identifier: BSD-2-Clause
## bench         figures of speed and size: a table, build/bench/bench.json, docs/bench.svg (20 minutes)
.PHONY: bench
bench: $(QEMU_NEEDS)
	@exec env PYTHONDONTWRITEBYTECODE=1 timeout --foreground -k 10 1800 \
		$(PYTHON) tests/bench/bench.py build/bench docs/bench.svg
