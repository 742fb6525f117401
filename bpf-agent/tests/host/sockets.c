// SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause
/*
 * Runs the programs of flows.bpf.c on the host against one socket, in the order in which a kernel calls them: each line of
 * standard input is a step, each line of output a report. tests/event_orders.rs has the orders.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <bpf/bpf_core_read.h>
#include <bpf/bpf_helpers.h>

/* User space sets the programs' constants before it loads them. */
#define const
#include "flows.bpf.c"
#undef const

#define HZ 250

/* Fields that the kernel lacks, by `lacks FIELD`. */
static char lacking[4][32];
static u64 now_ms = 1000000;

static struct kernfs_node node = { .id = 1, .name = "" };
static struct cgroup cgroup = { .kn = &node };
static struct tcp_sock tcp;
static struct ipv6_pinfo pinet6;
static struct sk_buff queued;
static struct snapshot storage;
static struct event slot;
static struct cgroup_scratch cgroup_scratch;

#define SK (&tcp.inet_conn.icsk_inet.sk)

static int kernel_has(const char *field)
{
	for (int i = 0; i < 4; i++)
		if (lacking[i][0] && strstr(field, lacking[i]))
			return 0;
	return 1;
}

static void *bpf_map_lookup_elem(void *map, const void *key)
{
	(void)key;
	return map == (void *)&scratch ? &cgroup_scratch : 0;
}

static long bpf_map_update_elem(void *map, const void *key, const void *value, unsigned long long flags)
{
	(void)map, (void)key, (void)value, (void)flags;
	return 0;
}

static long bpf_probe_read_kernel(void *to, unsigned int size, const void *from)
{
	memcpy(to, from, size);
	return 0;
}

static long bpf_probe_read_kernel_str(void *to, unsigned int size, const void *from)
{
	return snprintf(to, size, "%s", (const char *)from) + 1;
}

static void *bpf_sk_storage_get(void *map, void *sk, void *value, unsigned long long flags)
{
	struct sock *of = sk;

	(void)map, (void)value;
	if (!of->sk_bpf_storage && !(flags & BPF_SK_STORAGE_GET_F_CREATE))
		return 0;
	of->sk_bpf_storage = (struct bpf_local_storage *)&storage;
	return &storage;
}

static void *bpf_skc_to_tcp_sock(void *sk)
{
	return ((struct sock *)sk)->sk_protocol == IPPROTO_TCP ? sk : 0;
}

static void *bpf_sock_from_file(struct file *file)
{
	static struct socket socket = { .sk = SK };

	(void)file;
	return &socket;
}

static void report(const struct event *event)
{
	static const char *names[] = { "client",  "first",   "established", "timed_out", "refused",
				       "reset",	  "aborted", "closed",	    "open",	 "waiting" };

	if (!event->remote_port)
		printf("unread ");
	for (int i = 0; i < 10; i++)
		if (event->flags & 1 << i)
			printf("%s ", names[i]);
	printf("timeouts=%u quickest=%d retransmissions=%d\n", event->timeouts, (int)event->quickest_rtt_us,
	       (int)event->retransmissions);
}

static void *bpf_ringbuf_reserve(void *ring, unsigned long long size, unsigned long long flags)
{
	(void)ring, (void)size, (void)flags;
	return &slot;
}

static void bpf_ringbuf_submit(void *event, unsigned long long flags)
{
	(void)flags;
	report(event);
}

static unsigned long long bpf_ringbuf_query(void *ring, unsigned long long flags)
{
	(void)ring, (void)flags;
	return 0;
}

static long bpf_seq_write(struct seq_file *seq, const void *data, unsigned int size)
{
	(void)seq, (void)size;
	report(data);
	return 0;
}

static unsigned long long bpf_ktime_get_ns(void)
{
	return now_ms * 1000000;
}

static unsigned long long bpf_jiffies64(void)
{
	return now_ms * HZ / 1000;
}

/* The end of a window, as src/kernel.rs makes it. */
static void window(void)
{
	struct bpf_iter_meta meta = {};
	struct bpf_iter__task_file files = { .meta = &meta, .file = (struct file *)&meta };

	control.generation++;
	open_sockets(&files);
	control.window_jiffies = control.pass_jiffies;
	control.window_us = control.pass_us;
}

/* tcp_v4_connect() */
static void dial(void)
{
	SK->sk_protocol = IPPROTO_TCP;
	SK->__sk_common.skc_family = AF_INET;
	SK->__sk_common.skc_state = TCP_SYN_SENT;
	SK->sk_err = 0;
	SK->__sk_common.skc_rcv_saddr = bpf_htonl(0xc6120001);
	SK->__sk_common.skc_daddr = bpf_htonl(0xc6120002);
	SK->__sk_common.skc_dport = bpf_htons(80);
	SK->sk_cgrp_data.cgroup = &cgroup;
	SK->sk_error_queue.prev = (struct sk_buff *)&SK->sk_error_queue;
	tcp.inet_conn.icsk_inet.inet_sport = bpf_htons(40000);
	tcp.inet_conn.icsk_inet.pinet6 = &pinet6;
	tcp.retrans_stamp = now_ms;
	for (int i = 0; i < 3; i++)
		tcp.rtt_min.s[i] = (struct minmax_sample){ .t = bpf_jiffies64(), .v = ~0U };
}

