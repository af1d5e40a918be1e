//! Whether whole conversations pass a box: the first packet, the answers, and the packets after.

use super::neighbours;
use super::path::{Hop, interface_set, possible};
use crate::analysis::decide::{Answer, Part, Question, decide_required, replayed};
use crate::analysis::evaluate::{Because, Decider, Trace};
use crate::catalogue::resolve::{Endpoint, ResolvedFlow};
use crate::packet::{
    ConnState, Family, Field, IntervalSet, Neighbours, Packet, Path, Region, flags, opening_state, proto,
};

/// What is asked of a box.
#[derive(Debug, Clone)]
pub struct Conversation {
    /// Family.
    pub family: Family,
    /// Sources.
    pub src: IntervalSet,
    /// Destinations.
    pub dst: IntervalSet,
    /// Protocol; `None` = any.
    pub protocol: Option<u8>,
    /// Destination ports.
    pub ports: IntervalSet,
    /// Source ports.
    pub clients: IntervalSet,
    /// Whether the conversation is wanted. If so, clients use unprivileged ports and plain SYNs, and answers must
    /// come back; if not, every packet that can open a connection counts, from any port.
    pub wanted: bool,
    /// Only destinations that become these after translation.
    pub delivered_to: Option<IntervalSet>,
}

impl Conversation {
    /// The conversations of a flow, as a hop of its path sees them; without a hop, as the flow's ends have them.
    pub fn of(flow: &ResolvedFlow, hop: Option<&Hop<'_>>, family: Family, wanted: bool) -> Self {
        let end = |e: &Endpoint| possible(e, family);
        Self {
            family,
            src: hop.map_or_else(|| end(&flow.source), |l| l.src.clone()),
            dst: hop.map_or_else(|| end(&flow.destination), |l| l.dst.clone()),
            protocol: flow.protocol,
            ports: flow.ports.clone(),
            clients: if wanted { client_ports() } else { Field::Sport.all() },
            wanted,
            delivered_to: None,
        }
    }

    /// Its first packets, by addresses, protocol and ports.
    pub fn region(&self) -> Region {
        let all = Region::all(self.family)
            .cut(Field::Src, &self.src)
            .cut(Field::Dst, &self.dst)
            .with(Field::Sport, self.clients.clone())
            .with(Field::Dport, self.ports.clone());
        self.protocol.map_or_else(|| all.clone(), |p| all.protocol(p))
    }

    /// The same conversation with the addresses and ports of a region.
    pub fn within(&self, region: &Region) -> Self {
        let own = |field| region.get(field).clone();
        Self {
            src: own(Field::Src),
            dst: own(Field::Dst),
            ports: own(Field::Dport),
            clients: own(Field::Sport),
            ..self.clone()
        }
    }
}

/// Which packets of a conversation a case is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Stage {
    /// The one that opens it.
    First,
    /// Those of the other side.
    Answer,
    /// Those of the first side after that.
    Later,
    /// Those by which neighbours find each other's hardware addresses: without them no IPv6 packet leaves or arrives (RFC 4861).
    Neighbours,
}

impl Stage {
    /// In words.
    pub const fn words(self) -> &'static str {
        match self {
            Stage::First => "the first packet",
            Stage::Answer => "the answers",
            Stage::Later => "the packets after the first",
            Stage::Neighbours => "neighbour discovery",
        }
    }
}

/// Conversations that share a fate, and why.
#[derive(Debug, Clone)]
pub struct Case {
    /// The conversations, by their first packets as they were sent; only addresses, protocol and ports matter.
    pub region: Region,
    /// The same as they arrive at the box, where boxes on the way translated them; else as `region`.
    pub seen: Region,
    /// Which packets decide.
    pub stage: Stage,
    /// The rules that decide.
    pub decided_by: Vec<Decider>,
    /// What it depends on, if it is undecided.
    pub because: Vec<Because>,
    /// Those packets, as they arrive at the box by `path`; of some conversations more than `region` holds.
    pub packets: Region,
    /// Way of those packets.
    pub path: Path,
    /// What else it depends on, beside conditions of the rules.
    pub depends: Option<Depends>,
    /// Rate limits that are assumed not to be exceeded.
    pub assumed: Vec<Because>,
    /// The box translates them: the packets as they leave.
    pub translated: Option<Region>,
    /// Translated to the address of somebody else, who is named here: they never get to their destination.
    pub elsewhere: Option<String>,
    /// Destination of the packets as they were sent, where `region` has the one to which they were translated.
    pub sent_to: Option<(IntervalSet, IntervalSet)>,
}

