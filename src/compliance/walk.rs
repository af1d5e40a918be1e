//! Conversations on their way from box to box, and what translations on the way make of them.
//!
//! Each box is asked about the packets as they get there. Its answer is told in terms of the packets as they were sent: that is what a requirement
//! speaks of, and what a reader knows. Where a translation hides who sent a packet, an answer that differs between the possible addresses decides
//! nothing.

use super::conversation::{Case, Conversation, Depends, Judged, judge};
use super::path::{EnforcementPoint, EnforcementPoints, Goal, Hop, Reached, Stop};
use crate::catalogue::resolve::ResolvedFlow;
use crate::packet::{Family, Field, IntervalSet, Region, public};

/// Fields that translations change.
const ENDS: [Field; 4] = [Field::Src, Field::Dst, Field::Sport, Field::Dport];

/// Conversations with one history.
#[derive(Debug, Clone)]
pub struct Stretch {
    /// Their first packets as they were sent.
    pub sent: Region,
    /// As the next box sees them.
    pub seen: Conversation,
    /// The packets that the next box sees, exactly.
    pub region: Region,
    /// Boxes that translated them.
    pub by: Vec<String>,
    /// They got here for certain; else perhaps.
    pub certain: bool,
}

impl Stretch {
    /// The beginning of the way.
    pub fn begin(conversation: &Conversation) -> Vec<Self> {
        let of = |sent: Region| Stretch {
            seen: conversation.within(&sent),
            region: sent.clone(),
            sent,
            by: Vec::new(),
            certain: true,
        };
        conversation.region().normal().into_iter().filter(|r| !r.is_empty()).map(of).collect()
    }

    /// Whether boxes on the way changed a field.
    pub fn changed(&self, field: Field) -> bool {
        !self.by.is_empty() && self.sent.get(field) != self.region.get(field)
    }

    /// Those of its conversations that are not among some.
    pub fn without(&self, came: &[Region]) -> Vec<Self> {
        let left = Region::minus_all(vec![self.sent.clone()], came);
        left.into_iter().map(|sent| self.of_sent(sent)).collect()
    }

    // Fewer conversations, by what was sent.
    fn of_sent(&self, sent: Region) -> Self {
        let kept = Field::ALL.into_iter().filter(|f| !self.changed(*f));
        let region = kept.fold(self.region.clone(), |r, f| r.cut(f, sent.get(f)));
        let seen = Conversation { delivered_to: None, ..self.seen.within(&region) };
        Self { seen, region, sent, by: self.by.clone(), certain: self.certain }
    }

    /// A case of fewer conversations, by what was sent.
    pub fn recut(&self, case: &Case, sent: Region) -> Case {
        let kept = Field::ALL.into_iter().filter(|f| !self.changed(*f));
        let seen = kept.fold(case.seen.clone(), |r, f| r.cut(f, sent.get(f)));
        Case { region: sent, seen, ..case.clone() }
    }

    /// Only conversations that a box sees with one of these values.
    pub fn cut(&self, field: Field, set: &IntervalSet) -> Option<Self> {
        let region = self.region.cut(field, set);
        if region.is_empty() {
            return None;
        }
        let sent = if self.changed(field) { self.sent.clone() } else { self.sent.cut(field, set) };
        Some(Self { seen: self.seen.within(&region), region, sent, ..self.clone() })
    }

