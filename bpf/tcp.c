/* SPDX-License-Identifier: GPL-2.0-only OR Apache-2.0 */
/*
 * TCP connections: connects and how they went, accepts, ends, and the sockets that were there before.
 *
 * Hooks: raw tracepoint inet_sock_set_state; tracepoints syscalls:sys_exit_{connect,accept,accept4}, and sys_enter_connect on kernels
 * without bpf_task_pt_regs; the iterators over the files of tasks and over TCP sockets, once at the start; the one over a map, at the end.
 * Needs: Linux 5.8 with BTF, 5.9 for the iterators.
 * Cost: some 3 us a connection with both its ends (benchmarks/). The syscalls tracepoints cost every syscall of the host some 50 ns.
 *
 * inet_sock_set_state runs in whatever task was interrupted, but for SYN_SENT, which connect(2) itself sets. So the task is noted then, in a hash
 * by socket, and kept until the connection ends. A connect that fails before it sends anything changes no state, and only the
 * state's change tells of one that fails later: sys_exit_connect speaks for the first kind alone.
 */
#include "common.h"

TABLE(tcp_connect);
TABLE(tcp_accept);
TABLE(tcp_close);
TABLE(tcp_socket);

#define AF_INET 2
#define AF_INET6 10
#define IPPROTO_TCP 6
#define IPPROTO_MPTCP 262
#define SHUTDOWN_MASK 3

/* net/tcp_states.h */
#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_SYN_RECV 3
#define TCP_TIME_WAIT 6
#define TCP_CLOSE 7
#define TCP_LISTEN 10
#define TCP_NEW_SYN_RECV 12

#define ERROR_EINTR 4
#define ERROR_EBADF 9
#define ERROR_EFAULT 14
#define ERROR_EEXIST 17
#define ERROR_ENOTSOCK 88
#define ERROR_ECONNABORTED 103
#define ERROR_ECONNRESET 104
#define ERROR_EISCONN 106
#define ERROR_ETIMEDOUT 110
#define ERROR_ECONNREFUSED 111
#define ERROR_EALREADY 114
#define ERROR_EINPROGRESS 115
#define ERROR_ERESTARTSYS 512 /* and those behind it: the kernel's own, for calls that are begun again */

/* Values of the columns `outcome` and `direction`, which recorder/tracers/tcp.py has the words for. 0 is NULL. */
enum { OUTCOME_CONNECTED = 1, OUTCOME_FAILED, OUTCOME_CLOSED, OUTCOME_PENDING };
enum { DIRECTION_OUTBOUND = 1, DIRECTION_INBOUND };

/* The two ends of a connection; IPv4 addresses are mapped into IPv6. All zero: not known. */
#define ENDPOINTS                                                                                                      \
	u8 saddr[16];                                                                                                  \
	u8 daddr[16];                                                                                                  \
	u32 scope_id;                                                                                                  \
	u16 sport;                                                                                                     \
	u16 dport;                                                                                                     \
	u8 family; /* 4 or 6 */                                                                                        \
	u8 is_mptcp;                                                                                                   \
	u8 is_fastopen;                                                                                                \
	u8 direction;

struct endpoints {
	ENDPOINTS
};

enum { PHASE_OPEN, PHASE_CONNECTING, PHASE_ABORTED, PHASE_LISTENING };

/* What is known of a socket. The first fields are those of the task that called connect or accept, and of the time when it did. */
struct connection {
	EVENT_COMMON
	u64 since_ns; /* the SYN while it is connecting, then ESTABLISHED; 0: before the recording */
	ENDPOINTS
	u32 phase;
};

/* By the address of the socket. SOCKETS comes from the recorder. */
BPF_HASH(sockets, u64, struct connection, SOCKETS);

/*
 * Sockets whose failure is in the recording (or counted as lost) already, and of which connect(2) tells once more: to who waits for it, or by a
 * second call. By the number of their inode, which no other socket gets for as long as it matters; flows of MPTCP have that of their socket.
 */
BPF_TABLE("lru_hash", u64, u8, told, 4096);

/* Processes that have such sockets, or had: only their calls of connect(2) that succeed are looked at, since some of these take an attempt back. */
BPF_TABLE("lru_hash", u32, u8, told_processes, 1024);

/*
 * What came first to an inbound connection, by socket: its accept, or its end, which the hook tells before the socket's state is CLOSE, and which may come on
 * another CPU while its accept is at work. Whoever puts in its own is first. The end puts in the peer's port, for accepts of connections that are not known.
 */
#define ACCEPTED_FIRST 0
BPF_TABLE("lru_hash", u64, u16, came_first, 4096);

struct tcp_connect_event {
	EVENT_COMMON
	u64 syn_ns;
	u64 latency_ns;
	ENDPOINTS
	u32 errno;
	u8 outcome;
	u8 _padding[7];
};

struct tcp_accept_event {
	EVENT_COMMON
	u64 queued_ns;
	ENDPOINTS
	u8 is_closed;
	u8 _padding[3];
};

struct tcp_close_event {
	EVENT_COMMON
	u64 duration_ns;
	u64 bytes_sent;
	u64 bytes_received;
	u32 retransmits;
	u32 srtt_us;
	ENDPOINTS
	u32 errno;
};

