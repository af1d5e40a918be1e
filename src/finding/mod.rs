//! What a run found out: requirements with their state, findings, and the report that holds them.

pub mod extent;
pub mod merge;
mod order;
pub mod stream;

use crate::model::Ledger;
use crate::packet::{Packet, Region};
pub use crate::source::Severity;
use crate::source::digest::Digest;
use crate::source::{Diagnostic, Location, SourceFile, Text, locate};
pub use extent::Part;
pub use order::{Rank, worst_first};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Everything that a run of `check` found out. Serialises as the machine-readable report.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Report {
    /// Version of the report's format.
    pub schema: u32,
    /// Who made it.
    pub tool: Tool,
    /// What was required.
    pub catalogue: CatalogueId,
    /// The deployment's phase.
    pub phase: String,
    /// What was assumed, as words: `not-throttled`.
    pub assumptions: Vec<String>,
    /// Files that were read.
    pub inputs: Vec<Input>,
    /// Requirements, each at each point, in order of id, subject and point.
    pub requirements: Vec<Requirement>,
    /// Findings, in the order of [`worst_first`].
    pub findings: Vec<Finding>,
    /// What anybody may open a connection to, by the rule that lets it in.
    #[serde(default)]
    pub open: Vec<Open>,
    /// Findings that somebody has decided to live with; they do not count.
    #[serde(default)]
    pub waived: Vec<Waived>,
    /// Inputs that could not be read and parse errors in them (exit status 2); also as they stand in `inputs`.
    pub problems: Vec<Problem>,
    /// Files that look like firewall configurations and were not read, in order of path: what they let through is not part of any verdict.
    #[serde(default)]
    pub unread: Vec<UnreadFile>,
    /// Counts.
    pub summary: Summary,
    /// The part of the deployment that requirements and findings are limited to; `None` = all of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scope: Option<Scope>,
    /// The deployment's nodes and gateways; empty without a deployment file.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub members: Vec<Member>,
    /// The files, to show lines of. Not serialised.
    #[serde(skip)]
    pub sources: Vec<Arc<SourceFile>>,
    /// Documentation of every rule that a finding may name: requirements of the catalogue and checks. Not serialised.
    #[serde(skip)]
    pub rules: Vec<RuleDoc>,
}

/// A part of a deployment that a report is limited to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Scope {
    /// Its sites, nodes and networks: `site east`.
    pub of: Vec<String>,
    /// Requirements at points that are not of it.
    pub requirements_outside: usize,
    /// Findings that are not about it.
    pub findings_outside: usize,
}

/// Name and version of the program.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct Tool {
    /// `havenlint`.
    pub name: String,
    /// Its version.
    pub version: String,
}

/// Which catalogue was used.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
pub struct CatalogueId {
    /// Its id, such as `safehaven-4`.
    pub id: String,
    /// Its version.
    pub version: String,
    /// SHA-256 of its file.
    pub sha256: Digest,
}

/// A file that was read.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Input {
    /// Its name.
    pub path: String,
    /// Its dialect.
    pub dialect: String,
    /// SHA-256.
    pub sha256: Digest,
    /// Number of rules.
    pub rules: u64,
    /// How well they were understood.
    pub ledger: Ledger,
    /// When the file was made, as far as it tells itself: `2026-03-30 09:14:07`; empty where it does not.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub dumped: String,
}

/// Something that any source may open a connection to.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Open {
    /// The node or firewall that lets it in.
    pub subject: String,
    /// `open`, or `undecided` where it depends on conditions.
    pub state: String,
    /// 4 or 6.
    pub family: u8,
    /// Sources: `any`, or many public networks.
    pub from: Vec<String>,
    /// What the interfaces face by which it comes in: `internet`, `inside` or `unknown`.
    pub facing: String,
    /// Those interfaces: names, beginnings (`eth*`), `*` = all; those with `!` are taken away. Empty = any.
    pub interfaces: Vec<String>,
    /// Forwarded, not for the machine itself.
    pub forwarded: bool,
    /// Destinations as the packets arrive; empty = any.
    pub to: Vec<String>,
    /// What is reached in the end, as services: `tcp/22, tcp/80-443, icmp`.
    pub reaches: String,
    /// Destinations after translation; empty = as they arrive.
    pub inner: Vec<String>,
    /// The ports under which a translation publishes it: `tcp/2222`.
    pub published: Vec<String>,
    /// The sensitive services among it: `ssh (tcp/22)`.
    pub services: Vec<String>,
    /// Where it leads, in words; empty = the machine itself.
    pub place: String,
    /// The rule or policy that lets it in.
    pub decided_by: Location,
    /// What it depends on.
    pub because: Vec<Reason>,
}

