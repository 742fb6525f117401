/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* Stands for libbpf's where a test runs the programs on the host; sockets.c has the functions. */
#ifndef TIDEWATCH_HOST_HELPERS_H
#define TIDEWATCH_HOST_HELPERS_H

#define SEC(name)
#undef __always_inline
#define __always_inline inline __attribute__((always_inline))
#define __noinline __attribute__((noinline))
#define __uint(name, value) int(*name)[value]
#define __type(name, type) __typeof__(type) *name

struct bpf_sock_storage;
struct seq_file;
struct file;

static void *bpf_map_lookup_elem(void *map, const void *key);
static long bpf_map_update_elem(void *map, const void *key, const void *value, unsigned long long flags);
static long bpf_probe_read_kernel(void *to, unsigned int size, const void *from);
static long bpf_probe_read_kernel_str(void *to, unsigned int size, const void *from);
static void *bpf_sk_storage_get(void *map, void *sk, void *value, unsigned long long flags);
static void *bpf_skc_to_tcp_sock(void *sk);
static void *bpf_sock_from_file(struct file *file);
static void *bpf_ringbuf_reserve(void *ring, unsigned long long size, unsigned long long flags);
static void bpf_ringbuf_submit(void *slot, unsigned long long flags);
static unsigned long long bpf_ringbuf_query(void *ring, unsigned long long flags);
static long bpf_seq_write(struct seq_file *seq, const void *data, unsigned int size);
static unsigned long long bpf_ktime_get_ns(void);
static unsigned long long bpf_jiffies64(void);

#endif
