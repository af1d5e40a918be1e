//! Ground truth: random clouds, judged by a second reader and evaluator that shares nothing with the program but the packet type.
//!
//! It reads the documents with serde_json and answers by plain loops over groups, permissions and peers, as the EC2 documentation
//! states the rules.

use crate::common::{problems, read_with, trace};
use havenlint::analysis::decide::{Question, decide};
use havenlint::analysis::{Environment, Point, Verdict};
use havenlint::model::Firewall;
use havenlint::packet::{ConnState, Field, IntervalSet, Packet, Path, Region, addr};
use serde_json::{Value, json};
use std::net::IpAddr;

/// A small deterministic generator (xorshift64*).
struct Random(u64);

impl Random {
    fn below(&mut self, n: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % n
    }
    fn pick<'t, T>(&mut self, of: &'t [T]) -> &'t T {
        let i = self.below(of.len());
        &of[i]
    }
    fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

const V4: [&str; 12] = [
    "0.0.0.0/0",
    "0.0.0.0/1",
    "128.0.0.0/1",
    "10.0.0.0/8",
    "10.0.0.0/24",
    "10.0.0.128/25",
    "10.0.0.7/32",
    "192.168.0.0/16",
    "198.51.100.0/24",
    "203.0.113.64/26",
    "100.64.0.0/10",
    "255.255.255.255/32",
];
const V6: [&str; 6] =
    ["::/0", "2000::/3", "2001:db8::/32", "2001:db8:1::/64", "2001:db8:1::7/128", "fd00::/8"];
const PORTS: [u16; 8] = [0, 1, 22, 23, 443, 1024, 20082, 65535];

struct World {
    groups: Value,
    interfaces: Value,
    lists: Value,
    acls: Value,
    subnets: Value,
    complete: bool,
}

fn permission(r: &mut Random, groups: usize) -> Value {
    let mut p = match r.below(9) {
        0 => json!({"IpProtocol": "-1"}),
        1 => json!({"IpProtocol": "-1", "FromPort": 22, "ToPort": 22}),
        2 => json!({"IpProtocol": "icmp", "FromPort": *r.pick(&[-1, 3, 8]), "ToPort": -1}),
        3 => json!({"IpProtocol": "icmp", "FromPort": 3, "ToPort": *r.pick(&[0, 4])}),
        4 => match r.below(3) {
            0 => json!({"IpProtocol": "icmpv6"}),
            1 => json!({"IpProtocol": "icmpv6", "FromPort": 128, "ToPort": -1}),
            _ => json!({"IpProtocol": "58", "FromPort": -1, "ToPort": -1}),
        },
        5 => json!({"IpProtocol": *r.pick(&["50", "132"]), "FromPort": 22, "ToPort": 22}),
        n => {
            let (a, b) = (*r.pick(&PORTS), *r.pick(&PORTS));
            json!({"IpProtocol": if n == 6 { "udp" } else { "tcp" }, "FromPort": a.min(b), "ToPort": a.max(b)})
        }
    };
    let some = |r: &mut Random| 1 + r.below(2);
    if r.chance(50) {
        p["IpRanges"] = (0..some(r)).map(|_| json!({"CidrIp": *r.pick(&V4)})).collect();
    }
    if r.chance(40) {
        p["Ipv6Ranges"] = (0..some(r)).map(|_| json!({"CidrIpv6": *r.pick(&V6)})).collect();
    }
    if r.chance(15) {
        p["PrefixListIds"] = json!([{"PrefixListId": format!("pl-{}", r.below(3))}]);
    }
    if r.chance(40) {
        let mut pair = json!({"GroupId": format!("sg-{}", r.below(groups + 1))});
        if r.chance(30) {
            pair["VpcPeeringConnectionId"] = json!("pcx-1");
            if r.chance(80) {
                pair["PeeringStatus"] = json!(*r.pick(&["active", "deleted"]));
            }
        }
        p["UserIdGroupPairs"] = json!([pair]);
    }
    p
}

