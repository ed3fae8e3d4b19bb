/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding our datagrams among all others: Ethernet, IPv4 without options or IPv6 without extension headers, UDP. */
#ifndef FANOUT_PACKET_H
#define FANOUT_PACKET_H

#include "maps.h"

#define IP_OFFSET sizeof(struct ethhdr)
#define HEADERS_V4 (IP_OFFSET + sizeof(struct iphdr) + sizeof(struct udphdr))
#define HEADERS_V6 (IP_OFFSET + sizeof(struct ipv6hdr) + sizeof(struct udphdr))
/* Offset of the UDP checksum in the frame. */
#define CHECK_AT(v6) (((v6) ? HEADERS_V6 : HEADERS_V4) - sizeof(struct udphdr) + offsetof(struct udphdr, check))
#define IP_MORE_FRAGMENTS 0x2000
#define IP_FRAGMENT_OFFSET 0x1fff
#define IPV6_FRAGMENT_OFFSET 0xfff8
#define MOST_EXTENSIONS 4 /* extension headers that are looked behind, only to count the packet as ours */

#define RTP_HEADER 12
#define RTP_START 4 /* of an RTP header: what viewers that are thinned have of their own (thin.h) */
#define RTCP_HEADER 8
#define RTP_VERSION(first_byte) ((first_byte) >> 6)

/* What viewers see instead of what the source sends (continuity.h). */
struct rewriting {
	__u32 from_ssrc;
	__u32 ssrc;
	__u32 timestamp_offset;
	__u16 seq_offset;
	bool on;
};

struct packet {
	__u32 stream;
	__u32 kind;     /* enum fanout_kind */
	__u32 generation; /* of the stream, read before the source is checked */
	__u32 begins;   /* 1: a decoder can begin with it (picture.h) */
	__u32 payload;  /* UDP payload, bytes */
	__u32 payload_at; /* offset in the frame */
	__u32 segments; /* datagrams that a GSO packet carries, else 1 */
	__u32 segment;  /* payload of each but the last */
	bool unchecked; /* it has no UDP checksum */
	struct rewriting rewriting;
	__u32 source[4]; /* as in the ABI: IPv4 mapped into IPv6 */
	__be16 source_port;
	enum fanout_drop fault;
	struct fanout_packet_layer *layer; /* of RTP, per CPU: whoever keeps it copies it; NULL: nothing is known */
};

/* ---- addresses ---------------------------------------------------------------------------------------------- */

static __always_inline void map_address(__u32 to[4], __be32 from)
{
	to[0] = to[1] = 0;
	to[2] = bpf_htonl(0xffff);
	to[3] = from;
}

static __always_inline bool is_v6(const __u8 address[16])
{
	const __u32 *a = (const __u32 *)address;

	return a[0] | a[1] | (a[2] ^ bpf_htonl(0xffff));
}

static __always_inline __be32 address_v4(const __u8 from[16])
{
	__be32 to;

	__builtin_memcpy(&to, from + 12, 4);
	return to;
}

/* Of one of ours. */
static __always_inline __u32 headers_of(const struct __sk_buff *skb)
{
	return skb->protocol == bpf_htons(ETH_P_IPV6) ? HEADERS_V6 : HEADERS_V4;
}

static __always_inline bool is_frame_v6(const struct ethhdr *eth)
{
	return eth->h_proto == bpf_htons(ETH_P_IPV6);
}

/* ---- what a packet is --------------------------------------------------------------------------------------- */

/* The packet's first bytes, contiguous; NULL: it is shorter. Some drivers leave the headers in the first fragment. */
static __always_inline void *pull(struct __sk_buff *skb, __u32 length)
{
	void *data = (void *)(long)skb->data;

	if (data + length <= (void *)(long)skb->data_end)
		return data;
	if (skb->len < length || bpf_skb_pull_data(skb, length))
		return NULL;
	data = (void *)(long)skb->data;
	return data + length <= (void *)(long)skb->data_end ? data : NULL;
}

/* What the IP header says of the datagram behind it. */
struct to_udp {
	struct fanout_listen_key key; /* the address of it */
	__u32 at;     /* offset of the UDP header in the frame */
	__u32 length; /* of the IP packet's payload */
	bool v6;
};

