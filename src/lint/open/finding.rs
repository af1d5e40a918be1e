//! Findings about what is open: one for each rule that opens something, with the list of what it opens.

use super::facing::Facing;
use super::groups::Group;
use super::{Cause, Opening};
use crate::finding::{Finding, Related, Severity};
use crate::lint::reach::{Reach, over};
use crate::lint::registry::{Check, Subject};
use crate::lint::sensitive_ports::{self, Class, SensitivePort};
use crate::packet::{Family, Path, Value};
use crate::source::{Location, Origin};

/// Id of the check of rules that open nearly everything.
pub const ALL: &str = "HL-EXPOSED-ALL";

// So many services of one kind a finding names.
const NAMED: usize = 6;
// More ports than this are no services that somebody chose.
const MANY_PORTS: u128 = 1 << 15;

// How bad what is bad on the Internet is here; `None` = it faces inside.
fn level(facing: Facing, on_the_internet: Severity) -> Option<Severity> {
    match (facing, on_the_internet) {
        (Facing::Inside, _) => None,
        (Facing::Internet, level) => Some(level),
        (Facing::Unknown, Severity::Error) => Some(Severity::Warning),
        (Facing::Unknown | Facing::Named, _) => Some(Severity::Note),
    }
}

impl Group {
    // Nearly everything.
    fn is_broad(&self) -> bool {
        let r = &self.reach;
        r.tcp.count() > MANY_PORTS || r.udp.count() > MANY_PORTS || r.other.count() > 200
    }

    // In words: what is reached, and where.
    fn words(&self) -> String {
        let o = &self.opening;
        format!("{} can reach {}{}{}", o.who(), few_services(self.reach.list(o.family())), o.place(), o.by())
    }
}

// What a rule opens of one kind.
struct Hits<'c> {
    group: &'c Group,
    level: Severity,
    services: Vec<(&'static SensitivePort, String)>,
}