struct tcp_socket_event {
	EVENT_COMMON
	ENDPOINTS
	u32 state;
};

static __always_inline void map_ipv4(u8 *to, u32 from)
{
	u32 *words = (u32 *)to;

	words[0] = 0;
	words[1] = 0;
	words[2] = __builtin_bswap32(0xffff);
	words[3] = from;
}

static __always_inline bool is_mapped_ipv4(u8 *address)
{
	u32 *words = (u32 *)address;

	return words[0] == 0 && words[1] == 0 && words[2] == __builtin_bswap32(0xffff);
}

static __always_inline bool is_link_local(u8 *address)
{
	return (address[0] == 0xfe && (address[1] & 0xc0) == 0x80) || (address[0] == 0xff && (address[1] & 0x0f) == 2);
}

/* Where skc_num is 0 again, as it is when a socket's state becomes CLOSE. */
static __always_inline u16 last_local_port(struct sock *sk)
{
	struct inet_sock *inet = (struct inet_sock *)sk;

	return __builtin_bswap16(PEEK(inet, inet_sport));
}

#define ENDPOINTS_OF(record) ((struct endpoints *)&(record)->saddr)

/* What a record of every table has of a connection: its task, and its ends. */
#define COPY_CONNECTION(event, connection)                                                                             \
	do {                                                                                                           \
		__builtin_memcpy(event, connection, sizeof(struct event_common));                                      \
		__builtin_memcpy(ENDPOINTS_OF(event), ENDPOINTS_OF(connection), sizeof(struct endpoints));             \
	} while (0)

/* In words, since the compiler cannot tell how a member of the kernel's structures is aligned. */
static __always_inline void copy_address(u8 *to, u8 *from)
{
#pragma unroll
	for (int word = 0; word < 4; word++)
		((u32 *)to)[word] = ((u32 *)from)[word];
}

/* Note both ends of a socket; return its state. `common` can be read by loads: it is a copy, or the verifier knows its type. */
static __always_inline u8 read_ends(struct endpoints *ends, struct sock_common *common, struct sock *sk)
{
	ends->sport = common->skc_num ?: last_local_port(sk);
	ends->dport = __builtin_bswap16(common->skc_dport);
	ends->scope_id = 0;
	if (common->skc_family == AF_INET) {
		map_ipv4(ends->saddr, common->skc_rcv_saddr);
		map_ipv4(ends->daddr, common->skc_daddr);
		ends->family = 4;
		return common->skc_state;
	}
	copy_address(ends->saddr, common->skc_v6_rcv_saddr);
	copy_address(ends->daddr, common->skc_v6_daddr);
	ends->family = is_mapped_ipv4(ends->saddr) || is_mapped_ipv4(ends->daddr) ? 4 : 6;
	if (is_link_local(ends->daddr) || is_link_local(ends->saddr))
		ends->scope_id = common->skc_bound_dev_if;
	return common->skc_state;
}

/*
 * Read both ends of a socket, and its network namespace; return its state. `is_typed`, a constant, says that it comes from the hook. One that
 * comes by way of a file has no type for the verifier: all of sock_common is read at once, which costs less than two members of it.
 */
static __always_inline u8 read_socket(struct connection *connection, struct sock *sk, bool is_typed)
{
	struct sock_common common;
	struct net *net;

#ifdef TYPED
	if (is_typed) {
		net = READ(sk, __sk_common.skc_net);
		connection->net_ns = READ(net, ns.inum);
		return read_ends(ENDPOINTS_OF(connection), &sk->__sk_common, sk);
	}
#endif
	bpf_probe_read_kernel(&common, sizeof(common), sk);
	net = common.skc_net;
	connection->net_ns = PEEK(net, ns.inum);
	return read_ends(ENDPOINTS_OF(connection), &common, sk);
}

#ifdef TYPED
#define TCP_SOCK(sk) bpf_skc_to_tcp_sock(sk)
#else
#define TCP_SOCK(sk) ((struct tcp_sock *)(sk))
#endif

/* The kernel keeps where a received SYN came in, in a member that no socket has that was connected by its own process. */
static __always_inline u8 socket_direction(struct sock *sk)
{
	struct inet_sock *inet = (struct inet_sock *)sk;
	struct ipv6_pinfo *ipv6;

	if (PEEK(inet, mc_index))
		return DIRECTION_INBOUND;
	ipv6 = PEEK(inet, pinet6);
	if (PEEK(sk, __sk_common.skc_family) == AF_INET6 && ipv6 && PEEK(ipv6, mcast_oif))
		return DIRECTION_INBOUND;
	return DIRECTION_OUTBOUND;
}

/* `read` is READ or PEEK. */
#ifdef HAVE_tcp_sock_is_mptcp
#define IS_MPTCP_FLOW(read, tcp) (read(tcp, is_mptcp) & 1)
#else
#define IS_MPTCP_FLOW(read, tcp) 0
#endif

/* Filters by endpoint; none is by task. */
#ifdef FILTER_port
BPF_HASH(filter_port, u16, u8, 65536);
#endif
#ifdef FILTER_daddr
struct prefix {
	u32 length; /* in bits, those of family among them */
	u8 family; /* or ::/0 would have IPv4 in it, which is mapped */
	u8 address[16];
};
BPF_LPM_TRIE(filter_daddr, struct prefix, u8, FILTER_daddr);
#endif

