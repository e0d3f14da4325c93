/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Tasks that are made, programs that start in them, processes that end, and the processes that were there before.
 *
 * Hooks: raw tracepoints task_newtask, sched_process_exec and sched_process_exit; the task iterator, once.
 * Needs: Linux 5.8 with BTF.
 * Cost: about a dozen reads of kernel memory at each of these events, nothing on any other path.
 */
#include "common.h"

TABLE(clone);
TABLE(exec);
TABLE(exit);
TABLE(process);

#define CLONE_THREAD 0x00010000
#define SIGNAL_GROUP_EXIT 0x00000004

struct clone_event {
	EVENT_COMMON
	u64 child_start_ns;
	u64 clone_flags;
	u32 child_pid;
	u32 child_tid;
	u8 is_thread;
	u8 _padding[7];
};

/* clone, clone3, fork and vfork all end here, in the task that called them. */
static __always_inline int at_new_task(struct bpf_raw_tracepoint_args *ctx, bool stands_in)
{
	struct task_struct *task = CURRENT_TASK();
	struct task_struct *child = (struct task_struct *)ctx->args[0];
	struct task_struct *child_leader = READ(child, group_leader);
	u32 zero = 0;
	struct table_counters *counters = clone_counters.lookup(&zero);
	struct clone_event *event;

	if (stands_in)
		count_stand_in(counters);
	if (!counters || !wanted(task))
		return 0;
	event = clone_ring.ringbuf_reserve(sizeof(*event));
	if (!event)
		return count_lost(counters);
	fill_common((struct event_common *)event, task);
	event->child_start_ns = READ(child_leader, start_boottime);
	event->clone_flags = ctx->args[1];
	event->child_pid = READ(child, tgid);
	event->child_tid = READ(child, pid);
	event->is_thread = (ctx->args[1] & CLONE_THREAD) != 0;
	clone_ring.ringbuf_submit(event, count_event(counters, RING_PAGES_clone, sizeof(*event)));
	return 0;
}

RAW_PROGRAMS(on_task_newtask, stand_in_task_newtask, at_new_task, NEW_TASK)

#define FILENAME_SIZE 512
#define ARGV_SIZE 4096

/* The two buffers are not zeroed: what is beyond the sizes is old ring memory, which decoding never looks at. */
struct exec_event {
	EVENT_COMMON
	u32 filename_size; /* with its NUL */
	u32 argv_kept; /* bytes of argv that were read */
	u64 argv_size; /* bytes that there were */
	u8 argv_read;
	u8 _padding[7];
	u8 filename[FILENAME_SIZE];
	u8 argv[ARGV_SIZE];
};

static __always_inline void read_argv(struct exec_event *event, struct task_struct *task)
{
	event->argv_kept = 0;
	event->argv_size = 0;
	event->argv_read = 0;
#ifndef NO_ARGV
	struct mm_struct *mm = READ(task, mm);
	unsigned long start = READ(mm, arg_start), size = READ(mm, arg_end) - start;
	u32 kept = size > ARGV_SIZE ? ARGV_SIZE : size;

	/* Never past arg_end: the environment, with its secrets, follows. */
	if (kept > ARGV_SIZE || bpf_probe_read_user(&event->argv, kept, (void *)start))
		return;
	event->argv_kept = kept;
	event->argv_size = size;
	event->argv_read = 1;
#endif
}

static __always_inline int at_exec(struct bpf_raw_tracepoint_args *ctx, bool stands_in)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	struct linux_binprm *bprm = (struct linux_binprm *)ctx->args[2];
	const char *filename = READ(bprm, filename);
	u32 zero = 0;
	struct table_counters *counters = exec_counters.lookup(&zero);
	struct exec_event *event;
	int size;

	if (stands_in)
		count_stand_in(counters);
	if (!counters || !wanted(task))
		return 0;
	event = exec_ring.ringbuf_reserve(sizeof(*event));
	if (!event)
		return count_lost(counters);
	fill_common((struct event_common *)event, task);
	size = bpf_probe_read_kernel_str(&event->filename, FILENAME_SIZE, filename);
	event->filename_size = size > 0 ? size : 0;
	read_argv(event, task);
	exec_ring.ringbuf_submit(event, count_event(counters, RING_PAGES_exec, sizeof(*event)));
	return 0;
}

RAW_PROGRAMS(on_sched_process_exec, stand_in_sched_process_exec, at_exec, EXEC)

struct exit_event {
	EVENT_COMMON
	u32 status; /* as wait(2) gives it */
	u32 _padding2;
};

#ifndef EXIT_HAS_GROUP_DEAD
struct process_key {
	u64 start_ns;
	u64 tgid;
};

/* Two threads that exit together may both find no thread alive; the first of them speaks for the process. */
BPF_TABLE("lru_hash", struct process_key, u8, ended, 4096);

static __always_inline bool is_last(struct task_struct *task)
{
	struct signal_struct *signal = READ(task, signal);
	struct task_struct *leader = READ(task, group_leader);
	struct process_key key = {};
	u8 one = 1;

	if (READ(signal, live) != 0)
		return false;
	key.start_ns = READ(leader, start_boottime);
	key.tgid = READ(task, tgid);
	return ended.insert(&key, &one) == 0;
}
#endif

static __always_inline int at_exit(struct bpf_raw_tracepoint_args *ctx, bool stands_in)
{
	struct task_struct *task = (struct task_struct *)ctx->args[0];
	struct task_struct *leader = READ(task, group_leader);
	struct signal_struct *signal = READ(task, signal);
	u32 zero = 0;
	struct table_counters *counters = exit_counters.lookup(&zero);
	struct exit_event *event;

	if (stands_in)
		count_stand_in(counters);
#ifdef EXIT_HAS_GROUP_DEAD
	if (!(ctx->args[1] & 1))
		return 0;
#else
	if (!is_last(task))
		return 0;
#endif
	if (!counters || !wanted(leader))
		return 0;
	event = exit_ring.ringbuf_reserve(sizeof(*event));
	if (!event)
		return count_lost(counters);
	fill_common((struct event_common *)event, task);
	copy_comm(event->comm, leader);
	event->status = (READ(signal, flags) & SIGNAL_GROUP_EXIT) ? READ(signal, group_exit_code) : READ(leader, exit_code);
	event->_padding2 = 0;
	exit_ring.ringbuf_submit(event, count_event(counters, RING_PAGES_exit, sizeof(*event)));
	return 0;
}

RAW_PROGRAMS(on_sched_process_exit, stand_in_sched_process_exit, at_exit, EXIT)

struct process_event {
	EVENT_COMMON
};

BPF_ITER(task)
{
	struct task_struct *task = ctx->task;
	u32 zero = 0;
	struct table_counters *counters = process_counters.lookup(&zero);
	struct signal_struct *signal;
	struct process_event *event;

	if (!task || !counters || READ(task, pid) != READ(task, tgid))
		return 0;
	signal = READ(task, signal);
	if (READ(signal, live) == 0 || !wanted(task)) /* a zombie has ended already */
		return 0;
	event = process_ring.ringbuf_reserve(sizeof(*event));
	if (!event)
		return ITER_AGAIN;
	fill_common((struct event_common *)event, task);
	process_ring.ringbuf_submit(event, count_event(counters, RING_PAGES_process, sizeof(*event)));
	return 0;
}