/// What a case depends on that no rule asks for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Depends {
    /// On the interface, which nobody declared.
    Interface,
    /// On the address that a box on the way gives the packets; the box's name.
    Address(String),
    /// On the way that the packets take: one of these interfaces or gateways.
    Way(Vec<String>),
    /// On whether neighbours find each other.
    Neighbours,
    /// On whether the destination to which a box translates them is the one that is meant; the box's name.
    Destination(String),
}

impl Depends {
    /// The condition, and what would settle it.
    pub fn words(&self) -> (String, String) {
        let (text, why) = match self {
            Depends::Interface => (
                "the interface that the packets take".to_owned(),
                "declare the node's interfaces: interfaces = { eth0 = \"…\" }".to_owned(),
            ),
            Depends::Address(name) => (
                format!("the address that {name} gives the packets"),
                format!("declare the addresses of {name}: interfaces = {{ eth0 = [\"10.1.0.1/24\"] }}"),
            ),
            Depends::Way(ways) => (
                format!("whether the packets take {}", ways.join(" or ")),
                "say which networks are behind which interface, and in which site each gateway stands"
                    .to_owned(),
            ),
            Depends::Neighbours => (
                "whether neighbours find each other over IPv6".to_owned(),
                "let ICMPv6 types 135 and 136 in and out".to_owned(),
            ),
            Depends::Destination(name) => (
                format!("the destination to which {name} sends the packets"),
                "declare all addresses of the nodes".to_owned(),
            ),
        };
        (text, why)
    }
}

impl Case {
    /// The same of fewer conversations, which no box has translated so far.
    pub fn cut(&self, region: Region) -> Self {
        Self { seen: region.clone(), region, ..self.clone() }
    }

    /// A packet to show at a point, and what became of it there. A walk through the whole ruleset: it is made only for what is shown.
    pub fn witness(&self, hop: &Hop<'_>) -> Option<(Packet, Trace)> {
        let own = match self.stage {
            Stage::Answer => self.seen.mirrored(),
            Stage::Neighbours => self.packets.clone(),
            Stage::First | Stage::Later => self.seen.clone(),
        };
        let part = Part {
            region: self.packets.intersect(&own),
            decided_by: self.decided_by.clone(),
            because: self.because.clone(),
            assumed: Vec::new(),
            tracked: true,
            translated: None,
        };
        replayed(&question(hop, self.path, part.region.clone(), None), &part)
    }
}

/// What became of all conversations: three lists that together are what was asked.
#[derive(Debug, Clone, Default)]
pub struct Judged {
    /// Pass as a whole.
    pub passed: Vec<Case>,
    /// Some packet of them is stopped for certain.
    pub stopped: Vec<Case>,
    /// Not decided.
    pub undecided: Vec<Case>,
}

impl Judged {
    /// With what became of other conversations.
    #[must_use]
    pub fn and(mut self, other: Self) -> Self {
        self.passed.extend(other.passed);
        self.stopped.extend(other.stopped);
        self.undecided.extend(other.undecided);
        self
    }

    /// All cases.
    pub fn all(&self) -> impl Iterator<Item = &Case> {
        self.passed.iter().chain(&self.stopped).chain(&self.undecided)
    }
}

/// Source ports of clients: unprivileged ones (RFC 6056, 3.2).
pub fn client_ports() -> IntervalSet {
    IntervalSet::range(1024u16, u16::MAX)
}

// TCP flags with which Linux opens a connection: SYN without ACK, RST or FIN (`tcp_rcv_state_process`, LISTEN).
fn openers() -> IntervalSet {
    use flags::{ACK, FIN, RST, SYN};
    flags::masked(SYN | ACK | RST | FIN, SYN)
}

fn bits(all: &[u8]) -> IntervalSet {
    all.iter().map(|f| u128::from(*f)).collect()
}

