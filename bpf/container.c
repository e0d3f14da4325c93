/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * Container contexts: each combination of pid namespace, uts namespace and cgroup that is a container's, and each host name in it.
 *
 * Hooks: raw tracepoints task_newtask, sched_process_exec and sched_process_exit; the task iterator, once.
 * Needs: Linux 5.8 with BTF.
 * Cost: four reads at these events for a task of the host; for one in a container some thirty and one hash look-up.
 *
 * Runtimes set the host name after they have made the namespace, and before they start the container's program; programs may change it at any
 * time. So a context is looked at whenever one of its tasks makes a task, starts a program, or ends. The path of the cgroup is
 * read in the kernel at the same moment: a container that lived shorter than it takes to look at its files is named, too.
 */
#include "common.h"

TABLE(container);

#define NODENAME_SIZE 72 /* __NEW_UTS_LEN and a NUL, in whole words */
#define PATH_SIZE 1024 /* a power of two */
#define PATH_DEPTH 16
#define NAME_SIZE 256

/* The buffers are not zeroed: what is behind their sizes is old ring memory. */
struct container_event {
	EVENT_COMMON
	u64 memory_cgroup_id;
	u32 uts_ns;
	u32 mnt_ns;
	u32 path_size;
	u32 path_is_whole;
	u32 memory_path_size;
	u32 memory_path_is_whole;
	u32 owner; /* of the outermost group of path that is not root's; 0: all are */
	u32 owner_depth; /* groups further in than that one */
	u32 memory_owner;
	u32 memory_owner_depth;
	char nodename[NODENAME_SIZE];
	u8 path[PATH_SIZE + NAME_SIZE]; /* names of cgroups, each with its NUL, the innermost first */
	u8 memory_path[PATH_SIZE + NAME_SIZE];
};

struct context {
	u64 cgroup_id;
	u64 memory_cgroup_id;
	u32 pid_ns;
	u32 uts_ns;
	u32 pid_ns_level; /* tells apart namespaces that had one inode, one after the other */
	u32 _padding;
};

struct nodename {
	u64 words[NODENAME_SIZE / sizeof(u64)];
};

/* The last host name of each context. One that is forgotten is written down once more. */
BPF_TABLE("lru_hash", struct context, struct nodename, contexts, 16384);

static __always_inline bool is_same(struct nodename *a, struct nodename *b)
{
	u64 difference = 0;

#pragma unroll
	for (int word = 0; word < NODENAME_SIZE / sizeof(u64); word++)
		difference |= a->words[word] ^ b->words[word];
	return difference == 0;
}

/* The owner of a cgroup's folder, who may make groups of any name in it. The kernel notes those that are not root. */
static __always_inline u32 folder_owner(struct kernfs_node *node)
{
#if defined(HAVE_kernfs_node_iattr) && defined(HAVE_kernfs_iattrs_ia_uid)
	struct kernfs_iattrs *attributes = READ(node, iattr);

	return attributes ? PEEK(attributes, ia_uid) : 0;
#else
	return 0;
#endif
}

/*
 * Read the names of a cgroup and of those above it, the root's not among them, into `path`; return their size. `is_whole`, `owner` and `owner_depth`
 * are in the record.
 */
static __always_inline u32 read_path(u8 *path, struct cgroup *cgroup, u32 *is_whole, u32 *owner, u32 *owner_depth)
{
	struct cgroup_subsys_state *parent = READ(cgroup, self.parent);
	u32 size = 0;

	*owner = 0;
	*owner_depth = 0;
#pragma clang loop unroll(disable)
	for (int depth = 0; depth < PATH_DEPTH; depth++) {
		struct kernfs_node *node;
		const char *name;
		u64 at = size;
		u32 uid;
		long length;

		if (!parent || size >= PATH_SIZE) /* the root has no name */
			break;
		node = READ(cgroup, kn);
		name = READ(node, name);
		uid = folder_owner(node);
		if (uid) {
			*owner = uid;
			*owner_depth = depth;
		}
		asm volatile("%0 &= %1" : "+r"(at) : "i"(PATH_SIZE - 1)); /* the compiler knows that it is less, the verifier does not */
		length = bpf_probe_read_kernel_str(path + at, NAME_SIZE, name);
		size += length & ~(length >> 63); /* nothing for an error; a branch would be another way to walk for the verifier */
		cgroup = READ(parent, cgroup);
		parent = READ(cgroup, self.parent);
	}
	*is_whole = parent == NULL;
	return size;
}