/// A finding that somebody has decided to live with.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Waived {
    /// The finding.
    pub finding: Finding,
    /// Why.
    pub reason: String,
    /// Who answers for it; may be empty.
    pub owner: String,
    /// Last day, as 2027-03-31; empty = no end.
    pub expires: String,
}

/// The name of the command line where a file's would stand.
pub const COMMAND_LINE: &str = "(command line)";

/// A parse error of an input, or one that could not be read at all.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Problem {
    /// How bad: an error makes the exit status 2.
    pub level: Severity,
    /// What is wrong.
    pub message: String,
    /// What to do; may be empty.
    pub help: String,
    /// Where.
    pub location: Location,
}

/// A file that looks like a firewall configuration and was not read.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct UnreadFile {
    /// Its name.
    pub path: String,
    /// Why it was not read, as a phrase: `a pf.conf, which havenlint does not read`.
    pub reason: String,
    /// What to do about it, as a sentence without its full stop: `export config.xml and check that`; may be empty.
    #[serde(default)]
    pub help: String,
}

/// A node or gateway of the deployment.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Member {
    /// Its name, as requirements have it as subject.
    pub name: String,
    /// Its role: `cms`, `srn`, `gateway`.
    pub role: String,
    /// Its site; empty where it has none.
    pub site: String,
    /// Its addresses, as single values, prefixes and ranges.
    pub addresses: Vec<String>,
    /// Its firewall files, as the deployment file names them.
    pub firewall: Vec<String>,
    /// The firewall files that were read for it, as [`Input::path`] has them.
    pub files: Vec<String>,
}

/// State of a requirement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// Holds for every packet of the flow.
    Met,
    /// A packet breaks it for certain.
    Violated,
    /// The files do not decide it.
    Undecided,
    /// Does not apply (site type, phase).
    NotApplicable,
    /// No file for that point.
    NotChecked,
}

/// A flow as addresses and ports; sets as prefixes, ranges and single values.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default, Serialize, Deserialize)]
pub struct Flow {
    /// Sources.
    pub from: Vec<String>,
    /// Destinations.
    pub to: Vec<String>,
    /// Protocol by name, `any` for all, `any but tcp, udp` for all others.
    pub proto: String,
    /// Destination ports: `22`, `80-443`, `22,80`; empty where the protocol has none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub port: String,
    /// Source ports, likewise; empty where any that a client uses is meant.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub sport: String,
    /// Where the packets were sent to before a box on the way translated their destination to `to`: `203.0.113.10 port 443`. Empty where none did.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sent_to: Vec<String>,
}

/// A requirement at one point of one flow's path.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Requirement {
    /// Id in the catalogue.
    pub id: String,
    /// State.
    pub state: State,
    /// The node that it is about.
    pub subject: String,
    /// The firewall file of the point; empty where there is none.
    pub at: String,
    /// The flow that is required or forbidden.
    pub flow: Flow,
    /// A packet that breaks it, or one that is undecided.
    pub witness: Option<Packet>,
    /// The parts of the flow for which it does not hold (or is undecided).
    pub remainder: Vec<Flow>,
    /// Rules that decide.
    pub decided_by: Vec<Location>,
    /// Conditions that leave it undecided, each with its place.
    pub because: Vec<Reason>,
    /// The enforcement point that it is checked at: a firewall and the packets' path there; empty for what one of several points may keep
    /// out, and where there is no file. Not serialised.
    #[serde(skip)]
    pub point: String,
}

impl Requirement {
    /// Which requirement it is.
    pub fn asked(&self) -> Asked {
        Asked {
            id: self.id.clone(),
            subject: self.subject.clone(),
            point: self.point.clone(),
            flow: self.flow.clone(),
        }
    }
}

/// A condition that stands in the way of a decision.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Reason {
    /// The condition as written.
    pub text: String,
    /// What would settle it; may be empty.
    pub why: String,
    /// The rule that asks for it.
    pub location: Location,
}

