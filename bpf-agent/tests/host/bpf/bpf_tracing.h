/* SPDX-License-Identifier: GPL-2.0 OR BSD-2-Clause */
#ifndef TIDEWATCH_HOST_TRACING_H
#define TIDEWATCH_HOST_TRACING_H

#define BPF_PROG(name, ...) name(__VA_ARGS__)

#endif
