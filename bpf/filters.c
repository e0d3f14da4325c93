/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The maps of the filters, shared by all tracers of a recording, and the hooks that keep `followed` true.
 *
 * Hooks: raw tracepoints task_newtask and sched_process_free, attached for --follow-children only.
 * Cost: one hash look-up a new task and one a freed process; nothing when no filter was asked for.
 */
#include "common.h"

#ifdef FILTER_followed
BPF_PERCPU_ARRAY(followed_counters, struct table_counters, 1);

static __always_inline int at_new_task(struct bpf_raw_tracepoint_args *ctx, bool stands_in)
{
	struct task_struct *child = (struct task_struct *)ctx->args[0];
	u32 parent_tgid = bpf_get_current_pid_tgid() >> 32, child_tgid = READ(child, tgid), zero = 0;
	struct task_struct *leader = READ(child, group_leader);
	u64 start_ns = READ(leader, start_boottime);
	struct table_counters *counters = followed_counters.lookup(&zero);

	if (stands_in)
		count_stand_in(counters);
	if (!counters || child_tgid == parent_tgid || !followed.lookup(&parent_tgid))
		return 0;
	if (followed.update(&child_tgid, &start_ns))
		return count_lost(counters);
	return 0;
}

RAW_PROGRAMS(follow_newtask, stand_in_follow_newtask, at_new_task, NEW_TASK)

/*
 * Not at exit: the rows of the exit itself are still wanted, and programs on one hook run in no order to rely on. It needs no stand-in: the kernel
 * frees tasks in soft interrupts, where none gives way.
 */
int follow_free(struct bpf_raw_tracepoint_args *ctx)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	u32 tgid = READ(task, tgid);
	u64 *start_ns;

	if (READ(task, pid) != tgid)
		return 0;
	start_ns = followed.lookup(&tgid);
	if (start_ns && *start_ns == READ(task, start_boottime)) /* else the pid has a new owner already */
		followed.delete(&tgid);
	return 0;
}
#endif