    /// What a box makes of them, in terms of what was sent.
    pub fn judge(&self, hop: &Hop<'_>) -> Judged {
        let judged = judge(hop, &self.seen);
        let changed: Vec<Field> = ENDS.into_iter().filter(|f| self.changed(*f)).collect();
        let mut out = Judged::default();
        let mut partial: Vec<Case> = Vec::new();
        let lists = [(&judged.stopped, 0), (&judged.undecided, 1), (&judged.passed, 2)];
        for (c, list) in lists.into_iter().flat_map(|(l, n)| l.iter().map(move |c| (c, n))) {
            let seen = c.region.intersect(&self.region);
            if seen.is_empty() {
                continue;
            }
            let whole = changed.iter().all(|f| seen.get(*f).covers(self.region.get(*f)));
            let case = Case { region: self.sent_of(&seen, &changed), seen, ..c.clone() };
            match (whole, list) {
                (false, _) => partial.push(case),
                (true, 0) => out.stopped.push(case),
                (true, 1) => out.undecided.push(case),
                (true, _) => out.passed.push(case),
            }
        }
        if partial.is_empty() {
            return out;
        }
        // For these it depends on the address or port that they were given.
        let settled: Vec<Region> = [&out.stopped, &out.undecided, &out.passed]
            .into_iter()
            .flatten()
            .map(|c| c.region.clone())
            .collect();
        let mut left = Region::minus_all(vec![self.sent.clone()], &settled);
        let depends = self.by.last().map(|name| Depends::Address(name.clone()));
        for c in partial {
            let here: Vec<Region> =
                left.iter().map(|r| r.intersect(&c.region)).filter(|r| !r.is_empty()).collect();
            left = Region::minus_all(left, std::slice::from_ref(&c.region));
            out.undecided.extend(here.into_iter().map(|region| Case {
                region,
                depends: c.depends.clone().or_else(|| depends.clone()),
                ..c.clone()
            }));
        }
        out
    }

    // What was sent of conversations that are seen so.
    fn sent_of(&self, seen: &Region, changed: &[Field]) -> Region {
        let kept = Field::ALL.into_iter().filter(|f| !changed.contains(f));
        kept.fold(self.sent.clone(), |r, f| r.cut(f, seen.get(f)))
    }

    /// The conversations of a case, as they go on behind the box.
    pub fn onward(&self, case: &Case, hop: &Hop<'_>, certain: bool) -> Self {
        let (region, by) = match &case.translated {
            None => (case.seen.clone(), self.by.clone()),
            Some(t) => {
                // What the translation leaves as it was is known more exactly.
                let new = |f: &Field| t.get(*f) != case.packets.get(*f);
                let region =
                    ENDS.into_iter().filter(new).fold(case.seen.clone(), |r, f| r.with(f, t.get(f).clone()));
                (region, self.by.iter().cloned().chain([hop.name.to_owned()]).collect())
            }
        };
        let seen = Conversation { delivered_to: None, ..self.seen.within(&region) };
        Self { sent: case.region.clone(), seen, region, by, certain: self.certain && certain }
    }
}

/// Conversations that come to one box by one way, and what it makes of them.
#[derive(Debug, Clone)]
pub struct Walked<'a> {
    /// The box, with the interfaces.
    pub hop: Hop<'a>,
    /// The conversations.
    pub parts: Vec<Part>,
}

/// Conversations with one history, at a box.
#[derive(Debug, Clone)]
pub struct Part {
    /// As they come to the box; those of a stretch of the way before, by its number.
    pub stretch: Stretch,
    /// Number of that stretch.
    pub of: usize,
    /// What the box makes of them.
    pub judged: Judged,
}

