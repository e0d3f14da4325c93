/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What `bpftape doctor` asks the kernel to take: a ring with a program that writes to it, and an XDP program.
 *
 * Hooks: the first program is loaded only; the second is attached to the loopback interface of a net namespace made for it.
 * Needs: Linux 5.8 with BTF.
 * Cost: none, neither of them ever runs.
 */
#include "common.h"

TABLE(doctor);

struct doctor_event {
	u64 ts_ns;
};

int doctor_ring_program(struct bpf_raw_tracepoint_args *ctx)
{
	u32 zero = 0;
	struct table_counters *counters = doctor_counters.lookup(&zero);
	struct doctor_event *event;

	if (!counters)
		return 0;
	event = doctor_ring.ringbuf_reserve(sizeof(*event));
	if (!event)
		return count_lost(counters);
	event->ts_ns = bpf_ktime_get_boot_ns();
	doctor_ring.ringbuf_submit(event, count_event(counters, RING_PAGES_doctor, sizeof(*event)));
	return 0;
}

int doctor_xdp_program(struct xdp_md *ctx)
{
	return XDP_PASS;
}
