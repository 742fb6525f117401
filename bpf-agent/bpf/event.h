/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The event that the programs report about one socket; src/event.rs parses it. */
#ifndef TIDEWATCH_EVENT_H
#define TIDEWATCH_EVENT_H

enum event_flag {
	EVENT_CLIENT = 1 << 0, /* we connected; else we accepted */
	EVENT_FIRST = 1 << 1, /* first seen now, so it began in this window */
	EVENT_ESTABLISHED = 1 << 2, /* became established since it was last seen */
	EVENT_TIMED_OUT = 1 << 3, /* the attempt was given up, or is unanswered for 3 s; once a connection */
	EVENT_REFUSED = 1 << 4,
	EVENT_RESET = 1 << 5,
	EVENT_ABORTED = 1 << 6,
	EVENT_CLOSED = 1 << 7,
	EVENT_OPEN = 1 << 8,
	EVENT_WAITING = 1 << 9, /* still unanswered, and reported as timed out in an earlier window */
};

/* Counters are what was added since the socket was last reported. */
struct event {
	u64 cgroup; /* id of the socket's cgroup (v2), the inode number of its directory */
	u64 bytes_out; /* payload sent, retransmissions not counted again */
	u64 bytes_in;
	u8 local[16]; /* IPv4 as ::ffff:a.b.c.d */
	u8 remote[16];
	u32 data_segments_out;
	u32 retransmissions;
	u32 spurious; /* retransmissions that the other end had no need of, as it says by DSACK */
	u32 syn_retransmissions; /* retransmissions of the SYN, or of the SYN-ACK if we accepted */
	u32 srtt_us;
	u32 quickest_rtt_us; /* of this window, as far as the kernel still knows; 0 or all ones if it doesn't */
	u16 timeouts;
	u16 local_port;
	u16 remote_port;
	u16 flags;
};

/* Longer names of cgroups are cut. */
#define POD_NAME 128

/* Found for each cgroup once, by walking up to the root. */
struct cgroup_fact {
	u32 inside; /* at or below the node's root */
	char pod[POD_NAME]; /* name of the pod's cgroup, empty where it isn't a pod's */
};

#endif
