# SPDX-License-Identifier: BSD-2-Clause
BENCH_UNIT := $(addprefix $(UNIT)/,growth_tasks unicorn_redirect_call unicorn_arm64_redirect_call)
## bench         figures of speed and size: build/bench/$(ARCH)/bench.json, docs/performance.md (20 minutes);
##               VENDOR=intel: of boots in Bochs
.PHONY: bench
bench: $(QEMU_NEEDS) $(BENCH_UNIT)
	@exec env PYTHONDONTWRITEBYTECODE=1 timeout --foreground -k 10 1800 \
		$(PYTHON) tests/bench/bench.py build/bench/$(or $(VENDOR),$(ARCH)) docs/bench-$(ARCH).svg docs/performance.md
