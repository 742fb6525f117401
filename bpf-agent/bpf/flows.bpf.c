// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Reads what the kernel already counts in each TCP socket: at the end of a socket's life, at each window's edge while
 * it lives, and when it gets an error. Nothing here runs for a packet, a request or an opening connection.
 *
 * - tcp_destroy_sock: the last counters of a socket, into the ring buffer.
 * - iter/task_file: every socket that some process holds, also those older than the agent.
 * - inet_sk_error_report, tcp_send_reset: rare. A failed connect() or a lingering close calls tcp_disconnect(), which
 *   clears counters, port and error before the socket is destroyed, so these take the last counters earlier.
 */
#include "kernel.h"
#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_tracing.h>
#include "event.h"
#include "cgroups.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define UNANSWERED_MS 3000
#define LOOPBACK_IFINDEX 1
/* The loopback has an MTU of 65536, which leaves 65476 with IPv6. */
#define LOOPBACK_MSS 65000
/* retrans_stamp is in microseconds where the route asks for it (6.7); an age beyond this is such a one. */
#define IMPLAUSIBLE_MS 1000000
/* One event in so many checks the fill of the ring. */
#define WAKE_LOOKS 32

/* Set before loading: the ring's fill, in bytes, at which user space is woken; below that it polls. */
const volatile u64 wake_bytes = 1 << 20;
/*
 * Set before loading: before 6.10, tcp_write_err(), tcp_v4_err() and tcp_abort() report the error first and close the
 * connection then; tcp_done_with_error(), which stable kernels got too, closes first.
 */
const volatile u8 error_before_done = 0;

struct control {
	/* Written by user space: */
	u32 generation; /* number of this pass of the iterator */
	u32 baseline; /* this pass takes snapshots and reports nothing */
	u32 started; /* the other programs do nothing before */
	u32 window_jiffies; /* when this window began */
	u64 window_us; /* the same by the monotonic clock */
	/* Written here: */
	u32 pass_jiffies; /* when the last pass of the iterator began, */
	u32 pad;
	u64 pass_us; /* the same by the monotonic clock */
	u64 buffer_full; /* sockets whose last counters found no room in the ring */
};

struct control control = {};

/* State of a socket at its last event, from which the next one's counters are counted. */
struct snapshot {
	u64 bytes_out;
	u64 bytes_in;
	u32 data_segments_out;
	u32 retransmissions;
	u32 spurious;
	u32 generation;
	u32 last_una; /* snd_una and icsk_retransmits at the last retransmission seen */
	u8 last_retransmits;
	u8 icmp_error; /* errno of the last ICMP error in answer to a SYN while the socket was in use */
	u16 timeouts;
	u16 counted_timeouts; /* RTOs counted by us, on kernels without tcp_sock.total_rto */
	u8 seen;
	u8 established;
	u8 timed_out;
	u8 ended;
};

struct {
	__uint(type, BPF_MAP_TYPE_SK_STORAGE);
	__uint(map_flags, BPF_F_NO_PREALLOC);
	__type(key, int);
	__type(value, struct snapshot);
} snapshots SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 2 << 20);
} events SEC(".maps");

static __always_inline void map_ipv4(u8 *to, __be32 ip)
{
	u32 *words = (u32 *)to;

	words[0] = 0;
	words[1] = 0;
	words[2] = bpf_htonl(0xffff);
	words[3] = ip;
}

static __always_inline void copy_ipv6(u8 *to, const struct in6_addr *ip)
{
	u32 *words = (u32 *)to;

	words[0] = ip->in6_u.u6_addr32[0];
	words[1] = ip->in6_u.u6_addr32[1];
	words[2] = ip->in6_u.u6_addr32[2];
	words[3] = ip->in6_u.u6_addr32[3];
}

static __always_inline int is_loopback(const u8 *ip)
{
	const u32 *words = (const u32 *)ip;

	if (words[0] || words[1])
		return 0;
	if (words[2] == bpf_htonl(0xffff))
		return ip[12] == 127;
	return !words[2] && words[3] == bpf_htonl(1);
}

/* Index of the interface that the connection's segments arrive at; 0 if none was noted. */
static __always_inline int interface_of(struct sock *sk, struct inet_sock *inet)
{
	struct inet_sock___before_5_17 *old = (void *)inet;

	if (bpf_core_field_exists(sk->sk_rx_dst_ifindex))
		return sk->sk_rx_dst_ifindex;
	return bpf_core_field_exists(old->rx_dst_ifindex) ? old->rx_dst_ifindex : 0;
}

