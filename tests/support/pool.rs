//! The values that one random ruleset conversations about, and packets at their boundaries.

use super::bench::{INTERFACES, LOCALS};
use super::random::Random;
use havenlint::packet::{
    ConnState, Family, Field, IntervalSet, Packet, Path, Value, addr, first_state, interface_value, proto,
};

const NETS_V4: [&str; 14] = [
    "10.20.0.0/16",
    "10.20.30.0/24",
    "10.20.30.64/26",
    "10.20.30.77/32",
    "192.0.2.0/24",
    "192.0.2.128/25",
    "198.51.100.7/32",
    "203.0.113.0/28",
    "172.16.0.0/12",
    "128.0.0.0/1",
    "0.0.0.0/0",
    "10.20.31.0/24",
    "192.0.2.1/32",
    "10.20.30.1/32",
];
const NETS_V6: [&str; 12] = [
    "2001:db8::/32",
    "2001:db8:1::/48",
    "2001:db8:1:2::/64",
    "2001:db8:1:2::77/128",
    "fd00::/8",
    "fc00::/7",
    "2001:db8:1:2::40/122",
    "::/0",
    "2000::/3",
    "2001:db8:a::1/128",
    "2001:db8:1:3::/64",
    "2001:db8:8000::/33",
];
const PORTS: [u16; 16] =
    [0, 1, 22, 53, 80, 443, 1023, 1024, 8080, 20080, 20081, 20082, 32768, 50000, 65534, 65535];

/// What one ruleset and the packets for it are made of.
pub struct Pool {
    /// Family of the addresses.
    pub family: Family,
    /// Prefixes as they are written.
    pub nets: Vec<String>,
    /// Ports.
    pub ports: Vec<u16>,
    /// Interface names, existing ones.
    pub interfaces: Vec<&'static str>,
    /// Hardware addresses.
    pub macs: Vec<u64>,
    /// ICMP types of the family.
    pub icmp: Vec<u8>,
    /// Protocols.
    pub protocols: Vec<u8>,
    /// Marks.
    pub marks: Vec<u32>,
}

impl Pool {
    /// A random choice.
    pub fn new(family: Family, r: &mut Random) -> Self {
        let (nets, icmp, any): (&[&str], &[u8], &[u8]) = match family {
            Family::V4 => (
                &NETS_V4,
                &[0, 3, 5, 8, 11, 13, 15, 17, 30],
                &[1, 2, 4, 33, 47, 50, 51, 58, 89, 112, 132, 136, 253],
            ),
            Family::V6 => (
                &NETS_V6,
                &[1, 2, 3, 4, 128, 129, 130, 133, 134, 135, 136, 137, 139, 143, 150, 151, 152, 153],
                &[1, 33, 47, 50, 59, 89, 103, 112, 132, 136, 253],
            ),
        };
        let mut protocols =
            vec![proto::TCP, proto::UDP, if family == Family::V4 { proto::ICMP } else { proto::ICMPV6 }];
        protocols.extend(r.some(any, 4));
        let mut interfaces: Vec<_> = INTERFACES.iter().map(|(n, _)| *n).collect();
        interfaces = r.some(&interfaces, 3);
        Pool {
            family,
            nets: r.some(nets, 6).into_iter().map(str::to_owned).collect(),
            ports: r.some(&PORTS, 5),
            interfaces,
            macs: vec![0x0200_0000_aa01, 0x0200_0000_aa02],
            icmp: r.some(icmp, 5),
            protocols,
            marks: vec![1, 2, 0x10, 0xff, 0x8000_0001],
        }
    }

    /// A prefix of the pool; sometimes with other host bits or another length.
    pub fn net(&self, r: &mut Random) -> String {
        let net = r.pick(&self.nets).clone();
        let Some((address, _)) = net.split_once('/') else { return net };
        let bits = if self.family == Family::V4 { 32 } else { 128 };
        match r.below(10) {
            0 => address.to_owned(),
            1 if address != "::" && !address.starts_with("0.") => format!("{address}/{}", r.between(8, bits)),
            _ => net,
        }
    }

    /// An address range of the pool: both ends.
    pub fn range(&self, r: &mut Random) -> (String, String) {
        let (mut a, mut b) = (self.address(r), self.address(r));
        if a > b {
            (a, b) = (b, a);
        }
        (addr::addr(a).to_string(), addr::addr(b).to_string())
    }

    /// A port, or one beside it.
    pub fn port(&self, r: &mut Random) -> u16 {
        let p = *r.pick(&self.ports);
        match r.below(6) {
            0 => p.saturating_sub(1),
            1 => p.saturating_add(1),
            _ => p,
        }
    }

    /// A port range, low end first.
    pub fn ports(&self, r: &mut Random) -> (u16, u16) {
        let (a, b) = (self.port(r), self.port(r));
        (a.min(b), a.max(b))
    }

