/* SPDX-License-Identifier: GPL-2.0-only */
/* Finding our datagrams among all others: Ethernet, IPv4 without options, UDP. */
#ifndef FANOUT_PACKET_H
#define FANOUT_PACKET_H

#include "maps.h"

#define HEADERS (sizeof(struct ethhdr) + sizeof(struct iphdr) + sizeof(struct udphdr))
#define IP_OFFSET sizeof(struct ethhdr)
#define UDP_OFFSET (IP_OFFSET + sizeof(struct iphdr))
#define UDP_CHECK_OFFSET (UDP_OFFSET + offsetof(struct udphdr, check))
#define IP_MORE_FRAGMENTS 0x2000
#define IP_FRAGMENT_OFFSET 0x1fff

#define RTP_HEADER 12
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
	__u32 segments; /* datagrams that a GSO packet carries, else 1 */
	__u32 segment;  /* payload of each but the last */
	struct rewriting rewriting;
	__be32 source;
	__be16 source_port;
	enum fanout_drop fault;
};

static __always_inline void map_address(__u8 to[16], __be32 from)
{
	__builtin_memset(to, 0, 10);
	to[10] = to[11] = 0xff;
	__builtin_memcpy(to + 12, &from, 4);
}

static __always_inline __be32 address_v4(const __u8 from[16])
{
	__be32 to;

	__builtin_memcpy(&to, from + 12, 4);
	return to;
}

/* Whether the datagram is addressed to one of our streams: then `p` is filled, p->fault says what is wrong with it.
 * Touches nothing. */
static __always_inline bool is_ours(struct __sk_buff *skb, struct packet *p)
{
	void *data = (void *)(long)skb->data, *end = (void *)(long)skb->data_end;
	struct fanout_listen_key key = {};
	struct fanout_listen *listening;
	struct iphdr *ip;
	struct udphdr *udp;
	__u32 ip_header, ip_length;

	if (skb->protocol != bpf_htons(ETH_P_IP) || skb->vlan_present)
		return false; /* a tagged packet comes again, untagged, on its VLAN device */
	if (data + HEADERS > end) {
		/* Some drivers leave the headers in the first fragment. */
		if (skb->len < HEADERS || bpf_skb_pull_data(skb, HEADERS))
			return false;
		data = (void *)(long)skb->data;
		end = (void *)(long)skb->data_end;
		if (data + HEADERS > end)
			return false;
	}
	ip = data + IP_OFFSET;
	if (ip->version != 4 || ip->protocol != IPPROTO_UDP)
		return false;
	if (ip->frag_off & bpf_htons(IP_FRAGMENT_OFFSET))
		return false; /* no ports in it; its first fragment is counted */
	ip_header = ip->ihl * 4;
	if (ip_header < sizeof(*ip))
		return false;
	udp = data + UDP_OFFSET;
	if (ip_header != sizeof(*ip)) {
		struct udphdr beyond;

		if (bpf_skb_load_bytes(skb, IP_OFFSET + ip_header, &beyond, sizeof(beyond)))
			return false;
		key.port = beyond.dest;
		p->source_port = beyond.source;
	} else {
		key.port = udp->dest;
		p->source_port = udp->source;
	}
	map_address(key.address, ip->daddr);
	listening = bpf_map_lookup_elem(&listen, &key);
	if (!listening)
		return false;

	p->stream = listening->stream;
	p->kind = listening->kind;
	p->source = ip->saddr;
	p->segments = 1;
	p->fault = FANOUT_DROP_NONE;
	if (ip_header != sizeof(*ip)) {
		p->fault = FANOUT_DROP_IP_OPTIONS;
		return true;
	}
	if (ip->frag_off & bpf_htons(IP_MORE_FRAGMENTS)) {
		p->fault = FANOUT_DROP_FRAGMENT;
		return true;
	}
	ip_length = bpf_ntohs(ip->tot_len);
	p->payload = bpf_ntohs(udp->len) - sizeof(*udp);
	if (ip_length > skb->len - IP_OFFSET || bpf_ntohs(udp->len) < sizeof(*udp) ||
	    bpf_ntohs(udp->len) != ip_length - sizeof(*ip))
		p->fault = FANOUT_DROP_MALFORMED;
	p->segment = p->payload;
	if (skb->gso_size && skb->gso_segs > 1) {
		p->segments = skb->gso_segs;
		p->segment = skb->gso_size;
	}
	return true;
}

/* RFC 3550 5.1 and 6.4.1: long enough for the fixed header, and version 2. */
static __always_inline bool is_rtp_or_rtcp(struct __sk_buff *skb, const struct packet *p)
{
	__u8 first;

	if (p->payload < (p->kind == FANOUT_RTCP ? RTCP_HEADER : RTP_HEADER))
		return false;
	return !bpf_skb_load_bytes(skb, HEADERS, &first, 1) && RTP_VERSION(first) == 2;
}

/* The source sends to an IPv4 multicast group, where others on this host may listen, too. */
static __always_inline bool is_to_group(const struct fanout_stream *s)
{
	return s->local[10] == 0xff && s->local[12] >> 4 == 0xe;
}

/* Whether it comes from the address that was negotiated with the source, and the port where one was given. Anything
 * else to our ports is a stranger's, and would reach every viewer. */
static __always_inline bool is_from_source(const struct fanout_stream *s, const struct packet *p)
{
	__be16 port = s->source_port[p->kind % FANOUT_KINDS];

	return p->source == address_v4(s->source) && (!port || port == p->source_port);
}

#endif