/// Judges conversations at one box, which sees them as they are given.
pub fn judge(hop: &Hop<'_>, conversation: &Conversation) -> Judged {
    neighbours::judge(hop, conversation, judge_filters(hop, conversation))
}

/// What a box makes of each kind of packets of conversations: the first, the answers, and those after, as far as the first pass.
pub fn stages<'a>(hop: &Hop<'a>, conversation: &Conversation) -> Vec<(Stage, Answer)> {
    let start = first_region(hop, conversation);
    if start.is_empty() {
        return Vec::new();
    }
    let first =
        decide_required(&question(hop, hop.path, start.clone(), conversation.delivered_to.clone()), hop.kept);
    let follow = follow_ups(hop, conversation, &start, &first.accepted);
    let after: Vec<(Stage, Answer)> =
        follow.iter().map(|(stage, q)| (*stage, decide_required(q, hop.kept))).collect();
    std::iter::once((Stage::First, first)).chain(after).collect()
}

// What the rules make of the packets of the conversations themselves.
fn judge_filters(hop: &Hop<'_>, conversation: &Conversation) -> Judged {
    // Where the interface is not known, what is wanted must pass by each that it may be. What is not wanted may come by any
    // of the interfaces that the box is known to have; where it is not known which it has, that decides nothing.
    let any = !conversation.wanted && !hop.interfaces.is_empty();
    let unknown = match hop.path {
        Path::Input if hop.iif.is_empty() && !any => Some(Field::Iif),
        Path::Output if hop.oif.is_empty() && !any => Some(Field::Oif),
        _ => None,
    };
    let start = first_region(hop, conversation);
    if start.is_empty() {
        return Judged::default();
    }
    let (whole, cuts) = judge_region(hop, conversation, &start, unknown);
    let Some(field) = unknown else { return whole };
    let classes = classes(start.get(field), &cuts);
    if classes.len() < 2 {
        return whole;
    }
    let cases = whole.passed.len() + whole.stopped.len() + whole.undecided.len();
    if cases.saturating_mul(cases).saturating_mul(classes.len()) > MAX_PAIRS {
        return by_interface(whole, field, start.get(field));
    }
    let each: Vec<Judged> =
        classes.iter().map(|c| judge_region(hop, conversation, &start.cut(field, c), None).0).collect();
    combine(&start, each)
}

fn first_region(hop: &Hop<'_>, conversation: &Conversation) -> Region {
    use flags::SYN;
    let mut r = conversation
        .region()
        .with(Field::State, IntervalSet::single(ConnState::New.value()))
        .with(Field::TcpFlags, if conversation.wanted { bits(&[SYN]) } else { openers() });
    let none = IntervalSet::single(0u8);
    let cloud = matches!(hop.path, Path::Ingress | Path::Egress);
    let sees = |into: bool| match hop.path {
        Path::Forward => true,
        Path::Input => into,
        Path::Output => !into,
        _ => false,
    };
    for (field, names, into) in [(Field::Iif, &hop.iif, true), (Field::Oif, &hop.oif, false)] {
        let names = if names.is_empty() { hop.interfaces } else { names };
        let set = if sees(into) && !cloud { interface_set(field, names) } else { none.clone() };
        r = r.with(field, set);
    }
    r
}

// Everything but addresses, protocol and ports widened to all.
fn plain(r: &Region) -> Region {
    r.widened(&[Field::Iif, Field::Oif, Field::State, Field::Icmp, Field::TcpFlags, Field::Mac])
}

pub(super) fn question<'a>(
    hop: &Hop<'a>,
    path: Path,
    region: Region,
    delivered_to: Option<IntervalSet>,
) -> Question<'a> {
    Question { point: hop.point(), path, region, mark: 0, delivered_to }
}

