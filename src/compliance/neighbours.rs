//! Neighbour discovery, as a part of every conversation over IPv6.
//!
//! Before a packet leaves by a link, its sender must know the hardware address of the next hop; it asks with a neighbour solicitation (ICMPv6 type
//! 135) to the solicited-node multicast address, and is answered with an advertisement (136) (RFC 4861, 7.2). Who is asked learns the asker's
//! hardware address from the question. Linux tracks none of these packets (`nf_conntrack_icmpv6_new`: state untracked), so no rule about
//! connections lets them through. Routers also tell theirs in advertisements (134), and learn those of others from router solicitations (133).
//!
//! The source of a question is the address of the packet that waits, if the box has it, else its link-local one (`ndisc_solicit`): a router asks
//! from a link-local address for what it forwards, a host for its own packets from a global one.

use super::conversation::{Case, Conversation, Depends, Judged, Stage, case, question};
use super::path::{Hop, interface_set};
use crate::analysis::decide::{Answer, decide};
use crate::packet::{ConnState, Family, Field, IntervalSet, Path, Region, addr, proto};

const ROUTERS: [u8; 2] = [133, 134];
const SOLICITATION: u8 = 135;
const ADVERTISEMENT: u8 = 136;

// No box has as many addresses: so many stand for "any".
const MANY_HOSTS: u128 = 1 << 64;

/// What of the conversations is left where neighbours may not find each other.
///
/// Stopped for certain is what certainly cannot work: the box never learns a neighbour's address, or no neighbour the box's. All conversations
/// pass only if all four messages do. In between the answer depends on who asks whom first.
pub fn judge(hop: &Hop<'_>, conversation: &Conversation, judged: Judged) -> Judged {
    if conversation.family != Family::V6 || judged.passed.is_empty() && judged.undecided.is_empty() {
        return judged;
    }
    let links: Vec<Link> = match hop.path {
        Path::Input => vec![Link::of(hop, &hop.iif, &conversation.dst, &conversation.src)],
        Path::Output => vec![Link::of(hop, &hop.oif, &conversation.src, &conversation.dst)],
        Path::Forward => {
            let ends = [(&hop.iif, &conversation.src), (&hop.oif, &conversation.dst)];
            ends.into_iter()
                .map(|(names, end)| {
                    // Where its own address is not known, it is one of the network that the end may be on.
                    let known = names.iter().filter_map(|n| hop.own.get(n)).next();
                    let own = known.cloned().unwrap_or_else(|| networks(end));
                    Link::of(hop, names, &own, end)
                })
                .collect()
        }
        // No cloud filters them: addresses are looked up by the network itself.
        Path::Ingress | Path::Egress => return judged,
    };
    let found: Vec<Found> = links.iter().map(|l| l.ask(hop)).collect();
    // A packet that is not wanted has to get in or out, and no more.
    let fatal = |f: &Found| match (conversation.wanted, hop.path) {
        (true, _) => f.never_learns().or_else(|| f.never_learnt()),
        (false, Path::Input) => f.never_learnt(),
        (false, Path::Output) => f.never_learns(),
        _ => None,
    };
    let doubtful = |out: &mut Judged, c: Case| {
        out.undecided.push(Case { depends: c.depends.clone().or(Some(Depends::Neighbours)), ..c });
    };
    if let Some(cause) = found.iter().find_map(fatal) {
        // A box of which no address is known may well have none in this family.
        let known = links.iter().all(|l| l.known);
        return all(judged, &cause, if known { &|out, c| out.stopped.push(c) } else { &doubtful });
    }
    match found.iter().find_map(Found::doubt).filter(|_| conversation.wanted) {
        Some(cause) => all(judged, &cause, &doubtful),
        None => judged,
    }
}

// Everything that is not stopped anyway shares one fate.
fn all(judged: Judged, cause: &Case, put: &dyn Fn(&mut Judged, Case)) -> Judged {
    let mut out = Judged { stopped: judged.stopped, ..Judged::default() };
    for c in judged.passed.into_iter().chain(judged.undecided) {
        put(&mut out, cause.cut(c.region));
    }
    out
}

// One link of a box, with those whom it may meet there.
struct Link {
    interfaces: Vec<String>,
    // The box's addresses there.
    own: IntervalSet,
    // Addresses from which neighbours ask, and at which they are asked for.
    peers: IntervalSet,
    // The box's addresses are known, or it is a gateway, which has some.
    known: bool,
    // Routers may be among the neighbours, or the box is one.
    routers: bool,
}

impl Link {
    fn of(hop: &Hop<'_>, interfaces: &[String], own: &IntervalSet, ends: &IntervalSet) -> Self {
        let local = addr::parse("fe80::/10").unwrap_or_default();
        // A gateway asks from a link-local address, for hosts and for other gateways; hosts ask it from their own.
        let router = hop.path == Path::Forward;
        // Of ends that may be anybody, a router is the neighbour.
        let far = router || ends.count() > MANY_HOSTS;
        let beside = if far { IntervalSet::EMPTY } else { on_link(own, ends) };
        let others = !beside.covers(ends);
        let peers = match () {
            () if router => ends.union(&local),
            () if others => beside.union(&local),
            () => beside.clone(),
        };
        Self {
            interfaces: interfaces.to_vec(),
            own: if router { own.union(&local) } else { own.clone() },
            peers,
            known: router || own.count() <= MANY_HOSTS,
            routers: router || others,
        }
    }

