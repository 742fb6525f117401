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
#include "control.h"
#include "snapshot.h"
#include "ends.h"
#include "counters.h"
#include "outcome.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* One event in so many checks the fill of the ring. */
#define WAKE_LOOKS 32

/* Set before loading: the ring's fill, in bytes, at which user space is woken; below that it polls. */
const volatile u64 wake_bytes = 1 << 20;

struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 2 << 20);
} events SEC(".maps");

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