fn world(r: &mut Random) -> World {
    let n = 1 + r.below(5);
    let two_vpcs = r.chance(30);
    let vpc = |r: &mut Random| format!("vpc-{}", if two_vpcs { r.below(2) } else { 0 });
    let groups: Vec<Value> = (0..n)
        .map(|i| {
            let mut g = json!({"GroupId": format!("sg-{i}"), "VpcId": vpc(r)});
            for key in ["IpPermissions", "IpPermissionsEgress"] {
                if r.chance(95) {
                    g[key] = (0..r.below(4)).map(|_| permission(r, n)).collect();
                }
            }
            g
        })
        .collect();
    let interfaces: Vec<Value> = (0..r.below(5))
        .map(|i| {
            // Sometimes a group is attached to one of them that nothing describes.
            let many = 1 + r.below(3);
            let range = if r.chance(5) { n + 1 } else { n };
            let mut attached: Vec<_> = (0..many).map(|_| r.below(range)).collect();
            attached.sort_unstable();
            attached.dedup();
            let mut e = json!({
                "NetworkInterfaceId": format!("eni-{i}"), "VpcId": vpc(r), "SubnetId": format!("subnet-{}", i % 2),
                "Groups": attached.iter().map(|g| json!({"GroupId": format!("sg-{g}")})).collect::<Value>(),
                "PrivateIpAddress": format!("10.0.{}.{}", i % 2, 7 + i),
                "PrivateIpAddresses": [{"PrivateIpAddress": format!("10.0.{}.{}", i % 2, 7 + i), "Association": {"PublicIp": "198.51.100.9"}}],
            });
            if r.chance(50) {
                e["Ipv6Addresses"] = json!([{"Ipv6Address": format!("2001:db8:1::{}", 7 + i)}]);
            }
            if r.chance(20) {
                e["Ipv4Prefixes"] = json!([{"Ipv4Prefix": format!("10.0.{}.{}/28", i % 2, 128 + 16 * i)}]);
            }
            e
        })
        .collect();
    let lists = json!([{"PrefixListId": "pl-0", "Cidrs": ["203.0.113.0/24", "2001:db8::/32"]}, {"PrefixListId": "pl-1", "Cidrs": ["0.0.0.0/0"]}]);
    let entry = |r: &mut Random, egress: bool| {
        let mut e = json!({"RuleNumber": 1 + r.below(300), "Egress": egress, "RuleAction": *r.pick(&["allow", "deny"]), "Protocol": "-1"});
        if r.chance(50) {
            e["CidrBlock"] = json!(*r.pick(&V4));
        } else {
            e["Ipv6CidrBlock"] = json!(*r.pick(&V6));
        }
        match r.below(4) {
            0 => {
                let (a, b) = (*r.pick(&PORTS), *r.pick(&PORTS));
                e["Protocol"] = json!("6");
                e["PortRange"] = json!({"From": a.min(b), "To": a.max(b)});
            }
            1 => {
                e["Protocol"] = json!("1");
                e["IcmpTypeCode"] = json!({"Type": 8, "Code": -1});
            }
            _ => {}
        }
        e
    };
    let acls: Value = if r.chance(40) {
        (0..2)
            .map(|i| {
                let mut seen = Vec::new();
                let entries: Value = (0..r.below(6))
                    .map(|_| { let egress = r.chance(50); entry(r, egress) })
                    .filter(|e| {
                        // Numbers are unique in a direction.
                        let key = (e["Egress"].clone(), e["RuleNumber"].clone());
                        let fresh = !seen.contains(&key);
                        seen.push(key);
                        fresh
                    })
                    .collect();
                json!({"NetworkAclId": format!("acl-{i}"), "Associations": [{"SubnetId": format!("subnet-{i}")}], "Entries": entries})
            })
            .collect()
    } else {
        json!([])
    };
    let subnets = json!([
        {"SubnetId": "subnet-0", "CidrBlock": "10.0.0.0/24", "Ipv6CidrBlockAssociationSet": [{"Ipv6CidrBlock": "2001:db8:1::/64"}]},
        {"SubnetId": "subnet-1", "CidrBlock": "10.0.1.0/24"}]);
    World {
        groups: groups.into(),
        interfaces: interfaces.into(),
        lists,
        acls,
        subnets,
        complete: r.chance(50),
    }
}