impl Walked<'_> {
    // Asks the box, if it speaks for the family.
    fn judge(&mut self, goal: &Goal<'_>) {
        let hairpin = self.hop.gateway && self.hop.iif == self.hop.oif;
        for part in &mut self.parts {
            if !self.hop.covers(part.stretch.seen.family) {
                continue;
            }
            part.judged = part.stretch.judge(&self.hop);
            if hairpin {
                // Who lives on one side talks without the gateway, unless it sends them to each other.
                for list in [&mut part.judged.passed, &mut part.judged.stopped, &mut part.judged.undecided] {
                    list.retain(|c| new_destination(c).is_some());
                }
            }
            if part.stretch.seen.wanted {
                misdirected(&mut part.judged, goal, self.hop.name);
            }
        }
        // Only the answer tells what a box sends by this way that may also send it elsewhere.
        if self.parts.iter().any(|p| p.stretch.seen.delivered_to.is_some()) {
            self.parts.retain(|p| p.judged.all().next().is_some());
            let of = |field| {
                let cases = self.parts.iter().flat_map(|p| p.judged.all());
                cases.fold(IntervalSet::EMPTY, |all, c| all.union(c.region.get(field)))
            };
            (self.hop.src, self.hop.dst) = (of(Field::Src), of(Field::Dst));
        }
    }

    /// Asks every way, and leaves out those that nothing takes.
    pub fn judge_all(all: &mut Vec<Self>, goal: &Goal<'_>, wanted: bool) {
        all.iter_mut().for_each(|w| w.judge(goal));
        all.retain(|w| !w.parts.is_empty());
        Self::settle_ways(all, wanted);
    }

    // Of several ways that a conversation may take, all must agree: where one lets pass what another stops, nothing is decided. Of conversations
    // that must pass only what is stopped is looked at, of others only what passes: the rest is told at the other way.
    fn settle_ways(all: &mut [Self], wanted: bool) {
        if all.len() < 2 {
            return;
        }
        let regions = |w: &Self, pick: &dyn Fn(&Judged) -> Vec<Region>| -> Vec<Region> {
            w.parts.iter().flat_map(|p| pick(&p.judged)).collect()
        };
        let list = |l: &[Case]| l.iter().map(|c| c.region.clone()).collect::<Vec<_>>();
        let agreeing = |j: &Judged| if wanted { list(&j.stopped) } else { list(&j.passed) };
        // What comes by each way and meets another fate there.
        let other: Vec<Vec<Region>> = all
            .iter()
            .map(|w| {
                let asked = regions(w, &|j| j.all().map(|c| c.region.clone()).collect());
                Region::minus_all(asked, &regions(w, &agreeing))
            })
            .collect();
        let names: Vec<String> = all.iter().map(|w| w.hop.way()).collect();
        for i in 0..all.len() {
            for (j, other) in other.iter().enumerate().filter(|(j, _)| *j != i) {
                let ways = vec![names[i.min(j)].clone(), names[i.max(j)].clone()];
                for part in &mut all[i].parts {
                    let mut left = Vec::new();
                    let from = if wanted { &mut part.judged.stopped } else { &mut part.judged.passed };
                    for c in std::mem::take(from) {
                        if !other.iter().any(|o| o.intersects(&c.region)) {
                            left.push(c);
                            continue;
                        }
                        let rest = Region::minus_all(vec![c.region.clone()], other);
                        let doubt = Region::minus_all(vec![c.region.clone()], &rest);
                        left.extend(rest.into_iter().map(|r| part.stretch.recut(&c, r)));
                        let depends = Some(Depends::Way(ways.clone()));
                        part.judged.undecided.extend(
                            doubt
                                .into_iter()
                                .map(|r| Case { depends: depends.clone(), ..part.stretch.recut(&c, r) }),
                        );
                    }
                    let to = if wanted { &mut part.judged.stopped } else { &mut part.judged.passed };
                    *to = left;
                }
            }
        }
    }
}

// The destination to which a box sends a case's packets, if that is another than before.
fn new_destination(c: &Case) -> Option<&IntervalSet> {
    let t = c.translated.as_ref()?.get(Field::Dst);
    (t != c.packets.get(Field::Dst)).then_some(t)
}

// What a box sends to somebody else does not get to its destination.
fn misdirected(judged: &mut Judged, goal: &Goal<'_>, name: &str) {
    let mut out = Judged { stopped: std::mem::take(&mut judged.stopped), ..Judged::default() };
    for (list, certain) in [(&mut judged.passed, true), (&mut judged.undecided, false)] {
        for c in std::mem::take(list) {
            match new_destination(&c).map(|d| goal.reached(d)) {
                None | Some(Reached::Goal) if certain => out.passed.push(c),
                None | Some(Reached::Goal) => out.undecided.push(c),
                Some(Reached::Elsewhere(who)) => out.stopped.push(Case { elsewhere: Some(who), ..c }),
                Some(Reached::Unclear) => {
                    let depends = c.depends.clone().or_else(|| Some(Depends::Destination(name.to_owned())));
                    out.undecided.push(Case { depends, ..c });
                }
            }
        }
    }
    *judged = out;
}

/// The whole way of a flow that is to pass, box by box in order.
pub fn walk<'a>(points: &'a EnforcementPoints<'a>, flow: &ResolvedFlow, family: Family) -> Vec<Walked<'a>> {
    let goal = points.goal(flow);
    let mut stretches = Stretch::begin(&Conversation::of(flow, None, family, true));
    let mut out = Vec::new();
    for stop in points.path(flow, family) {
        let mut walked = passing(&stop, &stretches, family);
        Walked::judge_all(&mut walked, &goal, true);
        stretches = onward(stretches, &walked);
        out.append(&mut walked);
    }
    out
}