static __always_inline bool read_v4(struct __sk_buff *skb, struct packet *p, struct to_udp *u)
{
	struct iphdr *ip = pull(skb, HEADERS_V4);
	__u32 header, destination[4];

	if (!ip)
		return false;
	ip = (void *)ip + IP_OFFSET;
	header = ip->ihl * 4;
	if (ip->version != 4 || ip->protocol != IPPROTO_UDP || header < sizeof(*ip))
		return false;
	if (ip->frag_off & bpf_htons(IP_FRAGMENT_OFFSET))
		return false; /* no ports in it; its first fragment is counted */
	if (header != sizeof(*ip))
		p->fault = FANOUT_DROP_IP_OPTIONS;
	else if (ip->frag_off & bpf_htons(IP_MORE_FRAGMENTS))
		p->fault = FANOUT_DROP_FRAGMENT;
	map_address(p->source, ip->saddr);
	map_address(destination, ip->daddr);
	__builtin_memcpy(u->key.address, destination, sizeof(u->key.address));
	u->at = IP_OFFSET + header;
	u->length = bpf_ntohs(ip->tot_len) - header;
	return true;
}

/* RFC 8200 4: offset of the UDP header behind extension headers; 0: there is none, or no telling. */
static __always_inline __u32 behind_extensions(struct __sk_buff *skb, struct packet *p, __u8 next)
{
	struct {
		__u8 next, length; /* in units of 8 bytes, the first not counted */
		__be16 offset;     /* of a fragment */
	} e;
	__u32 at = IP_OFFSET + sizeof(struct ipv6hdr);

	for (int i = 0; i < MOST_EXTENSIONS && next != IPPROTO_UDP; i++) {
		bool fragment = next == IPPROTO_FRAGMENT;

		if (!fragment && next != IPPROTO_HOPOPTS && next != IPPROTO_ROUTING && next != IPPROTO_DSTOPTS)
			return 0;
		if (bpf_skb_load_bytes(skb, at, &e, sizeof(e)))
			return 0;
		if (fragment && e.offset & bpf_htons(IPV6_FRAGMENT_OFFSET))
			return 0; /* no ports in it; its first fragment is counted */
		p->fault = fragment ? FANOUT_DROP_FRAGMENT : FANOUT_DROP_IP_OPTIONS;
		at += fragment ? 8 : 8 + e.length * 8;
		next = e.next;
	}
	return next == IPPROTO_UDP ? at : 0;
}

static __always_inline bool read_v6(struct __sk_buff *skb, struct packet *p, struct to_udp *u)
{
	struct ipv6hdr *ip = pull(skb, HEADERS_V6);

	if (!ip)
		return false;
	ip = (void *)ip + IP_OFFSET;
	if (ip->version != 6)
		return false;
	__builtin_memcpy(p->source, &ip->saddr, sizeof(p->source));
	__builtin_memcpy(u->key.address, &ip->daddr, sizeof(u->key.address));
	u->length = bpf_ntohs(ip->payload_len);
	u->v6 = true;
	u->at = behind_extensions(skb, p, ip->nexthdr);
	return u->at;
}

/* What a GSO packet carries. Not gso_segs: where a virtual machine made it, that is 0. */
static __always_inline __u32 datagrams_in(const struct __sk_buff *skb, __u32 payload)
{
	__u32 size = skb->gso_size;

	return size && payload > size ? (payload + size - 1) / size : 1;
}

/* How many datagrams of what size; p->fault when the lengths do not fit together. */
static __always_inline void measure(struct __sk_buff *skb, struct packet *p, const struct to_udp *u,
				    const struct udphdr *udp)
{
	__u32 length = bpf_ntohs(udp->len);

	if (u->length > skb->len - u->at || length < sizeof(*udp) || length != u->length)
		p->fault = FANOUT_DROP_MALFORMED;
	p->unchecked = !udp->check;
	if (p->unchecked && u->v6)
		p->fault = FANOUT_DROP_MALFORMED; /* RFC 8200 8.1: receivers must not take it */
	p->payload_at = u->at + sizeof(*udp);
	p->payload = length - sizeof(*udp);
	p->segments = datagrams_in(skb, p->payload);
	p->segment = p->segments > 1 ? skb->gso_size : p->payload;
}

/* RFC 5761 4: RTCP's packet types from 192 to 223 are no payload types of RTP where both come to one port. */
static __always_inline __u32 kind_of(struct __sk_buff *skb, const struct packet *p)
{
	__u8 type = 0;

	if (p->payload < RTCP_HEADER || bpf_skb_load_bytes(skb, p->payload_at + 1, &type, 1))
		return FANOUT_RTP;
	return type >= 192 && type <= 223 ? FANOUT_RTCP : FANOUT_RTP;
}

