/* SPDX-License-Identifier: BSD-2-Clause */
/* What the VMCS has of the monitor and of the guest (docs/vmx.md has each field). */
#include "../insn.h"
#include "../policy.h"
#include "arch/memory.h"
#include "lib/string.h"
#include "stage2/pgtable.h"
#include "vmx.h"

#define GUEST_VPID 1
#define NO_LINK	   (~0ull)

#define ATTRIBUTES_P	    (1u << 7)
#define ATTRIBUTES_S	    (1u << 4)
#define ATTRIBUTES_ACCESSED (1u << 0)

/* ---- control registers ---- */

/*
 * Bits that VMX operation fixes ("VMX-Fixed Bits in CR0", "in CR4"). Of an unrestricted guest's CR0
 * PE and PG are free ("Unrestricted Guests").
 */
u64 vmx_real_cr(u32 cr, u64 value)
{
	u64 fixed0 = vmx.cr_fixed0[cr / 4], fixed1 = vmx.cr_fixed1[cr / 4];

	if (cr == 0)
		fixed0 &= ~(CR0_PE | CR0_PG);
	return (value | fixed0) & fixed1;
}

/* What the guest reads: its own value where the mask is set. */
static u64 guests_cr(u32 cr)
{
	u64 real = vmcs_read(cr ? VMCS_GUEST_CR4 : VMCS_GUEST_CR0);
	u64 shadow = vmcs_read(cr ? VMCS_CR4_SHADOW : VMCS_CR0_SHADOW);
	u64 owned = cr_owned(cr);

	return (real & ~owned) | (shadow & owned);
}

/* ---- constants ---- */

static void write_controls(struct cpu *c)
{
	struct vmx_cpu *s = vmx_of(c);

	s->cpu = vmx.controls[VMX_CPU];
	s->cpu2 = vmx.controls[VMX_CPU2];
	vmcs_write(VMCS_PIN_CONTROLS, vmx.controls[VMX_PIN]);
	vmcs_write(VMCS_CPU_CONTROLS, s->cpu);
	vmcs_write(VMCS_CPU_CONTROLS_2, s->cpu2);
	vmcs_write(VMCS_EXIT_CONTROLS, vmx.controls[VMX_EXIT]);
	vmcs_write(VMCS_PREEMPTION_TIMER, 0);
	vmcs_write(VMCS_EXCEPTIONS, 0);
	vmcs_write(VMCS_PF_MASK, 0);
	vmcs_write(VMCS_PF_MATCH, 0);
	vmcs_write(VMCS_CR3_TARGETS, 0);
	vmcs_write(VMCS_IO_BITMAP_A, arch_pa(vmx.io_bitmaps).v);
	vmcs_write(VMCS_IO_BITMAP_B, arch_pa(vmx.io_bitmaps + PAGE_SIZE).v);
	vmcs_write(VMCS_MSR_BITMAP, arch_pa(vmx.msr_bitmap).v);
	vmcs_write(VMCS_EPTP, stage2.root.v | EPTP_WB_4_LEVELS);
	vmcs_write(VMCS_VPID, GUEST_VPID);
	vmcs_write(VMCS_CR0_MASK, cr_owned(0));
	vmcs_write(VMCS_CR4_MASK, cr_owned(4));
	if (s->cpu2 & CPU2_XSAVES)
		vmcs_write(VMCS_XSS_EXITING, 0);
	/* the guest's SPEC_CTRL is stored where the next entry loads it from */
	vmcs_write(VMCS_EXIT_STORE, arch_pa(s->guest_msrs).v);
	vmcs_write(VMCS_ENTRY_LOAD, arch_pa(s->guest_msrs).v);
	vmcs_write(VMCS_EXIT_LOAD, arch_pa(s->host_msrs).v);
	vmcs_write(VMCS_EXIT_STORE_COUNT, vmx.speculation.has_spec_ctrl);
	vmcs_write(VMCS_ENTRY_LOAD_COUNT, vmx.speculation.has_spec_ctrl);
	vmcs_write(VMCS_EXIT_LOAD_COUNT, vmx.speculation.has_spec_ctrl);
}

