/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What every tracer shares: the first columns of a row, a table's ring and counters, and the filters.
 *
 * Before this file comes bpf/kernel_types.h, relocated for the running kernel by recorder/btf.py. The recorder puts both in
 * front of a tracer's own text, since BCC rewrites map accesses in the main file only; the #include there is for readers
 * and editors, and finds the guard set.
 */
#ifndef BPFTAPE_COMMON_H
#define BPFTAPE_COMMON_H

/* The first fields of every record; the columns of the same names in recorder/schema.py say what they mean. 72 bytes. */
#define EVENT_COMMON                                                                                                   \
	u64 ts_ns;                                                                                                     \
	u64 start_ns;                                                                                                  \
	u64 cgroup_id;                                                                                                 \
	u32 pid;                                                                                                       \
	u32 tid;                                                                                                       \
	u32 ppid;                                                                                                      \
	u32 uid;                                                                                                       \
	u32 pid_ns;                                                                                                    \
	u32 net_ns;                                                                                                    \
	u32 pid_ns_level;                                                                                              \
	u32 _reserved;                                                                                                 \
	char comm[TASK_COMM_LEN];

struct event_common {
	EVENT_COMMON
};

/*
 * Counts of one table on one CPU. They are what the recording's coverage is made of, so they are exact: the additions are
 * atomic since a program may be preempted, or interrupted by another one, between the load and the store.
 */
struct table_counters {
	u64 events;
	u64 lost;
};

/*
 * A table: a ring of its own, so that all records in a ring have one size, and its counters. RING_PAGES_<table>
 * comes from the recorder as a -D flag.
 */
