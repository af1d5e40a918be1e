//! What to add so that a flow passes, and what to take away, in the form from which the groups came: a command of the AWS CLI for answers of the
//! API, a resource for Terraform, an entry for CloudFormation. Answers and states are never edited: they only show what is in force.

use super::inventory::{AclEntry, Entry, Form, Group, Inventory, Peer, Service};
use crate::dialect::{Missing, Suggestion};
use crate::model::{Firewall, Term};
use crate::packet::{Family, Field, IntervalSet, Region, addr, proto};
use ipnet::{IpNet, Ipv4Subnets, Ipv6Subnets};
use serde_json::{Map, Value, json};
use std::net::IpAddr;

// More prefixes, or ports, than this are not a suggestion that anybody reads.
const MAX_PARTS: usize = 16;

/// The rule to add, and where it belongs.
pub fn suggest(firewall: &Firewall, missing: &Missing<'_>) -> Option<Suggestion> {
    let inventory = firewall.native.as_ref()?.downcast_ref::<Inventory>()?;
    let chain = firewall.chain(missing.chain);
    let egress = chain.table == "egress";
    let wanted = Wanted::of(missing, egress)?;
    if let Some(acl) = inventory.acls.iter().find(|a| a.id == chain.name) {
        let denies = missing.rule.and_then(|r| chain.rules.get(r)).map(|r| r.origin);
        let stop = acl.entries.iter().find(|e| Some(e.origin) == denies && e.egress == egress);
        let form = inventory.form(acl.origin.file);
        let text = acl_entry(&acl.id, &acl.entries, stop, egress, &wanted)?;
        return (form == Form::Api).then(|| command(acl.origin.file, text));
    }
    let group = refusing(firewall, inventory, missing)?;
    let file = group.origin.file;
    Some(match inventory.form(file) {
        Form::Api => {
            let verb =
                if egress { "authorize-security-group-egress" } else { "authorize-security-group-ingress" };
            command(file, cli(verb, &group.id, wanted.permissions()))
        }
        Form::Terraform => Suggestion {
            file: file as usize,
            after_line: 0,
            text: terraform(&group.id, egress, &wanted)?,
            elsewhere: Some("add to the Terraform configuration".to_owned()),
        },
        Form::CloudFormation => {
            let list = if egress { "SecurityGroupEgress" } else { "SecurityGroupIngress" };
            Suggestion {
                file: file as usize,
                after_line: 0,
                text: cloudformation(&wanted),
                elsewhere: Some(format!("add to {list} of {} in the template", group.id)),
            }
        }
    })
}

/// The commands that put what is needed of an entry in its place: first the narrower rules, then the entry goes. `None` where the group does
/// not come from the API, or what is needed is more than a few prefixes.
pub fn narrow(inventory: &Inventory, group: &Group, entry: &Entry, needed: &[Region]) -> Option<String> {
    let last = revoke(inventory, group, entry, false)?;
    let mut joined: Vec<(u8, &IntervalSet, IntervalSet)> = Vec::new();
    for region in needed {
        let protocols = region.get(Field::Proto);
        let p = protocols.first().filter(|_| protocols.count() == 1)? as u8;
        let (ports, sources) = (region.get(Field::Dport), region.get(Field::Src));
        match joined.iter_mut().find(|j| (j.0, j.1) == (p, ports)) {
            Some(j) => j.2 = j.2.union(sources),
            None => joined.push((p, ports, sources.clone())),
        }
    }
    let mut permissions = Vec::new();
    for (protocol, ports, sources) in joined {
        permissions.extend(Wanted::new(protocol, ports, &sources)?.permissions());
    }
    if permissions.is_empty() {
        return Some(last);
    }
    Some(format!("{}\n{last}", cli("authorize-security-group-ingress", &group.id, permissions)))
}

// The command that takes an entry of a group away; `None` where it does not come from the API, or was not understood.
fn revoke(inventory: &Inventory, group: &Group, entry: &Entry, egress: bool) -> Option<String> {
    if inventory.form(group.origin.file) != Form::Api || !group.id.starts_with("sg-") {
        return None;
    }
    let mut permission = service(&entry.service)?;
    let (list, item) = match &entry.peer {
        Peer::Net(IpNet::V4(n)) => ("IpRanges", json!({"CidrIp": n.to_string()})),
        Peer::Net(IpNet::V6(n)) => ("Ipv6Ranges", json!({"CidrIpv6": n.to_string()})),
        Peer::PrefixList(id) => ("PrefixListIds", json!({"PrefixListId": id})),
        Peer::Group(r) if !r.group.is_empty() => {
            let mut pair = Map::new();
            pair.insert("GroupId".to_owned(), json!(r.group));
            if let Some(owner) = &r.owner {
                pair.insert("UserId".to_owned(), json!(owner));
            }
            ("UserIdGroupPairs", Value::Object(pair))
        }
        Peer::Group(_) | Peer::Unknown(..) => return None,
    };
    permission.insert(list.to_owned(), json!([item]));
    let verb = if egress { "revoke-security-group-egress" } else { "revoke-security-group-ingress" };
    Some(cli(verb, &group.id, vec![Value::Object(permission)]))
}

