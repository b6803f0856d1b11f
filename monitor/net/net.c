/* SPDX-License-Identifier: BSD-2-Clause */
#include "net/net.h"
#include "arch/platform.h"
#include "arch/time.h"
#include "core/log.h"
#include "core/pool.h"
#include "lib/errno.h"
#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/timeouts.h"
#include "net/nic.h"
#include "netif/ethernet.h"

/* Polling intervals of a card without an interrupt: with traffic, and without. */
#define POLL_BUSY_US 1000u
#define POLL_IDLE_US 10000u
#define BUSY_US	     1000000u /* traffic has ended when no frame came for this long */

#define FRAMES_AT_ONCE 64u /* frames in one call; then the service loop goes on */

/* lwIP's heap, and the bookkeeping that it adds (mem.c) */
#define HEAP_PAGES (ALIGN_UP((u64)MEM_SIZE + 64, PAGE_SIZE) / PAGE_SIZE)

static const struct nic_ops *const drivers[] = {&nic_e1000};

static struct {
	struct nic nic;
	struct netif netif;
	u64 busy_until_us;
	u8 frame[NIC_FRAME_MAX];
} net;

const struct nic *net_nic(void)
{
	return net.nic.priv ? &net.nic : NULL;
}

static err_t net_output(struct netif *netif, struct pbuf *p)
{
	const void *frame = p->payload;
	u8 gathered[NIC_FRAME_MAX];

	(void)netif;
	if (p->next) {
		if (p->tot_len > sizeof(gathered))
			return ERR_BUF;
		pbuf_copy_partial(p, gathered, p->tot_len, 0);
		frame = gathered;
	}
	switch (net.nic.ops->send(&net.nic, frame, p->tot_len)) {
	case 0:
		return ERR_OK;
	case -EAGAIN:
		return ERR_MEM; /* TCP sends it again */
	default:
		return ERR_BUF;
	}
}

static err_t init_netif(struct netif *netif)
{
	netif->name[0] = 'm';
	netif->name[1] = 'n';
	netif->mtu = 1500;
	netif->hwaddr_len = sizeof(net.nic.mac);
	for (u32 i = 0; i < sizeof(net.nic.mac); i++)
		netif->hwaddr[i] = net.nic.mac[i];
	netif->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
	netif->output = etharp_output;
	netif->linkoutput = net_output;
	return ERR_OK;
}

static int start_nic(u16 bdf)
{
	struct pci_device d;
	int err = pci_probe(bdf, &d);

	if (err) {
		log_error("NIC %02x:%02x.%x is not there", bdf >> 8, bdf >> 3 & 31, bdf & 7);
		return err;
	}
	for (u32 i = 0; i < ARRAY_SIZE(drivers) && !net.nic.ops; i++)
		if (drivers[i]->match(&d))
			net.nic.ops = drivers[i];
	if (!net.nic.ops) {
		log_error("NIC %02x:%02x.%x (%04x:%04x) has no driver here: use an Intel 82540EM "
			  "or 82574L",
			  bdf >> 8, bdf >> 3 & 31, bdf & 7, d.vendor, d.device);
		return -ENODEV;
	}
	err = net.nic.ops->start(&net.nic, &d);
	if (err)
		log_error("NIC %02x:%02x.%x (%s) does not start: %s", bdf >> 8, bdf >> 3 & 31,
			  bdf & 7, net.nic.ops->name, errno_name(err));
	return err;
}

static void watch_link(void)
{
	if (net.nic.link_up == !!netif_is_link_up(&net.netif))
		return;
	log_limited(LOG_NET, LOG_INFO, "NIC: link %s", net.nic.link_up ? "up" : "down");
	if (net.nic.link_up)
		netif_set_link_up(&net.netif);
	else
		netif_set_link_down(&net.netif);
}

/* Start lwIP on the card, which runs. */
static void start_stack(const struct config *c)
{
	const ip4_addr_t ip = {c->ip}, mask = {c->netmask}, gateway = {c->gateway};
	const u8 *m = net.nic.mac;

	lwip_init();
	netif_add(&net.netif, &ip, &mask, &gateway, NULL, init_netif, ethernet_input);
	netif_set_default(&net.netif);
	netif_set_up(&net.netif);
	log_info("NIC: %s %02x:%02x:%02x:%02x:%02x:%02x, %s, %u.%u.%u.%u", net.nic.ops->name, m[0],
		 m[1], m[2], m[3], m[4], m[5], net.nic.has_irq ? "MSI" : "polled", ip4_addr1(&ip),
		 ip4_addr2(&ip), ip4_addr3(&ip), ip4_addr4(&ip));
	watch_link();
}

int net_init(const struct boot_info *bi)
{
	u32 random;
	int err;

	if (!bi->nic_present) {
		log_error("no management NIC: nic= in suture.conf names none that is there");
		return -ENODEV;
	}
	if (!bi->config.ip) {
		log_error("the management NIC has no address: set ip= in suture.conf");
		return -EINVAL;
	}
	err = arch_random(&random, sizeof(random));
	if (err) {
		log_error("no source of random numbers: no network");
		return err;
	}
	net_heap = pool_alloc(HEAP_PAGES);
	if (!net_heap)
		return -ENOMEM;
	err = start_nic(bi->nic_bdf);
	if (err) {
		pool_free(net_heap, HEAP_PAGES);
		return err;
	}
	start_stack(&bi->config);
	return 0;
}

void net_halt(const struct boot_info *bi)
{
	const struct pci_device d = {.bdf = bi->nic_bdf};

	if (bi->nic_present)
		pci_disable(&d);
}

/* Give received frames to lwIP. Returns how many there were. */
static u32 receive_frames(void)
{
	u32 frames = 0;

	for (; frames < FRAMES_AT_ONCE; frames++) {
		size_t len = net.nic.ops->receive(&net.nic, net.frame, sizeof(net.frame));
		struct pbuf *p;

		if (!len)
			break;
		p = pbuf_alloc(PBUF_RAW, (u16_t)len, PBUF_RAM);
		if (!p) {
			net.nic.rx_dropped++;
			continue;
		}
		pbuf_take(p, net.frame, (u16_t)len);
		if (net.netif.input(p, &net.netif) != ERR_OK)
			pbuf_free(p);
	}
	return frames;
}

u64 net_poll(void)
{
	u64 now, next;
	u32 frames;

	net.nic.ops->ack_irq(&net.nic);
	watch_link();
	frames = receive_frames();
	sys_check_timeouts();

	now = arch_time_us();
	if (frames)
		net.busy_until_us = now + BUSY_US;
	if (frames == FRAMES_AT_ONCE)
		return now;
	next = now + MIN(sys_timeouts_sleeptime(), 1000u) * 1000ull;
	if (!net.nic.has_irq)
		next = MIN(next, now + (now < net.busy_until_us ? POLL_BUSY_US : POLL_IDLE_US));
	return next;
}