    fn ask(&self, hop: &Hop<'_>) -> Found {
        let any_node = addr::parse("ff02::1:ff00:0/104").unwrap_or_default();
        let every_node = addr::parse("ff02::1-ff02::2").unwrap_or_default();
        let local = addr::parse("fe80::/10").unwrap_or_default();
        let told = |path, kinds: [u8; 2], src: &IntervalSet, dst: &IntervalSet| {
            let field = if path == Path::Input { Field::Iif } else { Field::Oif };
            let none = IntervalSet::single(0u8);
            let declared = if self.interfaces.is_empty() { hop.interfaces } else { &self.interfaces };
            let region = Region::all(Family::V6)
                .protocol(proto::ICMPV6)
                .with(Field::Src, src.clone())
                .with(Field::Dst, dst.clone())
                .with(Field::Icmp, kinds.into_iter().map(|k| u128::from(k) << 8).collect())
                .with(Field::State, IntervalSet::single(ConnState::Untracked.value()))
                .with(Field::Iif, none.clone())
                .with(Field::Oif, none)
                .with(field, interface_set(field, declared));
            let q = question(hop, path, region, None);
            let answer = decide(&q);
            let cause = cause(&q, &answer);
            Told {
                passes: answer.denied.is_empty() && answer.undecided.is_empty(),
                fails: answer.accepted.is_empty() && answer.undecided.is_empty(),
                cause,
            }
        };
        Found {
            asked: told(Path::Input, [SOLICITATION; 2], &self.peers, &solicited_node(&self.own)),
            answers: told(Path::Output, [ADVERTISEMENT; 2], &self.own, &self.peers),
            asks: told(Path::Output, [SOLICITATION; 2], &self.own, &any_node),
            answered: told(Path::Input, [ADVERTISEMENT; 2], &self.peers, &self.own),
            from_routers: self.routers.then(|| told(Path::Input, ROUTERS, &local, &every_node)),
            to_routers: self
                .routers
                .then(|| told(Path::Output, ROUTERS, &self.own.union(&local), &every_node)),
        }
    }
}

// The networks of 64 bits that hold some addresses (RFC 4291, 2.5.4).
fn networks(of: &IntervalSet) -> IntervalSet {
    let low = u128::from(u64::MAX);
    let ranges = of.ranges().iter().filter(|(lo, _)| addr::family(*lo) == Family::V6);
    IntervalSet::from_ranges(ranges.map(|(lo, hi)| (lo & !low, hi | low)))
}

// Addresses that share a network with others: those may be on one link.
fn on_link(own: &IntervalSet, ends: &IntervalSet) -> IntervalSet {
    ends.intersect(&networks(own))
}

// `ff02::1:ffXX:XXXX` with the last 24 bits of an address (RFC 4291, 2.7.1).
fn solicited_node(own: &IntervalSet) -> IntervalSet {
    const MANY: u128 = 1 << 10;
    let base: u128 = 0xff02_0000_0000_0000_0000_0001_ff00_0000;
    let host = |v: u128| base | (v & 0xff_ffff);
    if own.count() > MANY {
        return IntervalSet::range(base, base | 0xff_ffff);
    }
    IntervalSet::from_ranges(own.ranges().iter().flat_map(|(lo, hi)| (*lo..=*hi).map(|v| (host(v), host(v)))))
}

fn cause(q: &crate::analysis::decide::Question<'_>, answer: &Answer) -> Option<Case> {
    let part = answer.denied.first().or(answer.undecided.first())?;
    Some(case(q, part, Stage::Neighbours, part.region.clone()))
}

// What becomes of one kind of message.
struct Told {
    passes: bool,
    fails: bool,
    cause: Option<Case>,
}

// What becomes of all of them on one link.
struct Found {
    asked: Told,
    answers: Told,
    asks: Told,
    answered: Told,
    // Solicitations and advertisements of routers; `None` where the neighbour is none.
    from_routers: Option<Told>,
    to_routers: Option<Told>,
}

impl Found {
    // The box never learns any neighbour's hardware address: neither from an answer nor from a question.
    fn never_learns(&self) -> Option<Case> {
        let no_answer = self.answered.fails || self.asks.fails;
        let never = no_answer && self.asked.fails && self.from_routers.as_ref().is_none_or(|t| t.fails);
        let cause = if self.answered.fails { &self.answered } else { &self.asks };
        never.then(|| cause.cause.clone()).flatten()
    }

    // No neighbour ever learns the box's.
    fn never_learnt(&self) -> Option<Case> {
        let no_answer = self.asked.fails || self.answers.fails;
        let never = no_answer && self.asks.fails && self.to_routers.as_ref().is_none_or(|t| t.fails);
        let cause = if self.asked.fails { &self.asked } else { &self.answers };
        never.then(|| cause.cause.clone()).flatten()
    }

    // Some message may be stopped.
    fn doubt(&self) -> Option<Case> {
        let all = [&self.asked, &self.answers, &self.asks, &self.answered];
        all.into_iter().find(|t| !t.passes)?.cause.clone()
    }
}
