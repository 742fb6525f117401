/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The state of each socket at its last event. */
#ifndef TIDEWATCH_SNAPSHOT_H
#define TIDEWATCH_SNAPSHOT_H

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

static __always_inline void forget(struct snapshot *last)
{
	u32 at = last->generation;

	__builtin_memset(last, 0, sizeof(*last));
	last->generation = at;
}

/* The socket's snapshot, or null. Most sockets end without any storage, of ours or of another program. */
static __always_inline struct snapshot *snapshot_of(struct sock *sk)
{
	return sk->sk_bpf_storage ? bpf_sk_storage_get(&snapshots, sk, 0, 0) : 0;
}

#endif