static __always_inline bool ends_wanted(struct endpoints *ends, u8 direction)
{
#ifdef FILTER_family
	if (ends->family != FILTER_family)
		return false;
#endif
#ifdef FILTER_port
	/* The service's own port. */
	u16 port = direction == DIRECTION_INBOUND ? ends->sport : ends->dport;

	if (!filter_port.lookup(&port))
		return false;
#endif
#ifdef FILTER_daddr
	struct prefix prefix = {};

	prefix.length = 8 + 128;
	prefix.family = ends->family;
	__builtin_memcpy(&prefix.address, ends->daddr, 16);
	if (!filter_daddr.lookup(&prefix))
		return false;
#endif
	return true;
}

/* The call of connect(2) that the current task is in. */
struct connect_call {
	u64 fd;
	u64 address;
	u64 size; /* of the address */
};

#ifdef HAS_TASK_PT_REGS
static __always_inline bool read_connect_call(struct connect_call *call)
{
	struct pt_regs *regs = (struct pt_regs *)bpf_task_pt_regs(bpf_get_current_task_btf());

#ifdef HAVE_pt_regs_orig_ax
	call->fd = READ(regs, di);
	call->address = READ(regs, si);
	call->size = READ(regs, dx);
	return READ(regs, orig_ax) == NR_connect;
#else
	call->fd = READ(regs, orig_x0);
	call->address = READ(regs, regs[1]);
	call->size = READ(regs, regs[2]);
	return READ(regs, syscallno) == NR_connect;
#endif
}
#else
/* By thread. A thread is in one call at a time, and leaves each one through its exit: nothing stays behind. */
BPF_TABLE("lru_hash", u64, struct connect_call, connect_calls, 16384);

struct syscall_enter {
	u64 _entry;
	u64 nr;
	u64 args[6];
};

int on_sys_enter_connect(struct syscall_enter *ctx)
{
	struct connect_call call = { .fd = ctx->args[0], .address = ctx->args[1], .size = ctx->args[2] };
	u64 thread = bpf_get_current_pid_tgid();

	connect_calls.update(&thread, &call);
	return 0;
}

static __always_inline bool read_connect_call(struct connect_call *call)
{
	u64 thread = bpf_get_current_pid_tgid();
	struct connect_call *known = connect_calls.lookup(&thread);

	if (!known)
		return false;
	*call = *known;
	return true;
}
#endif

/* connect(2) with AF_UNSPEC takes a connection, or an attempt, back. */
static __always_inline bool takes_back(struct connect_call *call)
{
	u16 family = 1;

	return call->size >= sizeof(family) && !bpf_probe_read_user(&family, sizeof(family), (void *)call->address) && family == 0;
}

/*
 * A wanted connection is not remembered, since there are too many. Where filters by task are in force its end will not be known as wanted, and
 * is lost; elsewhere its row has no task.
 */
static __always_inline void count_end_lost(void)
{
#ifdef FILTERS_TASKS
	u32 zero = 0;
	struct table_counters *counters = tcp_close_counters.lookup(&zero);

	if (counters)
		count_lost(counters);
#endif
}

static __always_inline int submit_connect(struct connection *connection, u64 ts_ns, u8 outcome, u32 error)
{
	u32 zero = 0;
	struct table_counters *counters = tcp_connect_counters.lookup(&zero);
	struct tcp_connect_event *event;

	if (!counters)
		return 0;
	event = tcp_connect_ring.ringbuf_reserve(sizeof(*event));
	if (!event)
		return count_lost(counters);
	COPY_CONNECTION(event, connection);
	event->ts_ns = ts_ns;
	event->syn_ns = connection->since_ns;
	event->latency_ns = outcome == OUTCOME_CONNECTED && connection->since_ns ? ts_ns - connection->since_ns : 0;
	event->errno = error;
	event->outcome = outcome;
	__builtin_memset(&event->_padding, 0, sizeof(event->_padding));
	tcp_connect_ring.ringbuf_submit(event, count_event(counters, RING_PAGES_tcp_connect, sizeof(*event)));
	return 0;
}

static __always_inline u64 socket_inode(struct socket *socket)
{
	struct socket_alloc *alloc = (struct socket_alloc *)socket;

	return PEEK(alloc, vfs_inode.i_ino);
}

/* Remember that what became of `sk` is known: whoever calls connect(2), or has called it, is told so once more. */
static __always_inline void remember_told(struct sock *sk, u32 tgid)
{
	struct socket *socket = READ(sk, sk_socket);
	u64 key;
	u8 one = 1;

	if (!socket) /* closed: nobody is left to be told */
		return;
	key = socket_inode(socket);
	told.update(&key, &one);
	told_processes.update(&tgid, &one);
}

/*
 * The address of a socket belongs to another one by now, and nobody has told the end of what is known of it: the kernel does leave runs of programs
 * out, also where it counts none as missed.
 */