impl Cause {
    // By place, the worst and largest first.
    fn hits(&self, class: Class) -> Vec<Hits<'_>> {
        let mut out = Vec::new();
        for group in &self.groups {
            let within = |p: &'static SensitivePort| Some((p, p.within(group.reach.of(p.protocol))?));
            let services: Vec<_> = sensitive_ports::of(class).filter_map(within).collect();
            let worst = services.iter().map(|(p, _)| p.level).max();
            if let Some(level) = worst.and_then(|l| level(group.opening.facing, l)) {
                out.push(Hits { group, level, services });
            }
        }
        out.sort_by_key(|h| std::cmp::Reverse(h.level));
        out
    }

    // Where it opens nearly everything, and how bad that is.
    fn broad(&self) -> Option<(&Group, Severity)> {
        let broad = self.groups.iter().filter(|g| g.is_broad());
        let judged = broad.filter_map(|g| {
            let level = level(g.opening.facing, Severity::Error)?;
            Some((g, level))
        });
        judged.reduce(|a, b| if b.1 > a.1 { b } else { a })
    }

    /// It depends on nothing.
    pub fn is_certain(&self) -> bool {
        self.because.is_empty()
    }

    // The one check that tells of this rule.
    fn check(&self) -> Option<String> {
        if self.broad().is_some() {
            return Some(ALL.to_owned());
        }
        let kind = Class::ALL.into_iter().find(|c| !self.hits(*c).is_empty())?;
        Some(format!("HL-EXPOSED-{}", kind.id()))
    }

    /// Where it stands.
    pub fn location(&self, subject: &Subject<'_>) -> Location {
        match &self.decider {
            Some(d) => subject.beside[d.firewall].locate(d.origin),
            None => subject.firewall.locate(Origin::default()),
        }
    }

    // A finding about it, with all that a reader wants to know beside the message.
    fn finding(
        &self,
        check: &Check,
        subject: &Subject<'_>,
        opening: &Opening,
        message: String,
        about: impl Fn((u8, Value)) -> bool,
    ) -> Finding {
        let label = match self.decider.map(|d| d.rule.is_some()) {
            Some(true) => "lets it in",
            Some(false) => "the policy lets it in",
            None => "nothing stops it: a base chain is missing",
        };
        let mut f = check.finding_at(subject, self.location(subject), message, label);
        if subject.name == subject.firewall.path() {
            f.subject.clone_from(&f.location.path);
        }
        if f.subject.is_empty() {
            f.subject = subject.called().clone();
        }
        let shown = self.shown.iter().find(|s| s.sensitive.is_some_and(&about)).or(self.shown.first());
        let translator = shown.and_then(|s| s.translator);
        if let Some((firewall, origin)) = translator.filter(|t| Some(t.1) != self.decider.map(|d| d.origin)) {
            let location = subject.beside[firewall].locate(origin);
            f.related.push(Related { location, message: "gives the packets another destination".into() });
        }
        if let Some(ports) = opening.from_ports() {
            let text = format!("source port {ports} only, which whoever connects may choose");
            f.details.push(("from".to_owned(), text));
        }
        // Limits that somebody wrote; those that a product adds (pf's tables of offenders) say nothing about this rule.
        for b in self.assumed.iter().filter(|b| subject.beside[b.firewall].native.is_none()) {
            f.details
                .push(("limit".to_owned(), format!("`{}` slows connections down and stops none", b.text)));
        }
        if opening.inner.is_some() && opening.path == Path::Input {
            let text = "that routing sends the packets on by the interface that the rule names";
            f.details.push(("assuming".to_owned(), text.to_owned()));
        }
        f.witness = shown.map(|s| Box::new(s.packet.clone()));
        f
    }

    // All families that it opens something to.
    fn over(&self) -> String {
        let outside = |o: &&Opening| o.facing != Facing::Inside;
        let has = |family| self.openings.iter().filter(outside).any(|o| o.family() == family);
        match (has(Family::V4), has(Family::V6)) {
            (true, true) => String::new(),
            (v4, _) => format!(" over {}", over(if v4 { Family::V4 } else { Family::V6 })),
        }
    }

    // What else it opens than what the message is about.
    fn others(&self, told: &Group) -> Vec<(String, String)> {
        let first = told.words();
        let groups = self.groups.iter().filter(|g| g.opening.facing != Facing::Inside);
        let mut list: Vec<String> = groups.map(|g| g.words()).filter(|w| *w != first).collect();
        list.dedup();
        let more = list.len().saturating_sub(NAMED);
        list.truncate(NAMED);
        let mut out: Vec<_> = list.into_iter().map(|w| ("also".to_owned(), w)).collect();
        if more > 0 {
            out.push(("also".to_owned(), format!("{more} more, in the JSON report")));
        }
        out
    }
}

/// Findings of a check for services of one kind.
pub fn services(check: &Check, subject: &Subject<'_>, findings: &mut Vec<Finding>, class: Class) {
    for cause in subject.open().causes.iter().filter(|c| c.is_certain()) {
        let hits = cause.hits(class);
        let Some(Hits { group, level, services }) = hits.first() else { continue };
        let opening = &group.opening;
        let message = format!(
            "{} can reach {} ({}){}{}{}",
            opening.who(),
            class.words(),
            few_services(services.iter().map(|(_, ports)| ports.clone()).collect()),
            opening.place(),
            opening.by(),
            cause.over()
        );
        let about = |(protocol, port): (u8, Value)| class.holds(protocol, port);
        let mut f = cause.finding(check, subject, opening, message, about);
        f.level = *level;
        f.extent = cause.extent_of(class);
        f.within.push(ALL.into());
        f.within.extend(class.before().map(|c| format!("HL-EXPOSED-{}", c.id()).into()));
        let why = services.iter().take(NAMED);
        f.details.extend(why.map(|(p, ports)| (ports.clone(), format!("{} {}", p.name, p.reason))));
        if group.reach.services().len() > services.len() {
            f.details.push(("opens".to_owned(), few_services(group.reach.services())));
        }
        f.details.extend(cause.others(group));
        findings.push(f);
    }
}