// Judges a region of first packets; also gives the sets of the undeclared interface on which anything depended.
fn judge_region(
    hop: &Hop<'_>,
    conversation: &Conversation,
    start: &Region,
    watch: Option<Field>,
) -> (Judged, Vec<IntervalSet>) {
    let first = question(hop, hop.path, start.clone(), conversation.delivered_to.clone());
    let answer = decide_required(&first, hop.kept);
    let mut cuts = Vec::new();
    if let Some(f) = watch {
        cuts.extend(parts(&answer).map(|p| p.region.get(f).clone()));
    }
    let mut out = Judged {
        stopped: cases(&first, &answer.denied, Stage::First, &plain),
        undecided: cases(&first, &answer.undecided, Stage::First, &plain),
        passed: Vec::new(),
    };
    let mut broken: Vec<Region> = Vec::new();
    if conversation.wanted && conversation.protocol.is_some() {
        for (stage, q) in follow_ups(hop, conversation, start, &answer.accepted) {
            let reply = decide_required(&q, hop.kept);
            let forward = |r: &Region| plain(&if stage == Stage::Answer { r.mirrored() } else { r.clone() });
            if let Some(f) = watch {
                let f = if stage == Stage::Answer { other(f) } else { f };
                cuts.extend(parts(&reply).map(|p| p.region.get(f).clone()));
            }
            let (no, maybe) =
                (cases(&q, &reply.denied, stage, &forward), cases(&q, &reply.undecided, stage, &forward));
            broken.extend(no.iter().chain(&maybe).map(|c| c.region.clone()));
            out.stopped.extend(no);
            out.undecided.extend(maybe);
        }
    }
    let near = Neighbours::of(broken.iter().map(Some));
    for part in &answer.accepted {
        let case = case(&first, part, Stage::First, plain(&part.region));
        let rest = near
            .meeting([&case.region])
            .into_iter()
            .fold(vec![case.region.clone()], |left, n| Region::minus_all(left, &broken[n..=n]));
        out.passed.extend(rest.into_iter().map(|region| case.cut(region)));
    }
    (out, cuts)
}

fn other(f: Field) -> Field {
    if f == Field::Iif { Field::Oif } else { Field::Iif }
}

fn parts(a: &Answer) -> impl Iterator<Item = &Part> {
    a.accepted.iter().chain(&a.denied).chain(&a.undecided)
}

fn back(path: Path) -> Path {
    match path {
        Path::Input => Path::Output,
        Path::Output => Path::Input,
        Path::Ingress => Path::Egress,
        Path::Egress => Path::Ingress,
        Path::Forward => Path::Forward,
    }
}

// The questions about what follows accepted first packets.
fn follow_ups<'a>(
    hop: &Hop<'a>,
    conversation: &Conversation,
    start: &Region,
    accepted: &[Part],
) -> Vec<(Stage, Question<'a>)> {
    use flags::{ACK, FIN, PSH, SYN};
    let mut out = Vec::new();
    let simple =
        conversation.delivered_to.is_none() && accepted.iter().all(|p| p.tracked && p.translated.is_none());
    let starts: Vec<(Region, bool)> = if simple && !accepted.is_empty() {
        // One question for all: answers and later packets are judged the same way whatever rule let the first one in.
        vec![(start.clone(), true)]
    } else {
        accepted.iter().map(|p| (as_seen(p), p.tracked)).collect()
    };
    for (start, tracked) in starts {
        let answer = start.mirrored();
        for (stage, path, region, tcp) in [
            (Stage::Answer, back(hop.path), answer, &[SYN | ACK, ACK, PSH | ACK, FIN | ACK][..]),
            (Stage::Later, hop.path, start, &[ACK, PSH | ACK, FIN | ACK][..]),
        ] {
            if tracked || conversation.protocol != Some(proto::TCP) {
                let state = if tracked { ConnState::Established } else { ConnState::New };
                let r = region
                    .with(Field::State, IntervalSet::single(state.value()))
                    .with(Field::TcpFlags, bits(tcp));
                out.push((stage, question(hop, path, r, None)));
                continue;
            }
            // Without a state each packet is judged as if it opened a connection.
            for f in tcp {
                let state = opening_state(proto::TCP, *f, 0);
                let r = region
                    .with(Field::State, IntervalSet::single(state.value()))
                    .with(Field::TcpFlags, bits(&[*f]));
                out.push((stage, question(hop, path, r, None)));
            }
        }
    }
    out
}

// The first packets as the filter saw them: with the translated destination, but the source of the sender (the
// tracker undoes source translation before it filters answers).
fn as_seen(part: &Part) -> Region {
    match &part.translated {
        None => part.region.clone(),
        Some(t) => part
            .region
            .with(Field::Dst, t.get(Field::Dst).clone())
            .with(Field::Dport, t.get(Field::Dport).clone()),
    }
}