/*
 * True if the connection's segments arrive at the loopback, whatever addresses its ends have: a mesh's rules redirect
 * connections of a pod to the proxy beside it (REDIRECT in the pod's own namespace), and a node's connections to its own
 * address stay there too. inet_sk_rx_dst_set() notes the interface, which is LOOPBACK_IFINDEX in every namespace. It
 * doesn't note it for a segment that arrives while the caller holds the socket (tcp_add_backlog() drops its route), as
 * all do on the loopback that answer a call at once. Until another segment arrives, the segment size that the other end
 * accepts is used: no Ethernet has one as large.
 */
static __always_inline int comes_by_loopback(struct sock *sk, struct tcp_sock *tp)
{
	int interface = interface_of(sk, &tp->inet_conn.icsk_inet);

	return interface == LOOPBACK_IFINDEX || (!interface && tp->rx_opt.mss_clamp >= LOOPBACK_MSS);
}

/* Fills in the ends and the role. False if this is no connection, or one that never leaves the host's loopback. */
static __always_inline int read_ends(struct sock *sk, struct tcp_sock *tp, struct event *event)
{
	struct inet_sock *inet = &tp->inet_conn.icsk_inet;
	struct sock_common *common = &sk->__sk_common;
	int accepted;

	/* 0 before connect(), and after tcp_disconnect() */
	if (!common->skc_dport)
		return 0;
	/*
	 * tcp_v4_syn_recv_sock() and tcp_v6_syn_recv_sock() set the multicast interface to the one that the SYN came
	 * by, and nothing else does: IP_MULTICAST_IF and IPV6_MULTICAST_IF are refused on stream sockets.
	 */
	if (common->skc_family == AF_INET) {
		map_ipv4(event->local, common->skc_rcv_saddr);
		map_ipv4(event->remote, common->skc_daddr);
		accepted = inet->mc_index != 0;
	} else if (common->skc_family == AF_INET6) {
		copy_ipv6(event->local, &common->skc_v6_rcv_saddr);
		copy_ipv6(event->remote, &common->skc_v6_daddr);
		accepted = inet->pinet6->mcast_oif != 0;
	} else {
		return 0;
	}
	if (is_loopback(event->remote) || is_loopback(event->local) || comes_by_loopback(sk, tp))
		return 0;
	event->local_port = bpf_ntohs(inet->inet_sport);
	event->remote_port = bpf_ntohs(common->skc_dport);
	event->flags = accepted ? 0 : EVENT_CLIENT;
	return 1;
}

static __always_inline u16 timeouts_of(struct tcp_sock *tp, struct snapshot *last)
{
	if (bpf_core_field_exists(tp->total_rto))
		return tp->total_rto;
	return last ? last->counted_timeouts : 0;
}

static __always_inline int is_of_window(u32 jiffies)
{
	return (int)(jiffies - control.window_jiffies) > 0;
}

/*
 * The quickest round trip of this window that the kernel still knows; 0 if it knows none.
 *
 * - rtt_min holds up to three samples, the quickest first, each with the time it was taken: of a connection that began
 *   in this window the first is the quickest of all, else the first that was taken in this window is a true sample of
 *   it. tcp_update_rtt_min() leaves out what the peer's delayed acknowledgements took.
 * - rack.rtt_us is the last sample; rack.mstamp is when the segment that it measures was sent.
 */
static __always_inline u32 quickest_rtt(struct tcp_sock *tp, int began)
{
	u32 quickest = 0;

	if (began || is_of_window(tp->rtt_min.s[0].t))
		return tp->rtt_min.s[0].v;
	if (is_of_window(tp->rtt_min.s[1].t))
		quickest = tp->rtt_min.s[1].v;
	else if (is_of_window(tp->rtt_min.s[2].t))
		quickest = tp->rtt_min.s[2].v;
	if (!bpf_core_field_exists(tp->rack))
		return quickest;
	if (tp->rack.mstamp + tp->rack.rtt_us > control.window_us && (!quickest || tp->rack.rtt_us < quickest))
		quickest = tp->rack.rtt_us;
	return quickest;
}