/// Findings of the check for rules that open nearly everything.
pub fn everything(check: &Check, subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    for cause in subject.open().causes.iter().filter(|c| c.is_certain()) {
        let Some((group, level)) = cause.broad() else { continue };
        let services = group.reach.services();
        let among = match services.len() {
            0 => String::new(),
            1 => ", a sensitive service among it".to_owned(),
            n => format!(", {n} sensitive services among it"),
        };
        let message = format!("{}{}{among}", group.words(), cause.over());
        let mut f = cause.finding(check, subject, &group.opening, message, |_| true);
        f.level = level;
        f.extent = cause.extent();
        // What lets in even packets that no sensible rule names is told by these.
        f.within.extend(["HL-ANY-ANY", "HL-POLICY-ACCEPT"].map(Into::into));
        if !services.is_empty() {
            f.details.push(("among it".to_owned(), few_services(services)));
        }
        f.details.extend(cause.others(group));
        findings.push(f);
    }
}

/// Findings of the check for what the files do not decide: one for each condition.
pub fn undecided(check: &Check, subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    let open = subject.open();
    let mut told: Vec<(&crate::analysis::evaluate::Because, Vec<&Cause>)> = Vec::new();
    for cause in open.causes.iter().filter(|c| !c.is_certain() && c.check().is_some()) {
        let Some(first) = cause.because.first() else { continue };
        match told.iter_mut().find(|(b, _)| b.firewall == first.firewall && b.text == first.text) {
            Some((_, list)) => list.push(cause),
            None => told.push((first, vec![cause])),
        }
    }
    if open.exhausted {
        let message =
            "what any address can reach was decided for a few services only: too many cases".to_owned();
        findings.push(Finding {
            level: Severity::Note,
            ..check.finding(subject, Origin::default(), message, "not decided")
        });
    }
    if let Some(first) = open.untold.first() {
        let message = format!(
            "{} more {} public addresses in, and not all that {} is listed: sensitive services come first, then what is widest",
            open.untold.len(),
            if open.untold.len() == 1 { "rule lets" } else { "rules let" },
            if open.untold.len() == 1 { "it opens" } else { "they open" },
        );
        let location = subject.beside[first.firewall].locate(first.origin);
        let mut f = check.finding_at(subject, location, message, "the first of them");
        for d in open.untold.iter().skip(1).take(8) {
            let location = subject.beside[d.firewall].locate(d.origin);
            f.related.push(Related { location, message: "another one".into() });
        }
        findings.push(f);
    }
    for (because, causes) in told {
        let Some(opening) = causes.iter().flat_map(|c| &c.openings).find(|o| o.facing != Facing::Inside)
        else {
            continue;
        };
        let reach =
            causes.iter().flat_map(|c| &c.openings).fold(Reach::default(), |a, o| a.union(&o.reach()));
        let words = reach.words(opening.family());
        let message = format!(
            "whether {} can reach {words}{}{} depends on {}{}",
            opening.who(),
            opening.place(),
            opening.by(),
            because.text,
            if because.why.is_empty() { String::new() } else { format!(": {}", because.why) },
        );
        let location = subject.beside[because.firewall].locate(because.origin);
        let mut f = check.finding_at(subject, location, message, "not decided");
        f.extent = causes.iter().flat_map(|c| c.extent()).collect();
        for c in causes.iter().take(8).filter(|c| c.decider.is_some_and(|d| d.origin != because.origin)) {
            f.related.push(Related { location: c.location(subject), message: "would let it in".into() });
        }
        findings.push(f);
    }
}

/// At most a few of some services.
pub fn few_services(mut list: Vec<String>) -> String {
    if list.len() > NAMED {
        let more = list.len() - NAMED;
        list.truncate(NAMED);
        return format!("{} and {more} more", list.join(", "));
    }
    list.join(", ")
}
