/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/*
 * The kernel structures that flows.bpf.c reads, reduced to the fields that it reads. preserve_access_index makes
 * clang record each access by name, and libbpf moves it to the running kernel's offset (CO-RE), so that this header
 * neither depends on the machine that builds nor holds 130,000 lines. Names and nesting are the kernel's.
 */
#ifndef TIDEWATCH_KERNEL_H
#define TIDEWATCH_KERNEL_H

typedef unsigned char __u8;
typedef unsigned short __u16;
typedef unsigned int __u32;
typedef unsigned long long __u64;
typedef signed char __s8;
typedef short __s16;
typedef int __s32;
typedef long long __s64;
typedef __u16 __be16;
typedef __u32 __be32;
typedef __u32 __wsum;
typedef __u8 u8;
typedef __u16 u16;
typedef __u32 u32;
typedef __u64 u64;

/* include/uapi/linux/bpf.h */
enum {
	BPF_MAP_TYPE_PERCPU_ARRAY = 6,
	BPF_MAP_TYPE_LRU_HASH = 9,
	BPF_MAP_TYPE_SK_STORAGE = 24,
	BPF_MAP_TYPE_RINGBUF = 27,
	BPF_F_NO_PREALLOC = 1,
	BPF_SK_STORAGE_GET_F_CREATE = 1,
	BPF_RB_NO_WAKEUP = 1,
	BPF_RB_FORCE_WAKEUP = 2,
	BPF_RB_AVAIL_DATA = 0,
};

/* include/net/tcp_states.h */
enum {
	TCP_ESTABLISHED = 1,
	TCP_SYN_SENT = 2,
	TCP_TIME_WAIT = 6,
	TCP_CLOSE = 7,
	TCP_LISTEN = 10,
	TCP_NEW_SYN_RECV = 12,
};

enum { AF_INET = 2, AF_INET6 = 10 };
enum { IPPROTO_TCP = 6, IPPROTO_MPTCP = 262 };
enum { EPIPE = 32, ENOPROTOOPT = 92, ECONNRESET = 104, ETIMEDOUT = 110, ECONNREFUSED = 111 };

/* tests/host/sockets.c compiles this for the host, where there is nothing to be moved. */
#ifdef __bpf__
#pragma clang attribute push(__attribute__((preserve_access_index)), apply_to = record)
#endif

struct in6_addr {
	union {
		__u32 u6_addr32[4];
	} in6_u;
};

struct sock_common {
	__be32 skc_daddr;
	__be32 skc_rcv_saddr;
	__be16 skc_dport;
	__u16 skc_num;
	unsigned short skc_family;
	volatile unsigned char skc_state;
	struct in6_addr skc_v6_daddr;
	struct in6_addr skc_v6_rcv_saddr;
};

struct sk_buff {
	char cb[48];
};

struct sk_buff_head {
	struct sk_buff *prev;
};

struct sock_extended_err {
	__u32 ee_errno;
};

struct sock_exterr_skb {
	struct sock_extended_err ee;
};

struct cgroup;
struct bpf_local_storage;

struct sock_cgroup_data {
	struct cgroup *cgroup; /* a bare pointer since 5.15 */
};

struct sock {
	struct sock_common __sk_common;
	u16 sk_protocol;
	int sk_err;
	int sk_err_soft;
	struct sk_buff_head sk_error_queue;
	struct sock_cgroup_data sk_cgrp_data;
	struct bpf_local_storage *sk_bpf_storage;
	int sk_rx_dst_ifindex; /* since 5.17 */
};

struct ipv6_pinfo {
	int mcast_oif;
};

struct inet_sock {
	struct sock sk;
	struct ipv6_pinfo *pinet6;
	__be16 inet_sport;
	int mc_index;
};

/* Before 5.17: the part after ___ is no part of the name that is looked for. */
struct inet_sock___before_5_17 {
	int rx_dst_ifindex;
};

struct inet_connection_sock {
	struct inet_sock icsk_inet;
	__u8 icsk_retransmits;
};

struct minmax_sample {
	u32 t; /* in jiffies */
	u32 v;
};

struct minmax {
	struct minmax_sample s[3];
};

struct tcp_rack {
	u64 mstamp;
	u32 rtt_us;
};

struct tcp_options_received {
	u16 mss_clamp;
};

struct tcp_sock {
	struct inet_connection_sock inet_conn;
	u32 segs_in;
	u32 data_segs_out;
	u32 mss_cache;
	u64 bytes_sent;
	u64 bytes_acked;
	u64 bytes_retrans;
	u64 bytes_received;
	u32 total_retrans;
	u32 dsack_dups;
	u32 srtt_us;
	u32 retrans_stamp;
	u32 snd_una;
	struct tcp_rack rack;
	struct minmax rtt_min;
	struct tcp_options_received rx_opt;
	u16 total_rto; /* since 6.7 */
};

struct kernfs_node {
	u64 id;
	const char *name;
};

struct cgroup_subsys_state {
	struct cgroup_subsys_state *parent;
};

struct cgroup {
	struct cgroup_subsys_state self;
	struct kernfs_node *kn;
};

struct socket {
	struct sock *sk;
};

struct seq_file;
struct file;

struct bpf_iter_meta {
	struct seq_file *seq;
	u64 seq_num;
};

struct bpf_iter__task_file {
	struct bpf_iter_meta *meta;
	struct file *file;
};

#ifdef __bpf__
#pragma clang attribute pop
#endif

#endif
