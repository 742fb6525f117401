/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The life of a connection: established, unanswered, and how it ended. */
#ifndef TIDEWATCH_OUTCOME_H
#define TIDEWATCH_OUTCOME_H

/*
 * Set before loading: before 6.10, tcp_write_err(), tcp_v4_err() and tcp_abort() report the error first and close the
 * connection then; tcp_done_with_error(), which stable kernels got too, closes first.
 */
const volatile u8 error_before_done = 0;

#define UNANSWERED_MS 3000
/* retrans_stamp is in microseconds where the route asks for it (6.7); an age beyond this is such a one. */
#define IMPLAUSIBLE_MS 1000000

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
 * True if tcp_disconnect() has just run: it clears the port and all counters, and then reports an error even if there is
 * none. connect() calls it after a failure, and shutdown() on a socket that is still connecting. The next connection of
 * the socket is another one.
 */
static __always_inline int was_disconnected(struct sock *sk)
{
	return sk->__sk_common.skc_state == TCP_CLOSE && !sk->__sk_common.skc_dport;
}

static __always_inline int is_unanswered(struct tcp_sock *tp)
{
	u32 age_ms = (u32)(bpf_ktime_get_ns() / 1000000) - tp->retrans_stamp;

	if (age_ms < IMPLAUSIBLE_MS)
		return age_ms >= UNANSWERED_MS;
	return tp->inet_conn.icsk_retransmits >= 3;
}

#endif