/// The conversations that come to a place on the path, by each way through it.
pub fn passing<'a>(stop: &Stop<'a>, stretches: &[Stretch], family: Family) -> Vec<Walked<'a>> {
    let part = |of: usize, stretch: Stretch| Part { stretch, of, judged: Judged::default() };
    match stop {
        Stop::End(hop) => {
            let all = stretches.iter().enumerate();
            // What nobody wants may come by any interface, unless a gateway brings it to the one that has its address.
            if !hop.routed && stretches.iter().any(|s| !s.seen.wanted) {
                return vec![Walked {
                    hop: hop.clone(),
                    parts: all.map(|(n, s)| part(n, s.clone())).collect(),
                }];
            }
            let of = |(hop, to): (Hop<'a>, IntervalSet)| {
                let parts = all.clone().filter_map(|(n, s)| Some(part(n, s.cut(Field::Dst, &to)?)));
                Walked { parts: parts.collect(), hop }
            };
            hop.by_address().into_iter().map(of).filter(|w| !w.parts.is_empty()).collect()
        }
        Stop::Gateways(group) => {
            let mut out = Vec::new();
            for gateway in group {
                let redirects = gateway.redirects() && gateway.host.iter().any(|f| f.covers(family));
                for from in &gateway.behind {
                    for to in &gateway.behind {
                        let mut hop = gateway.hop(&from.0, &to.0);
                        let mut parts = Vec::new();
                        for (n, s) in stretches.iter().enumerate() {
                            if let Some(s) = pass(gateway, s, from, to, redirects) {
                                hop.src = hop.src.union(s.sent.get(Field::Src));
                                hop.dst = hop.dst.union(s.sent.get(Field::Dst));
                                parts.push(part(n, s));
                            }
                        }
                        if !parts.is_empty() {
                            out.push(Walked { hop, parts });
                        }
                    }
                }
            }
            out
        }
    }
}

fn pass(
    gateway: &EnforcementPoint<'_>,
    stretch: &Stretch,
    (i, from): &(String, IntervalSet),
    (o, to): &(String, IntervalSet),
    redirects: bool,
) -> Option<Stretch> {
    // Packets come from where their sender is, whatever address they bear by now.
    let hidden = stretch.changed(Field::Src) && stretch.sent.get(Field::Src).intersects(from);
    let s = if hidden { stretch.clone() } else { stretch.cut(Field::Src, from)? };
    if !redirects {
        return if i == o { None } else { s.cut(Field::Dst, to) };
    }
    // What is sent to somebody on the same link does not come by; what is sent to the gateway itself does.
    let itself = gateway.own.get(i).cloned().unwrap_or_default();
    let beside = from.minus(public::with_documentation()).minus(&itself);
    let mut s = s.cut(Field::Dst, &Field::Dst.complement(&beside))?;
    s.seen.delivered_to = Some(to.clone());
    Some(s)
}

// The conversations behind a place, whatever it stops: every place is asked about all of a flow. Only what a box translates goes on as it leaves
// there, and no further if it is stopped.
fn onward(stretches: Vec<Stretch>, walked: &[Walked<'_>]) -> Vec<Stretch> {
    let mut out = Vec::new();
    for (n, stretch) in stretches.into_iter().enumerate() {
        let parts =
            || walked.iter().flat_map(|w| w.parts.iter().filter(|p| p.of == n).map(move |p| (&w.hop, p)));
        if parts().all(|(_, p)| p.judged.all().all(|c| c.translated.is_none())) {
            out.push(stretch);
            continue;
        }
        let mut came: Vec<Region> = Vec::new();
        for (hop, p) in parts() {
            came.extend(p.judged.all().map(|c| c.region.clone()));
            out.extend(p.judged.passed.iter().map(|c| p.stretch.onward(c, hop, true)));
            out.extend(p.judged.undecided.iter().map(|c| p.stretch.onward(c, hop, false)));
        }
        out.extend(stretch.without(&came));
    }
    out
}