/// Something that a person should look at.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Finding {
    /// Id of the requirement or check.
    pub rule: Text,
    /// How bad.
    pub level: Severity,
    /// The files do not settle it: it may be so or not.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undecided: bool,
    /// One sentence; its first sentence is the title.
    pub message: Text,
    /// The node or firewall that it is about; may be empty.
    pub subject: Text,
    /// The line that decides.
    pub location: Location,
    /// What the line does, as a label under it.
    pub label: Text,
    /// Other places with what they have to do with it: near misses first.
    pub related: Vec<Related>,
    /// The packet's path through chains, in order; may be empty.
    pub path: Vec<Related>,
    /// A packet that shows it.
    pub witness: Option<Box<Packet>>,
    /// Lines of detail under the snippet, as (word, text): `met for`, `missing`, `because`.
    pub details: Vec<(String, String)>,
    /// Stable over edits elsewhere in the file: the line's text, the rule and the subject, hashed.
    pub fingerprint: String,
    /// What to add or change, in the file's own syntax.
    pub fix: Option<Box<Fix>>,
    /// Rules that say the same and more of what stands at this place: where one of them is reported too, this finding is left out. Not
    /// serialised.
    #[serde(skip)]
    pub within: Vec<Text>,
    /// The packets that it is about, where it is about packets: more of them is another finding. Not serialised.
    #[serde(skip)]
    pub extent: Vec<Part>,
    /// What tells the rules that stand at the place from all others, whatever line they are on; empty where no rule stands there. Not
    /// serialised.
    #[serde(skip)]
    pub rules: String,
}

impl Finding {
    /// A finding at a place, about nobody in particular, with nothing more to say.
    pub fn new(
        rule: impl Into<Text>,
        level: Severity,
        message: impl Into<Text>,
        location: Location,
        label: impl Into<Text>,
    ) -> Self {
        Self {
            rule: rule.into(),
            level,
            undecided: false,
            message: message.into(),
            subject: Text::default(),
            location,
            label: label.into(),
            related: Vec::new(),
            path: Vec::new(),
            witness: None,
            details: Vec::new(),
            fingerprint: String::new(),
            fix: None,
            within: Vec::new(),
            extent: Vec::new(),
            rules: String::new(),
        }
    }

    /// Gives back memory that it holds for what may be added: of some checks there are hundreds of thousands.
    pub fn tighten(&mut self) {
        self.related.shrink_to_fit();
        self.path.shrink_to_fit();
        self.details.shrink_to_fit();
        self.within.shrink_to_fit();
        self.extent.shrink_to_fit();
    }
}

/// All lists in one, in their order; the longest is not held twice.
pub fn joined<T>(lists: Vec<Vec<T>>) -> Vec<T> {
    let longest = lists.iter().enumerate().max_by_key(|(_, l)| l.len()).map_or(0, |(i, _)| i);
    let (mut before, mut all) = (Vec::new(), Vec::new());
    for (i, list) in lists.into_iter().enumerate() {
        match i < longest {
            true => before.extend(list),
            false if i == longest => all = list,
            false => all.extend(list),
        }
    }
    all.splice(0..0, before);
    all
}

/// A place and what it has to do with a finding.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Related {
    /// Where.
    pub location: Location,
    /// What of it.
    pub message: Text,
}

/// An edit that would fix a finding.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Fix {
    /// What it does, as an imperative: `add a rule for 10.1.0.11 after line 17`.
    pub description: String,
    /// The file.
    pub path: Text,
    /// Insert after this line (from 1); 0 = at the top.
    pub after_line: u32,
    /// The lines, without the last line end.
    pub text: String,
    /// The text is not for the file: a command to run, or code for another file, as the description says.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub elsewhere: bool,
    /// Lines that go, in order and apart from each other. If the text is not empty, it takes the place of the first of them:
    /// `after_line` is the line above.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub delete: Vec<Lines>,
    /// What the edit is for, so that it can be proven. Not serialised.
    #[serde(skip)]
    pub purpose: Purpose,
}

/// Whole lines of a file, counted from 1, both included.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Lines {
    /// First.
    pub from_line: u32,
    /// Last.
    pub to_line: u32,
}