#define TABLE(name)                                                                                                    \
	BPF_RINGBUF_OUTPUT(name##_ring, RING_PAGES_##name);                                                                   \
	BPF_PERCPU_ARRAY(name##_counters, struct table_counters, 1)

/*
 * Read a member of a kernel structure. BCC can turn plain `pointer->member` into such a read by itself, but follows pointers
 * only so far and differs from version to version; inside a macro it leaves the code alone. A pointer to const is refused: its
 * _member would be const, too, and the compiler would take it for the 0 that it begins with.
 */
#define READ(pointer, member)                                                                                          \
	({                                                                                                             \
		_Static_assert(!__builtin_types_compatible_p(__typeof__(&(pointer)->member),                           \
							     const __typeof__((pointer)->member) *),                   \
			       "READ through a pointer to const");                                                     \
		__typeof__((pointer)->member) _member = 0;                                                             \
		bpf_probe_read_kernel(&_member, sizeof(_member), &(pointer)->member);                                  \
		_member;                                                                                               \
	})

static __always_inline int count_lost(struct table_counters *counters)
{
	__sync_fetch_and_add(&counters->lost, 1);
	return 0;
}

/*
 * Count a record and say how to submit it. The drain looks at the ring by itself; a wake-up is for a sudden burst only: one
 * record in 4,096 of a CPU, or more often where all CPUs together would fill a quarter of the ring with fewer. All of this but
 * the addition and the test is done by the compiler.
 */
static __always_inline u64 count_event(struct table_counters *counters, u64 ring_pages, u64 record_size)
{
	u64 quarter = ring_pages * PAGE_SIZE / 4 / (record_size + 8) / CPUS;
	u64 every = quarter >= 4096 ? 4096 : 1ULL << (63 - __builtin_clzll(quarter | 1));

	__sync_fetch_and_add(&counters->events, 1);
	return (counters->events & (every - 1)) ? BPF_RB_NO_WAKEUP : BPF_RB_FORCE_WAKEUP;
}

/*
 * The cgroup that a task is accounted to: that of cgroup v2 or, where v2 has only its root (hybrid and v1 hosts), that of
 * the memory controller.
 */
static __always_inline struct cgroup *task_cgroup(struct task_struct *task)
{
	struct css_set *set = READ(task, cgroups);
	struct cgroup *cgroup = READ(set, dfl_cgrp);
#ifdef MEMORY_CGRP_ID
	struct cgroup_subsys_state *state;

	if (READ(cgroup, self.parent))
		return cgroup;
	state = READ(set, subsys[MEMORY_CGRP_ID]);
	if (state)
		cgroup = READ(state, cgroup);
#endif
	return cgroup;
}

static __always_inline u64 cgroup_kernfs_id(struct cgroup *cgroup)
{
	struct kernfs_node *node = READ(cgroup, kn);

	return READ(node, id);
}

/* A task's own pid namespace. nsproxy has only that of its future children. */
static __always_inline struct pid_namespace *task_pid_ns(struct task_struct *task)
{
	struct pid *pid = READ(task, thread_pid);
	struct upid *number;

	if (!pid)
		return NULL;
	number = (struct upid *)((char *)pid + __builtin_offsetof(struct pid, numbers) +
				 READ(pid, level) * sizeof(struct upid));
	return READ(number, ns);
}

/* Fill the common fields for `task`, which need not be the current one. */
static __always_inline void fill_common(struct event_common *event, struct task_struct *task)
{
	struct task_struct *leader = READ(task, group_leader);
	struct task_struct *parent = READ(task, real_parent);
	struct pid_namespace *pid_ns = task_pid_ns(task);
	struct nsproxy *nsproxy = READ(task, nsproxy);
	struct net *net = nsproxy ? READ(nsproxy, net_ns) : NULL;
	struct cred *cred = READ(task, cred);

	event->ts_ns = bpf_ktime_get_boot_ns();
	event->start_ns = READ(leader, start_boottime);
	event->cgroup_id = cgroup_kernfs_id(task_cgroup(task));
	event->pid = READ(task, tgid);
	event->tid = READ(task, pid);
	event->ppid = READ(parent, tgid);
	event->uid = READ(cred, uid);
	event->pid_ns = pid_ns ? READ(pid_ns, ns.inum) : 0;
	event->pid_ns_level = pid_ns ? READ(pid_ns, level) : 0;
	event->net_ns = net ? READ(net, ns.inum) : 0;
	event->_reserved = 0;
	bpf_probe_read_kernel(&event->comm, sizeof(event->comm), &task->comm);
}

/*
 * Filters. Their maps belong to bpf/filters.c, which the recorder loads before the tracers when a filter was asked for; each
 * FILTER_<name> is defined when its option was given. Values of one option are alternatives, options must all hold.
 */
struct comm_key {
	char comm[TASK_COMM_LEN];
};

#ifdef OWNS_FILTERS /* set for bpf/filters.c */
#define FILTER_MAP(key, leaf, name, entries) BPF_TABLE_PUBLIC("hash", key, leaf, name, entries)
#else
#define FILTER_MAP(key, leaf, name, entries) BPF_TABLE("extern", key, leaf, name, entries)
#endif

#ifdef FILTER_pid
FILTER_MAP(u32, u8, filter_pid, FILTER_ENTRIES);
#endif
#ifdef FILTER_uid
FILTER_MAP(u32, u8, filter_uid, FILTER_ENTRIES);
#endif
#ifdef FILTER_comm
FILTER_MAP(struct comm_key, u8, filter_comm, FILTER_ENTRIES);
#endif
#ifdef FILTER_cgroup
FILTER_MAP(u64, u8, filter_cgroup, FILTER_ENTRIES);
#endif
#ifdef FILTER_followed
/* The recorded command and its descendants, by tgid; the value is the process's start. */
FILTER_MAP(u32, u64, followed, FILTER_ENTRIES);
#endif

#define CGROUP_DEPTH 16

/* True when the recording wants rows of `task`. */
static __always_inline bool wanted(struct task_struct *task)
{
#if defined(FILTER_pid) || defined(FILTER_followed)
	u32 tgid = READ(task, tgid);
#endif
#ifdef FILTER_pid
	if (!filter_pid.lookup(&tgid))
		return false;
#endif
#ifdef FILTER_followed
	if (!followed.lookup(&tgid))
		return false;
#endif
#ifdef FILTER_uid
	struct cred *cred = READ(task, cred);
	u32 uid = READ(cred, uid);

	if (!filter_uid.lookup(&uid))
		return false;
#endif
#ifdef FILTER_comm
	struct comm_key key = {};

	bpf_probe_read_kernel_str(&key.comm, sizeof(key.comm), &task->comm);
	if (!filter_comm.lookup(&key))
		return false;
#endif
#ifdef FILTER_cgroup
	struct cgroup *cgroup = task_cgroup(task);
	bool found = false;

#pragma unroll
	for (int depth = 0; depth < CGROUP_DEPTH; depth++) {
		struct cgroup_subsys_state *parent;
		u64 id;

		if (!cgroup || found)
			break;
		id = cgroup_kernfs_id(cgroup);
		found = filter_cgroup.lookup(&id) != NULL;
		parent = READ(cgroup, self.parent);
		cgroup = parent ? READ(parent, cgroup) : NULL;
	}
	if (!found)
		return false;
#endif
	return true;
}

#endif
