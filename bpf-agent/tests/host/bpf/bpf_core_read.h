/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
/* On the host the structures are those of kernel.h; which fields a kernel has is the test's to say. */
#ifndef TIDEWATCH_HOST_CORE_READ_H
#define TIDEWATCH_HOST_CORE_READ_H

static int kernel_has(const char *field);

#define BPF_CORE_READ(from, field) ((from)->field)
#define bpf_core_field_exists(field) kernel_has(#field)

#endif