/// What an edit is for, and what it may change.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Purpose {
    /// Packets, as rules see them, that may pass afterwards. If there are none, and none that may be stopped, the edit changes no verdict.
    pub opens: Vec<Region>,
    /// Packets, as rules see them, that may be stopped afterwards.
    pub closes: Vec<Region>,
    /// The requirements that hold afterwards.
    pub repairs: Vec<Asked>,
    /// Peers whose addresses nobody declared, so that the edit opens to anybody: it shows what a rule would look like, no more.
    pub undeclared: Vec<String>,
}

/// Which requirement: what tells it from all others of a run, whatever its state.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct Asked {
    /// Id in the catalogue.
    pub id: String,
    /// The node that it is about.
    pub subject: String,
    /// The enforcement point that it is checked at.
    pub point: String,
    /// The flow.
    pub flow: Flow,
}

/// Counts of a run.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub struct Summary {
    /// Requirements that hold.
    pub met: usize,
    /// Requirements that are broken.
    pub violated: usize,
    /// Requirements that could not be decided.
    pub undecided: usize,
    /// Requirements that do not apply.
    pub not_applicable: usize,
    /// Requirements at points without a file.
    pub not_checked: usize,
    /// Findings of level error.
    pub error: usize,
    /// Findings of level warning.
    pub warning: usize,
    /// Findings of level note.
    pub note: usize,
}

/// What a rule's id means: shown by `explain`, listed by `rules`, carried into SARIF.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleDoc {
    /// Id: `SH4-CMS-SSH`, `HL-ANY-ANY`.
    pub id: String,
    /// A short name in PascalCase.
    pub name: String,
    /// One sentence.
    pub summary: String,
    /// Markdown: what it does, why it is bad, an example, what to use instead.
    pub documentation: String,
    /// Level of its findings.
    pub level: Severity,
    /// Security severity, 0.0–10.0 (CVSS-like, as GitHub uses it); `None` = not a security rule.
    pub security_severity: Option<f64>,
    /// Short words; `security` among them where it is.
    pub tags: Vec<String>,
    /// `requirement`, `check` or `input`.
    pub kind: String,
    /// Where it comes from: article reference; may be empty.
    pub source: String,
    /// The page that describes it, as a path in havenlint's repository: `docs/src/rules/HL-ANY-ANY.md`. Empty for a rule of one's own.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub page: String,
    /// Items of security standards that it gives evidence for.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub controls: Vec<Control>,
}

/// An item of a security standard, such as a requirement of PCI DSS.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Control {
    /// The standard: `PCI DSS 4.0.1`.
    pub framework: String,
    /// The item's number there: `1.2.5`.
    pub id: String,
    /// What it asks for, in our own words.
    pub title: String,
}

/// Path of a built-in rule's page in havenlint's repository.
pub fn rule_page(id: &str) -> String {
    format!("docs/src/rules/{id}.md")
}

impl Problem {
    /// A diagnostic with its place in the files that it speaks of.
    pub fn of(diagnostic: &Diagnostic, files: &[Arc<SourceFile>]) -> Self {
        Problem {
            level: diagnostic.severity,
            message: diagnostic.message.clone(),
            help: diagnostic.help.clone(),
            location: locate(files, diagnostic.origin),
        }
    }
}

impl Report {
    /// `, operation phase`, or nothing where the catalogue tells no phases apart.
    pub fn in_phase(&self) -> String {
        if self.phase.is_empty() { String::new() } else { format!(", {} phase", self.phase) }
    }

    /// A report of nothing but problems of inputs.
    pub fn of_problems(problems: Vec<Problem>, sources: Vec<Arc<SourceFile>>) -> Self {
        Report {
            schema: 1,
            tool: Tool { name: "havenlint".to_owned(), version: env!("CARGO_PKG_VERSION").to_owned() },
            problems,
            sources,
            ..Report::default()
        }
    }
}

impl Summary {
    /// Counts requirements and findings.
    pub fn of(requirements: &[Requirement], findings: &[Finding]) -> Self {
        let state = |s| requirements.iter().filter(|r| r.state == s).count();
        let level = |l| findings.iter().filter(|f| f.level == l).count();
        Summary {
            met: state(State::Met),
            violated: state(State::Violated),
            undecided: state(State::Undecided),
            not_applicable: state(State::NotApplicable),
            not_checked: state(State::NotChecked),
            error: level(Severity::Error),
            warning: level(Severity::Warning),
            note: level(Severity::Note),
        }
    }
}
