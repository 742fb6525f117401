/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The counters of a socket, as what was added since its last event. */
#ifndef TIDEWATCH_COUNTERS_H
#define TIDEWATCH_COUNTERS_H

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

/*
 * Of the retransmissions in `event`, those of the SYN (a client's) or of the SYN-ACK (a server's: its socket begins with
 * those of its request). Both come before the connection is established and carry no payload, and a client's are all
 * by time-out. bytes_retrans tells how much payload was sent again: at least one segment for each full one of it. So a
 * FIN that was sent again in the window in which the connection was opened counts here too.
 */
static __always_inline u32 syn_retransmissions(struct tcp_sock *tp, struct event *event, struct snapshot *last)
{
	u32 again = event->retransmissions, data = 0;

	if (!again || (last && last->established))
		return 0;
	if (tp->bytes_retrans)
		data = 1 + (u32)(tp->bytes_retrans - 1) / tp->mss_cache;
	if (!(event->flags & EVENT_CLIENT))
		return data ? 0 : again;
	again = again > data ? again - data : 0;
	return again < event->timeouts ? again : event->timeouts;
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
	event->syn_retransmissions = syn_retransmissions(tp, event, last);
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

#endif