static __always_inline void end_unseen(struct connection *connection, u64 now_ns)
{
	u32 zero = 0;
	struct table_counters *counters = tcp_close_counters.lookup(&zero);

	if (connection->phase == PHASE_CONNECTING || connection->phase == PHASE_ABORTED)
		submit_connect(connection, now_ns, OUTCOME_FAILED, 0);
	else if (connection->phase == PHASE_OPEN && counters)
		count_lost(counters);
}

/* In the process that calls connect(2), or sends with MSG_FASTOPEN; in a worker of the kernel for MPTCP's further flows. */
static __always_inline int connect_begins(struct sock *sk)
{
	struct task_struct *task = CURRENT_TASK();
	struct tcp_sock *tcp = TCP_SOCK(sk);
	struct connection connection = {};
	u64 key = (u64)sk;
	u32 zero = 0;
	struct table_counters *counters = tcp_connect_counters.lookup(&zero);
	int error;

	if (!counters || !tcp || !wanted(task))
		return 0;
	fill_common((struct event_common *)&connection, task);
	read_socket(&connection, sk, true);
	if (!ends_wanted(ENDPOINTS_OF(&connection), DIRECTION_OUTBOUND))
		return 0;
	connection.since_ns = connection.ts_ns;
	connection.direction = DIRECTION_OUTBOUND;
	connection.is_mptcp = IS_MPTCP_FLOW(READ, tcp);
	connection.is_fastopen = READ(tcp, fastopen_req) != NULL;
	connection.phase = PHASE_CONNECTING;
	error = sockets.insert(&key, &connection);
	if (error == -ERROR_EEXIST) {
		struct connection *stale = sockets.lookup(&key);

		if (stale)
			end_unseen(stale, connection.ts_ns);
		error = sockets.update(&key, &connection);
	}
	if (!error)
		return 0;
	remember_told(sk, connection.pid);
	count_end_lost();
	return count_lost(counters);
}

/* Data went out with the SYN: what TCP Fast Open is for. Without a cookie it only asks for one. */
static __always_inline void decide_fastopen(struct connection *connection, struct sock *sk)
{
	u8 bits = 0;

	if (!connection->is_fastopen)
		return;
	bpf_probe_read_kernel(&bits, sizeof(bits), (u8 *)sk + SYN_DATA_BYTE);
	connection->is_fastopen = bits >> SYN_DATA_BIT & 1;
}

static __always_inline int established(struct sock *sk, int old_state)
{
	u64 key = (u64)sk, now = bpf_ktime_get_boot_ns();
	struct connection *connection = sockets.lookup(&key);

	/* Accepted before it was established (Fast Open) it has no time yet. One with a time is stale. */
	if (!connection || (old_state == TCP_SYN_RECV && connection->phase == PHASE_OPEN && connection->since_ns)) {
		struct connection inbound = {};

		if (old_state != TCP_SYN_RECV)
			return 0;
		if (connection)
			end_unseen(connection, now);
		inbound.since_ns = now;
		inbound.direction = DIRECTION_INBOUND;
		came_first.delete(&key); /* what is there is of another one, which had this address */
		sockets.update(&key, &inbound); /* where there is no room its end has no owner */
		return 0;
	}
	if (connection->phase == PHASE_CONNECTING) {
		struct tcp_sock *tcp = TCP_SOCK(sk);

		connection->sport = READ(sk, __sk_common.skc_num);
		if (tcp && READ(tcp, fastopen_req))
			connection->is_fastopen = 1; /* TCP_FASTOPEN_CONNECT: it came after connect(2) */
		decide_fastopen(connection, sk);
		submit_connect(connection, now, OUTCOME_CONNECTED, 0);
		connection->phase = PHASE_OPEN;
	}
	connection->since_ns = now;
	return 0;
}

/* An error that came while connect(2) held the socket is kept aside. SO_ERROR tells it, and forgets it but for the queue of MSG_ERRQUEUE. */
static __always_inline u32 soft_error(struct sock *sk)
{
	u32 error = READ(sk, sk_err_soft);
	struct sk_buff *skb;

	if (error)
		return error;
	skb = READ(sk, sk_error_queue.next);
	if ((void *)skb == (void *)&sk->sk_error_queue)
		return 0;
	return PEEK((struct sock_exterr_skb *)&skb->cb, ee.ee_errno);
}

/* A connect ends without a connection. */
static __always_inline int connect_ended(struct sock *sk, struct connection *connection)
{
	struct connect_call call = {};
	u64 key = (u64)sk;
	u32 error = READ(sk, sk_err);
	bool in_connect = !error && read_connect_call(&call), is_fastopen = connection->is_fastopen;
	u8 outcome = OUTCOME_FAILED;

	connection->sport = last_local_port(sk);
	decide_fastopen(connection, sk);
	if (in_connect && READ(sk, sk_shutdown) != SHUTDOWN_MASK && !takes_back(&call)) {
		connection->phase = PHASE_ABORTED; /* no local port was free, for one: the call returns why */
		return 0;
	}
	if (error) {
		remember_told(sk, connection->pid);
	} else {
		error = soft_error(sk);
		/* Without an error the process has closed it, shut it down, or taken it back; but sendto(2) may have found no port. */
		if (!error && (in_connect || !is_fastopen || READ(sk, sk_shutdown) == SHUTDOWN_MASK))
			outcome = OUTCOME_CLOSED;
	}
	submit_connect(connection, bpf_ktime_get_boot_ns(), outcome, error);
	sockets.delete(&key);
	return 0;
}