// A flow in the words of the API.
struct Wanted {
    protocol: u8,
    // Destination ports, of protocols that have them.
    ports: Vec<(u16, u16)>,
    peers: Vec<IpNet>,
}

impl Wanted {
    fn of(missing: &Missing<'_>, egress: bool) -> Option<Self> {
        let region = missing.region;
        let protocols = region.get(Field::Proto);
        let protocol = protocols.first().filter(|_| protocols.count() == 1)? as u8;
        let peer = if egress { Field::Dst } else { Field::Src };
        Self::new(protocol, region.get(Field::Dport), region.get(peer))
    }

    fn new(protocol: u8, ports: &IntervalSet, peers: &IntervalSet) -> Option<Self> {
        let ported = [proto::TCP, proto::UDP].contains(&protocol);
        let ports = ports.ranges();
        let ports =
            if ported { ports.iter().map(|(a, b)| (*a as u16, *b as u16)).collect() } else { Vec::new() };
        let peers = prefixes(peers);
        (!peers.is_empty() && peers.len() * ports.len().max(1) <= MAX_PARTS).then_some(Self {
            protocol,
            ports,
            peers,
        })
    }

    // One service for each range of ports.
    fn services(&self) -> Vec<Service> {
        let p = self.protocol;
        match p {
            proto::TCP | proto::UDP => self.ports.iter().map(|(a, b)| Service::Ports(p, *a, *b)).collect(),
            proto::ICMP | proto::ICMPV6 => vec![Service::Icmp(p, None, None)],
            _ => vec![Service::Protocol(p)],
        }
    }

    fn permissions(&self) -> Vec<Value> {
        let of = |v6: bool, key: &str| -> Vec<Value> {
            let nets = self.peers.iter().filter(|n| n.addr().is_ipv6() == v6);
            nets.map(|n| json!({key: n.to_string()})).collect()
        };
        let (v4, v6) = (of(false, "CidrIp"), of(true, "CidrIpv6"));
        let one = |s: &Service| {
            let mut permission = service(s)?;
            for (list, items) in [("IpRanges", &v4), ("Ipv6Ranges", &v6)] {
                if !items.is_empty() {
                    permission.insert(list.to_owned(), json!(items));
                }
            }
            Some(Value::Object(permission))
        };
        self.services().iter().filter_map(one).collect()
    }
}

// Protocol and ports as members of an IpPermission.
fn service(s: &Service) -> Option<Map<String, Value>> {
    let (protocol, ports) = match s {
        Service::All => ("-1".to_owned(), None),
        Service::Ports(p, a, b) => (proto::name(*p), Some((i32::from(*a), i32::from(*b)))),
        Service::Icmp(p, kind, code) => {
            let all = |v: &Option<u8>| v.map_or(-1, i32::from);
            let name = if *p == proto::ICMP { "icmp" } else { "icmpv6" };
            (name.to_owned(), Some((all(kind), all(code))))
        }
        Service::Protocol(p) => (p.to_string(), None),
        Service::Unknown(..) => return None,
    };
    let mut out = Map::new();
    out.insert("IpProtocol".to_owned(), json!(protocol));
    if let Some((from, to)) = ports {
        out.insert("FromPort".to_owned(), json!(from));
        out.insert("ToPort".to_owned(), json!(to));
    }
    Some(out)
}

// The group whose implicit refusal stops the flow.
fn refusing<'i>(firewall: &Firewall, inventory: &'i Inventory, missing: &Missing<'_>) -> Option<&'i Group> {
    let rule = firewall.chain(missing.chain).rules.get(missing.rule?)?;
    let Some(Term::Label(label)) = firewall.terms(rule.terms).first() else { return None };
    inventory.group(firewall.labels.get(label.index())?).filter(|g| g.described)
}

fn command(file: u32, text: String) -> Suggestion {
    Suggestion { file: file as usize, after_line: 0, text, elsewhere: Some("run".to_owned()) }
}

// JSON holds no single quote here: ids, names of protocols and prefixes only.
fn cli(verb: &str, group: &str, permissions: Vec<Value>) -> String {
    format!("aws ec2 {verb} --group-id {group} --ip-permissions '{}'", Value::Array(permissions))
}

