/* SPDX-License-Identifier: BSD-2-Clause */
/* The controls that the monitor uses (docs/vmx.md has the reason of each). */
#include "lib/errno.h"
#include "vmx.h"

const u32 vmx_control_msrs[NR_VMX_CONTROLS] = {
	[VMX_PIN] = MSR_VMX_TRUE_PIN,	     [VMX_CPU] = MSR_VMX_TRUE_CPU,
	[VMX_CPU2] = MSR_VMX_CPU_CONTROLS_2, [VMX_EXIT] = MSR_VMX_TRUE_EXIT,
	[VMX_ENTRY] = MSR_VMX_TRUE_ENTRY,
};

static const struct {
	enum vmx_controls field;
	u32 bit;
	const char *name;
} needed[] = {
	{VMX_PIN, PIN_NMI_EXITING, "NMI exiting"},
	{VMX_PIN, PIN_VIRTUAL_NMIS, "virtual NMIs"},
	/* set to force an exit */
	{VMX_PIN, PIN_PREEMPTION_TIMER, "the preemption timer"},
	{VMX_CPU, CPU_TSC_OFFSETTING, "TSC offsetting"},
	{VMX_CPU, CPU_NMI_WINDOW_EXITING, "NMI-window exiting"},
	{VMX_CPU, CPU_IO_BITMAPS, "I/O bitmaps"},
	{VMX_CPU, CPU_MONITOR_TRAP_FLAG, "the monitor trap flag"},
	{VMX_CPU, CPU_MSR_BITMAPS, "MSR bitmaps"},
	{VMX_CPU, CPU_SECONDARY, "secondary controls"},
	{VMX_CPU2, CPU2_EPT, "extended page tables"},
	{VMX_CPU2, CPU2_TABLE_EXITING, "descriptor-table exiting"},
	{VMX_CPU2, CPU2_VPID, "VPIDs"},
	{VMX_CPU2, CPU2_UNRESTRICTED, "unrestricted guests"},
	{VMX_EXIT, EXITC_SAVE_DEBUG, "saving debug controls"},
	{VMX_EXIT, EXITC_HOST_64, "a 64-bit monitor"},
	{VMX_EXIT, EXITC_SAVE_PAT, "saving PAT"},
	{VMX_EXIT, EXITC_LOAD_PAT, "loading PAT"},
	{VMX_EXIT, EXITC_SAVE_EFER, "saving EFER"},
	{VMX_EXIT, EXITC_LOAD_EFER, "loading EFER"},
	{VMX_ENTRY, ENTRYC_LOAD_DEBUG, "loading debug controls"},
	{VMX_ENTRY, ENTRYC_IA32E, "long mode"},
	{VMX_ENTRY, ENTRYC_LOAD_PAT, "loading PAT"},
	{VMX_ENTRY, ENTRYC_LOAD_EFER, "loading EFER"},
};

/* Those that are not set at first: the monitor sets them when it needs them. */
static const u32 later[NR_VMX_CONTROLS] = {
	[VMX_PIN] = PIN_PREEMPTION_TIMER,
	[VMX_CPU] = CPU_NMI_WINDOW_EXITING | CPU_MONITOR_TRAP_FLAG,
	[VMX_CPU2] = CPU2_TABLE_EXITING,
	[VMX_ENTRY] = ENTRYC_IA32E,
};

/* Without them the guest's instructions would raise #UD although CPUID shows them. */
static const u32 wanted[NR_VMX_CONTROLS] = {
	[VMX_CPU2] = CPU2_RDTSCP | CPU2_INVPCID | CPU2_XSAVES | CPU2_USER_WAIT,
};

/* Exits that the monitor does not handle. */
static const struct {
	enum vmx_controls field;
	u32 bit;
	const char *name;
} unwanted[] = {
	{VMX_CPU, CPU_CR3_LOAD_EXITING, "running without CR3-load exiting"},
	{VMX_CPU, CPU_CR3_STORE_EXITING, "running without CR3-store exiting"},
};

int vmx_choose(enum vmx_controls field, u64 capability, u32 *value, const char **missing)
{
	u32 must = (u32)capability, may = (u32)(capability >> 32), v = wanted[field];

	*missing = NULL;
	for (u32 i = 0; i < ARRAY_SIZE(needed); i++) {
		if (needed[i].field != field)
			continue;
		v |= needed[i].bit;
		if (!*missing && !(may & needed[i].bit))
			*missing = needed[i].name;
	}
	for (u32 i = 0; i < ARRAY_SIZE(unwanted) && !*missing; i++)
		if (unwanted[i].field == field && must & unwanted[i].bit)
			*missing = unwanted[i].name;
	*value = (v & may & ~later[field]) | must;
	return *missing ? -EOPNOTSUPP : 0;
}

const char *vmx_ept_lacks(u64 capability)
{
	static const struct {
		u64 bits;
		const char *name;
	} list[] = {
		{EPT_CAP_4_LEVELS, "EPT of four levels"},
		{EPT_CAP_WB, "write-back EPT"},
		{EPT_CAP_2M, "EPT leaves of 2 MiB"},
		{EPT_CAP_INVEPT | EPT_CAP_INVEPT_SINGLE | EPT_CAP_INVEPT_ALL, "INVEPT"},
		{EPT_CAP_INVVPID | EPT_CAP_INVVPID_SINGLE | EPT_CAP_INVVPID_ALL, "INVVPID"},
	};

	for (u32 i = 0; i < ARRAY_SIZE(list); i++)
		if ((capability & list[i].bits) != list[i].bits)
			return list[i].name;
	return NULL;
}
