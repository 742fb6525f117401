/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Variables that the programs share with user space. */
#ifndef TIDEWATCH_CONTROL_H
#define TIDEWATCH_CONTROL_H

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

#endif