/// The packet, in plain types.
struct Plain {
    egress: bool,
    src: IpAddr,
    dst: IpAddr,
    proto: u8,
    dport: Option<u16>,
    icmp: Option<(u8, u8)>,
    established: bool,
}

impl Plain {
    fn peer(&self) -> IpAddr {
        if self.egress { self.dst } else { self.src }
    }
    fn own(&self) -> IpAddr {
        if self.egress { self.src } else { self.dst }
    }
}

fn in_prefix(prefix: &str, address: IpAddr) -> bool {
    let (net, len) = prefix.split_once('/').unwrap_or((prefix, if address.is_ipv4() { "32" } else { "128" }));
    let len: u32 = len.parse().unwrap();
    match (net.parse::<IpAddr>().unwrap(), address) {
        (IpAddr::V4(n), IpAddr::V4(a)) => len == 0 || (u32::from(n) ^ u32::from(a)) >> (32 - len) == 0,
        (IpAddr::V6(n), IpAddr::V6(a)) => len == 0 || (u128::from(n) ^ u128::from(a)) >> (128 - len) == 0,
        _ => false,
    }
}

fn has_address(interface: &Value, a: IpAddr) -> bool {
    let single = |v: &Value| v.as_str().is_some_and(|t| t.parse::<IpAddr>().unwrap() == a);
    let list = |name: &str, inner: &str, test: &dyn Fn(&Value) -> bool| {
        interface[name].as_array().is_some_and(|l| l.iter().any(|e| test(&e[inner])))
    };
    single(&interface["PrivateIpAddress"])
        || list("PrivateIpAddresses", "PrivateIpAddress", &single)
        || list("Ipv6Addresses", "Ipv6Address", &single)
        || list("Ipv4Prefixes", "Ipv4Prefix", &|p| in_prefix(p.as_str().unwrap(), a))
}

fn is_attached(interface: &Value, group: &str) -> bool {
    interface["Groups"].as_array().unwrap().iter().any(|g| g["GroupId"] == group)
}

fn rows(v: &Value) -> impl Iterator<Item = &Value> {
    v.as_array().into_iter().flatten()
}

/// Whether a rule's protocol and ports fit.
fn service_fits(p: &Value, packet: &Plain) -> bool {
    let name = p["IpProtocol"].as_str().unwrap();
    let number = match name {
        "-1" => return true,
        "tcp" => 6,
        "udp" => 17,
        "icmp" => 1,
        "icmpv6" => 58,
        n => n.parse().unwrap(),
    };
    if packet.proto != number {
        return false;
    }
    let (from, to) = (p["FromPort"].as_i64(), p["ToPort"].as_i64());
    match number {
        6 | 17 => {
            let port = i64::from(packet.dport.unwrap());
            from.unwrap() <= port && port <= to.unwrap()
        }
        1 | 58 => {
            let (t, c) = packet.icmp.unwrap();
            from.is_none_or(|f| f == -1 || f == i64::from(t))
                && (from == Some(-1) || to.is_none_or(|f| f == -1 || f == i64::from(c)))
        }
        _ => true,
    }
}

/// Whether a peer fits: yes, no, or unknown.
fn peers_fit(w: &World, p: &Value, peer: IpAddr) -> Vec<Option<bool>> {
    let mut out = Vec::new();
    for r in rows(&p["IpRanges"]) {
        out.push(Some(in_prefix(r["CidrIp"].as_str().unwrap(), peer)));
    }
    for r in rows(&p["Ipv6Ranges"]) {
        out.push(Some(in_prefix(r["CidrIpv6"].as_str().unwrap(), peer)));
    }
    for l in rows(&p["PrefixListIds"]) {
        let list = rows(&w.lists).find(|x| x["PrefixListId"] == l["PrefixListId"]);
        out.push(list.map(|l| rows(&l["Cidrs"]).any(|c| in_prefix(c.as_str().unwrap(), peer))));
    }
    for pair in rows(&p["UserIdGroupPairs"]) {
        out.push(reference_fits(w, pair, peer));
    }
    out
}

