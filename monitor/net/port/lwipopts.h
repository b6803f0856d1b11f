/* SPDX-License-Identifier: BSD-2-Clause */
/*
 * lwIP's options (documented in its lwip/opt.h): IPv4, TCP, ICMP and ARP over one Ethernet card,
 * raw API over altcp, one execution context (the service loop).
 */
#ifndef NET_PORT_LWIPOPTS_H
#define NET_PORT_LWIPOPTS_H

#define NO_SYS		     1
#define SYS_LIGHTWEIGHT_PROT 0
#define LWIP_NETCONN	     0
#define LWIP_SOCKET	     0
#define LWIP_SINGLE_NETIF    1

/* Protocols */
#define LWIP_IPV4      1
#define LWIP_IPV6      0
#define LWIP_ARP       1
#define LWIP_ICMP      1
#define LWIP_UDP       0
#define LWIP_RAW       0
#define LWIP_TCP       1
#define LWIP_ALTCP     1
#define IP_FORWARD     0
#define IP_FRAG	       0
#define IP_REASSEMBLY  0
#define LWIP_STATS     __STDC_HOSTED__ /* unit tests compare memory before and after */
#define LWIP_NETIF_API 0

/*
 * Memory. Received frames and queued segments come from one heap, which lies in the pool
 * (net_init() allocates it); the fixed pools below limit the memory that a peer can cause. The heap
 * has room for what 16 connections of the API can hold, so that nobody's frames are lost for
 * others' sake: each 64 KiB of answers, 16 frames out of order, and 2 x 17 that are not yet
 * processed.
 */
#define MEM_ALIGNMENT	      8
#define MEM_SIZE	      (2560 * 1024)
#define LWIP_RAM_HEAP_POINTER net_heap
#define PBUF_POOL_SIZE	      0
#define MEMP_NUM_PBUF	      16
#define MEMP_NUM_TCP_PCB      64 /* the API's connections, and those that open or close */
#define MEMP_NUM_ALTCP_PCB    48 /* TLS has one above each of TCP */
#define MEMP_NUM_TCP_SEG      2048

/* A 64 KiB window: 2 MB in well under a second at a few milliseconds of latency */
#define TCP_MSS		    1460
#define TCP_WND		    (44 * TCP_MSS)
#define TCP_SND_BUF	    (44 * TCP_MSS)
#define TCP_SND_QUEUELEN    (2 * TCP_SND_BUF / TCP_MSS)
#define TCP_OOSEQ_MAX_PBUFS 16
#define TCP_LISTEN_BACKLOG  0 /* net_isn() */
/* Each full segment of a bundle is acknowledged at once: its sender may wait for that to send two
 */
#define TCP_WND_UPDATE_THRESHOLD TCP_MSS
#define LWIP_CHKSUM_ALGORITHM	 3

/*
 * A connection that the monitor closed first waits twice this long for stragglers (milliseconds).
 * lwIP answers a client that comes again from the same port with nothing that lets it in until
 * then, and clients that poll do come again from the same port within the usual two minutes.
 */
#define TCP_MSL 1000UL

/* A segment is one buffer, so that a frame reaches the card without being gathered */
#define LWIP_NETIF_TX_SINGLE_PBUF 1

/* Sequence numbers that a stranger cannot guess (RFC 6528); called for each SYN that comes */
#define LWIP_HOOK_TCP_ISN(lip, lport, rip, rport) net_isn()

/* On the host, unit tests speak to the server through lwIP's own loopback */
#if __STDC_HOSTED__
#define LWIP_NETIF_LOOPBACK 1
#endif

#endif