/* Fills in the counters as what was added since `last`, which may be null. */
static __always_inline void read_counters(struct tcp_sock *tp, struct event *event, struct snapshot *last)
{
	event->bytes_out = tp->bytes_sent - tp->bytes_retrans;
	event->bytes_in = tp->bytes_received;
	event->data_segments_out = tp->data_segs_out;
	event->retransmissions = tp->total_retrans;
	event->spurious = tp->dsack_dups;
	event->timeouts = timeouts_of(tp, last);
	event->srtt_us = tp->srtt_us >> 3;
	event->quickest_rtt_us = quickest_rtt(tp, !last || !last->seen);
	if (last) {
		event->bytes_out -= last->bytes_out;
		event->bytes_in -= last->bytes_in;
		event->data_segments_out -= last->data_segments_out;
		event->retransmissions -= last->retransmissions;
		event->spurious -= last->spurious;
		event->timeouts -= last->timeouts;
	}
}

/* tcp_snd_una_update() counts the SYN's acknowledgement in bytes_acked, so that a client has 1 from then on. */
static __always_inline int was_established(struct tcp_sock *tp, u16 flags)
{
	return !(flags & EVENT_CLIENT) || tp->bytes_acked > 0;
}

static __always_inline u16 lifecycle(struct tcp_sock *tp, u16 flags, struct snapshot *last)
{
	if (!last || !last->seen)
		flags |= EVENT_FIRST;
	if (was_established(tp, flags) && !(last && last->established))
		flags |= EVENT_ESTABLISHED;
	return flags;
}

static __always_inline void remember(struct tcp_sock *tp, struct snapshot *last, u16 flags)
{
	last->bytes_out = tp->bytes_sent - tp->bytes_retrans;
	last->bytes_in = tp->bytes_received;
	last->data_segments_out = tp->data_segs_out;
	last->retransmissions = tp->total_retrans;
	last->spurious = tp->dsack_dups;
	last->timeouts = timeouts_of(tp, last);
	last->seen = 1;
	if (flags & EVENT_ESTABLISHED)
		last->established = 1;
	if (flags & EVENT_TIMED_OUT)
		last->timed_out = 1;
}

static __always_inline void forget(struct snapshot *last)
{
	u32 at = last->generation;

	__builtin_memset(last, 0, sizeof(*last));
	last->generation = at;
}

/*
 * Flag that wakes user space if the ring is full enough. Only one event in WAKE_LOOKS checks that, chosen by its ports: one
 * of the two is chosen anew for each connection (but its bit 0 isn't, see inet_hash_connect()).
 */
static __always_inline u64 wake_flag(const struct event *event)
{
	if (((event->local_port ^ event->remote_port) >> 1) % WAKE_LOOKS)
		return BPF_RB_NO_WAKEUP;
	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) >= wake_bytes ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

/*
 * Errors by which the far host itself says that nobody takes connections there: a reset, or ICMP port unreachable or
 * protocol unreachable. All others (no route, host unreachable, prohibited by a firewall) say that it wasn't reached.
 */
static __always_inline int is_refusal(int error)
{
	return error == ECONNREFUSED || error == ENOPROTOOPT;
}

/*
 * The error that an unanswered attempt ended with. An ICMP error that arrives while the socket is in use, as when the
 * node itself answers the SYN within connect(), is only kept in sk_err_soft until the SYN is sent again, and reading
 * SO_ERROR clears that.
 */
static __always_inline int attempt_error(struct sock *sk, struct snapshot *last)
{
	if (sk->sk_err)
		return sk->sk_err;
	if (sk->sk_err_soft)
		return sk->sk_err_soft;
	return last ? last->icmp_error : 0;
}

/* Flag for the outcome of a connection that has ended; 0 for an orderly end. */
static __always_inline u16 outcome(struct sock *sk, struct tcp_sock *tp, u16 flags, struct snapshot *last)
{
	int error;

	if (!was_established(tp, flags)) {
		if (is_refusal(attempt_error(sk, last)))
			return EVENT_REFUSED;
		return last && last->timed_out ? 0 : EVENT_TIMED_OUT;
	}
	error = sk->sk_err;
	if (error == ECONNRESET || error == EPIPE)
		return EVENT_RESET;
	return error ? EVENT_ABORTED : 0;
}

/*
 * True for an accepted socket that never was a connection. Two segments of a client that are handled at the same time, each
 * on its own CPU, both make a socket of the same request; inet_ehash_nolisten() destroys the second before it has received
 * anything but the SYN, which tcp_create_openreq_child() counts in segs_in.
 */