fn reference_fits(w: &World, pair: &Value, peer: IpAddr) -> Option<bool> {
    if pair["VpcPeeringConnectionId"].is_string() {
        match pair["PeeringStatus"].as_str() {
            None => return None,
            Some("active") => {}
            Some(_) => return Some(false),
        }
    }
    let group = pair["GroupId"].as_str().unwrap();
    if rows(&w.interfaces).any(|i| is_attached(i, group) && has_address(i, peer)) {
        return Some(true);
    }
    if w.complete {
        return Some(false);
    }
    // Only an interface that no file shows could make it true: at a private or IPv6 address that no other has.
    let vpcs = rows(&w.interfaces).chain(rows(&w.groups)).map(|x| &x["VpcId"]);
    let mut distinct: Vec<&Value> = vpcs.collect();
    distinct.dedup();
    distinct.sort_by_key(|v| v.to_string());
    distinct.dedup();
    // A group that only an interface or a rule names has no VPC in the files.
    let described = |id: &Value| rows(&w.groups).any(|g| g["GroupId"] == *id);
    let named_only = rows(&w.interfaces).flat_map(|i| rows(&i["Groups"])).any(|g| !described(&g["GroupId"]));
    let taken = rows(&w.interfaces).any(|i| has_address(i, peer));
    if distinct.len() == 1 && !named_only && taken {
        return Some(false);
    }
    let possible = peer.is_ipv6()
        || ["10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "100.64.0.0/10"]
            .iter()
            .any(|n| in_prefix(n, peer));
    if possible { None } else { Some(false) }
}

/// The groups' verdict.
fn groups_say(w: &World, attached: &[String], packet: &Plain) -> Verdict {
    if packet.established {
        return Verdict::Accept;
    }
    let mut unknown = false;
    for id in attached {
        let Some(group) = rows(&w.groups).find(|g| g["GroupId"] == **id) else {
            unknown = true;
            continue;
        };
        let list = &group[if packet.egress { "IpPermissionsEgress" } else { "IpPermissions" }];
        unknown |= list.is_null();
        for p in rows(list).filter(|p| service_fits(p, packet)) {
            for fit in peers_fit(w, p, packet.peer()) {
                match fit {
                    Some(true) => return Verdict::Accept,
                    Some(false) => {}
                    None => unknown = true,
                }
            }
        }
    }
    if unknown { Verdict::Undecided } else { Verdict::Drop }
}

/// The network ACL's verdict.
fn acl_says(w: &World, packet: &Plain) -> bool {
    let inside = |s: &Value, a| {
        in_prefix(s["CidrBlock"].as_str().unwrap(), a)
            || rows(&s["Ipv6CidrBlockAssociationSet"])
                .any(|p| in_prefix(p["Ipv6CidrBlock"].as_str().unwrap(), a))
    };
    let Some(subnet) = rows(&w.subnets).find(|s| inside(s, packet.own())) else { return true };
    if inside(subnet, packet.peer()) {
        return true;
    }
    let Some(acl) =
        rows(&w.acls).find(|a| rows(&a["Associations"]).any(|x| x["SubnetId"] == subnet["SubnetId"]))
    else {
        return true;
    };
    let mut entries: Vec<&Value> = rows(&acl["Entries"]).filter(|e| e["Egress"] == packet.egress).collect();
    entries.sort_by_key(|e| e["RuleNumber"].as_i64());
    for e in entries {
        let fits_protocol = match e["Protocol"].as_str().unwrap() {
            "-1" => true,
            "6" => {
                let port = packet.dport.map(i64::from);
                packet.proto == 6
                    && e["PortRange"]["From"].as_i64() <= port
                    && port <= e["PortRange"]["To"].as_i64()
            }
            _ => packet.proto == 1 && packet.icmp.is_some_and(|(t, _)| t == 8),
        };
        let prefix = e["CidrBlock"].as_str().or(e["Ipv6CidrBlock"].as_str()).unwrap();
        if fits_protocol && in_prefix(prefix, packet.peer()) {
            return e["RuleAction"] == "allow";
        }
    }
    false
}

/// The verdict on a packet at an interface with declared groups, or at the one that has the packet's own address.
fn expected(w: &World, declared: Option<&[String]>, packet: &Plain) -> Option<Verdict> {
    let attached: Vec<String> = match declared {
        Some(g) => g.to_vec(),
        None => {
            let mut at = rows(&w.interfaces).filter(|i| has_address(i, packet.own()));
            let one = at.next()?;
            if at.next().is_some() {
                return None;
            }
            rows(&one["Groups"]).map(|g| g["GroupId"].as_str().unwrap().to_owned()).collect()
        }
    };
    let groups = groups_say(w, &attached, packet);
    Some(if acl_says(w, packet) { groups } else { Verdict::Drop })
}

fn address(r: &mut Random, w: &World, v6: bool) -> IpAddr {
    if r.chance(40)
        && let Some(i) = w.interfaces.as_array().filter(|l| !l.is_empty()).map(|l| r.pick(l))
    {
        let text = if v6 { &i["Ipv6Addresses"][0]["Ipv6Address"] } else { &i["PrivateIpAddress"] };
        if let Some(t) = text.as_str() {
            return t.parse().unwrap();
        }
    }
    // The first or last address of a prefix, or one beside it.
    let prefix = if v6 { *r.pick(&V6) } else { *r.pick(&V4) };
    let net: ipnet::IpNet = prefix.parse().unwrap();
    let edge = if r.chance(50) { net.network() } else { net.broadcast() };
    let step: i8 = *r.pick(&[-1, 0, 0, 1]);
    match edge {
        IpAddr::V4(a) => IpAddr::V4(u32::from(a).wrapping_add_signed(step.into()).into()),
        IpAddr::V6(a) => IpAddr::V6(u128::from(a).wrapping_add_signed(step.into()).into()),
    }
}

fn packet(r: &mut Random, w: &World, own: Option<IpAddr>) -> Plain {
    let v6 = own.map_or_else(|| r.chance(40), |a| a.is_ipv6());
    let proto = *r.pick(&[6, 6, 6, 17, 1, 58, 50, 132]);
    let egress = r.chance(40);
    let (own, peer) = (own.unwrap_or_else(|| address(r, w, v6)), address(r, w, v6));
    let (src, dst) = if egress { (own, peer) } else { (peer, own) };
    let port = *r.pick(&PORTS);
    let near = port.wrapping_add_signed(*r.pick(&[-1, 0, 0, 1]));
    Plain {
        egress,
        src,
        dst,
        proto,
        dport: [6, 17, 132].contains(&proto).then_some(near),
        icmp: [1, 58].contains(&proto).then(|| (*r.pick(&[0, 3, 8, 128]), *r.pick(&[0, 4]))),
        established: r.chance(5),
    }
}

fn as_packet(p: &Plain) -> Packet {
    let mut v = json!({"dir": if p.egress { "egress" } else { "ingress" }, "src": p.src, "dst": p.dst, "proto": p.proto,
        "ct": if p.established { "established" } else { "new" }});
    if let Some(port) = p.dport {
        v["dport"] = json!(port);
    }
    if let Some((t, c)) = p.icmp {
        v["icmp_type"] = json!(t);
        v["icmp_code"] = json!(c);
    }
    serde_json::from_value(v).unwrap()
}

/// What a decision about a whole region, all peers of a flow, says of one of its packets.
fn decided(firewall: &Firewall, declared: Option<&[String]>, packet: &Packet) -> Verdict {
    let environment = Environment { labels: declared.map(<[String]>::to_vec), ..Environment::default() };
    let firewalls = [firewall];
    let point = Point { firewalls: &firewalls, environment: &environment };
    let peer = if packet.path == Path::Ingress { Field::Src } else { Field::Dst };
    let mut region = Region::all(packet.family());
    for field in Field::ALL.into_iter().filter(|f| *f != peer) {
        if let Some(v) = packet.get(field) {
            region = region.with(field, IntervalSet::single(v));
        }
    }
    let answer = decide(&Question { point, path: packet.path, region, mark: 0, delivered_to: None });
    let lists = [
        (answer.accepted, Verdict::Accept),
        (answer.denied, Verdict::Drop),
        (answer.undecided, Verdict::Undecided),
    ];
    let mut with = lists.iter().filter(|(l, _)| l.iter().any(|p| p.region.contains(packet))).map(|(_, v)| *v);
    let verdict = with.next().expect("the packet is in a part");
    assert_eq!(with.next(), None, "and in no other");
    verdict
}

#[test]
fn agrees_with_plain_loops() {
    let mut r = Random(0x9e37_79b9_7f4a_7c15);
    let mut seen = [0usize; 3];
    let mut by_address = 0usize;
    for round in 0..600 {
        let w = world(&mut r);
        let documents = [
            json!({"SecurityGroups": w.groups}).to_string(),
            json!({"NetworkInterfaces": w.interfaces}).to_string(),
            json!({"PrefixLists": w.lists}).to_string(),
            json!({"NetworkAcls": w.acls}).to_string(),
            json!({"Subnets": w.subnets}).to_string(),
        ];
        let texts: Vec<&str> = documents.iter().map(String::as_str).collect();
        let firewall = read_with(&texts, w.complete);
        assert_eq!(problems(&firewall), Vec::<String>::new());
        let groups = w.groups.as_array().unwrap().len();
        for _ in 0..40 {
            let interface =
                w.interfaces.as_array().filter(|l| !l.is_empty() && r.chance(40)).map(|l| r.pick(l).clone());
            let own = interface.map(|i| i["PrivateIpAddress"].as_str().unwrap().parse().unwrap());
            let declared: Option<Vec<String>> = if own.is_some() {
                None
            } else {
                Some((0..1 + r.below(3)).map(|_| format!("sg-{}", r.below(groups))).collect())
            };
            let plain = packet(&mut r, &w, own);
            let Some(expected) = expected(&w, declared.as_deref(), &plain) else { continue };
            let names: Option<Vec<&str>> = declared.as_ref().map(|d| d.iter().map(String::as_str).collect());
            let asked = as_packet(&plain);
            let got = trace(&firewall, names.as_deref(), &asked);
            assert_eq!(
                got.verdict,
                expected,
                "round {round}: {asked} at {declared:?}, complete: {}\n{}",
                w.complete,
                documents.join("\n")
            );
            seen[expected as usize] += 1;
            by_address += usize::from(declared.is_none());
            // A decision about a region costs more than a packet: in one round of four.
            if round % 4 == 0 {
                let region = decided(&firewall, declared.as_deref(), &asked);
                assert_eq!(region, expected, "round {round}: region with {asked}");
            }
        }
    }
    // The comparison is worth something only if every answer is common.
    assert!(
        seen.iter().all(|n| *n > 1000) && seen.iter().sum::<usize>() > 10_000 && by_address > 2000,
        "{seen:?} {by_address}"
    );
}

#[test]
fn packets_are_translated_faithfully() {
    let p = Plain {
        egress: false,
        src: "10.0.0.1".parse().unwrap(),
        dst: "10.0.0.2".parse().unwrap(),
        proto: 6,
        dport: Some(22),
        icmp: None,
        established: false,
    };
    let q = as_packet(&p);
    assert_eq!((q.get(Field::Dport), q.state()), (Some(22), ConnState::New));
    assert_eq!(q.get(Field::Src).map(addr::addr), Some(p.src));
}