static __always_inline int submit_close(struct sock *sk, struct connection *connection)
{
	struct tcp_sock *tcp = TCP_SOCK(sk);
	u64 now = bpf_ktime_get_boot_ns();
	u32 zero = 0;
	struct table_counters *counters = tcp_close_counters.lookup(&zero);
	struct tcp_close_event *event;

	if (!counters || !tcp)
		return 0;
	event = tcp_close_ring.ringbuf_reserve(sizeof(*event));
	if (!event)
		return count_lost(counters);
	COPY_CONNECTION(event, connection);
	event->ts_ns = now;
	event->duration_ns = connection->since_ns ? now - connection->since_ns : 0;
	event->bytes_sent = READ(tcp, bytes_sent) - READ(tcp, bytes_retrans);
	/* The peer's FIN counts as a byte there; SOCK_DONE is set when it has come. */
	event->bytes_received = READ(tcp, bytes_received) - (READ(sk, __sk_common.skc_flags) >> SOCK_DONE & 1);
	event->retransmits = READ(tcp, total_retrans);
	event->srtt_us = READ(tcp, srtt_us) >> 3;
	event->errno = READ(sk, sk_err);
	tcp_close_ring.ringbuf_submit(event, count_event(counters, RING_PAGES_tcp_close, sizeof(*event)));
	return 0;
}

static __always_inline void fill_unowned(struct connection *connection, struct sock *sk, bool is_typed)
{
	read_socket(connection, sk, is_typed);
	connection->direction = socket_direction(sk);
	connection->is_mptcp = IS_MPTCP_FLOW(PEEK, (struct tcp_sock *)sk);
}

/* The end of a connection that was not accepted when it was looked up. False: it has been since. */
static __always_inline bool ends_first(struct sock *sk, u64 key)
{
	u16 dport = __builtin_bswap16(READ(sk, __sk_common.skc_dport));

	return came_first.insert(&key, &dport) != -ERROR_EEXIST;
}

static __always_inline int closed(struct sock *sk, int old_state)
{
	u64 key = (u64)sk;
	struct connection *connection = sockets.lookup(&key);

	if (connection && connection->phase == PHASE_CONNECTING) {
		if (old_state == TCP_SYN_SENT || old_state == TCP_SYN_RECV)
			return connect_ended(sk, connection);
		/* That it was established was not seen, nor when. */
		connection->since_ns = 0;
		connection->sport = last_local_port(sk);
		submit_connect(connection, bpf_ktime_get_boot_ns(), OUTCOME_CONNECTED, 0);
		connection->phase = PHASE_OPEN;
	}
	if (connection && (connection->family || old_state == TCP_LISTEN || !ends_first(sk, key))) {
		if (old_state != TCP_LISTEN && ends_wanted(ENDPOINTS_OF(connection), connection->direction))
			submit_close(sk, connection);
#ifndef FILTERS_TASKS
	} else if (connection || (old_state != TCP_LISTEN && old_state != TCP_SYN_SENT && old_state != TCP_SYN_RECV)) {
		struct connection unowned = {};

		if (connection)
			unowned.since_ns = connection->since_ns;
		fill_unowned(&unowned, sk, true);
		if (ends_wanted(ENDPOINTS_OF(&unowned), unowned.direction))
			submit_close(sk, &unowned);
#endif
	}
	if (connection)
		sockets.delete(&key);
	return 0;
}

static __always_inline bool is_wanted_state(u64 state)
{
	return state == TCP_SYN_SENT || state == TCP_ESTABLISHED || state == TCP_CLOSE;
}

static __always_inline int look_at_state(struct bpf_raw_tracepoint_args *ctx)
{
	struct sock *sk = (struct sock *)ctx->args[0];
	int old_state = ctx->args[1], new_state = ctx->args[2];

	if (!is_wanted_state(new_state))
		return 0;
	if (old_state == TCP_CLOSE && new_state == TCP_CLOSE)
		return 0;
	if (READ(sk, sk_protocol) != IPPROTO_TCP) /* MPTCP's own sockets, which are no tcp_sock; DCCP; SCTP */
		return 0;
	if (new_state == TCP_SYN_SENT)
		return connect_begins(sk);
	if (new_state == TCP_ESTABLISHED)
		return established(sk, old_state);
	return closed(sk, old_state);
}

/*
 * What tells a change of state from others, also from that of the next socket at that address: the hash of both ends, which a socket does not have yet when it
 * begins to connect, and then the number of its inode. A note of the first one that nobody took away would hide the other one.
 */
static __always_inline u64 state_change(struct bpf_raw_tracepoint_args *ctx)
{
	struct sock *sk = (struct sock *)ctx->args[0];
	u32 new_state = ctx->args[2];
	struct socket *socket;
	u64 whose;

	if (new_state == TCP_SYN_SENT) {
		socket = READ(sk, sk_socket);
		whose = socket ? socket_inode(socket) : 0;
	} else {
		whose = READ(sk, __sk_common.skc_hash);
	}
	return whose << 32 | new_state;
}