/* Nearly all that comes by on a busy device: what can be told from the first bytes, before anything else is done, to be none of
 * ours. Not all of it: is_ours has the last word. */
static __always_inline bool is_surely_not_ours(const struct __sk_buff *skb, const struct fanout_global *g)
{
	const void *end = (const void *)(long)skb->data_end;
	const struct ethhdr *eth = (const void *)(long)skb->data;
	const struct ipv6hdr *v6 = (const void *)(eth + 1);
	const struct iphdr *v4 = (const void *)(eth + 1);
	const struct udphdr *udp = (const void *)(v4 + 1);
	__u16 port;

	if ((const void *)(udp + 1) > end)
		return false;
	if (eth->h_proto == bpf_htons(ETH_P_IPV6))
		return v6->nexthdr == IPPROTO_TCP;
	if (eth->h_proto != bpf_htons(ETH_P_IP) || v4->ihl != sizeof(*v4) / 4)
		return false;
	if (v4->protocol != IPPROTO_UDP)
		return true;
	port = bpf_ntohs(udp->dest);
	return port < g->first_port || port > g->last_port;
}

/* Whether the datagram is addressed to one of our streams: then `p` is filled, p->fault says what is wrong with it.
 * Touches nothing. */
static __always_inline bool is_ours(struct __sk_buff *skb, struct packet *p)
{
	struct fanout_listen *listening;
	struct to_udp u = {};
	struct udphdr udp;

	if (skb->vlan_present)
		return false; /* a tagged packet comes again, untagged, on its VLAN device */
	p->fault = FANOUT_DROP_NONE;
	p->segments = 1;
	if (skb->protocol == bpf_htons(ETH_P_IP)) {
		if (!read_v4(skb, p, &u))
			return false;
	} else if (skb->protocol != bpf_htons(ETH_P_IPV6) || !read_v6(skb, p, &u)) {
		return false;
	}
	if (bpf_skb_load_bytes(skb, u.at, &udp, sizeof(udp)))
		return false;
	u.key.port = udp.dest;
	listening = bpf_map_lookup_elem(&listen, &u.key);
	if (!listening)
		return false;
	p->stream = listening->stream;
	p->kind = listening->kind;
	p->source_port = udp.source;
	if (!p->fault)
		measure(skb, p, &u, &udp);
	if (p->kind == FANOUT_RTP_AND_RTCP)
		p->kind = p->fault ? FANOUT_RTP : kind_of(skb, p);
	return true;
}

/* RFC 3550 5.1 and 6.4.1: long enough for the fixed header, and version 2. */
static __always_inline bool is_rtp_or_rtcp(struct __sk_buff *skb, const struct packet *p)
{
	__u8 first;

	if (p->payload < (p->kind == FANOUT_RTCP ? RTCP_HEADER : RTP_HEADER))
		return false;
	return !bpf_skb_load_bytes(skb, p->payload_at, &first, 1) && RTP_VERSION(first) == 2;
}

/* The source sends to an IPv4 multicast group, where others on this host may listen, too. */
static __always_inline bool is_to_group(const struct fanout_stream *s)
{
	return !is_v6(s->local) && s->local[12] >> 4 == 0xe;
}

/* Whether it comes from the address that was negotiated with the source, and the port where one was given. Anything
 * else to our ports is a stranger's, and would reach every viewer. */
static __always_inline bool is_from_source(const struct fanout_stream *s, const struct packet *p)
{
	const __u32 *source = (const __u32 *)s->source;
	__be16 port = s->source_port[p->kind % FANOUT_KINDS];

	return p->source[0] == source[0] && p->source[1] == source[1] && p->source[2] == source[2] &&
	       p->source[3] == source[3] && (!port || port == p->source_port);
}

#define LOOPBACK_IFINDEX 1 /* in every network namespace */

static __always_inline bool is_loopback(const __u8 address[16])
{
	const __u32 *a = (const __u32 *)address;

	return is_v6(address) ? !(a[0] | a[1] | a[2] | (a[3] ^ bpf_htonl(1))) : address[12] == 127;
}

/* The IP stack lets nobody use the loopback's addresses from outside; we come before it. */
static __always_inline bool is_forged_loopback(const struct __sk_buff *skb, const struct fanout_stream *s)
{
	return is_loopback(s->source) && skb->ifindex != LOOPBACK_IFINDEX;
}

#endif
