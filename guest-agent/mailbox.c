// SPDX-License-Identifier: GPL-2.0-only
/* The mailbox: one message at a time to the monitor, and its answer. */
#include <linux/acpi.h>
#include <linux/delay.h>
#include <linux/gfp.h>
#include <linux/io.h>
#include <linux/ktime.h>
#include <linux/of.h>
#include "agent.h"
#include "arch.h"

#define ANSWER_DEADLINE_MS 10000

static DEFINE_MUTEX(mailbox_lock);
static struct suture_msg *buffer; /* SUTURE_MSG_MAX bytes, physically contiguous */
static u32 insn;		  /* enum suture_hypercall_insn */
static u32 bell_line;
static u32 seq;
static bool closed;

static long hypercall(enum suture_hypercall nr, unsigned long a0, unsigned long a1)
{
	return arch_hypercall(insn, nr, a0, a1);
}

static u32 read_body(const struct suture_acpi_body *body)
{
	insn = body->insn;
	bell_line = body->bell_line;
	return body->abi_version;
}

/* -ENODEV: there is no such table. */
static int find_in_acpi(u32 *version)
{
	struct suture_acpi_body body = {0};
	struct acpi_table_header *table;
	int err = 0;
	u32 size;

	if (acpi_disabled || ACPI_FAILURE(acpi_get_table((char *)SUTURE_ACPI_SIGNATURE, 0, &table)))
		return -ENODEV;
	/* Another release's may be shorter: its version is what is to be said of it. */
	size = max_t(u32, table->length, sizeof(*table)) - sizeof(*table);
	memcpy(&body, table + 1, min_t(u32, size, sizeof(body)));
	*version = read_body(&body);
	if (size < sizeof(body) && *version == SUTURE_ABI_VERSION) {
		pr_err("the monitor's ACPI table has %u bytes, too few\n", table->length);
		err = -EPROTO;
	}
	acpi_put_table(table);
	return err;
}

/* -ENODEV: there is no such node. */
static int find_in_dt(u32 *version)
{
	struct device_node *node = of_find_compatible_node(NULL, NULL, SUTURE_DT_COMPATIBLE);
	void *body = NULL;
	u64 at;

	if (!node)
		return -ENODEV;
	if (!of_property_read_u64(node, "suture,body", &at))
		body = memremap(at, sizeof(struct suture_acpi_body), MEMREMAP_WB);
	of_node_put(node);
	if (!body) {
		pr_err("the monitor's node in the device tree leads to no memory\n");
		return -EPROTO;
	}
	*version = read_body(body);
	memunmap(body);
	return 0;
}

/* The monitor's ABI version and hypercall instruction, from what the firmware says of the machine.
 */
static int find_monitor(u32 *version)
{
	int err = find_in_acpi(version);

	if (err == -ENODEV)
		err = find_in_dt(version);
	if (err == -ENODEV)
		pr_err("no monitor below this kernel: there is no ACPI table %s, and no node %s in "
		       "a device tree. Boot the machine through suture.efi\n",
		       SUTURE_ACPI_SIGNATURE, SUTURE_DT_COMPATIBLE);
	return err;
}

int mailbox_init(void)
{
	u32 version;
	long answer;
	int err = find_monitor(&version);

	if (err)
		return err;
	if (version == SUTURE_ABI_VERSION) {
		answer = hypercall(SUTURE_HC_VERSION, 0, 0);
		if (answer < 0) {
			pr_err("the monitor's ACPI table or node is there, but the monitor does "
			       "not answer (error %ld)\n",
			       answer);
			return -ENODEV;
		}
		version = answer;
	}
	if (version != SUTURE_ABI_VERSION) {
		pr_err("the monitor speaks ABI version %u, this agent version %u: install the "
		       "agent and the monitor of one release, and boot again\n",
		       version, SUTURE_ABI_VERSION);
		return -EPROTO;
	}
	buffer = (void *)__get_free_pages(GFP_KERNEL | __GFP_RETRY_MAYFAIL,
					  get_order(SUTURE_MSG_MAX));
	return buffer ? 0 : -ENOMEM;
}

void mailbox_exit(void)
{
	free_pages((unsigned long)buffer, get_order(SUTURE_MSG_MAX));
}

/* Bytes of the answer now in the buffer, or negative errno. */
static long await_answer(phys_addr_t where)
{
	ktime_t deadline = ktime_add_ms(ktime_get(), ANSWER_DEADLINE_MS);
	unsigned int pause_us = 5;
	long length;

	for (;;) {
		length = hypercall(SUTURE_HC_REPLY, where, SUTURE_MSG_MAX);
		if (length != -EAGAIN)
			return length;
		if (ktime_after(ktime_get(), deadline)) {
			hypercall(SUTURE_HC_CANCEL, 0, 0);
			return -ETIMEDOUT;
		}
		if (pause_us < 20)
			udelay(pause_us);
		else
			usleep_range(pause_us, pause_us * 2);
		pause_us = min(pause_us * 2, 1000u);
	}
}