static __always_inline int never_was(struct tcp_sock *tp, u16 flags)
{
	return !(flags & EVENT_CLIENT) && tp->segs_in < 2;
}

/* The socket's snapshot, or null. Most sockets end without any storage, of ours or of another program. */
static __always_inline struct snapshot *snapshot_of(struct sock *sk)
{
	return sk->sk_bpf_storage ? bpf_sk_storage_get(&snapshots, sk, 0, 0) : 0;
}

/*
 * Reports a connection that has ended. True if there was one that hadn't been reported as ended. Fields of struct sock are
 * read through `sk`: it comes from the tracepoint, so that the verifier trusts it (6.2) and each read is one instruction,
 * not one that may fault.
 */
static __always_inline int report_end(struct sock *sk, struct tcp_sock *tp, struct snapshot *last, u16 known)
{
	struct event *slot, event = {};

	if (last && last->ended)
		return 0;
	if (!read_ends(sk, tp, &event) || never_was(tp, event.flags))
		return 0;
	event.cgroup = cgroup_of(sk);
	if (!event.cgroup)
		return 0;
	read_counters(tp, &event, last);
	event.flags = lifecycle(tp, event.flags, last) | EVENT_CLOSED;
	event.flags |= known ? known : outcome(sk, tp, event.flags, last);
	slot = bpf_ringbuf_reserve(&events, sizeof(*slot), 0);
	if (!slot) {
		__sync_fetch_and_add(&control.buffer_full, 1);
		return 1;
	}
	*slot = event;
	bpf_ringbuf_submit(slot, wake_flag(&event));
	return 1;
}

/* Reports a connection that ends before its socket does, and notes that, so that the socket's end isn't a second one. */
static __always_inline void end_early(struct sock *sk, u16 known)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct snapshot *last;

	if (!tp || !control.started)
		return;
	last = snapshot_of(sk);
	if (!report_end(sk, tp, last, known))
		return;
	last = bpf_sk_storage_get(&snapshots, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!last)
		return;
	remember(tp, last, EVENT_ESTABLISHED);
	last->ended = 1;
}

SEC("tp_btf/tcp_destroy_sock")
int BPF_PROG(tcp_destroy_sock, struct sock *sk)
{
	struct tcp_sock *tp;

	if (!control.started)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (tp)
		report_end(sk, tp, snapshot_of(sk), 0);
	return 0;
}

/*
 * True if a connection ends with the error that is being reported. On newer kernels it has been closed by then. On those
 * that close it after the report, an attempt always ends with its error, and an established connection with a time-out or
 * with the ICMP error that explains it (tcp_write_err()); other errors are no end, such as those that IP_RECVERR asks for.
 */
static __always_inline int ends_with(struct sock *sk, int error)
{
	unsigned char state = sk->__sk_common.skc_state;

	if (state == TCP_CLOSE)
		return 1;
	if (!error_before_done)
		return 0;
	return state == TCP_SYN_SENT || error == ETIMEDOUT || error == sk->sk_err_soft;
}

/*
 * Notes the ICMP error in answer to a SYN: tcp_v4_err() queues it (5.18) before it checks whether the socket is in use.
 */
