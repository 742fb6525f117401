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

char LICENSE[] SEC("license") = "Dual BSD/GPL";

#define UNANSWERED_MS 3000
/* retrans_stamp is in microseconds where the route asks for it (6.7); an age beyond this is such a one. */
#define IMPLAUSIBLE_MS 1000000
#define CGROUP_DEPTH 24
/* One end in so many looks how full the ring is. */
#define WAKE_LOOKS 32

/* Set before loading: id of the node's root cgroup. */
const volatile u64 root_cgroup = 1;
/* Set before loading: the ring's fill at which user space is woken; below that it looks by itself. */
const volatile u64 wake_bytes = 1 << 20;

struct control {
	/* Written by user space: */
	u32 generation; /* number of this pass of the iterator */
	u32 baseline; /* this pass takes snapshots and reports nothing */
	u32 started; /* the other programs do nothing before */
	u32 pad;
	/* Written here: */
	u64 buffer_full; /* sockets whose last counters found no room in the ring */
};

struct control control = {};

/* What was last reported of a socket that lives, or has ended but is not destroyed. */
struct snapshot {
	u64 bytes_out;
	u64 bytes_in;
	u32 data_segments_out;
	u32 retransmissions;
	u32 generation;
	u32 segs_out; /* with local_port tells, where `ended`, whether this is the same connection still */
	u16 timeouts;
	u16 counted_timeouts; /* RTOs counted by us, on kernels without tcp_sock.total_rto */
	u16 local_port;
	u8 seen;
	u8 established;
	u8 timed_out;
	u8 ended;
	u8 last_retransmits;
	u8 pad;
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

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct cgroup_fact);
} cgroups SEC(".maps");

/*
 * Saves most lookups in that map: the cgroups met since the last pass of the iterator, each as its id and, in the lowest
 * bit, `inside`, at the low bits of the id. User space empties it before each pass, so that the map, which evicts what
 * wasn't looked up for long, sees who is in use still.
 */
#define RECENT_CGROUPS 512
u64 recent_cgroups[RECENT_CGROUPS] = {};

struct cgroup_scratch {
	struct cgroup_fact fact;
	char name[84];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct cgroup_scratch);
} scratch SEC(".maps");

/*
 * "pod<uid>" (cgroupfs driver) or "kubepods…-pod<uid>.slice" (systemd); user space parses it. The outermost match
 * wins: what a container makes below its own cgroup can't pass for a pod.
 */
static __always_inline int is_pod_name(const char *name, long length)
{
	if (name[0] == 'p' && name[1] == 'o' && name[2] == 'd')
		return length >= 36;
	return name[0] == 'k' && name[1] == 'u' && name[2] == 'b' && name[3] == 'e' && length >= 45;
}

/* Once for each cgroup: walks up to the root. */
static __noinline int learn_cgroup(struct cgroup *of, u64 id)
{
	u32 zero = 0;
	struct cgroup_scratch *at = bpf_map_lookup_elem(&scratch, &zero);
	struct cgroup *cgroup = of;

	if (!at)
		return 0;
	at->fact.inside = 0;
	__builtin_memset(at->fact.pod, 0, sizeof(at->fact.pod));
	for (int i = 0; i < CGROUP_DEPTH; i++) {
		struct kernfs_node *kn = BPF_CORE_READ(cgroup, kn);
		const char *name = BPF_CORE_READ(kn, name);
		long length;

		if (BPF_CORE_READ(kn, id) == root_cgroup) {
			at->fact.inside = 1;
			break;
		}
		length = bpf_probe_read_kernel_str(at->name, sizeof(at->name), name);
		if (length > 0 && is_pod_name(at->name, length))
			__builtin_memcpy(at->fact.pod, at->name, sizeof(at->fact.pod));
		/* cgroup_parent(): the css is the first member */
		cgroup = (struct cgroup *)BPF_CORE_READ(cgroup, self.parent);
		if (!cgroup)
			break;
	}
	bpf_map_update_elem(&cgroups, &id, &at->fact, 0);
	return at->fact.inside;
}