static void write_host(struct cpu *c)
{
	struct host_cpu *h = &c->arch->host;
	static const u32 data[] = {VMCS_HOST_ES, VMCS_HOST_SS, VMCS_HOST_DS};

	for (u32 i = 0; i < ARRAY_SIZE(data); i++)
		vmcs_write(data[i], HOST_DS);
	vmcs_write(VMCS_HOST_CS, HOST_CS);
	vmcs_write(VMCS_HOST_FS, 0);
	vmcs_write(VMCS_HOST_GS, 0);
	vmcs_write(VMCS_HOST_TR, HOST_TR);
	vmcs_write(VMCS_HOST_FS_BASE, 0);
	vmcs_write(VMCS_HOST_GS_BASE, (u64)c->arch);
	vmcs_write(VMCS_HOST_TR_BASE, (u64)&h->tss);
	vmcs_write(VMCS_HOST_GDTR_BASE, (u64)h->gdt);
	vmcs_write(VMCS_HOST_IDTR_BASE, host_idt.base);
	vmcs_write(VMCS_HOST_CR0, read_cr0());
	vmcs_write(VMCS_HOST_CR3, host_root());
	vmcs_write(VMCS_HOST_CR4, read_cr4());
	vmcs_write(VMCS_HOST_EFER, rdmsr(MSR_EFER));
	vmcs_write(VMCS_HOST_PAT, PAT_RESET);
	/* the monitor executes no system call */
	vmcs_write(VMCS_HOST_SYSENTER_CS, 0);
	vmcs_write(VMCS_HOST_SYSENTER_ESP, 0);
	vmcs_write(VMCS_HOST_SYSENTER_EIP, 0);
	vmcs_write(VMCS_HOST_RIP, (u64)vmx_exit_entry);
}

void vmx_write_constants(struct cpu *c)
{
	write_controls(c);
	write_host(c);
}

/* ---- guest ---- */

/*
 * A segment without its present bit is unusable. Others are accessed, which the checks of an entry
 * demand, and which a processor that loads them makes them.
 */
static void write_segment(enum vmcs_segment n, const struct segment *s)
{
	u32 rights = (s->attributes & 0xffu) | (s->attributes & 0xf00u) << 4;

	if (!(rights & ATTRIBUTES_P))
		rights = ATTRIBUTES_UNUSABLE;
	else if (rights & ATTRIBUTES_S)
		rights |= ATTRIBUTES_ACCESSED;
	vmcs_write(VMCS_SEGMENT(VMCS_GUEST_SELECTOR, n), s->selector);
	vmcs_write(VMCS_SEGMENT(VMCS_GUEST_LIMIT, n), s->limit);
	vmcs_write(VMCS_SEGMENT(VMCS_GUEST_ATTRIBUTES, n), rights);
	vmcs_write(VMCS_SEGMENT(VMCS_GUEST_BASE, n), s->base);
}

static void write_segments(const struct guest_state *g)
{
	const struct segment *const all[NR_SEGS] = {
		[SEG_ES] = &g->es, [SEG_CS] = &g->cs, [SEG_SS] = &g->ss,     [SEG_DS] = &g->ds,
		[SEG_FS] = &g->fs, [SEG_GS] = &g->gs, [SEG_LDTR] = &g->ldtr, [SEG_TR] = &g->tr,
	};

	for (enum vmcs_segment n = 0; n < NR_SEGS; n++)
		write_segment(n, all[n]);
	vmcs_write(VMCS_GUEST_GDTR_LIMIT, g->gdtr.limit);
	vmcs_write(VMCS_GUEST_GDTR_BASE, g->gdtr.base);
	vmcs_write(VMCS_GUEST_IDTR_LIMIT, g->idtr.limit);
	vmcs_write(VMCS_GUEST_IDTR_BASE, g->idtr.base);
}

/*
 * What the VMCS does not have (CR2, DR0 to DR3, DR6, the MSRs of SYSCALL) entries and exits do not
 * switch: the processor has the guest's, which at the take-over, or after INIT, is the state that
 * is to be set.
 */