fn cases(q: &Question<'_>, parts: &[Part], stage: Stage, forward: &dyn Fn(&Region) -> Region) -> Vec<Case> {
    parts.iter().map(|p| case(q, p, stage, forward(&p.region))).collect()
}

pub(super) fn case(q: &Question<'_>, part: &Part, stage: Stage, region: Region) -> Case {
    Case {
        seen: region.clone(),
        region,
        stage,
        decided_by: part.decided_by.clone(),
        because: part.because.clone(),
        packets: part.region.clone(),
        path: q.path,
        depends: None,
        elsewhere: None,
        sent_to: None,
        assumed: part.assumed.clone(),
        translated: part.translated.clone(),
    }
}

// The coarsest partition of `all` that no set of `cuts` splits; at most 64 classes.
fn classes(all: &IntervalSet, cuts: &[IntervalSet]) -> Vec<IntervalSet> {
    let mut out = vec![all.clone()];
    for cut in cuts {
        if out.len() > 64 {
            break;
        }
        out = out
            .into_iter()
            .flat_map(|c| [c.intersect(cut), c.minus(cut)])
            .filter(|c| !c.is_empty())
            .collect();
    }
    out
}

// So many comparisons of cases with each other are made for one question.
const MAX_PAIRS: usize = 4_000_000;

// As `combine`, for long lists: what a rule decides without asking for the interface holds, and everything else is taken to depend on it, even
// where different rules would decide alike.
fn by_interface(whole: Judged, field: Field, all: &IntervalSet) -> Judged {
    let everywhere = |c: &Case| {
        let asked = if c.stage == Stage::Answer { other(field) } else { field };
        c.packets.get(asked).covers(all)
    };
    let (passed, some): (Vec<_>, Vec<_>) = whole.passed.into_iter().partition(everywhere);
    let (stopped, others): (Vec<_>, Vec<_>) = whole.stopped.into_iter().partition(everywhere);
    let depends = some.into_iter().chain(others).map(|c| Case { depends: Some(Depends::Interface), ..c });
    let undecided = whole.undecided.into_iter().chain(depends).collect();
    Judged { passed, stopped, undecided }
}

// What holds on every interface holds; the rest depends on which one it is.
fn combine(start: &Region, each: Vec<Judged>) -> Judged {
    let everywhere = |pick: &dyn Fn(&Judged) -> &Vec<Case>| -> Vec<Case> {
        let mut each = each.iter();
        let Some(first) = each.next() else { return Vec::new() };
        each.fold(pick(first).clone(), |both, next| {
            let mut out = Vec::new();
            for a in &both {
                for b in pick(next).iter().filter(|b| a.region.intersects(&b.region)) {
                    out.push(a.cut(a.region.intersect(&b.region)));
                }
            }
            disjoint(out)
        })
    };
    let passed = everywhere(&|j| &j.passed);
    let stopped = everywhere(&|j| &j.stopped);
    let settled: Vec<Region> = passed.iter().chain(&stopped).map(|c| c.region.clone()).collect();
    let mut left = Region::minus_all(vec![plain(start)], &settled);
    let mut undecided = Vec::new();
    // Attribute what is left to the cases that show it, a stopped one first: it names the rule.
    for j in &each {
        for c in j.stopped.iter().chain(&j.undecided).chain(&j.passed) {
            let (shown, others): (Vec<_>, Vec<_>) = left.into_iter().partition(|r| r.intersects(&c.region));
            left = others;
            for r in shown {
                left.extend(r.minus(&c.region));
                let depends = Some(Depends::Interface);
                undecided.push(Case { depends, ..c.cut(r.intersect(&c.region)) });
            }
        }
    }
    Judged { passed, stopped, undecided }
}

fn disjoint(cases: Vec<Case>) -> Vec<Case> {
    let mut out: Vec<Case> = Vec::new();
    let mut seen: Vec<Region> = Vec::new();
    for c in cases {
        for region in Region::minus_all(vec![c.region.clone()], &seen) {
            out.push(c.cut(region));
        }
        seen.extend(out[seen.len()..].iter().map(|c| c.region.clone()));
    }
    out
}