/* Beside tasks that give way there are soft interrupts, on every kernel, which change the states of other sockets: so this has its stand-in everywhere. */
int on_inet_sock_set_state(struct bpf_raw_tracepoint_args *ctx)
{
	if (is_wanted_state(ctx->args[2]))
		leave_note(STATE, ctx->args[0], state_change(ctx));
	return look_at_state(ctx);
}

int stand_in_inet_sock_set_state(struct bpf_raw_tracepoint_args *ctx)
{
	if (!is_wanted_state(ctx->args[2]) || take_note(STATE, ctx->args[0], state_change(ctx)))
		return 0;
	return look_at_state(ctx);
}

struct syscall_exit {
	u64 _entry;
	u64 nr;
	s64 ret;
};

static __always_inline struct file *task_file(struct task_struct *task, u64 fd)
{
	struct files_struct *files = READ(task, files);
	struct fdtable *table = READ(files, fdt);
	struct file **slots = READ(table, fd), *file = NULL;

	if (fd < READ(table, max_fds))
		bpf_probe_read_kernel(&file, sizeof(file), slots + fd);
	return file;
}

/*
 * The TCP socket behind a file over IPv4 or IPv6, or NULL. For an MPTCP socket, and then `is_mptcp` is set, that of its first flow; itself
 * where it has none.
 */
static __always_inline struct sock *file_socket(struct file *file, bool *is_mptcp)
{
	struct socket *socket = (struct socket *)PEEK(file, private_data);
	struct sock *sk;
	u16 family, protocol;

	if (!socket || PEEK(socket, file) != file) /* what else a file's data is does not point back at it from there */
		return NULL;
	sk = PEEK(socket, sk);
	if (!sk)
		return NULL;
	protocol = PEEK(sk, sk_protocol);
	if (protocol != IPPROTO_TCP && protocol != IPPROTO_MPTCP)
		return NULL;
	family = PEEK(sk, __sk_common.skc_family); /* 6 is a protocol of netlink, too */
	if (family != AF_INET && family != AF_INET6)
		return NULL;
	*is_mptcp = protocol == IPPROTO_MPTCP;
#ifdef HAVE_mptcp_sock_first
	if (protocol == IPPROTO_MPTCP) {
		struct mptcp_sock *mptcp = (struct mptcp_sock *)sk;

		return PEEK(mptcp, first) ?: sk;
	}
#endif
	return sk;
}

/* The peer's port of the socket behind a file, whatever its flows are. */
static __always_inline u16 peer_port(struct file *file)
{
	struct socket *socket = (struct socket *)PEEK(file, private_data);
	struct sock *sk = PEEK(socket, sk);

	return __builtin_bswap16(PEEK(sk, __sk_common.skc_dport));
}

#define SOCKADDR_IN_SIZE 16
#define SOCKADDR_IN6_SIZE 24 /* the kernel takes it without its scope */

struct socket_address {
	u16 family;
	u16 port;
	union {
		u32 ipv4;
		struct {
			u32 flow_info;
			u8 ipv6[16];
			u32 scope_id;
		};
	};
};

/* Read where a call of connect(2) wanted to go. False when that is no address of IPv4 or IPv6. */
static __always_inline bool read_destination(struct connection *connection, struct connect_call *call)
{
	struct socket_address address = {};

	if (call->size < SOCKADDR_IN_SIZE || bpf_probe_read_user(&address, 8, (void *)call->address))
		return false;
	if (address.family == AF_INET6 && (call->size < SOCKADDR_IN6_SIZE || bpf_probe_read_user(&address, SOCKADDR_IN6_SIZE, (void *)call->address)))
		return false;
	if (address.family == AF_INET6 && call->size > SOCKADDR_IN6_SIZE)
		bpf_probe_read_user(&address.scope_id, sizeof(address.scope_id), (void *)(call->address + SOCKADDR_IN6_SIZE));
	connection->dport = __builtin_bswap16(address.port);
	if (address.family == AF_INET) {
		map_ipv4(connection->daddr, address.ipv4);
		connection->family = 4;
		return true;
	}
	__builtin_memcpy(&connection->daddr, &address.ipv6, 16);
	connection->family = is_mapped_ipv4(connection->daddr) ? 4 : 6;
	connection->scope_id = is_link_local(connection->daddr) ? address.scope_id : 0;
	return address.family == AF_INET6;
}

/* Errors that are no outcome: the attempt goes on or was none, or there is no TCP socket to it. */
static __always_inline bool is_no_outcome(u32 error)
{
	return error == ERROR_EINPROGRESS || error == ERROR_EALREADY || error == ERROR_EISCONN || error == ERROR_EINTR || error >= ERROR_ERESTARTSYS ||
	       error == ERROR_EBADF || error == ERROR_ENOTSOCK || error == ERROR_EFAULT;
}

/* Errors that come after a SYN only, so a change of state told them. */
static __always_inline bool was_told(u32 error)
{
	return error == ERROR_ECONNREFUSED || error == ERROR_ETIMEDOUT || error == ERROR_ECONNRESET || error == ERROR_ECONNABORTED;
}

