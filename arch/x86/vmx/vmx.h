/* SPDX-License-Identifier: BSD-2-Clause */
/* Shared by the files of the VMX part. Sections are those of the Intel SDM, vol. 3, by title. */
#ifndef VMX_VMX_H
#define VMX_VMX_H

#include "../hv.h"
#include "../switch.h"
#include "arch/pagetable.h"
#include "vmcs.h"

/* An entry of the areas of MSRs that entries and exits load and store ("VM-Exit Controls for
 * MSRs").
 */
struct msr_entry {
	u32 msr, reserved;
	u64 value;
};

/* The VMX state of one CPU. */
struct vmx_cpu {
	void *vmxon, *vmcs; /* pages; the processor's while it is on */
	/* SPEC_CTRL, where there is one: the guest's value, and the monitor's */
	struct msr_entry *guest_msrs, *host_msrs;
	bool launched;	   /* the VMCS has been entered since it was loaded */
	u32 cpu, cpu2;	   /* controls as they are in the VMCS */
	bool stepping;	   /* the monitor trap flag is set */
	bool tables_again; /* descriptor tables exit again behind the current single step */
	u64 held_if;	   /* RFLAGS.IF, if it is held back until the end of the step */
};

static inline struct vmx_cpu *vmx_of(const struct cpu *c)
{
	return c->arch->hv;
}

/* ---- controls.c: what the processor can do. Pure functions; any CPU. ---- */

enum vmx_controls { VMX_PIN, VMX_CPU, VMX_CPU2, VMX_EXIT, VMX_ENTRY, NR_VMX_CONTROLS };

/* The capability MSR of each; those of 2015 and later ("TRUE"). */
extern const u32 vmx_control_msrs[NR_VMX_CONTROLS];

/*
 * The value of one field of controls that the capability allows ("Reserved Controls and Default
 * Settings"): what the monitor needs, what it uses where it is there, and what the processor
 * demands. 0; -EOPNOTSUPP: *missing is what the processor lacks, or demands and the monitor cannot
 * have.
 */
int vmx_choose(enum vmx_controls field, u64 capability, u32 *value, const char **missing);
/* What the EPT and VPID capability lacks, or NULL. */
const char *vmx_ept_lacks(u64 capability);

/*
 * Make the EPT format that of this capability; gigabyte: the monitor's own tables can have leaves
 * of 1 GiB; split: how a leaf may be split. Boot CPU, in probe().
 */
void ept_init(u64 capability, bool gigabyte, enum pt_split split);
const struct pt_format *ept_format(void);

/* ---- speculation.c: pure functions; any CPU. ---- */

struct vmx_features {
	u32 fn7_edx, fn7_2_edx; /* CPUID leaf 7, subleaves 0 and 2; 0 where there is none */
	bool transactions;	/* RTM */
	u64 arch_capabilities;	/* 0 where there is none */
};

struct vmx_speculation {
	bool has_spec_ctrl;
	u64 spec_ctrl;	    /* the monitor's */
	bool clear_buffers; /* by VERW, at each entry */
	bool flush_l1d;	    /* the same, by FLUSH_CMD */
	const char *lacks; /* what the microcode must have for a fault of this processor, or NULL */
};
struct vmx_speculation vmx_choose_speculation(const struct vmx_features *f);

/* ---- state.c ---- */

/* Write what does not change in the VMCS: controls, host state. On that CPU, with its VMCS loaded.
 */
void vmx_write_constants(struct cpu *c);
/* set_state() of hv.h. */
void vmx_set_state(struct cpu *c, const struct guest_state *g);
/* Read struct vcpu from the VMCS, after an exit. */
void vmx_load_vcpu(struct cpu *c);
/* The value of CR0 (0) or CR4 (4) that the processor gets for the guest's value. */
u64 vmx_real_cr(u32 cr, u64 value);

/* What vmx.c has found on this machine, and its shared structures. */
struct vmx {
	u32 revision;
	u64 capability[NR_VMX_CONTROLS];
	u32 controls[NR_VMX_CONTROLS];
	u64 cr_fixed0[2], cr_fixed1[2]; /* of CR0, of CR4 */
	u8 *io_bitmaps, *msr_bitmap;
	struct vmx_speculation speculation;
};
extern struct vmx vmx;

/* ---- exits.c ---- */

/* Handle the exit that struct vcpu and the VMCS describe. */
enum exit_class vmx_exit(struct cpu *c, u32 reason);

/* ---- step.c: step_begin(), step_end(), catch_tables() and nmi_window() of hv.h ---- */

void vmx_step_begin(struct cpu *c);
void vmx_step_end(struct cpu *c, bool completed);
void vmx_catch_tables(struct cpu *c);
bool vmx_nmi_window(struct cpu *c);
/* Set or clear a primary processor-based control of c. */
void vmx_control(struct cpu *c, u32 control, bool on);
/* Set or clear bits in the guest's interruptibility. */
void vmx_block(u32 bits, bool on);
/* An access to a descriptor table has exited; loads: LGDT or LIDT. */
void vmx_table_access(struct cpu *c, bool loads);

/* ---- check.c ---- */

/*
 * The name of the first check of an entry that the VMCS would not pass, or NULL. capability: of the
 * controls. On that CPU, with its VMCS loaded.
 */
const char *vmx_check(const u64 *capability);

/* ---- run.S ---- */

/*
 * One entry with all registers loaded, and saved at the exit. flags: SWITCH_* of switch.h. 0; 1: it
 * did not begin.
 */
int vmx_run(u64 *gprs, u32 flags);
extern const char vmx_exit_entry[];
/* End the blocking of NMIs: pending ones are taken by the monitor's handler here. */
void vmx_unblock_nmis(void);

u64 vmcs_read(u32 field);
/* The others: 0, or -EIO. pa: points at the physical address of the page. */
int vmcs_write(u32 field, u64 value);
int vmx_on(const u64 *pa);
void vmx_off(void);
int vmcs_clear(const u64 *pa);
int vmcs_load(const u64 *pa);
int vmx_invept(u64 type, const u64 *descriptor);
int vmx_invvpid(u64 type, const u64 *descriptor);

#endif
