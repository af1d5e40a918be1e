//! What `trace` and `query` ask about: the box whose files are given.

use super::{Inputs, say, status};
use crate::analysis::evaluate::Because;
use crate::dialect::load::Loaded;
use crate::dialect::same_box;
use crate::finding::Reason;
use crate::model::{Firewall, Hook};
use crate::packet::{Family, Path};
use crate::source::{Location, Severity};
use std::collections::BTreeSet;

/// The firewalls of one box.
pub(crate) struct Subject {
    /// Its file, or its files.
    pub name: String,
    /// The firewalls.
    pub firewalls: Vec<Firewall>,
}

/// The boxes whose files are given, and the exit status if all else goes well.
pub(crate) struct Subjects {
    /// Each box.
    pub boxes: Vec<Subject>,
    /// Clean, or trouble if a file is malformed.
    pub status: u8,
}

// More problems of one file than this are counted, not shown.
const MAX_SHOWN: usize = 20;

impl Subjects {
    /// Reads the files; says on standard error what is wrong with them.
    ///
    /// # Errors
    /// The exit status, if there is nothing to ask about.
    pub fn open(inputs: &Inputs) -> Result<Self, u8> {
        if inputs.paths.is_empty() {
            say("error: name the firewall's files, or `-` for standard input");
            return Err(status::TROUBLE);
        }
        let loaded = inputs.reading.load(&inputs.paths).map_err(|e| {
            say(&format!("error: {e}"));
            status::TROUBLE
        })?;
        let mut code = status::CLEAN;
        if complain(&loaded) {
            code = status::TROUBLE;
        }
        if loaded.firewalls.is_empty() {
            if code == status::CLEAN {
                say("error: no firewall file found");
                code = status::NOTHING;
            }
            return Err(code);
        }
        if loaded.firewalls.iter().any(Firewall::asks_reverse_path) && !inputs.reading.assumes("forged") {
            say(
                "note: assuming a route back to the source of every packet; `--assume forged` for the other case",
            );
        }
        for u in &loaded.passed_over {
            say(&format!("note: {} looks like a firewall and was not read: {}", u.path, u.message));
        }
        Ok(Self { boxes: split(loaded.firewalls, inputs.same_box), status: code })
    }

    /// The boxes that can be asked about packets of these families: those whose files speak for one of them, or all where none does.
    pub fn speaking(&self, families: &[Family]) -> Vec<&Subject> {
        let speaks = |b: &&Subject| families.iter().any(|f| b.covers(*f));
        match self.boxes.iter().any(|b| speaks(&b)) {
            true => self.boxes.iter().filter(speaks).collect(),
            false => self.boxes.iter().collect(),
        }
    }
}

// One subject a box. What was joined by its name is said.
fn split(firewalls: Vec<Firewall>, one: bool) -> Vec<Subject> {
    let boxes = same_box::boxes(&firewalls.iter().collect::<Vec<_>>(), one);
    let mut left: Vec<Option<Firewall>> = firewalls.into_iter().map(Some).collect();
    boxes
        .into_iter()
        .map(|b| {
            let firewalls: Vec<Firewall> = b.members.iter().filter_map(|m| left[*m].take()).collect();
            let name = same_box::name(&firewalls.iter().collect::<Vec<_>>());
            if b.by_name {
                say(&format!("note: taken for one box because of their names: {name}"));
            }
            Subject { name, firewalls }
        })
        .collect()
}

impl Subject {
    /// The firewalls as a point.
    pub fn all(&self) -> Vec<&Firewall> {
        self.firewalls.iter().collect()
    }

    /// Whether any file speaks for a family.
    pub fn covers(&self, family: Family) -> bool {
        self.firewalls.iter().any(|f| f.covers(family))
    }

    /// The path as this kind of firewall has it: a cloud interface knows only ingress and egress, a box the other three.
    pub fn path(&self, path: Path) -> Path {
        let has = |hooks: &[Hook]| {
            self.firewalls.iter().flat_map(|f| &f.base_chains).any(|b| hooks.contains(&b.hook))
        };
        let cloud = has(&[Hook::Ingress, Hook::Egress]);
        let own = Hook::ALL.into_iter().any(|h| !matches!(h, Hook::Ingress | Hook::Egress) && has(&[h]));
        match path {
            Path::Input if cloud && !own => Path::Ingress,
            Path::Output if cloud && !own => Path::Egress,
            Path::Ingress if own && !cloud => Path::Input,
            Path::Egress if own && !cloud => Path::Output,
            p => p,
        }
    }

    /// The name that packets carry for an interface: the files may know it by its device or description.
    pub fn interface(&self, name: &str) -> Option<&str> {
        self.firewalls.iter().find_map(|f| f.interface_named(name))
    }

    /// A message if a label is attached that no file knows, though the files know labels.
    pub fn unknown_label(&self, attached: &[String]) -> Option<String> {
        let known: BTreeSet<&str> =
            self.firewalls.iter().flat_map(|f| &f.labels).map(String::as_str).collect();
        let wrong = attached.iter().find(|w| !known.is_empty() && !known.contains(w.as_str()))?;
        Some(format!("unknown group `{wrong}`: no file contains it"))
    }

    /// Reasons as they are reported.
    pub fn reasons(&self, because: &[Because]) -> Vec<Reason> {
        because.iter().map(|b| reason(&self.firewalls[b.firewall], b)).collect()
    }
}

/// Says what is wrong with files that were read; true if something is unreadable or malformed.
pub(crate) fn complain(loaded: &Loaded) -> bool {
    for u in &loaded.unreadable {
        let help = if u.help.is_empty() { String::new() } else { format!(" ({})", u.help) };
        say(&format!("error: {}: {}{help}", u.path, u.message));
    }
    let malformed = loaded.firewalls.iter().filter(|f| malformed(f)).count();
    malformed > 0 || !loaded.unreadable.is_empty()
}

// Says what is wrong with a firewall's files; true if something is malformed.
fn malformed(f: &Firewall) -> bool {
    let wrong: Vec<_> = f.diagnostics.iter().filter(|d| d.severity == Severity::Error).collect();
    for d in wrong.iter().take(MAX_SHOWN) {
        let help = if d.help.is_empty() { String::new() } else { format!(" ({})", d.help) };
        let at = f.locate(d.origin);
        say(&format!("error: {}:{}: {}{help}", place(&at), at.column, d.message));
    }
    if wrong.len() > MAX_SHOWN {
        say(&format!("error: {}: {} more errors", f.path(), wrong.len() - MAX_SHOWN));
    }
    !wrong.is_empty()
}

/// A reason that a rule of a firewall gives.
pub(crate) fn reason(f: &Firewall, b: &Because) -> Reason {
    Reason { text: b.text.clone(), why: b.why.clone(), location: f.locate(b.origin) }
}

/// `path:line`.
pub(crate) fn place(l: &Location) -> String {
    format!("{}:{}", l.path, l.line)
}