    /// An address at or beside the boundary of a prefix, or within it.
    pub fn address(&self, r: &mut Random) -> Value {
        loop {
            let set = addr::parse(r.pick(&self.nets).as_str()).unwrap();
            let (lo, hi) = (set.first().unwrap(), set.last().unwrap());
            let v = match r.below(8) {
                0 => lo.wrapping_sub(1),
                1 | 2 => lo,
                3 => lo + 1,
                4 => hi,
                5 => hi.wrapping_add(1),
                6 => hi.wrapping_sub(1),
                _ => r.between(lo, hi),
            };
            if travels(self.family, v) {
                return v;
            }
        }
    }

    /// A packet at the boundaries. `states`: some belong to a connection.
    pub fn packet(&self, r: &mut Random, states: bool) -> Packet {
        let path = *r.weighted(&[(5, Path::Input), (4, Path::Forward), (4, Path::Output)]);
        let mut v = [0; Field::COUNT];
        let interface = |r: &mut Random| {
            let all: Vec<_> = INTERFACES.iter().map(|(n, _)| *n).collect();
            let mentioned = r.chance(80);
            let name = *r.pick(if mentioned { &self.interfaces } else { &all });
            interface_value(name).unwrap()
        };
        let lo = interface_value("lo").unwrap();
        if path != Path::Output {
            v[Field::Iif.index()] = if path == Path::Input && r.chance(12) { lo } else { interface(r) };
        }
        if path != Path::Input {
            v[Field::Oif.index()] = if path == Path::Output && r.chance(12) { lo } else { interface(r) };
        }
        let on_wire = path != Path::Output && v[Field::Iif.index()] != lo;
        v[Field::Src.index()] = self.address(r);
        v[Field::Dst.index()] = self.address(r);
        if v[Field::Iif.index()] == lo && self.family == Family::V6 {
            // The bench can make any address local, but not for what comes from lo in IPv6.
            let own: Vec<_> = locals().intersect(&Family::V6.all()).ranges().iter().map(|r| r.0).collect();
            v[Field::Dst.index()] = *r.pick(&own);
        }
        v[Field::Sport.index()] = if r.chance(40) { 40000 } else { self.port(r).into() };
        v[Field::Dport.index()] = self.port(r).into();
        if on_wire {
            v[Field::Mac.index()] = (*r.pick(&self.macs)).into();
        }
        let protocol = if r.chance(65) { self.protocols[r.below(3)] } else { *r.pick(&self.protocols) };
        v[Field::Proto.index()] = protocol.into();
        let kind = *r.pick(&self.icmp);
        v[Field::Icmp.index()] = Value::from(kind) << 8 | *r.pick(&[0, 0, 1, 4, 255]);
        let flags = match r.below(5) {
            0..3 => 0x02,
            3 => r.below(256) as u8,
            _ => *r.pick(&[0x12, 0x10, 0x04, 0x14, 0x01, 0x29, 0x00, 0x03, 0x22, 0xc2, 0x18]),
        };
        v[Field::TcpFlags.index()] = flags.into();
        let foreign =
            matches!((self.family, protocol), (Family::V4, proto::ICMPV6) | (Family::V6, proto::ICMP));
        let mut state = first_state(self.family, protocol, flags, kind);
        if states
            && r.chance(12)
            && !foreign
            && matches!(protocol, proto::TCP | proto::UDP | proto::ICMP | proto::ICMPV6)
        {
            state = *r.pick(&[ConnState::Established, ConnState::Established, ConnState::Related]);
            if matches!(protocol, proto::ICMP | proto::ICMPV6) {
                // An expected echo is nothing that a helper would make.
                state = ConnState::Established;
            }
            v[Field::TcpFlags.index()] = *r.pick(&[0x10, 0x18]);
            let echo = if protocol == proto::ICMP { 8u8 } else { 128 };
            v[Field::Icmp.index()] = Value::from(echo) << 8;
        }
        v[Field::State.index()] = state.value();
        let mark = if path == Path::Output && r.chance(20) { *r.pick(&self.marks) } else { 0 };
        Packet::from_values(path, &v, mark)
    }
}

/// The box's own addresses, as the evaluator is told them.
pub fn locals() -> IntervalSet {
    let listed = INTERFACES.iter().flat_map(|(_, a)| a.iter()).chain(LOCALS.iter());
    listed.fold(IntervalSet::EMPTY, |set, a| {
        let (address, _) = a.split_once('/').unwrap();
        set.union(&addr::parse(address).unwrap())
    })
}

/// Whether the kernel lets packets with the address travel at all.
pub fn travels(family: Family, v: Value) -> bool {
    if addr::family(v) != family {
        return false;
    }
    match family {
        Family::V4 => {
            let first = (v >> 24) as u8;
            first != 0 && first != 127 && first < 224
        }
        Family::V6 => {
            let first = (v >> 120) as u8;
            v > 0xffff && first != 0xff && first != 0xfe
        }
    }
}