/* Post the buffer's message, and have its answer in the buffer. mailbox_lock held. */
static long post_buffer(void)
{
	phys_addr_t where = virt_to_phys(buffer);
	u32 size = buffer->size;
	long length = hypercall(SUTURE_HC_POST, where, size);

	if (length == -EBUSY) {
		/* left by a caller that gave up, or by an earlier agent */
		hypercall(SUTURE_HC_CANCEL, 0, 0);
		length = hypercall(SUTURE_HC_POST, where, size);
	}
	return length ? length : await_answer(where);
}

/* Send the part of the request that begins at the offset. Its answer is in the buffer. */
static long post_part(const struct suture_msg *request, u32 offset, u32 len)
{
	struct suture_part *part = (void *)buffer;

	*part = (struct suture_part){
		.msg = {.type = SUTURE_MSG_PART, .size = sizeof(*part) + len, .seq = request->seq},
		.total = request->size,
		.offset = offset,
	};
	memcpy(part + 1, (const char *)request + offset, len);
	return post_buffer();
}

static long post_parts(const struct suture_msg *request)
{
	const u32 most = SUTURE_MSG_MAX - sizeof(struct suture_part);
	u32 offset = 0, len;
	long length = 0;

	while (length >= 0 && offset < request->size) {
		len = min(most, request->size - offset);
		length = post_part(request, offset, len);
		offset += len;
		if (length < (long)sizeof(*buffer) || offset == request->size)
			continue;
		/* not the last one: its answer is a status */
		if (buffer->type != SUTURE_MSG_PART || buffer->status > 0)
			length = -EPROTO;
		else if (buffer->status)
			length = buffer->status;
	}
	return length;
}

/* mailbox_lock held. */
static int exchange(const struct suture_msg *request, void *reply, size_t reply_size)
{
	long length;

	if (request->size > SUTURE_MSG_MAX) {
		length = post_parts(request);
	} else {
		memcpy(buffer, request, request->size);
		length = post_buffer();
	}
	if (length < 0)
		return length;
	if (length < (long)sizeof(*buffer) || length > SUTURE_MSG_MAX ||
	    buffer->type != request->type || buffer->seq != request->seq)
		return -EPROTO;

	memset(reply, 0, reply_size);
	memcpy(reply, buffer, min_t(size_t, length, reply_size));
	return 0;
}

int mailbox_call(struct suture_msg *request, void *reply, size_t reply_size)
{
	u32 type = request->type;
	int err;

	if (request->size < sizeof(*request) || request->size > SUTURE_LONG_MAX)
		return -EMSGSIZE;
	mutex_lock(&mailbox_lock);
	request->seq = ++seq;
	request->status = 0;
	err = READ_ONCE(closed) ? -ESHUTDOWN : exchange(request, reply, reply_size);
	mutex_unlock(&mailbox_lock);
	if (err == -ETIMEDOUT)
		pr_warn_ratelimited("the monitor did not answer message %u within %u s\n", type,
				    ANSWER_DEADLINE_MS / 1000);
	else if (err && err != -ESHUTDOWN)
		pr_warn_ratelimited("message %u to the monitor failed (error %d)\n", type, err);
	return err;
}

int mailbox_send(struct suture_msg *request)
{
	struct suture_msg reply;
	int err = mailbox_call(request, &reply, sizeof(reply));

	return err ? err : reply.status;
}

void mailbox_drop_range(unsigned long start, unsigned long end)
{
	long dropped = hypercall(SUTURE_HC_DROP_RANGE, start, end);

	if (dropped < 0)
		pr_err("the monitor could not drop the redirects of %lx-%lx (error %ld)\n", start,
		       end, dropped);
}

void mailbox_panic(phys_addr_t text, size_t len)
{
	hypercall(SUTURE_HC_PANIC, text, len);
}

long mailbox_bell(phys_addr_t word)
{
	return hypercall(SUTURE_HC_BELL, word, 0);
}

u32 mailbox_bell_line(void)
{
	return bell_line;
}

long mailbox_open_line(bool open)
{
	return hypercall(SUTURE_HC_BELL_LINE, open, 0);
}

void mailbox_close(void)
{
	WRITE_ONCE(closed, true);
	hypercall(SUTURE_HC_DROP_ALL, 0, 0);
}