// An entry before the one that stops the flow (before 32767, the implicit last one, if none does), with a number that is free.
fn acl_entry(
    acl: &str,
    entries: &[AclEntry],
    stop: Option<&AclEntry>,
    egress: bool,
    wanted: &Wanted,
) -> Option<String> {
    let end = stop.map_or(32767, |e| e.number.min(32767));
    let used = |n: u32| entries.iter().any(|e| e.egress == egress && e.number == n);
    let mut free = (1..end).rev().filter(|n| !used(*n));
    let mut lines = Vec::new();
    for s in wanted.services() {
        for net in &wanted.peers {
            let direction = if egress { "egress" } else { "ingress" };
            let cidr = if net.addr().is_ipv6() { "ipv6-cidr-block" } else { "cidr-block" };
            let detail = match &s {
                Service::Ports(_, a, b) => format!(" --port-range From={a},To={b}"),
                Service::Icmp(..) => " --icmp-type-code Type=-1,Code=-1".to_owned(),
                _ => String::new(),
            };
            lines.push(format!(
                "aws ec2 create-network-acl-entry --network-acl-id {acl} --{direction} --rule-number {} --protocol {}{detail} --{cidr} {net} --rule-action allow",
                free.next()?,
                wanted.protocol,
            ));
        }
    }
    Some(lines.join("\n"))
}

fn terraform(group: &str, egress: bool, wanted: &Wanted) -> Option<String> {
    let direction = if egress { "egress" } else { "ingress" };
    let id = match group {
        sg if sg.starts_with("sg-") => format!("\"{sg}\""),
        // A resource of a module cannot be named from outside.
        address if address.starts_with("aws_security_group.") => format!("{address}.id"),
        _ => return None,
    };
    let mut out = Vec::new();
    for s in wanted.services() {
        let permission = service(&s)?;
        let protocol = permission.get("IpProtocol")?.as_str()?.to_owned();
        for net in &wanted.peers {
            let n = out.len() + 1;
            let mut block = format!(
                "resource \"aws_vpc_security_group_{direction}_rule\" \"allow_{protocol}_{n}\" {{\n  security_group_id = {id}\n  ip_protocol       = \"{protocol}\"\n"
            );
            for (key, member) in [("from_port        ", "FromPort"), ("to_port          ", "ToPort")] {
                if let Some(v) = permission.get(member) {
                    block += &format!("  {key} = {v}\n");
                }
            }
            let family = if net.addr().is_ipv6() { "cidr_ipv6" } else { "cidr_ipv4" };
            block += &format!("  {family}         = \"{net}\"\n}}");
            out.push(block);
        }
    }
    Some(out.join("\n\n"))
}

fn cloudformation(wanted: &Wanted) -> String {
    let mut out = Vec::new();
    for permission in wanted.services().iter().filter_map(service) {
        for net in &wanted.peers {
            let mut one = permission.clone();
            let key = if net.addr().is_ipv6() { "CidrIpv6" } else { "CidrIp" };
            one.insert(key.to_owned(), json!(net.to_string()));
            out.push(Value::Object(one).to_string());
        }
    }
    out.join(",\n")
}

/// The fewest prefixes that are exactly a set.
fn prefixes(set: &IntervalSet) -> Vec<IpNet> {
    if set.covers(&Family::V6.all()) {
        // The IPv6 space has a hole where IPv4 stands; the API knows it as one prefix.
        let mut out = vec![IpNet::V6(ipnet::Ipv6Net::default())];
        out.extend(prefixes(&set.intersect(&Family::V4.all())));
        return out;
    }
    let mut out = Vec::new();
    for family in Family::ALL {
        for (lo, hi) in set.intersect(&family.all()).ranges() {
            match (addr::addr(*lo), addr::addr(*hi)) {
                (IpAddr::V4(a), IpAddr::V4(b)) => {
                    out.extend(Ipv4Subnets::new(a, b, 0).take(MAX_PARTS + 1).map(IpNet::V4));
                }
                (IpAddr::V6(a), IpAddr::V6(b)) => {
                    out.extend(Ipv6Subnets::new(a, b, 0).take(MAX_PARTS + 1).map(IpNet::V6));
                }
                _ => {}
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_as_prefixes() {
        let of =
            |t: &str| prefixes(&addr::parse(t).unwrap()).iter().map(IpNet::to_string).collect::<Vec<_>>();
        assert_eq!(of("10.0.0.1-10.0.0.6"), ["10.0.0.1/32", "10.0.0.2/31", "10.0.0.4/31", "10.0.0.6/32"]);
        assert_eq!(of("0.0.0.0/0"), ["0.0.0.0/0"]);
        assert_eq!(of("2001:db8::/64"), ["2001:db8::/64"]);
        let everything = prefixes(&Family::V4.all().union(&Family::V6.all()));
        assert_eq!(everything.len(), 2);
    }
}
