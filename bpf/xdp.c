/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Drop the packets that the recorder's rules name, count them, and count those let through.
 *
 * Hook: XDP, on one interface; the recorder loads the program once for each, with its rules as RULES.
 * Needs: Linux 5.9 (a link for XDP).
 * Cost: some 10 ns a packet (benchmarks/xdp.py).
 *
 * Only Ethernet frames are known, with up to two VLAN tags. Whatever is truncated, or not as the RFCs have it, is let through.
 */
#include "common.h"

#define ETH_IPV4 0x0800
#define ETH_IPV6 0x86dd
#define ETH_VLAN 0x8100
#define ETH_QINQ 0x88a8

#define IP_HOP_BY_HOP 0
#define IP_ICMP 1
#define IP_TCP 6
#define IP_UDP 17
#define IP_ROUTING 43
#define IP_FRAGMENT 44
#define IP_AUTHENTICATION 51
#define IP_ICMP6 58
#define IP_OPTIONS 60

#define EXTENSION_HEADERS 4 /* more than that in front of the transport's header is odd */

struct ethernet {
	u8 destination[6];
	u8 source[6];
	u16 type;
} __attribute__((packed));

struct vlan {
	u16 tag;
	u16 type;
};

struct ipv4 {
	u8 version_and_words;
	u8 service;
	u16 length;
	u16 id;
	u16 fragment;
	u8 hops;
	u8 protocol;
	u16 checksum;
	u32 source;
	u32 destination;
};

struct ipv6 {
	u8 version;
	u8 flow[3];
	u16 payload_length;
	u8 next;
	u8 hops;
	u32 source[4];
	u32 destination[4];
};

struct extension {
	u8 next;
	u8 words;
	u16 fragment;
	u32 id;
};

/* The first bytes of TCP and UDP, and of ICMP. */
struct transport {
	union {
		u16 source_port;
		struct {
			u8 type;
			u8 code;
		};
	};
	u16 destination_port;
};

/* What the rules ask about. Addresses are as on the wire; an IPv4 one is in the first word. */
struct packet {
	u8 version;
	u8 protocol;
	bool has_transport; /* not in later fragments */
	u8 type;
	u8 code;
	u16 source_port;
	u16 destination_port;
	u32 source[4];
	u32 destination[4];
};

/* One rule, made by recorder/tracers/xdp.py: `version` 0 is both, `chance` 0 is always, else of 2^32; ports are from 1. */
struct rule {
	u8 protocol;
	u8 version;
	u16 low_port;
	u16 high_port;
	u32 chance;
	u32 source[4];
	u32 source_mask[4];
	u32 destination[4];
	u32 destination_mask[4];
};

/*
 * RULES comes from the recorder as a -D flag: RULE(number, initializer) for each rule, in their order. RULE is defined where it is used, so that
 * all of a rule is known to the compiler there: a table of them would be read from a section of data, which BCC does not load.
 */
#define RULE_OF(...) (&(const struct rule)__VA_ARGS__)

struct count {
	u64 packets;
	u64 bytes;
};

/*
 * By rule, those without a type; then what was let through, then what found no room in `rare`. Plain additions do: the kernel runs one XDP program
 * at a time on a CPU.
 */
BPF_PERCPU_ARRAY(counts, struct count, RULE_COUNT + 2);
#define LET_THROUGH RULE_COUNT
#define UNCOUNTED (RULE_COUNT + 1)

/* By rule, type and code of ICMP: an element may have 32 KiB. Codes above are rare, and have a hash. */
#define ICMP_TYPES 256
#define ICMP_CODES 8

struct icmp_counts {
	struct count of[ICMP_TYPES * ICMP_CODES];
};

struct rare_key {
	u32 rule;
	u8 type;
	u8 code;
	u16 _reserved;
};

#if ICMP_RULES
BPF_PERCPU_ARRAY(icmp_counts, struct icmp_counts, RULE_COUNT);
BPF_F_TABLE("percpu_hash", struct rare_key, struct count, rare, 65536, BPF_F_NO_PREALLOC);
#endif

static __always_inline void add(struct count *count, u64 bytes)
{
	count->packets++;
	count->bytes += bytes;
}

static __always_inline int count_at(u32 index, u64 bytes, int verdict)
{
	struct count *count = counts.lookup(&index);

	if (count)
		add(count, bytes);
	return verdict;
}

#if ICMP_RULES
static __always_inline int drop_icmp(u32 rule, u8 type, u8 code, u64 bytes)
{
	struct rare_key key = { .rule = rule, .type = type, .code = code };
	struct count none = {}, *count;
	struct icmp_counts *all;

	if (code < ICMP_CODES) {
		all = icmp_counts.lookup(&rule);
		if (all)
			add(&all->of[type * ICMP_CODES + code], bytes);
		return XDP_DROP;
	}
	count = rare.lookup_or_try_init(&key, &none);
	if (!count)
		return count_at(UNCOUNTED, bytes, XDP_DROP);
	add(count, bytes);
	return XDP_DROP;
}
#endif

static __always_inline int drop(u32 rule, const struct packet *packet, u64 bytes)
{
#if ICMP_RULES
	if ((packet->protocol == IP_ICMP || packet->protocol == IP_ICMP6) && packet->has_transport)
		return drop_icmp(rule, packet->type, packet->code, bytes);
#endif
	return count_at(rule, bytes, XDP_DROP);
}

static __always_inline bool in_network(const u32 *address, const u32 *network, const u32 *mask)
{
	return !((address[0] ^ network[0]) & mask[0]) && !((address[1] ^ network[1]) & mask[1]) &&
	       !((address[2] ^ network[2]) & mask[2]) && !((address[3] ^ network[3]) & mask[3]);
}

