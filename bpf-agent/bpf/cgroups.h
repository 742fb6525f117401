/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* The cgroup of a socket: its id if it is below the node's root, and the pod's cgroup on the way from it to that root. */
#ifndef TIDEWATCH_CGROUPS_H
#define TIDEWATCH_CGROUPS_H

#define CGROUP_DEPTH 24

/* Set before loading: id of the node's root cgroup. */
const volatile u64 root_cgroup = 1;

struct {
	__uint(type, BPF_MAP_TYPE_LRU_HASH);
	__uint(max_entries, 4096);
	__type(key, u64);
	__type(value, struct cgroup_fact);
} cgroups SEC(".maps");

/*
 * Cache that saves most lookups in that map: the cgroups met since the last pass of the iterator, each at the slot of its
 * id's low bits, as its id shifted left by one with `inside` in the lowest bit. User space empties it before each pass, so
 * that cgroups in use are looked up in the map again, which evicts those that haven't been for long.
 */
#define RECENT_CGROUPS 512
u64 recent_cgroups[RECENT_CGROUPS] = {};

struct cgroup_scratch {
	struct cgroup_fact fact;
	char name[POD_NAME];
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, u32);
	__type(value, struct cgroup_scratch);
} scratch SEC(".maps");

#define UID_LENGTH 36
#define HASH_LENGTH 32 /* of a static pod, in place of a UID */

/* True if the name ends in "-pod", `uid` characters, ".slice" and a NUL. */
static __always_inline int is_pod_slice(const char *name, long length, long uid)
{
	long at = length - 1 - 6 - uid - 4;

	if (at < 0 || at >= POD_NAME - 3)
		return 0;
	return name[at] == '-' && name[at + 1] == 'p' && name[at + 2] == 'o' && name[at + 3] == 'd';
}

/*
 * True for "pod<uid>" (cgroupfs driver) and "…-pod<uid>.slice" (systemd), which begins with the slice of kubelet's
 * --cgroup-root if there is one; user space parses it. The outermost match wins, so that a cgroup that a container makes
 * below its own can't pass for a pod.
 */
static __always_inline int is_pod_name(const char *name, long length)
{
	if (name[0] == 'p' && name[1] == 'o' && name[2] == 'd')
		return length >= 3 + HASH_LENGTH + 1;
	return is_pod_slice(name, length, UID_LENGTH) || is_pod_slice(name, length, HASH_LENGTH);
}

/* Walks from a cgroup up to the root and notes the result; once for each cgroup. */
static __noinline int learn_cgroup(struct cgroup *of, u64 id)
{
	u32 zero = 0;
	struct cgroup_scratch *at = bpf_map_lookup_elem(&scratch, &zero);
	struct cgroup *cgroup = of;

	if (!at)
		return 0;
	at->fact.inside = 0;
	__builtin_memset(at->fact.pod, 0, sizeof(at->fact.pod));
	for (int i = 0; i < CGROUP_DEPTH; i++) {
		struct kernfs_node *kn = BPF_CORE_READ(cgroup, kn);
		const char *name = BPF_CORE_READ(kn, name);
		long length;

		if (BPF_CORE_READ(kn, id) == root_cgroup) {
			at->fact.inside = 1;
			break;
		}
		length = bpf_probe_read_kernel_str(at->name, sizeof(at->name), name);
		if (length > 0 && is_pod_name(at->name, length))
			__builtin_memcpy(at->fact.pod, at->name, sizeof(at->fact.pod));
		/* cgroup_parent(): the css is the first member */
		cgroup = (struct cgroup *)BPF_CORE_READ(cgroup, self.parent);
		if (!cgroup)
			break;
	}
	bpf_map_update_elem(&cgroups, &id, &at->fact, 0);
	return at->fact.inside;
}

/* The id of the socket's cgroup, or 0 if it isn't the node's. */
static __always_inline u64 cgroup_of(struct sock *sk)
{
	struct cgroup *cgroup = sk->sk_cgrp_data.cgroup;
	struct cgroup_fact *fact;
	volatile u64 *recent;
	u64 id, known;
	int inside;

	if (!cgroup)
		return 0;
	id = cgroup->kn->id;
	/* One word, read and written whole, so that a concurrent reader sees the one cgroup or the other. */
	recent = &recent_cgroups[id % RECENT_CGROUPS];
	known = *recent;
	if (known >> 1 == id)
		return known & 1 ? id : 0;
	fact = bpf_map_lookup_elem(&cgroups, &id);
	inside = fact ? fact->inside : learn_cgroup(cgroup, id);
	*recent = id << 1 | (inside ? 1 : 0);
	return inside ? id : 0;
}

#endif