/* Read where a socket is that no connect has got anywhere with, and what it is bound to. */
static __always_inline void read_bound(struct connection *connection, struct sock *sk)
{
	struct net *net = PEEK(sk, __sk_common.skc_net);

	connection->net_ns = PEEK(net, ns.inum);
	connection->sport = PEEK(sk, __sk_common.skc_num);
	if (PEEK(sk, __sk_common.skc_family) == AF_INET)
		map_ipv4(connection->saddr, PEEK(sk, __sk_common.skc_rcv_saddr));
	else
		bpf_probe_read_kernel(&connection->saddr, 16, &sk->__sk_common.skc_v6_rcv_saddr);
}

static __always_inline int connect_refused_at_once(struct sock *sk, bool is_mptcp, struct connect_call *call, u32 error)
{
	struct task_struct *task = CURRENT_TASK();
	struct connection connection = {};

	if (!wanted(task) || !read_destination(&connection, call) || !ends_wanted(ENDPOINTS_OF(&connection), DIRECTION_OUTBOUND))
		return 0;
	fill_common((struct event_common *)&connection, task);
	connection.is_mptcp = is_mptcp;
	read_bound(&connection, sk);
	return submit_connect(&connection, connection.ts_ns, OUTCOME_FAILED, error);
}

/* connect(2) has returned `error`, or 0 when it took an attempt back. */
static __always_inline int connect_returned(struct connect_call *call, u32 error)
{
	struct file *file = task_file(CURRENT_TASK(), call->fd);
	bool is_mptcp = false;
	struct sock *sk = file ? file_socket(file, &is_mptcp) : NULL;
	struct connection *connection;
	u64 key = (u64)sk;

	if (!sk)
		return 0;
	connection = sockets.lookup(&key);
	if (connection && connection->phase == PHASE_ABORTED) {
		connection->since_ns = 0; /* no SYN went out */
		submit_connect(connection, bpf_ktime_get_boot_ns(), OUTCOME_FAILED, error);
		sockets.delete(&key);
		return 0;
	}
	if (connection)
		return 0;
	key = socket_inode((struct socket *)PEEK(file, private_data));
	if (told.lookup(&key)) {
		told.delete(&key);
		return 0;
	}
	return error && !was_told(error) ? connect_refused_at_once(sk, is_mptcp, call, error) : 0;
}

static __always_inline int connect_exits(struct syscall_exit *ctx, bool stands_in)
{
	struct connect_call call = {};
	u32 tgid = bpf_get_current_pid_tgid() >> 32, zero = 0;

	if (stands_in)
		count_stand_in(tcp_connect_counters.lookup(&zero));
	if (ctx->ret == 0) {
		if (told_processes.lookup(&tgid) && read_connect_call(&call) && takes_back(&call))
			connect_returned(&call, 0);
	} else if (!is_no_outcome(-ctx->ret) && read_connect_call(&call)) {
		connect_returned(&call, -ctx->ret);
	}
#ifndef HAS_TASK_PT_REGS
	u64 thread = bpf_get_current_pid_tgid();

	connect_calls.delete(&thread);
#endif
	return 0;
}

PROGRAMS(struct syscall_exit, on_sys_exit_connect, stand_in_sys_exit_connect, connect_exits, CONNECT, bpf_get_current_task())

static __always_inline int accept_exits(struct syscall_exit *ctx, bool stands_in)
{
	struct task_struct *task = CURRENT_TASK();
	struct connection accepted = {}, *connection;
	struct tcp_accept_event *event;
	struct table_counters *counters;
	struct file *file;
	struct sock *sk;
	bool is_mptcp = false, is_closed;
	u16 first = ACCEPTED_FIRST, *ended;
	u32 zero = 0;
	u64 key;

	if (stands_in)
		count_stand_in(tcp_accept_counters.lookup(&zero));
	if (ctx->ret < 0 || !wanted(task))
		return 0;
	file = task_file(task, ctx->ret);
	sk = file ? file_socket(file, &is_mptcp) : NULL;
	counters = tcp_accept_counters.lookup(&zero);
	if (!sk || !counters)
		return 0;
	fill_common((struct event_common *)&accepted, task);
	is_closed = read_socket(&accepted, sk, false) == TCP_CLOSE;
	if (is_mptcp && !accepted.dport) /* its flow was reset and has forgotten the peer's port, itself it has not */
		accepted.dport = peer_port(file);
	if (!ends_wanted(ENDPOINTS_OF(&accepted), DIRECTION_INBOUND))
		return 0;
	accepted.direction = DIRECTION_INBOUND;
	accepted.is_mptcp = is_mptcp;
	key = (u64)sk;
	connection = sockets.lookup(&key);
	if (connection) {
		bool is_known = connection->family;

		accepted.since_ns = connection->since_ns;
		__builtin_memcpy(connection, &accepted, sizeof(accepted));
		if (!is_known && came_first.insert(&key, &first) == -ERROR_EEXIST)
			is_closed = true;
	} else if (!is_closed) {
		ended = came_first.lookup(&key);
		is_closed = ended && *ended == accepted.dport;
		if (!is_closed && sockets.update(&key, &accepted))
			count_end_lost();
	}
	event = tcp_accept_ring.ringbuf_reserve(sizeof(*event));
	if (!event)
		return count_lost(counters);
	COPY_CONNECTION(event, &accepted);
	event->queued_ns = accepted.since_ns ? accepted.ts_ns - accepted.since_ns : 0;
	event->is_closed = is_closed;
	__builtin_memset(&event->_padding, 0, sizeof(event->_padding));
	tcp_accept_ring.ringbuf_submit(event, count_event(counters, RING_PAGES_tcp_accept, sizeof(*event)));
	return 0;
}