static __always_inline bool in_ports(const struct rule *rule, u16 port)
{
	return port >= rule->low_port && port <= rule->high_port;
}

static __always_inline bool is_about(const struct rule *rule, u8 protocol, u8 version)
{
	return protocol == rule->protocol && (!rule->version || version == rule->version);
}

static __always_inline bool matches(const struct rule *rule, const struct packet *packet)
{
	if (!is_about(rule, packet->protocol, packet->version))
		return false;
	if (rule->high_port) {
		if (!packet->has_transport)
			return false;
		if (!in_ports(rule, packet->source_port) && !in_ports(rule, packet->destination_port))
			return false;
	}
	if (!in_network(packet->source, rule->source, rule->source_mask) ||
	    !in_network(packet->destination, rule->destination, rule->destination_mask))
		return false;
	return !rule->chance || bpf_get_prandom_u32() < rule->chance;
}

/* True when any rule is about this protocol of this version of IP. Which ones are is known when this is compiled. */
static __always_inline bool is_named(u8 protocol, u8 version)
{
	bool named = false;

#define RULE(number, ...) named |= is_about(RULE_OF(__VA_ARGS__), protocol, version);
	RULES
#undef RULE
	return named;
}

/* Read what the transport's header says; false when it is not all there. */
static __always_inline bool read_transport(struct packet *packet, struct transport *transport, u32 length, void *end)
{
	u32 least = packet->protocol == IP_TCP ? 20 : 8;

	if (length < least || (void *)(transport + 1) > end)
		return false;
	packet->has_transport = true;
	if (packet->protocol == IP_TCP || packet->protocol == IP_UDP) {
		packet->source_port = bpf_ntohs(transport->source_port);
		packet->destination_port = bpf_ntohs(transport->destination_port);
	} else {
		packet->type = transport->type;
		packet->code = transport->code;
	}
	return true;
}

static __always_inline bool read_ipv4(struct packet *packet, struct ipv4 *ip, u32 room, void *end)
{
	u32 header, length;

	if ((void *)(ip + 1) > end || ip->version_and_words >> 4 != 4)
		return false;
	if (!is_named(ip->protocol, 4))
		return false;
	header = (ip->version_and_words & 15) * 4;
	length = bpf_ntohs(ip->length);
	if (header < sizeof(*ip) || length < header || length > room)
		return false;
	packet->version = 4;
	packet->protocol = ip->protocol;
	packet->source[0] = ip->source;
	packet->destination[0] = ip->destination;
	if (ip->fragment & bpf_htons(0x1fff))
		return true;
	return read_transport(packet, (void *)ip + header, length - header, end);
}

static __always_inline bool read_ipv6(struct packet *packet, struct ipv6 *ip, u32 room, void *end)
{
	u32 offset = sizeof(*ip), length;
	u8 next;

	if ((void *)(ip + 1) > end || ip->version >> 4 != 6)
		return false;
	length = sizeof(*ip) + bpf_ntohs(ip->payload_length);
	if (length > room)
		return false;
	next = ip->next;
#pragma unroll
	for (int i = 0; i <= EXTENSION_HEADERS; i++) {
		struct extension *extension = (void *)ip + offset;

		if (next != IP_HOP_BY_HOP && next != IP_ROUTING && next != IP_OPTIONS && next != IP_FRAGMENT && next != IP_AUTHENTICATION)
			break;
		if (i == EXTENSION_HEADERS || (void *)(extension + 1) > end)
			return false;
		if (next == IP_FRAGMENT) {
			offset += sizeof(*extension);
			if (extension->fragment & bpf_htons(0xfff8)) {
				packet->protocol = extension->next;
				goto addresses;
			}
		} else if (next == IP_AUTHENTICATION) {
			offset += (extension->words + 2) * 4;
		} else {
			offset += (extension->words + 1) * 8;
		}
		next = extension->next;
	}
	packet->protocol = next;
	if (!is_named(next, 6) || offset > length || !read_transport(packet, (void *)ip + offset, length - offset, end))
		return false;
addresses:
	packet->version = 6;
	__builtin_memcpy(packet->source, ip->source, sizeof(ip->source));
	__builtin_memcpy(packet->destination, ip->destination, sizeof(ip->destination));
	return is_named(packet->protocol, 6);
}

static __always_inline bool read_packet(struct packet *packet, void *data, void *end)
{
	struct ethernet *ethernet = data;
	void *at = ethernet + 1;
	u16 type;

	if (at > end)
		return false;
	type = ethernet->type;
#pragma unroll
	for (int i = 0; i < 2; i++) {
		struct vlan *vlan = at;

		if (type != bpf_htons(ETH_VLAN) && type != bpf_htons(ETH_QINQ))
			break;
		at = vlan + 1;
		if (at > end)
			return false;
		type = vlan->type;
	}
	if (type == bpf_htons(ETH_IPV4))
		return read_ipv4(packet, at, end - at, end);
	if (type == bpf_htons(ETH_IPV6))
		return read_ipv6(packet, at, end - at, end);
	return false;
}

int drop_packets(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *end = (void *)(long)ctx->data_end;
	struct packet packet = {};
	u64 bytes = end - data;

	if (!read_packet(&packet, data, end))
		return count_at(LET_THROUGH, bytes, XDP_PASS);
#define RULE(number, ...)                                                                                              \
	if (matches(RULE_OF(__VA_ARGS__), &packet))                                                                    \
		return drop(number, &packet, bytes);
	RULES
#undef RULE
	return count_at(LET_THROUGH, bytes, XDP_PASS);
}

#ifdef BENCHMARK
/* What dropping costs at the least: benchmarks/xdp.py. */
int drop_everything(struct xdp_md *ctx)
{
	return XDP_DROP;
}
#endif
