/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * A row of 17 columns at every getppid on this host while the benchmark runs: the shape of a TCP connect, since rows of that
 * kind are what a busy host makes most of.
 *
 * Hook: raw tracepoint sys_enter.
 */
#include "common.h"

TABLE(load);

struct load_event {
	EVENT_COMMON
	u64 latency_ns;
	u8 saddr[16];
	u8 daddr[16];
	u16 sport;
	u16 dport;
	u32 _padding;
};

/*
 * Values that differ as those of connects do: a few servers take most of them, latencies are all over the place. They are made
 * up from a count: what is measured is the way from ring to disk, and the core that makes the load shall be ahead of it.
 */
static __always_inline void fill(struct load_event *event, u64 count)
{
	u64 thread = bpf_get_current_pid_tgid(), hash = count * 0x9E3779B97F4A7C15ULL;
	u64 *comm = (u64 *)event->comm, *saddr = (u64 *)event->saddr, *daddr = (u64 *)event->daddr;

	event->ts_ns = bpf_ktime_get_boot_ns();
	event->start_ns = 1000000007;
	event->cgroup_id = 5000;
	event->pid = thread >> 32;
	event->tid = thread;
	event->ppid = 1;
	event->uid = 1000;
	event->pid_ns = 0xEFFFFFFC;
	event->net_ns = 0xF0000000;
	event->pid_ns_level = 0;
	event->_reserved = 0;
	comm[0] = 0x64616F6C; /* "load" */
	comm[1] = 0;
	event->latency_ns = 20000 + ((hash >> 40) & 0xFFFF);
	saddr[0] = daddr[0] = 0;
	saddr[1] = 0x0100000AFFFF0000; /* IPv4, mapped: 10.0.0.1, */
	daddr[1] = 0x0000000AFFFF0000 | (hash >> 59) << 56 | ((hash >> 61) * (hash >> 60 & 1)) << 48;
	event->sport = 32768 + (count & 0x3FFF);
	event->dport = (hash >> 58 & 3) ? 443 : 5432;
	event->_padding = 0;
}

int on_sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
	u32 zero = 0;
	struct table_counters *counters;
	struct load_event *event;

	if (ctx->args[1] != SYS_GETPPID)
		return 0;
	counters = load_counters.lookup(&zero);
	if (!counters)
		return 0;
	event = load_ring.ringbuf_reserve(sizeof(*event));
	if (!event)
		return count_lost(counters);
	fill(event, counters->events);
#ifdef CALLBACK /* what BCC's own consumer is made for: it wakes up by itself as the kernel sees fit */
	__sync_fetch_and_add(&counters->events, 1);
	load_ring.ringbuf_submit(event, 0);
#else
	load_ring.ringbuf_submit(event, count_event(counters, RING_PAGES_load, sizeof(*event)));
#endif
	return 0;
}
