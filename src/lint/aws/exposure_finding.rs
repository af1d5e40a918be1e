//! Findings about exposures: where they stand, in words, with a packet that is let in.

use super::exposure::Exposure;
use super::{Piece, over};
use crate::analysis::evaluate::evaluate;
use crate::analysis::{Environment, Point, Verdict};
use crate::finding::{Finding, Open, Part};
use crate::lint::open::extent::of_class;
use crate::lint::open::sources::natural;
use crate::lint::registry::{Check, Subject};
use crate::lint::sensitive_ports::{self, Class, SensitivePort};
use crate::packet::{Family, IntervalSet, Packet, Region, addr, proto};

impl Exposure<'_> {
    /// A finding at the rule that admits most, with the others beside it and a packet that is let in.
    pub fn finding(
        &self,
        check: &Check,
        subject: &Subject<'_>,
        protocol: u8,
        ports: &IntervalSet,
        message: String,
    ) -> Finding {
        let rules = self.rules(protocol, ports);
        let first = rules.first().map_or(self.origin, |p| p.origin);
        let mut f = check.finding(subject, first, message, "lets it in");
        f.related
            .extend(rules.iter().skip(1).take(8).map(|p| subject.related(p.origin, "lets another part in")));
        f.related.push(subject.related(self.origin, self.name.clone()));
        f.details.extend(self.remarks());
        f.witness = self.witness(subject, protocol, ports, &rules).map(Box::new);
        f
    }

    /// The packets that are let in, cut to those that a finding is about. Whether something with a public address has the groups attached
    /// tells it from what nobody reaches yet.
    pub fn extent(&self, cut: &dyn Fn(&Region) -> Vec<Region>) -> Vec<Part> {
        let placed = match self.public.as_deref() {
            None => "",
            Some([]) => ", no public address",
            Some(_) => ", with a public address",
        };
        let how = format!("{}{placed}", self.groups.join(" and "));
        let regions = self.pieces.iter().flat_map(|p| cut(&p.region(self.family)));
        regions.filter(|r| !r.is_empty()).map(|r| Part::certain(r, how.clone())).collect()
    }

    /// Its row in the report's list of what is open; `None` = only partners get in.
    pub fn row(&self, subject: &Subject<'_>) -> Option<Open> {
        let first = self.pieces.iter().max_by_key(|p| p.peers.count()).map_or(self.origin, |p| p.origin);
        (!self.open.is_empty()).then(|| Open {
            subject: self.name.clone(),
            state: "open".to_owned(),
            family: self.family.number(),
            from: vec!["any".to_owned()],
            facing: "internet".to_owned(),
            reaches: self.open.words(self.family),
            services: self.open.services(),
            decided_by: subject.firewall.locate(first),
            ..Open::default()
        })
    }

    // A packet from the Internet that the evaluator lets in.
    fn witness(
        &self,
        subject: &Subject<'_>,
        protocol: u8,
        ports: &IntervalSet,
        rules: &[&Piece],
    ) -> Option<Packet> {
        let piece = rules.first()?;
        let from = addr::addr(natural(&piece.peers, self.family)?);
        let own = Some(piece.to.intersect(&self.family.all())).filter(|t| *t != self.family.all());
        let to = own.and_then(|t| t.first()).map(addr::addr).unwrap_or_else(|| match self.family {
            Family::V4 => std::net::Ipv4Addr::new(10, 0, 0, 10).into(),
            Family::V6 => std::net::Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 0x10).into(),
        });
        let port = piece.ports.intersect(ports).first();
        let mut v = serde_json::json!({"dir": "ingress", "src": from, "dst": to, "proto": protocol});
        if let Some(port) = port.filter(|_| [proto::TCP, proto::UDP].contains(&protocol)) {
            v["dport"] = (port as u16).into();
        }
        if [proto::ICMP, proto::ICMPV6].contains(&protocol)
            && let Some(i) = piece.icmp.first()
        {
            v["icmp_type"] = ((i >> 8) as u8).into();
            v["icmp_code"] = (i as u8).into();
        }
        let mut packet: Packet = serde_json::from_value(v).ok()?;
        packet.groups = Some(self.groups.iter().map(|g| (*g).to_owned()).collect());
        let environment = Environment { labels: packet.groups.clone(), ..subject.environment.clone() };
        let firewalls = [subject.firewall];
        let trace = evaluate(Point { firewalls: &firewalls, environment: &environment }, &packet);
        (trace.verdict == Verdict::Accept).then_some(packet)
    }
}

/// Findings of a check for single services: every exposure by which the Internet reaches one of a class, also where it reaches everything.
pub fn open_ports(check: &Check, subject: &Subject<'_>, findings: &mut Vec<Finding>, class: Class) {
    let what = class.words();
    for exposure in subject.exposures() {
        for protocol in [proto::TCP, proto::UDP] {
            let open = exposure.open.of(protocol);
            let rows = sensitive_ports::of(class).filter(|p| p.protocol == protocol);
            let hits: Vec<(&SensitivePort, String)> =
                rows.filter_map(|p| Some((p, p.within(open)?))).collect();
            let ports = IntervalSet::from_ranges(hits.iter().flat_map(|(p, _)| p.ports().ranges().to_vec()));
            let hit = ports.intersect(open);
            if hits.is_empty() {
                continue;
            }
            let mut names: Vec<&str> = hits.iter().map(|(_, name)| name.as_str()).take(NAMED).collect();
            let more = format!("{} more", hits.len().saturating_sub(NAMED));
            if hits.len() > NAMED {
                names.push(&more);
            }
            let over = over(exposure.family);
            let message = format!(
                "{}: the Internet can reach {what} ({}) over {over}",
                exposure.name,
                names.join(", ")
            );
            let mut finding = exposure.finding(check, subject, protocol, &hit, message);
            let why =
                hits.iter().take(NAMED).map(|(p, name)| (name.clone(), format!("{} {}", p.name, p.reason)));
            finding.details.extend(why);
            finding.extent = exposure.extent(&|r| of_class(r, class));
            // Also where it opens less than everything: it may have been more.
            finding.within.push("HL-AWS-INTERNET-ALL".into());
            findings.push(finding);
        }
    }
}

// So many services of one kind a finding names.
const NAMED: usize = 6;
