// SPDX-License-Identifier: Apache-2.0
// What a copy's cost is made of: sampled stacks folded into a few parts of the kernel's work. A stack belongs to the part of
// its innermost function that is in one of them, so that allocating, locking and the like count for what needed them.
import type { Stack } from './sampling.js';

/** The kernel's names, which differ little between versions; in the order in which a function is looked for in them. */
const PARTS = {
  copying:
    /^(?:(?:__pi_)?mem(?:cpy|move)|rep_movs|_copy_from_iter|copy_user_generic|pskb_expand_head|___pskb_trim|skb_copy|csum_partial|skb_splice)/,
  'other tracing':
    /^(?:bpf_probe_read|bpf_trace_run|lookup_nulls_elem_raw|__htab_map_lookup|kprobe_|ftrace_)/,
  'link and receiver':
    /^(?:bpf_prog_\w+_(?:sink|steal|sink_xdp)$|veth_|net_rx_action|__napi|napi_|dev_gro|gro_|inet_gro|udp4_gro|__?netif_receive|netif_receive|tc_run|cls_bpf|__tcf_|tcf_|sk_skb_reason_drop|__dev_forward_skb|skb_defer|enqueue_to_backlog|process_backlog|xdp_build_skb|__xdp_build_skb|build_skb)/,
  cloning:
    /^(?:skb_clone|__skb_clone|__copy_skb_header|bpf_clone_redirect|xdpf_clone|dev_map_|bq_|xdp_do_redirect|__bpf_redirect|dev_hash_map)/,
  'our program':
    /^(?:bpf_prog_|___bpf_prog|bpf_|__bpf_|array_map|htab_|percpu_array|sk_skb_pull|skb_ensure_writable)/,
  'queueing to the device':
    /^(?:__?dev_queue_xmit|__dev_xmit|dev_queue_xmit|dev_hard_start_xmit|validate_xmit|netif_skb_features|sch_|__qdisc|qdisc|pfifo|noqueue|skb_network_protocol|dev_loopback)/,
  'IP stack': /^(?:ip_|__ip_|ipv4_|fib_|neigh_|nf_|udp_send_skb|dst_|rt_|eth_|arp_|__mkroute|inet_)/,
  socket:
    /^(?:udp_sendmsg|udp_cmsg|sock_|__sock|skb_set_owner|___?sys_send|____sys_|__sys_send|__x64_sys_send|__arm64_sys_send|copy_msghdr|import_|move_addr|_copy_from_user|security_|do_syscall|entry_SYSCALL|syscall_|x64_sys_call|el0_|fput|fdget|sendmsg|inet_send|aa_|apparmor_)/,
  'interrupts and scheduling':
    /^(?:handle_softirqs|__do_softirq|do_softirq|__local_bh|irq_|__irq_|asm_|sysvec_|common_interrupt|hrtimer|__hrtimer|tick_|schedule|__schedule|try_to_wake|finish_task|ttwu|smpboot|run_ksoftirqd|futex|__wake_up|ep_|do_epoll)/,
} as const satisfies Readonly<Record<string, RegExp>>;

export type Part = keyof typeof PARTS | 'user space' | 'other';
export const PART_NAMES = [...Object.keys(PARTS), 'user space', 'other'] as Part[];

/** Functions of a kernel that was entered from a program, beneath all others of the kernel. */
const KERNEL_ENTRY =
  /^(?:entry_SYSCALL|asm_|el0_|do_syscall_64|ret_from_fork|common_startup|secondary_startup)/;

/** Innermost first; programs' functions have no names here that the kernel's could be taken for. */
export function partOf(stack: Stack): Part {
  for (const frame of stack) {
    const part = Object.entries(PARTS).find(([, functions]) => functions.test(frame));
    if (part) return part[0] as Part;
  }
  return stack.some((frame) => KERNEL_ENTRY.test(frame)) ? 'other' : 'user space';
}

/** How many samples there are of each part. */
export function fold(stacks: readonly Stack[]): Record<Part, number> {
  const counts = Object.fromEntries(PART_NAMES.map((name) => [name, 0])) as Record<Part, number>;
  for (const stack of stacks) counts[partOf(stack)]++;
  return counts;
}
