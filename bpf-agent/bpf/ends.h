/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The two ends of a connection, and the role of the local one. */
#ifndef TIDEWATCH_ENDS_H
#define TIDEWATCH_ENDS_H

#define LOOPBACK_IFINDEX 1
/* The loopback has an MTU of 65536, which leaves 65476 with IPv6. */
#define LOOPBACK_MSS 65000

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

#endif