PROGRAMS(struct syscall_exit, on_sys_exit_accept, stand_in_sys_exit_accept, accept_exits, ACCEPT, bpf_get_current_task())

/* Write down a socket that was there before, once, and keep it until it ends; return what an iterator's program returns. */
static __always_inline int add_socket(struct sock *sk, struct task_struct *task)
{
	struct connection connection = {};
	struct tcp_socket_event *event;
	struct table_counters *counters;
	u32 zero = 0;
	u64 key = (u64)sk;
	u8 state = PEEK(sk, __sk_common.skc_state);

	counters = tcp_socket_counters.lookup(&zero);
	if (!counters || state == TCP_CLOSE || state == TCP_TIME_WAIT || state == TCP_NEW_SYN_RECV || sockets.lookup(&key))
		return 0;
	if (task)
		fill_common((struct event_common *)&connection, task);
	fill_unowned(&connection, sk, false);
	if (state == TCP_LISTEN)
		connection.direction = 0;
	if (!ends_wanted(ENDPOINTS_OF(&connection), state == TCP_LISTEN ? DIRECTION_INBOUND : connection.direction))
		return 0;
	event = tcp_socket_ring.ringbuf_reserve(sizeof(*event));
	if (!event)
		return ITER_AGAIN;
	connection.phase = state == TCP_LISTEN ? PHASE_LISTENING : state == TCP_SYN_SENT ? PHASE_CONNECTING : PHASE_OPEN;
	if (sockets.update(&key, &connection) && state != TCP_LISTEN)
		count_end_lost();
	COPY_CONNECTION(event, &connection);
	event->ts_ns = bpf_ktime_get_boot_ns();
	event->state = state;
	tcp_socket_ring.ringbuf_submit(event, count_event(counters, RING_PAGES_tcp_socket, sizeof(*event)));
	return 0;
}

struct bpf_iter__task_file {
	ITER_POINTER(struct bpf_iter_meta *, meta);
	ITER_POINTER(struct task_struct *, task);
	u32 fd;
	ITER_POINTER(struct file *, file);
};

/* Sockets that a process holds, in all network namespaces. */
BPF_ITER(task_file)
{
	struct task_struct *task = ctx->task;
	struct file *file = ctx->file;
	bool is_mptcp = false;
	struct sock *sk;

	if (!task || !file)
		return 0;
	sk = file_socket(file, &is_mptcp);
	if (!sk || !wanted(task))
		return 0;
	return add_socket(sk, task);
}

struct bpf_iter__tcp {
	ITER_POINTER(struct bpf_iter_meta *, meta);
	ITER_POINTER(struct sock_common *, sk_common);
	u32 uid;
};

/* Those that no process holds (any more, or yet), in the network namespace that it is run in. */
BPF_ITER(tcp)
{
#ifndef FILTERS_TASKS
	struct sock *sk = (struct sock *)ctx->sk_common;

	if (sk)
		return add_socket(sk, NULL);
#endif
	return 0;
}

struct bpf_iter__bpf_map_elem {
	ITER_POINTER(struct bpf_iter_meta *, meta);
	ITER_POINTER(struct bpf_map *, map);
	ITER_POINTER(u64 *, key);
	ITER_POINTER(struct connection *, value);
};

BPF_ARRAY(detached, u64, 1);

/*
 * At the end of the recording. While the probes are attached: sockets that are closed, and should be none of these any more, since the hook comes
 * before the state is stored. When they are detached: attempts that are not decided.
 */
BPF_ITER(bpf_map_elem)
{
	struct connection *value = ctx->value, *known, connection;
	u64 *key = ctx->key, own_key, *is_detached;
	u32 zero = 0;
	struct sock *sk;

	is_detached = detached.lookup(&zero);
	if (!value || !key || !is_detached)
		return 0;
	connection = *value;
	own_key = *key;
	sk = (struct sock *)own_key;
	if (!*is_detached) {
		known = sockets.lookup(&own_key);
		if (known && connection.phase == PHASE_OPEN && PEEK(sk, __sk_common.skc_state) == TCP_CLOSE) {
			end_unseen(&connection, 0);
			known->phase = PHASE_LISTENING;
		}
		return 0;
	}
	if (PEEK(sk, __sk_common.skc_state) == TCP_SYN_SENT) { /* else it was decided after the end, and its port is gone */
		connection.sport = last_local_port(sk);
		decide_fastopen(&connection, sk);
	}
	if (connection.phase == PHASE_CONNECTING)
		submit_connect(&connection, bpf_ktime_get_boot_ns(), OUTCOME_PENDING, 0);
	else if (connection.phase == PHASE_ABORTED)
		end_unseen(&connection, bpf_ktime_get_boot_ns());
	return 0;
}
