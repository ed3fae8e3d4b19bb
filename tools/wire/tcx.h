/* SPDX-License-Identifier: GPL-2.0-only */
/* TC programs where the kernel (6.6) calls them without a queueing discipline around them, which costs a packet less. */
#ifndef WIRE_TCX_H
#define WIRE_TCX_H

#include <errno.h>
#include <linux/bpf.h>
#include <sys/syscall.h>
#include <unistd.h>

/* BPF_TCX_INGRESS, BPF_TCX_EGRESS: not in the headers of kernel 6.1. */
#define TCX_INGRESS 46
#define TCX_EGRESS 47

/* The link, which the kernel removes with its descriptor, or -errno. libbpf 1.1 does not know that. */
static inline int attach_tcx(unsigned ifindex, int program, int place)
{
	union bpf_attr attr = { 0 };
	int link;

	attr.link_create.prog_fd = program;
	attr.link_create.target_ifindex = ifindex;
	attr.link_create.attach_type = place;
	link = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof attr);
	return link < 0 ? -errno : link;
}

#endif
