/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sends one frame again and again out of an interface, as fast as one thread can, and says how long that took.
 * usage: xdp_flood INTERFACE COUNT FRAME    FRAME: hexadecimal digits; prints nanoseconds
 */
#define _GNU_SOURCE
#include <errno.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define BATCH 64

static long now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000L + now.tv_nsec;
}

int main(int argc, char **argv)
{
	static unsigned char frame[1514];
	struct mmsghdr messages[BATCH] = {};
	struct sockaddr_ll to = { .sll_family = AF_PACKET };
	struct iovec data = { .iov_base = frame };
	int fd = socket(AF_PACKET, SOCK_RAW, 0), one = 1;
	long left, begin;

	if (argc != 4 || fd < 0)
		return 2;
	to.sll_ifindex = if_nametoindex(argv[1]);
	left = atol(argv[2]);
	for (char *digits = argv[3]; digits[0] && digits[1] && data.iov_len < sizeof(frame); digits += 2)
		sscanf(digits, "%2hhx", &frame[data.iov_len++]);
	setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &one, sizeof(one));
	for (int i = 0; i < BATCH; i++) {
		messages[i].msg_hdr.msg_name = &to;
		messages[i].msg_hdr.msg_namelen = sizeof(to);
		messages[i].msg_hdr.msg_iov = &data;
		messages[i].msg_hdr.msg_iovlen = 1;
	}
	begin = now_ns();
	while (left > 0) {
		int sent = sendmmsg(fd, messages, left < BATCH ? left : BATCH, 0);

		if (sent > 0) {
			left -= sent;
		} else if (errno != ENOBUFS && errno != EAGAIN && errno != EINTR) {
			perror("sendmmsg");
			return 1;
		}
	}
	printf("%ld\n", now_ns() - begin);
	return 0;
}