/* The id of the socket's cgroup, or 0 if it isn't the node's. */
static __always_inline u64 cgroup_of(struct sock *sk)
{
	struct cgroup *cgroup = sk->sk_cgrp_data.cgroup;
	struct cgroup_fact *fact;
	volatile u64 *recent;
	u64 id, known;
	int inside;

	if (!cgroup)
		return 0;
	id = cgroup->kn->id;
	/* One word, read and written whole: whoever meets it sees one cgroup or another. */
	recent = &recent_cgroups[id % RECENT_CGROUPS];
	known = *recent;
	if (known >> 1 == id)
		return known & 1 ? id : 0;
	fact = bpf_map_lookup_elem(&cgroups, &id);
	inside = fact ? fact->inside : learn_cgroup(cgroup, id);
	*recent = id << 1 | (inside ? 1 : 0);
	return inside ? id : 0;
}

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
	if (is_loopback(event->remote) || is_loopback(event->local))
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

/* Fills in the counters as what was added since `last`, which may be null. */
static __always_inline void read_counters(struct tcp_sock *tp, struct event *event, struct snapshot *last)
{
	event->bytes_out = tp->bytes_sent - tp->bytes_retrans;
	event->bytes_in = tp->bytes_received;
	event->data_segments_out = tp->data_segs_out;
	event->retransmissions = tp->total_retrans;
	event->timeouts = timeouts_of(tp, last);
	event->srtt_us = tp->srtt_us >> 3;
	event->min_rtt_us = tp->rtt_min.s[0].v;
	if (last) {
		event->bytes_out -= last->bytes_out;
		event->bytes_in -= last->bytes_in;
		event->data_segments_out -= last->data_segments_out;
		event->retransmissions -= last->retransmissions;
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
	last->timeouts = timeouts_of(tp, last);
	last->segs_out = tp->segs_out;
	last->local_port = bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
	last->seen = 1;
	if (flags & EVENT_ESTABLISHED)
		last->established = 1;
	if (flags & EVENT_TIMED_OUT)
		last->timed_out = 1;
}

static __always_inline int same_connection(struct tcp_sock *tp, struct snapshot *last)
{
	return last->segs_out == tp->segs_out &&
	       last->local_port == bpf_ntohs(tp->inet_conn.icsk_inet.inet_sport);
}

static __always_inline void forget(struct snapshot *last)
{
	u32 at = last->generation;

	__builtin_memset(last, 0, sizeof(*last));
	last->generation = at;
}

/*
 * Whether user space is woken for this event. Its ports decide whether it looks at all: of two that differ, one is
 * chosen anew for each connection (bit 0 of it is not, see inet_hash_connect()).
 */
static __always_inline u64 wake_flag(const struct event *event)
{
	if (((event->local_port ^ event->remote_port) >> 1) % WAKE_LOOKS)
		return BPF_RB_NO_WAKEUP;
	return bpf_ringbuf_query(&events, BPF_RB_AVAIL_DATA) >= wake_bytes ? BPF_RB_FORCE_WAKEUP : BPF_RB_NO_WAKEUP;
}

/* How a connection ended, by the error that it ended with. */
static __always_inline u16 outcome(struct tcp_sock *tp, u16 flags, int error, struct snapshot *last)
{
	if (!was_established(tp, flags)) {
		if (error == ECONNREFUSED)
			return EVENT_REFUSED;
		return last && last->timed_out ? 0 : EVENT_TIMED_OUT;
	}
	if (error == ECONNRESET || error == EPIPE)
		return EVENT_RESET;
	return error ? EVENT_ABORTED : 0;
}

/*
 * Two segments of a client that are handled at the same time, each on its own CPU, both make a socket of the same
 * request; inet_ehash_nolisten() destroys the second before it has taken in anything but the SYN, with which
 * tcp_create_openreq_child() lets segs_in begin.
 */
static __always_inline int never_was(struct tcp_sock *tp, u16 flags)
{
	return !(flags & EVENT_CLIENT) && tp->segs_in < 2;
}

/* What was last reported of the socket, if anything. Most end without a storage, of ours or another program. */
static __always_inline struct snapshot *snapshot_of(struct sock *sk)
{
	return sk->sk_bpf_storage ? bpf_sk_storage_get(&snapshots, sk, 0, 0) : 0;
}

/*
 * Reports a connection that has ended. True if there was one that hadn't been reported as ended. What `sk` has is read
 * through it: it comes from the tracepoint, so that the verifier trusts it (6.2) and each read is one instruction, not
 * one that may fault.
 */
static __always_inline int report_end(struct sock *sk, struct tcp_sock *tp, struct snapshot *last, int error,
				      u16 known)
{
	struct event *slot, event = {};

	if (last && last->ended) {
		if (same_connection(tp, last))
			return 0;
		forget(last);
	}
	if (!read_ends(sk, tp, &event) || never_was(tp, event.flags))
		return 0;
	event.cgroup = cgroup_of(sk);
	if (!event.cgroup)
		return 0;
	read_counters(tp, &event, last);
	event.flags = lifecycle(tp, event.flags, last) | EVENT_CLOSED;
	event.flags |= known ? known : outcome(tp, event.flags, error, last);
	slot = bpf_ringbuf_reserve(&events, sizeof(*slot), 0);
	if (!slot) {
		__sync_fetch_and_add(&control.buffer_full, 1);
		return 1;
	}
	*slot = event;
	bpf_ringbuf_submit(slot, wake_flag(&event));
	return 1;
}

/* For an end that comes before the socket's: notes it, so that the socket's isn't a second one. */
static __always_inline void end_early(struct sock *sk, int error, u16 known)
{
	struct tcp_sock *tp = bpf_skc_to_tcp_sock(sk);
	struct snapshot *last;

	if (!tp || !control.started)
		return;
	last = snapshot_of(sk);
	if (!report_end(sk, tp, last, error, known))
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
		report_end(sk, tp, snapshot_of(sk), sk->sk_err, 0);
	return 0;
}

/* tcp_reset(), tcp_write_err(), tcp_v4_err()…: the connection is closed by now, and sk_err is set still. */
SEC("tp_btf/inet_sk_error_report")
int BPF_PROG(inet_sk_error_report, struct sock *sk)
{
	if (sk->__sk_common.skc_state == TCP_CLOSE && sk->sk_err)
		end_early(sk, sk->sk_err, 0);
	return 0;
}

/* tcp_send_active_reset() passes no skb; a reset in answer to a segment does, and is not the end of a connection. */
SEC("tp_btf/tcp_send_reset")
int BPF_PROG(tcp_send_reset, struct sock *sk, struct sk_buff *skb)
{
	if (sk && !skb)
		end_early(sk, 0, EVENT_ABORTED);
	return 0;
}

/*
 * Only on kernels without tcp_sock.total_rto: tcp_retransmit_timer() counts icsk_retransmits up for each RTO, and an
 * acknowledgement clears it, so a value that differs from the last and isn't 0 is a new RTO.
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
	if (retransmits && retransmits != last->last_retransmits)
		last->counted_timeouts++;
	last->last_retransmits = retransmits;
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

	if (!file)
		return 0;
	socket = bpf_sock_from_file(file);
	if (!socket)
		return 0;
	sk = socket->sk;
	if (!sk)
		return 0;
	tp = bpf_skc_to_tcp_sock(sk);
	if (!tp)
		return 0;
	state = sk->__sk_common.skc_state;
	if (state == TCP_CLOSE || state == TCP_LISTEN || !read_ends(sk, tp, &event))
		return 0;
	event.cgroup = cgroup_of(sk);
	if (!event.cgroup)
		return 0;
	last = bpf_sk_storage_get(&snapshots, sk, 0, BPF_SK_STORAGE_GET_F_CREATE);
	/* Another process holds it too, and was asked before. */
	if (!last || last->generation == control.generation)
		return 0;
	if (last->ended)
		forget(last);

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