void vmx_set_state(struct cpu *c, const struct guest_state *g)
{
	struct vmx_cpu *s = vmx_of(c);
	struct vcpu *r = &c->arch->vcpu;
	u32 entry = vmx.controls[VMX_ENTRY] | (g->efer & EFER_LMA ? ENTRYC_IA32E : 0);

	write_segments(g);
	vmcs_write(VMCS_ENTRY_CONTROLS, entry);
	vmcs_write(VMCS_GUEST_CR0, vmx_real_cr(0, g->cr0));
	vmcs_write(VMCS_CR0_SHADOW, g->cr0);
	vmcs_write(VMCS_GUEST_CR3, g->cr3);
	vmcs_write(VMCS_GUEST_CR4, vmx_real_cr(4, g->cr4));
	vmcs_write(VMCS_CR4_SHADOW, g->cr4);
	vmcs_write(VMCS_GUEST_EFER, g->efer);
	vmcs_write(VMCS_GUEST_PAT, g->pat);
	vmcs_write(VMCS_GUEST_DR7, g->dr7);
	vmcs_write(VMCS_GUEST_DEBUGCTL, 0);
	vmcs_write(VMCS_GUEST_SYSENTER_CS, g->syscall[SYSENTER_CS]);
	vmcs_write(VMCS_GUEST_SYSENTER_ESP, g->syscall[SYSENTER_ESP]);
	vmcs_write(VMCS_GUEST_SYSENTER_EIP, g->syscall[SYSENTER_EIP]);
	vmcs_write(VMCS_GUEST_RSP, g->gpr[RSP]);
	vmcs_write(VMCS_GUEST_RIP, g->rip);
	vmcs_write(VMCS_GUEST_RFLAGS, g->rflags);
	vmcs_write(VMCS_GUEST_INTERRUPTIBILITY, 0);
	vmcs_write(VMCS_GUEST_ACTIVITY, ACTIVITY_ACTIVE);
	vmcs_write(VMCS_GUEST_PENDING_DEBUG, 0);
	vmcs_write(VMCS_LINK, NO_LINK);

	s->stepping = s->tables_again = false;
	vmcs_write(VMCS_EXCEPTIONS, 0);
	vmx_control(c, CPU_MONITOR_TRAP_FLAG | CPU_NMI_WINDOW_EXITING, false);

	memcpy(r->gpr, g->gpr, sizeof(r->gpr));
	r->event = 0;
	c->arch->flush = true;
	vmx_load_vcpu(c);
}

void vmx_load_vcpu(struct cpu *c)
{
	struct vcpu *v = &c->arch->vcpu;
	u64 cs = vmcs_read(VMCS_SEGMENT(VMCS_GUEST_ATTRIBUTES, SEG_CS));
	u64 ss = vmcs_read(VMCS_SEGMENT(VMCS_GUEST_ATTRIBUTES, SEG_SS));

	v->gpr[RSP] = vmcs_read(VMCS_GUEST_RSP);
	v->rip = v->exit_rip = vmcs_read(VMCS_GUEST_RIP);
	v->rflags = vmcs_read(VMCS_GUEST_RFLAGS);
	v->cr0 = guests_cr(0);
	v->cr3 = vmcs_read(VMCS_GUEST_CR3);
	v->cr4 = guests_cr(4);
	v->efer = vmcs_read(VMCS_GUEST_EFER);
	v->gs_base = vmcs_read(VMCS_SEGMENT(VMCS_GUEST_BASE, SEG_GS));
	rdmsr_safe(MSR_KERNEL_GS_BASE, &v->kernel_gs_base);
	v->cpl = ss >> 5 & 3;
	v->long_code = (v->efer & EFER_LMA) && (cs & 1 << 13);
	v->wide_code = cs & 1 << 14;
	v->cs_base = vmcs_read(VMCS_SEGMENT(VMCS_GUEST_BASE, SEG_CS));
	v->shadow = vmcs_read(VMCS_GUEST_INTERRUPTIBILITY) & BLOCKED_BY_STI;
}