static __always_inline void note_icmp_error(struct sock *sk)
{
	struct sk_buff *newest = sk->sk_error_queue.prev;
	struct sock_exterr_skb *error = (struct sock_exterr_skb *)&newest->cb;
	struct snapshot *last;

	/* The queue's head is its own end. */
	if (!control.started || newest == (struct sk_buff *)&sk->sk_error_queue)
		return;
	last = bpf_sk_storage_get(&snapshots, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (last)
		last->icmp_error = BPF_CORE_READ(error, ee.ee_errno);
}

/*
 * True if tcp_disconnect() has just run: it clears the port and all counters, and then reports an error even if there is
 * none. connect() calls it after a failure, and shutdown() on a socket that is still connecting. The next connection of
 * the socket is another one.
 */
static __always_inline int was_disconnected(struct sock *sk)
{
	return sk->__sk_common.skc_state == TCP_CLOSE && !sk->__sk_common.skc_dport;
}

/*
 * tcp_reset(), tcp_write_err(), tcp_v4_err()… set sk_err; it is 0 where something was put into the socket's error queue,
 * such as a transmit time stamp.
 */
SEC("tp_btf/inet_sk_error_report")
int BPF_PROG(inet_sk_error_report, struct sock *sk)
{
	int error = sk->sk_err;
	struct snapshot *last;

	if (was_disconnected(sk)) {
		last = snapshot_of(sk);
		if (last)
			forget(last);
	} else if (error && ends_with(sk, error))
		end_early(sk, 0);
	else if (!error && sk->__sk_common.skc_state == TCP_SYN_SENT)
		note_icmp_error(sk);
	return 0;
}

/*
 * tcp_send_active_reset() passes no skb; a reset in answer to a segment does, and is not the end of a connection. The
 * argument is read as a number: the verifier of 6.5 to 6.11 takes a tracepoint's pointers for never null and drops a
 * branch on `!skb`.
 */
SEC("tp_btf/tcp_send_reset")
int tcp_send_reset(u64 *ctx)
{
	struct sock *sk = (struct sock *)ctx[0];
	u64 skb = 0;

	if (bpf_probe_read_kernel(&skb, sizeof(skb), &ctx[1]))
		return 0;
	if (sk && !skb)
		end_early(sk, EVENT_ABORTED);
	return 0;
}

/*
 * Only on kernels without tcp_sock.total_rto: tcp_retransmit_timer() counts icsk_retransmits up for each RTO, and an
 * acknowledgement clears it and moves snd_una. So a retransmission of the same snd_una with the same count belongs to
 * the RTO that was counted, and one with a count of 0 to none.
 */
SEC("tp_btf/tcp_retransmit_skb")
int BPF_PROG(tcp_retransmit_skb, struct sock *sk)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct snapshot *last;
	u8 retransmits;

	if (!tp || !control.started)
		return 0;
	last = bpf_sk_storage_get(&snapshots, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	if (!last)
		return 0;
	retransmits = tp->inet_conn.icsk_retransmits;
	if (retransmits && (retransmits != last->last_retransmits || tp->snd_una != last->last_una))
		last->counted_timeouts++;
	last->last_retransmits = retransmits;
	last->last_una = tp->snd_una;
	return 0;
}

static __always_inline int is_unanswered(struct tcp_sock *tp)
{
	u32 age_ms = (u32)(bpf_ktime_get_ns() / 1000000) - tp->retrans_stamp;

	if (age_ms < IMPLAUSIBLE_MS)
		return age_ms >= UNANSWERED_MS;
	return tp->inet_conn.icsk_retransmits >= 3;
}

SEC("iter/task_file")
int open_sockets(struct bpf_iter__task_file *ctx)
{
	struct event event = {};
	struct file *file = ctx->file;
	struct snapshot *last;
	struct socket *socket;
	struct tcp_sock *tp;
	struct sock *sk;
	int state;

	if (!ctx->meta->seq_num) {
		control.pass_jiffies = bpf_jiffies64();
		control.pass_us = bpf_ktime_get_ns() / 1000;
	}
	if (!file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp && sk->sk_protocol != IPPROTO_MPTCP)
		return 0;
	state = sk->__sk_common.skc_state;
	if (state == TCP_CLOSE || state == TCP_LISTEN || (tp && !read_ends(sk, tp, &event)))
		return 0;
	event.cgroup = cgroup_of(sk);
	if (!event.cgroup)
		return 0;
	last = bpf_sk_storage_get(&snapshots, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	/* Another process holds it too, and was asked before. */
	if (!last || last->generation == control.generation)
		return 0;
	if (!tp) {
		/* A multipath connection counts as seen only: its subflows, which have the counters, no process holds. */
		if (control.baseline || !bpf_seq_write(ctx->meta->seq, &event, sizeof(event)))
			last->generation = control.generation;
		return 0;
	}
	/* Its end was reported, but the connection goes on: that error didn't end it. */
	last->ended = 0;

	read_counters(tp, &event, last);
	event.flags = lifecycle(tp, event.flags, last);
	if (state == TCP_SYN_SENT) {
		/* The attempt times out once; as long as it waits on, each window says so. */
		if (is_unanswered(tp))
			event.flags |= last->timed_out ? EVENT_WAITING : EVENT_TIMED_OUT;
	} else {
		event.flags |= EVENT_OPEN;
	}
	/* Without room the iterator comes again with the same file, so nothing may be remembered. */
	if (!control.baseline && bpf_seq_write(ctx->meta->seq, &event, sizeof(event)))
		return 0;
	if (control.baseline)
		event.flags &= ~EVENT_TIMED_OUT;
	remember(tp, last, event.flags);
	last->generation = control.generation;
	return 0;
}
