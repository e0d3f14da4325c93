/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * The members of kernel structures that the tracers read, one a line, as the kernel declares them.
 *
 * This file is not compiled as it stands. recorder/btf.py looks every member up in the running kernel's BTF and moves it
 * to the offset that it has there, so the order here means nothing and no kernel headers are needed. A member that the
 * running kernel does not have is left out, and HAVE_<struct>_<member> is defined for each one that it does have.
 * Structures come before those that hold them by value.
 */
struct ns_common {
	unsigned int inum;
};

struct pid_namespace {
	unsigned int level;
	struct ns_common ns;
};

struct upid {
	struct pid_namespace *ns;
};

struct pid {
	unsigned int level;
	struct upid numbers[1];
};

struct net {
	struct ns_common ns;
};

struct new_utsname {
	char nodename[65];
};

struct uts_namespace {
	struct new_utsname name;
	struct ns_common ns;
};

struct mnt_namespace {
	struct ns_common ns;
};

struct nsproxy {
	struct uts_namespace *uts_ns;
	struct mnt_namespace *mnt_ns;
	struct net *net_ns;
};

struct kernfs_iattrs {
	unsigned int ia_uid;
};

struct kernfs_node {
	const char *name;
	u64 id;
	struct kernfs_iattrs *iattr;
};

struct cgroup_subsys_state {
	struct cgroup *cgroup;
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
	struct cgroup_root *root;
};

struct css_set {
	struct cgroup_subsys_state *subsys[1];
	struct cgroup *dfl_cgrp;
};

struct cred {
	unsigned int uid;
};

struct signal_struct {
	int live;
	int group_exit_code;
	unsigned int flags;
};

struct mm_struct {
	unsigned long arg_start;
	unsigned long arg_end;
};

struct linux_binprm {
	const char *filename;
};

struct inode {
	unsigned long i_ino;
};

struct sk_buff {
	char cb[48];
};

struct sk_buff_head {
	struct sk_buff *next;
};

struct sock_extended_err {
	u32 ee_errno;
};

struct sock_exterr_skb {
	struct sock_extended_err ee;
};

struct file {
	void *private_data;
};

struct fdtable {
	unsigned int max_fds;
	struct file **fd;
};

struct files_struct {
	struct fdtable *fdt;
};

struct socket {
	struct file *file;
	struct sock *sk;
};

struct socket_alloc {
	struct inode vfs_inode;
};

struct sock_common {
	u32 skc_daddr;
	u32 skc_rcv_saddr;
	u32 skc_hash;
	u16 skc_dport;
	u16 skc_num;
	u16 skc_family;
	u8 skc_state;
	int skc_bound_dev_if;
	struct net *skc_net;
	u8 skc_v6_daddr[16];
	u8 skc_v6_rcv_saddr[16];
	unsigned long skc_flags;
};

struct sock {
	struct sock_common __sk_common;
	struct sk_buff_head sk_error_queue;
	int sk_err;
	int sk_err_soft;
	struct socket *sk_socket;
	u16 sk_protocol;
	u8 sk_shutdown;
};

struct ipv6_pinfo {
	int mcast_oif;
};

struct inet_sock {
	struct ipv6_pinfo *pinet6;
	u16 inet_sport;
	int mc_index;
};

struct tcp_sock {
	u64 bytes_sent;
	u64 bytes_retrans;
	u64 bytes_received;
	u32 srtt_us;
	u32 total_retrans;
	u8 is_mptcp;
	struct tcp_fastopen_request *fastopen_req;
};

struct mptcp_sock {
	struct sock *first;
};

struct pt_regs {
	unsigned long orig_ax;
	unsigned long di;
	unsigned long si;
	unsigned long dx;
	unsigned long regs[31];
	unsigned long orig_x0;
	int syscallno;
};

struct task_struct {
	int pid;
	int tgid;
	int exit_code;
	u64 start_boottime;
	char comm[16];
	struct task_struct *real_parent;
	struct task_struct *group_leader;
	struct signal_struct *signal;
	struct mm_struct *mm;
	struct files_struct *files;
	struct pid *thread_pid;
	struct nsproxy *nsproxy;
	struct css_set *cgroups;
	struct cred *cred;
};