/* tcp_ack_update_rtt(), tcp_rack_advance() */
static void sample(u32 rtt_us)
{
	tcp.srtt_us = rtt_us << 3;
	tcp.rack.rtt_us = rtt_us;
	tcp.rack.mstamp = now_ms * 1000 - rtt_us;
	if (rtt_us > tcp.rtt_min.s[0].v)
		return;
	for (int i = 0; i < 3; i++)
		tcp.rtt_min.s[i] = (struct minmax_sample){ .t = bpf_jiffies64(), .v = rtt_us };
}

/* tcp_finish_connect() after tcp_ack() */
static void establish(u32 rtt_us)
{
	SK->__sk_common.skc_state = TCP_ESTABLISHED;
	tcp.bytes_acked = 1;
	tcp.snd_una = 1;
	tcp.inet_conn.icsk_retransmits = 0;
	sample(rtt_us);
}

/* tcp_retransmit_timer() */
static void expire(void)
{
	tcp.inet_conn.icsk_retransmits++;
	tcp.total_retrans++;
	if (kernel_has("total_rto"))
		tcp.total_rto++;
	else
		tcp_retransmit_skb(SK);
}

/* tcp_ack() */
static void acknowledge(void)
{
	tcp.snd_una += 100;
	tcp.inet_conn.icsk_retransmits = 0;
	SK->sk_err_soft = 0;
}

/* tcp_v4_err() while the caller holds the socket; since 5.18 it queues the error first. */
static void icmp_in_use(int error, int is_queued)
{
	if (is_queued) {
		((struct sock_exterr_skb *)&queued.cb)->ee.ee_errno = error;
		SK->sk_error_queue.prev = &queued;
		inet_sk_error_report(SK);
	}
	SK->sk_err_soft = error;
}

/* tcp_write_err(), tcp_v4_err(): before 6.10 the report comes first. */
static void fail(int error)
{
	SK->sk_err = error;
	if (error_before_done)
		inet_sk_error_report(SK);
	SK->__sk_common.skc_state = TCP_CLOSE;
	if (!error_before_done)
		inet_sk_error_report(SK);
}

/* tcp_disconnect(): from connect() where it has failed and taken the error, or from shutdown() of one that connects. */
static void disconnect(void)
{
	SK->sk_err = SK->__sk_common.skc_state == TCP_SYN_SENT ? ECONNRESET : 0;
	SK->sk_err_soft = 0;
	SK->__sk_common.skc_state = TCP_CLOSE;
	SK->__sk_common.skc_dport = 0;
	tcp.bytes_acked = 0;
	tcp.total_retrans = 0;
	tcp.total_rto = 0;
	tcp.inet_conn.icsk_retransmits = 0;
	inet_sk_error_report(SK);
}

static void reset_with(u64 skb)
{
	u64 arguments[] = { (u64)SK, skb };

	tcp_send_reset(arguments);
}

static void step(const char *name, u32 number)
{
	if (!strcmp(name, "dial"))
		dial();
	else if (!strcmp(name, "is-multipath"))
		SK->sk_protocol = IPPROTO_MPTCP;
	else if (!strcmp(name, "establish"))
		establish(number);
	else if (!strcmp(name, "sample"))
		sample(number);
	else if (!strcmp(name, "pass-ms"))
		now_ms += number;
	else if (!strcmp(name, "window"))
		window();
	else if (!strcmp(name, "expire"))
		expire();
	else if (!strcmp(name, "retransmit"))
		tcp_retransmit_skb(SK);
	else if (!strcmp(name, "acknowledge"))
		acknowledge();
	else if (!strcmp(name, "icmp-in-use"))
		icmp_in_use(number, 0);
	else if (!strcmp(name, "icmp-in-use-queued"))
		icmp_in_use(number, 1);
	else if (!strcmp(name, "icmp-asked-for"))
		SK->sk_err = number, inet_sk_error_report(SK);
	else if (!strcmp(name, "soft-error"))
		SK->sk_err_soft = number;
	else if (!strcmp(name, "read-error"))
		SK->sk_err = SK->sk_err_soft = 0;
	else if (!strcmp(name, "fail"))
		fail(number);
	else if (!strcmp(name, "disconnect"))
		disconnect();
	else if (!strcmp(name, "reset-by-close"))
		reset_with(0);
	else if (!strcmp(name, "reset-in-answer"))
		reset_with((u64)&queued);
	else if (!strcmp(name, "destroy"))
		tcp_destroy_sock(SK);
	else if (!strcmp(name, "error-before-done"))
		error_before_done = 1;
	else
		exit(2);
}

int main(void)
{
	char line[80], name[32], field[32];
	int lacks = 0;
	u32 number;

	control.started = 1;
	control.window_jiffies = bpf_jiffies64();
	control.window_us = now_ms * 1000;
	while (fgets(line, sizeof(line), stdin)) {
		number = 0;
		if (sscanf(line, "lacks %31s", field) == 1 && lacks < 4)
			strcpy(lacking[lacks++], field);
		else if (sscanf(line, "%31s %u", name, &number) >= 1)
			step(name, number);
	}
	return 0;
}
