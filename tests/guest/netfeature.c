/* SPDX-License-Identifier: BSD-2-Clause */
/* netfeature DEVICE FEATURE [on|off]: may it be switched, is it on; as `ethtool -k` shows it. */
#include <linux/ethtool.h>
#include <linux/sockios.h>
#include <net/if.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define MAX_FEATURES 256

static struct ifreq request;
static int sock;

static void ethtool(void *command)
{
	request.ifr_data = command;
	if (ioctl(sock, SIOCETHTOOL, &request) < 0) {
		perror(request.ifr_name);
		exit(1);
	}
}

static uint32_t find(const char *name)
{
	static struct {
		struct ethtool_gstrings head;
		char names[MAX_FEATURES][ETH_GSTRING_LEN];
	} strings = {.head = {ETHTOOL_GSTRINGS, ETH_SS_FEATURES, 0}, .names = {""}};

	ethtool(&strings);
	for (uint32_t i = 0; i < strings.head.len && i < MAX_FEATURES; i++)
		if (!strcmp(strings.names[i], name))
			return i;
	fprintf(stderr, "there is no feature %s\n", name);
	exit(1);
}

int main(int argc, char **argv)
{
	struct {
		struct ethtool_gfeatures head;
		struct ethtool_get_features_block block[MAX_FEATURES / 32];
	} get = {.head = {.cmd = ETHTOOL_GFEATURES, .size = MAX_FEATURES / 32}, .block = {{0}}};
	struct {
		struct ethtool_sfeatures head;
		struct ethtool_set_features_block block[MAX_FEATURES / 32];
	} set = {.head = {.cmd = ETHTOOL_SFEATURES}, .block = {{0}}};
	uint32_t bit, word, mask;

	if (argc < 3) {
		fprintf(stderr, "usage: netfeature DEVICE FEATURE [on|off]\n");
		return 2;
	}
	sock = socket(AF_INET, SOCK_DGRAM, 0);
	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", argv[1]);
	bit = find(argv[2]);
	word = bit / 32;
	mask = 1u << bit % 32;
	ethtool(&get);
	if (argc > 3) {
		set.head.size = get.head.size;
		set.block[word].valid = mask;
		set.block[word].requested = strcmp(argv[3], "on") ? 0 : mask;
		ethtool(&set);
		ethtool(&get);
	}
	printf("%s %s\n", get.block[word].available & mask ? "free" : "fixed",
	       get.block[word].active & mask ? "on" : "off");
	close(sock);
	return 0;
}
