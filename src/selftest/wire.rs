//! A packet of the model as bytes on a wire, with correct checksums: a wrong one makes the connection tracker call it invalid.

use crate::packet::{Family, Field, Packet, addr, proto};
use std::net::IpAddr;

/// The IP packet. `id` is written into the identification (IPv4) or the flow label (IPv6), `class` is the traffic class.
pub fn ip_packet(packet: &Packet, id: u32, class: u8) -> Vec<u8> {
    let value = |f| packet.get(f).unwrap_or(0);
    let (src, dst) = (octets(value(Field::Src)), octets(value(Field::Dst)));
    let proto = packet.proto();
    let payload = payload(packet, &src, &dst);
    let mut out = Vec::with_capacity(40 + payload.len());
    match packet.family() {
        Family::V4 => {
            out.extend([0x45, class]);
            out.extend((20 + payload.len() as u16).to_be_bytes());
            out.extend((id as u16).to_be_bytes());
            out.extend([0, 0, 64, proto, 0, 0]);
            out.extend(&src);
            out.extend(&dst);
            let sum = checksum(&[&out]);
            out[10..12].copy_from_slice(&sum.to_be_bytes());
        }
        Family::V6 => {
            out.extend((6 << 28 | u32::from(class) << 20 | id & 0xf_ffff).to_be_bytes());
            out.extend((payload.len() as u16).to_be_bytes());
            out.extend([proto, 64]);
            out.extend(&src);
            out.extend(&dst);
        }
    }
    out.extend(payload);
    out
}

/// The packet in an Ethernet frame to the interface with the hardware address `to`.
pub fn frame(packet: &Packet, id: u32, class: u8, to: u64) -> Vec<u8> {
    let mac = packet.get(Field::Mac).unwrap_or(0) as u64;
    let mut out: Vec<u8> = to.to_be_bytes()[2..].to_vec();
    out.extend(&mac.to_be_bytes()[2..]);
    out.extend(match packet.family() {
        Family::V4 => [0x08, 0x00],
        Family::V6 => [0x86, 0xdd],
    });
    out.extend(ip_packet(packet, id, class));
    out
}

fn octets(value: u128) -> Vec<u8> {
    match addr::addr(value) {
        IpAddr::V4(a) => a.octets().to_vec(),
        IpAddr::V6(a) => a.octets().to_vec(),
    }
}

/// Identifier of echo packets: connections entered into the tracker name it.
pub const ECHO_ID: u16 = 0x4d2;

fn payload(packet: &Packet, src: &[u8], dst: &[u8]) -> Vec<u8> {
    let port = |f| (packet.get(f).unwrap_or(0) as u16).to_be_bytes();
    let (sport, dport) = (port(Field::Sport), port(Field::Dport));
    let p = packet.proto();
    let pseudo = |len: usize| {
        let mut head = [src, dst].concat();
        head.extend((len as u32).to_be_bytes());
        head.extend([0, 0, 0, p]);
        head
    };
    let mut out: Vec<u8> = Vec::new();
    let at = match p {
        proto::TCP => {
            out.extend([sport, dport].concat());
            out.extend([0, 0, 0, 77, 0, 0, 0, 0, 0x50, packet.get(Field::TcpFlags).unwrap_or(0) as u8]);
            out.extend([0x20, 0, 0, 0, 0, 0]);
            16
        }
        proto::UDP | proto::UDPLITE => {
            out.extend([sport, dport].concat());
            out.extend([0, 16, 0, 0]);
            out.extend([0x5a; 8]);
            6
        }
        proto::ICMP | proto::ICMPV6 => {
            out.extend((packet.get(Field::Icmp).unwrap_or(0) as u16).to_be_bytes());
            out.extend([0, 0]);
            out.extend(ECHO_ID.to_be_bytes());
            out.extend([0; 26]);
            2
        }
        proto::DCCP => {
            // A REQUEST with a long sequence number (RFC 4340, 5.1).
            out.extend([sport, dport].concat());
            out.extend([5, 0, 0, 0, 0x01, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
            6
        }
        proto::SCTP => {
            // An INIT chunk (RFC 9260, 3.3.2).
            out.extend([sport, dport].concat());
            out.extend([0; 8]);
            out.extend([1, 0, 0, 20, 0, 0, 0, 9, 0, 0, 0x80, 0, 0, 1, 0, 1, 0, 0, 0, 7]);
            let sum = crc32c(&out);
            out[8..12].copy_from_slice(&sum.to_le_bytes());
            return out;
        }
        _ => return vec![0; 24],
    };
    let sum = match (p, packet.family()) {
        (proto::ICMP, _) => checksum(&[&out]),
        _ => checksum(&[&pseudo(out.len()), &out]),
    };
    let sum = if sum == 0 && (p == proto::UDP || p == proto::UDPLITE) { 0xffff } else { sum };
    out[at..at + 2].copy_from_slice(&sum.to_be_bytes());
    out
}

/// The Internet checksum (RFC 1071) over parts of even length.
fn checksum(parts: &[&[u8]]) -> u16 {
    let mut sum = 0u32;
    for pair in parts.iter().flat_map(|p| p.chunks(2)) {
        sum += u32::from(pair[0]) << 8 | u32::from(*pair.get(1).unwrap_or(&0));
    }
    while sum >> 16 != 0 {
        sum = (sum & 0xffff) + (sum >> 16);
    }
    !(sum as u16)
}

fn crc32c(bytes: &[u8]) -> u32 {
    let mut crc = u32::MAX;
    for b in bytes {
        crc ^= u32::from(*b);
        for _ in 0..8 {
            crc = if crc & 1 == 1 { crc >> 1 ^ 0x82f6_3b78 } else { crc >> 1 };
        }
    }
    !crc
}