/* Write the context of `task` down if it is a container's, and new or newly named. Return `otherwise`, or count a loss where it is 0, for a full ring. */
static __always_inline int look_at(struct task_struct *task, int otherwise)
{
	struct nsproxy *nsproxy = READ(task, nsproxy);
	struct cgroup *cgroup, *v1;
	struct uts_namespace *uts_ns;
	struct mnt_namespace *mnt_ns;
	struct context context = {};
	struct nodename nodename = {}, *known;
	struct table_counters *counters;
	struct container_event *event;
	u32 zero = 0;

	if (!nsproxy || !in_container(task) || !wanted_place(task)) /* whoever is seen in it first: other tables' rows need its name */
		return 0;
	uts_ns = READ(nsproxy, uts_ns);
	cgroup = task_cgroup(task);
	v1 = v1_cgroup(task);
	if (v1 == cgroup)
		v1 = NULL;
	context.cgroup_id = cgroup_kernfs_id(cgroup);
	context.memory_cgroup_id = v1 ? cgroup_kernfs_id(v1) : 0;
	context.pid_ns = task_pid_ns(task);
	context.pid_ns_level = task_pid_ns_level(task);
	context.uts_ns = READ(uts_ns, ns.inum);
	bpf_probe_read_kernel_str(&nodename, sizeof(nodename), &uts_ns->name.nodename);
	known = contexts.lookup(&context);
	if (known && is_same(known, &nodename))
		return 0;
	counters = container_counters.lookup(&zero);
	if (!counters)
		return 0;
	event = container_ring.ringbuf_reserve(sizeof(*event));
	if (!event)
		return otherwise ?: count_lost(counters);
	contexts.update(&context, &nodename);
	fill_common((struct event_common *)event, task);
	mnt_ns = READ(nsproxy, mnt_ns);
	event->memory_cgroup_id = context.memory_cgroup_id;
	event->uts_ns = context.uts_ns;
	event->mnt_ns = mnt_ns ? READ(mnt_ns, ns.inum) : 0;
	__builtin_memcpy(&event->nodename, &nodename, sizeof(nodename));
	event->path_size = read_path(event->path, cgroup, &event->path_is_whole, &event->owner, &event->owner_depth);
	event->memory_path_size = 0;
	event->memory_owner = 0;
	if (v1)
		event->memory_path_size =
			read_path(event->memory_path, v1, &event->memory_path_is_whole, &event->memory_owner, &event->memory_owner_depth);
	count_event(counters, RING_PAGES_container, sizeof(*event));
	container_ring.ringbuf_submit(event, BPF_RB_FORCE_WAKEUP); /* its name is in a file that goes when it goes */
	return 0;
}

static __always_inline int at_event(struct bpf_raw_tracepoint_args *ctx, bool stands_in)
{
	u32 zero = 0;

	if (stands_in)
		count_stand_in(container_counters.lookup(&zero));
	return look_at((struct task_struct *)ctx->args[0], 0);
}

/* Programs of their own for each hook: the kernel counts runs, and those that it leaves out, by program. */
RAW_PROGRAMS(container_newtask, stand_in_container_newtask, at_event, NEW_TASK)
RAW_PROGRAMS(container_exec, stand_in_container_exec, at_event, EXEC)
RAW_PROGRAMS(container_exit, stand_in_container_exit, at_event, EXIT)

BPF_ITER(task)
{
	struct task_struct *task = ctx->task;

	return task ? look_at(task, ITER_AGAIN) : 0;
}
