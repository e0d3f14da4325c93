/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * What every tracer shares: the first columns of a row, a table's ring and counters, programs that stand in for others, and the filters.
 *
 * Before this file comes bpf/kernel_types.h, relocated for the running kernel by recorder/btf.py. The recorder puts both in
 * front of a tracer's own text, since BCC rewrites map accesses in the main file only; the #include there is for readers
 * and editors, and finds the guard set.
 */
#ifndef BPFTAPE_COMMON_H
#define BPFTAPE_COMMON_H

/* The first fields of every record; the columns of the same names in recorder/schema/ say what they mean. 72 bytes. */
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
	u64 stood_in; /* how often a stand-in did the work of a run that the kernel left out, and counts */
};

/*
 * A table: a ring of its own, so that all records in a ring have one size, and its counters. RING_PAGES_<table>
 * comes from the recorder as a -D flag.
 */
#define TABLE(name)                                                                                                    \
	BPF_RINGBUF_OUTPUT(name##_ring, RING_PAGES_##name);                                                                   \
	BPF_PERCPU_ARRAY(name##_counters, struct table_counters, 1)

/*
 * Read a member of a kernel structure through a pointer that the verifier knows the type of: an argument of the hook, the current task, an object
 * of an iterator, and what they point at. Where programs may do that (TYPED: Linux 5.11), it is a load, else a call of a helper that
 * costs thirty times as much. A pointer that was computed, or read by PEEK, has no type: read through it with PEEK.
 */
#ifdef TYPED
#define READ(pointer, member) ((pointer)->member)
#define CURRENT_TASK() bpf_get_current_task_btf()
#else
#define READ(pointer, member) PEEK(pointer, member)
#define CURRENT_TASK() ((struct task_struct *)bpf_get_current_task())
#endif

/*
 * Read a member of a kernel structure through any pointer. BCC can turn plain `pointer->member` into such a read by itself, but follows pointers
 * only so far and differs from version to version; inside a macro it leaves the code alone. A pointer to const is refused: its
 * _member would be const, too, and the compiler would take it for the 0 that it begins with.
 */
#define PEEK(pointer, member)                                                                                          \
	({                                                                                                             \
		_Static_assert(!__builtin_types_compatible_p(__typeof__(&(pointer)->member),                           \
							     const __typeof__((pointer)->member) *),                   \
			       "PEEK through a pointer to const");                                                     \
		__typeof__((pointer)->member) _member = 0;                                                             \
		bpf_probe_read_kernel(&_member, sizeof(_member), &(pointer)->member);                                  \
		_member;                                                                                               \
	})

static __always_inline int count_lost(struct table_counters *counters)
{
	__sync_fetch_and_add(&counters->lost, 1);
	return 0;
}

static __always_inline void count_stand_in(struct table_counters *counters)
{
	if (counters)
		__sync_fetch_and_add(&counters->stood_in, 1);
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
 * Stand-ins. The kernel runs no program while it is at work on that CPU already: what a soft interrupt does meanwhile would be lost and, from Linux 7.0
 * on, where a task may have to give way in the middle of a program, what other tasks do. So there are two on such a hook, and for each event the first
 * one leaves a note that the second one, which comes next, takes away. Where there is none the first one was left out, and the second does its work.
 * The second one is short where the first one ran, so two are enough for nearly all. A note that nobody took away, since the second one was left out, can
 * hide an event of the same object that the first one is left out of: that counts as left out, or `what` has to tell the two apart.
 * Such old notes fill the places of a CPU; a younger note takes that of the oldest. One that is replaced before it is taken has its event told twice.
 */
#ifdef STAND_INS
#define NOTES 8
/*
 * That a program looks at: the verifier walks through each, and takes 0.1 s for these. Where there are more, a task that gave way and went on from one beyond
 * them to another one may have its event told twice.
 */
#define MOST_CPUS 2048

/* Programs of one C file that leave notes: each has places of its own, since another one may come while it gives way. */
enum { NEW_TASK, EXEC, EXIT, KINDS };
enum { STATE, CONNECT, ACCEPT };

struct note {
	u64 about; /* the kernel's object that the event is of; 0: this place is free */
	u64 what; /* further tells apart events of one object; 0 where there is one at a time */
	u64 number; /* so many were left before it */
};

struct notes {
	struct note notes[NOTES];
	u64 left;
	u64 _apart[7]; /* no two CPUs write to the same line of a cache */
};

/* By kind and CPU. POSSIBLE_CPUS comes from the recorder. */
BPF_ARRAY(notes, struct notes, KINDS * POSSIBLE_CPUS);

static __always_inline void leave_note(u32 kind, u64 about, u64 what)
{
	u32 own_place = kind * POSSIBLE_CPUS + bpf_get_smp_processor_id();
	struct notes *own = notes.lookup(&own_place);
	struct note *place;

	if (!own)
		return;
	place = &own->notes[0];
	/* A free place or, without one, that of the oldest note, whose second one was left out: those of others may be under way. */
#pragma unroll
	for (int each = 0; each < NOTES; each++) {
		struct note *one = &own->notes[each];

		if (one->about == about) /* an old one: an object has one event at a time */
			one->about = 0;
		if (place->about && (!one->about || one->number < place->number))
			place = one;
	}
	place->about = about;
	place->what = what;
	place->number = own->left++;
}

#ifdef GIVES_WAY
/*
 * Take a note of any CPU: a task that gave way may go on elsewhere. The verifier walks every way through a loop, so there is no branch for each place. And it
 * lets nobody calculate with a pointer, but takes one that was written over in part for a number: here in the topmost byte, which all have in common.
 */
static __always_inline bool take_note_elsewhere(u32 kind, u64 about, u64 what)
{
	volatile union {
		u64 number;
		u8 bytes[sizeof(u64)];
	} object = { .number = about };

	object.bytes[__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__ ? sizeof(u64) - 1 : 0] = 0;
	about = object.number;
	/* With a counter of 32 bits the verifier does not see that the loop ends. */
	for (u64 cpu = 0; cpu < POSSIBLE_CPUS && cpu < MOST_CPUS; cpu++) {
		u32 its_place = kind * POSSIBLE_CPUS + cpu;
		struct notes *its = notes.lookup(&its_place);
		u64 place = 0; /* from 1 on */

		if (!its)
			return false;
#pragma unroll
		for (u64 each = 0; each < NOTES; each++) {
			u64 differs = ((its->notes[each].about ^ about) & ~0ULL >> 8) | (its->notes[each].what ^ what);
			u64 is_here = (~differs & (differs - 1)) >> 63;

			asm volatile("" : "+r"(is_here)); /* or the compiler sees a comparison, and makes it a branch */
			place += is_here * (each + 1);
		}
		if (place) {
			its->notes[(place - 1) & (NOTES - 1)].about = 0;
			return true;
		}
	}
	return false;
}
#endif

static __always_inline bool take_note(u32 kind, u64 about, u64 what)
{
	u32 own_place = kind * POSSIBLE_CPUS + bpf_get_smp_processor_id();
	struct notes *own = notes.lookup(&own_place);

	if (!own)
		return false;
#pragma unroll
	for (int each = 0; each < NOTES; each++) {
		if (own->notes[each].about == about && own->notes[each].what == what) {
			own->notes[each].about = 0;
			return true;
		}
	}
#ifdef GIVES_WAY
	return take_note_elsewhere(kind, about, what);
#else
	return false;
#endif
}
#endif

/*
 * The programs of a hook: `function` and, where tasks may give way in it, its stand-in. `work(ctx, stands_in)` does what is to be done; where it is told that
 * it stands in, it has to call count_stand_in before all else. `about` is the kernel's object that an event is of: no two of one kind are of the same at once.
 */
#ifdef GIVES_WAY
#define PROGRAMS(context, function, stand_in, work, kind, about)                                                       \
	int function(context *ctx)                                                                                     \
	{                                                                                                              \
		leave_note(kind, about, 0);                                                                            \
		return work(ctx, false);                                                                               \
	}                                                                                                              \
	int stand_in(context *ctx)                                                                                     \
	{                                                                                                              \
		return take_note(kind, about, 0) ? 0 : work(ctx, true);                                                \
	}
#else
#define PROGRAMS(context, function, stand_in, work, kind, about)                                                       \
	int function(context *ctx)                                                                                     \
	{                                                                                                              \
		return work(ctx, false);                                                                               \
	}
#endif

/* Those of a raw tracepoint whose event is of its first argument. */
#define RAW_PROGRAMS(function, stand_in, work, kind)                                                                   \
	PROGRAMS(struct bpf_raw_tracepoint_args, function, stand_in, work, kind, ctx->args[0])

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

/* The group of v1's memory controller that a task is in, whatever v2 has for it; NULL where that controller is v2's own. */
static __always_inline struct cgroup *v1_cgroup(struct task_struct *task)
{
#ifdef MEMORY_CGRP_ID
	struct css_set *set = READ(task, cgroups);
	struct cgroup *unified = READ(set, dfl_cgrp), *cgroup;
	struct cgroup_subsys_state *state = READ(set, subsys[MEMORY_CGRP_ID]);

	if (!state)
		return NULL;
	cgroup = READ(state, cgroup);
	if (READ(cgroup, root) != READ(unified, root))
		return cgroup;
#endif
	return NULL;
}

static __always_inline u64 cgroup_kernfs_id(struct cgroup *cgroup)
{
	struct kernfs_node *node = READ(cgroup, kn);

	return READ(node, id);
}

/* How deep a task's own pid namespace is. */
static __always_inline u32 task_pid_ns_level(struct task_struct *task)
{
	struct pid *pid = READ(task, thread_pid);

	return pid ? READ(pid, level) : 0;
}

/* The inode of a task's own pid namespace, 0 when it has left it. nsproxy has only that of its future children. */
static __always_inline u32 task_pid_ns(struct task_struct *task)
{
	struct pid *pid = READ(task, thread_pid);
	struct pid_namespace *ns;
	struct upid *number;

	if (!pid)
		return 0;
	if (READ(pid, level) == 0) {
		ns = READ(pid, numbers[0].ns);
		return READ(ns, ns.inum);
	}
	number = (struct upid *)((char *)pid + __builtin_offsetof(struct pid, numbers) +
				 READ(pid, level) * sizeof(struct upid));
	ns = PEEK(number, ns);
	return PEEK(ns, ns.inum);
}

static __always_inline void copy_comm(char *to, struct task_struct *task)
{
#ifdef TYPED
	__builtin_memcpy(to, READ(task, comm), TASK_COMM_LEN);
#else
	bpf_probe_read_kernel(to, TASK_COMM_LEN, &task->comm);
#endif
}

/* Fill the common fields for `task`, which need not be the current one. */
static __always_inline void fill_common(struct event_common *event, struct task_struct *task)
{
	struct task_struct *leader = READ(task, group_leader);
	struct task_struct *parent = READ(task, real_parent);
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
	event->pid_ns = task_pid_ns(task);
	event->pid_ns_level = task_pid_ns_level(task);
	event->net_ns = net ? READ(net, ns.inum) : 0;
	event->_reserved = 0;
	copy_comm(event->comm, task);
}

/* The context of every iterator begins with it. */
struct bpf_iter_meta {
	struct seq_file *seq;
	u64 session_id;
	u64 seq_num;
};

/*
 * What an iterator's program returns where the ring is full: the kernel ends the read with EAGAIN, and begins the next one with the same object. The
 * recorder empties the rings in between.
 */
#define ITER_AGAIN 1

/* A pointer that an iterator hands to its program, as the kernel declares it. */
#define ITER_POINTER(type, name)                                                                                       \
	union {                                                                                                        \
		type name;                                                                                             \
		u64 _##name;                                                                                           \
	}

/* The context of a task iterator, by the names that the kernel's BTF has for it. */
struct bpf_iter__task {
	ITER_POINTER(struct bpf_iter_meta *, meta);
	ITER_POINTER(struct task_struct *, task);
};

#ifdef INITIAL_MNT_NS /* the recorder's flag: the inode of the host's mount namespace */
#define CGROUP_NAME_SIZE 128
#define CONTAINER_ID_DIGITS 64
#define CONTAINER_DEPTH 4
#define SCOPE_SUFFIX_LENGTH 6 /* ".scope" */

/* The topmost bit of each byte of a word: is that byte `low` or above? Bytes with that bit set themselves give no sense. */
#define EACH_BYTE(value) (0x0101010101010101ULL * (value))
#define AT_LEAST(word, low) ((word) + EACH_BYTE(0x80 - (low)))

/* True when the first 64 bytes of `text` are 0 to 9 and a to f. Eight at a time and without a branch: the verifier walks every way through a loop. */
static __always_inline bool are_hex_digits(char *text)
{
	u64 *words = (u64 *)text, all = EACH_BYTE(0x80);

#pragma unroll
	for (int word = 0; word < CONTAINER_ID_DIGITS / sizeof(u64); word++) {
		u64 digits = AT_LEAST(words[word], '0') & ~AT_LEAST(words[word], '9' + 1);
		u64 letters = AT_LEAST(words[word], 'a') & ~AT_LEAST(words[word], 'f' + 1);

		all &= (digits | letters) & ~words[word];
	}
	return all == EACH_BYTE(0x80);
}

/*
 * True for the cgroups of Docker, containerd, CRI-O and Podman: "<64 hex digits>", "docker-<64 hex digits>.scope" and the like. A name with
 * "conmon-" in front of the digits is that of a container's monitor.
 */
static __always_inline bool has_container_id(struct cgroup *cgroup)
{
	struct kernfs_node *node = READ(cgroup, kn);
	const char *name = READ(node, name);
	char text[CGROUP_NAME_SIZE] __attribute__((aligned(8))) = {};
	long length = bpf_probe_read_kernel_str(&text, sizeof(text), name) - 1, start;

	if (length < CONTAINER_ID_DIGITS)
		return false;
	bpf_probe_read_kernel(&text, SCOPE_SUFFIX_LENGTH, name + length - SCOPE_SUFFIX_LENGTH);
	start = length - CONTAINER_ID_DIGITS - (text[0] == '.' ? SCOPE_SUFFIX_LENGTH : 0);
	if (start < 0)
		return false;
	if (start >= 7) {
		bpf_probe_read_kernel(&text, 7, name + start - 7);
		if (text[0] == 'c' && text[1] == 'o' && text[2] == 'n' && text[3] == 'm' && text[4] == 'o' && text[5] == 'n' && text[6] == '-')
			return false;
	}
	if (bpf_probe_read_kernel(&text, CONTAINER_ID_DIGITS, name + start))
		return false;
	return are_hex_digits(text);
}

/* True when a cgroup, or one not far above it, bears a container's id. */
static __always_inline bool is_containers(struct cgroup *cgroup)
{
#pragma clang loop unroll(disable)
	for (int depth = 0; depth < CONTAINER_DEPTH; depth++) {
		struct cgroup_subsys_state *parent = READ(cgroup, self.parent);

		if (!parent) /* the root, which has no name */
			return false;
		if (has_container_id(cgroup))
			return true;
		cgroup = READ(parent, cgroup);
	}
	return false;
}

/*
 * True when a task is in a container: its own pid namespace is not the initial one, or it has a mount namespace of its own and its cgroup is a
 * container's (docker run --pid=host): that of v2 or, on hosts that have both, that of v1's memory controller.
 */
static __always_inline bool in_container(struct task_struct *task)
{
	struct nsproxy *nsproxy = READ(task, nsproxy);
	struct mnt_namespace *mnt_ns = nsproxy ? READ(nsproxy, mnt_ns) : NULL;
	struct cgroup *cgroup, *v1;

	if (task_pid_ns_level(task) > 0)
		return true;
	if (!mnt_ns || READ(mnt_ns, ns.inum) == INITIAL_MNT_NS)
		return false;
	cgroup = task_cgroup(task);
	if (is_containers(cgroup))
		return true;
	v1 = v1_cgroup(task);
	return v1 && v1 != cgroup && is_containers(v1);
}
#endif

/*
 * Filters. Their maps are those of bpf/filters.c, which the recorder loads before the tracers when a filter was asked for; each
 * FILTER_<name> is defined when its option was given. Values of one option are alternatives, options must all hold.
 */
struct comm_key {
	char comm[TASK_COMM_LEN];
};

#ifdef FILTER_pid
BPF_TABLE("hash", u32, u8, filter_pid, FILTER_ENTRIES);
#endif
#ifdef FILTER_uid
BPF_TABLE("hash", u32, u8, filter_uid, FILTER_ENTRIES);
#endif
#ifdef FILTER_comm
BPF_TABLE("hash", struct comm_key, u8, filter_comm, FILTER_ENTRIES);
#endif
#ifdef FILTER_cgroup
BPF_TABLE("hash", u64, u8, filter_cgroup, FILTER_ENTRIES);
#endif
#ifdef FILTER_container
/* By the id of a cgroup, with a bit set where that is one of v1, or by the inode of a pid namespace with the other one. */
#define IS_PID_NS (1ULL << 63)
#define IS_V1_CGROUP (1ULL << 62)
BPF_TABLE("hash", u64, u8, filter_container, FILTER_ENTRIES);
#endif
#ifdef FILTER_followed
/* The recorded command and its descendants, by tgid; the value is the process's start. */
BPF_TABLE("hash", u32, u64, followed, FILTER_ENTRIES);
#endif

#define CGROUP_DEPTH 16
#define PID_NS_DEPTH 32 /* MAX_PID_NS_LEVEL of linux/pid_namespace.h */

/* Filters by task are in force: what happens to a socket whose task is not known cannot be wanted. */
#if defined(FILTER_pid) || defined(FILTER_uid) || defined(FILTER_comm) || defined(FILTER_cgroup) || defined(FILTER_container) ||                     \
	defined(FILTER_containers) || defined(FILTER_followed)
#define FILTERS_TASKS 1
#endif

#ifdef FILTER_cgroup
/* True when a cgroup, or one above it, was asked for. */
static __always_inline bool in_wanted_cgroup(struct cgroup *cgroup)
{
#pragma unroll
	for (int depth = 0; depth < CGROUP_DEPTH; depth++) {
		u64 id = cgroup_kernfs_id(cgroup);
		struct cgroup_subsys_state *parent;

		if (filter_cgroup.lookup(&id))
			return true;
		parent = READ(cgroup, self.parent);
		if (!parent)
			return false;
		cgroup = READ(parent, cgroup);
	}
	return false;
}
#endif

#ifdef FILTER_container
/* True when a cgroup, or one above it, is that of a container that was asked for. `mark` tells v1's from v2's, which have the same ids. */
static __always_inline bool in_named_cgroup(struct cgroup *cgroup, u64 mark)
{
#pragma unroll
	for (int depth = 0; depth < CGROUP_DEPTH; depth++) {
		u64 key = mark | cgroup_kernfs_id(cgroup);
		struct cgroup_subsys_state *parent;

		if (filter_container.lookup(&key))
			return true;
		parent = READ(cgroup, self.parent);
		if (!parent)
			return false;
		cgroup = READ(parent, cgroup);
	}
	return false;
}

/* True when the pid namespace of a task, or one that it is nested in, was asked for. */
static __always_inline bool in_named_pid_ns(struct task_struct *task)
{
	struct pid *pid = READ(task, thread_pid);
	u64 numbers = (u64)pid + __builtin_offsetof(struct pid, numbers);
	u32 level = task_pid_ns_level(task);

#pragma clang loop unroll(disable)
	for (u32 depth = 1; depth <= PID_NS_DEPTH; depth++) { /* 0 is the initial one, which is no container */
		struct upid *number = (struct upid *)numbers + depth;
		struct pid_namespace *ns;
		u64 key;

		if (depth > level)
			break;
		ns = PEEK(number, ns);
		key = IS_PID_NS | PEEK(ns, ns.inum);
		if (filter_container.lookup(&key))
			return true;
	}
	return false;
}

static __always_inline bool in_named_container(struct task_struct *task)
{
	struct css_set *set = READ(task, cgroups);
	struct cgroup *v1 = v1_cgroup(task);

	return in_named_cgroup(READ(set, dfl_cgrp), 0) || (v1 && in_named_cgroup(v1, IS_V1_CGROUP)) || in_named_pid_ns(task);
}
#endif

/* True when the recording wants rows of where `task` runs: its container, its cgroup. */
static __always_inline bool wanted_place(struct task_struct *task)
{
#ifdef FILTER_containers
	if (!in_container(task))
		return false;
#endif
#ifdef FILTER_cgroup
	if (!in_wanted_cgroup(task_cgroup(task)))
		return false;
#endif
#ifdef FILTER_container
	if (!in_named_container(task))
		return false;
#endif
	return true;
}

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
	return wanted_place(task);
}

#endif
