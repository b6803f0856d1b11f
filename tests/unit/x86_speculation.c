/* SPDX-License-Identifier: BSD-2-Clause */
/* What entries and exits do against speculation, on each kind of processor. */
#include "vmx_rig.h"

/* Processors by what they report; names are of the first that report it. */
static void speculation(void **state)
{
	const u32 md_clear = 1u << 10, ibrs = 1u << 26, l1d_flush = 1u << 28;
	const u32 usual = md_clear | ibrs | l1d_flush;
	const u64 rdcl_no = 1, skip = 1 << 3, mds_no = 1 << 5, taa_no = 1 << 8, mmio_no = 7 << 13;
	const u64 fb_clear = 1 << 17, rfds_no = 1 << 27, rfds_clear = 1 << 28;
	const struct {
		struct vmx_features has;
		bool spec_ctrl, clears, flushes;
		const char *lacks;
	} list[] = {
		/* without any microcode update */
		{{0}, false, false, false, "L1D_FLUSH"},
		{{.fn7_edx = l1d_flush}, false, false, true, "MD_CLEAR"},
		/* Haswell with updates, which has no IA32_ARCH_CAPABILITIES */
		{{.fn7_edx = usual}, true, true, true, NULL},
		/* a hypervisor below flushes */
		{{.fn7_edx = usual, .arch_capabilities = skip}, true, true, false, NULL},
		/* Cascade Lake: no Meltdown, no MDS; transactions */
		{{.fn7_edx = usual, .arch_capabilities = rdcl_no | mds_no, .transactions = true},
		 true,
		 true,
		 false,
		 NULL},
		{{.fn7_edx = usual, .arch_capabilities = rdcl_no | mds_no},
		 true,
		 false,
		 false,
		 NULL},
		{{.fn7_edx = usual,
		  .arch_capabilities = rdcl_no | mds_no | taa_no,
		  .transactions = true},
		 true,
		 false,
		 false,
		 NULL},
		/* Ice Lake: stale data of MMIO */
		{{.fn7_edx = usual, .arch_capabilities = rdcl_no | mds_no | taa_no | fb_clear},
		 true,
		 true,
		 false,
		 NULL},
		{{.fn7_edx = usual,
		  .arch_capabilities = rdcl_no | mds_no | taa_no | fb_clear | 3 << 13},
		 true,
		 true,
		 false,
		 NULL},
		{{.fn7_edx = usual,
		  .arch_capabilities = rdcl_no | mds_no | taa_no | fb_clear | mmio_no},
		 true,
		 false,
		 false,
		 NULL},
		/* Gracemont: register files */
		{{.fn7_edx = usual,
		  .arch_capabilities = rdcl_no | mds_no | taa_no | mmio_no | rfds_clear},
		 true,
		 true,
		 false,
		 NULL},
		{{.fn7_edx = usual,
		  .arch_capabilities = rdcl_no | mds_no | taa_no | mmio_no | rfds_clear | rfds_no},
		 true,
		 false,
		 false,
		 NULL},
	};

	(void)state;
	for (u32 i = 0; i < ARRAY_SIZE(list); i++) {
		struct vmx_speculation s = vmx_choose_speculation(&list[i].has);

		assert_int_equal(s.has_spec_ctrl, list[i].spec_ctrl);
		assert_int_equal(s.spec_ctrl, list[i].spec_ctrl);
		assert_int_equal(s.clear_buffers, list[i].clears);
		assert_int_equal(s.flush_l1d, list[i].flushes);
		assert_int_equal(!s.lacks, !list[i].lacks);
		assert_true(!s.lacks || strstr(s.lacks, list[i].lacks));
	}
	/* what the thunks' returns do is not the guest's either */
	for (u32 i = 0; i < 32; i++) {
		struct vmx_features f = {.fn7_edx = usual, .fn7_2_edx = 1u << i};

		assert_int_equal(vmx_choose_speculation(&f).spec_ctrl,
				 1 | (i == 2) << 6 | (i == 4) << 10);
	}
}

/* The monitor's SPEC_CTRL is loaded by each exit, and each entry clears what it is to clear. */
static void speculation_of_a_cpu(void **state)
{
	(void)state;
	teardown(NULL);
	for (u32 has = 0; has < 2; has++) {
		vmx.speculation = (struct vmx_speculation){
			.has_spec_ctrl = has, .spec_ctrl = 0x441, .clear_buffers = has};
		assert_int_equal(setup_cpu(), 0);
		assert_int_equal(vmx_of(self)->host_msrs->value, 0x441);
		hv->run(self);
		assert_int_equal(entered_cleared, has);
		teardown(NULL);
	}
	assert_int_equal(setup_cpu(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(speculation),
		cmocka_unit_test_setup_teardown(speculation_of_a_cpu, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
