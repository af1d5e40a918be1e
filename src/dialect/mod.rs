//! Configuration languages. Each is one folder that reads its files and lowers them to the [model](crate::model), and one
//! line in [`DIALECTS`].

pub mod aws;
pub mod beside;
pub mod iptables;
pub mod kept;
pub mod load;
pub mod nftables;
pub mod pfsense;
pub mod same_box;
pub mod unread;

use crate::model::{ChainId, Firewall};
use crate::packet::{IntervalSet, Region};
use crate::source::discover::Edited;
use crate::source::progress::Progress;
use crate::source::shard::Shard;
use crate::source::walk::Walk;
use crate::source::{Origin, SourceFile};
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

/// A configuration language.
pub trait Dialect: Sync {
    /// Names under which reports and `--dialect` know it; more than one where the language has variants
    /// (`iptables`, `ip6tables`).
    fn names(&self) -> &'static [&'static str];

    /// Whether the content is of this language, and in which role. Must look at the content only, and be quick: it
    /// sees every file of a tree. A file that begins like the language but is broken further on is of the language.
    fn detect(&self, content: &[u8]) -> Option<Role>;

    /// Whether a file with rules refers to what companions hold; must be quick, and may say so too often.
    fn refers(&self, content: &[u8]) -> bool {
        let _ = content;
        true
    }

    /// Whether reading a file may read others that it names; must be quick, and may say so too often.
    fn names_others(&self, content: &[u8]) -> bool {
        let _ = content;
        false
    }

    /// How files become firewalls.
    fn grouping(&self) -> Grouping {
        Grouping::Each
    }

    /// The role and the world of a file whose content does not show what it is, by its name; `named` = it was named itself, not found in a
    /// folder.
    fn claims(&self, name: &str, named: bool) -> Option<(Role, World)> {
        let _ = (name, named);
        None
    }

    /// Of which world a file tells, by its beginning. Asked of dialects whose files belong together.
    fn world(&self, content: &[u8]) -> World {
        let _ = content;
        World::Shared
    }

    /// Folders that a file of [`World::Folder`] reads as well, as paths like its own.
    fn reads(&self, file: &SourceFile) -> Vec<String> {
        let _ = file;
        Vec::new()
    }

    /// Reads one firewall: a single file ([`Grouping::Each`], `files[0]`, with its companions behind it), or all files of a folder
    /// that belong together ([`Grouping::Together`]). Never fails: what is wrong becomes a diagnostic of the firewall, and what
    /// could not be understood a rule with an unknown verdict.
    fn read(&self, files: &[Arc<SourceFile>], options: &ReadOptions) -> Firewall;

    /// What to add to let a flow through, in the dialect's own syntax; `None` where this dialect cannot say.
    fn suggest(&self, firewall: &Firewall, missing: &Missing<'_>) -> Option<Suggestion> {
        let _ = (firewall, missing);
        None
    }

    /// The lines that hold a rule and nothing else, so that it goes when they go; `None` where they hold more, or where others hang
    /// on them (commas of JSON).
    fn lines(&self, firewall: &Firewall, rule: Origin) -> Option<WholeLines> {
        let _ = (firewall, rule);
        None
    }
}

/// Whole lines of one of a firewall's files.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct WholeLines {
    /// Index of the file.
    pub file: usize,
    /// First line, from 1.
    pub first: u32,
    /// Last line.
    pub last: u32,
}

impl WholeLines {
    /// The lines of a place, with what stands on them before and behind it. A line may be the whole file: whoever asks should not read on
    /// where the answer is found.
    pub fn around(firewall: &Firewall, at: Origin) -> Option<(Self, &[u8], &[u8])> {
        let index = at.file as usize;
        let file = firewall.files.get(index).filter(|_| at.start < at.end)?;
        let (first, last) = (file.line_of(at.start as usize), file.line_of(at.end as usize - 1));
        let (start, end) = (at.start as usize, at.end as usize);
        let before = file.bytes().get(file.line_range(first).start..start)?;
        let behind = file.bytes().get(end..file.line_range(last).end.max(end))?;
        Some((Self { file: index, first: first as u32 + 1, last: last as u32 + 1 }, before, behind))
    }
}

/// A flow that a firewall stops and should not.
#[derive(Debug, Clone, Copy)]
pub struct Missing<'a> {
    /// The packets: their family, source, destination, protocol, destination port; interfaces where they are known.
    pub region: &'a Region,
    /// The packets are answers of a conversation that is let in: state established, the service's port is the source port.
    pub answers: bool,
    /// The packets are those of a conversation after the first: state established too, but the service's port is the destination port.
    pub later: bool,
    /// The chain in which they are stopped; the base chain where its policy stops them.
    pub chain: ChainId,
    /// The rule of the chain that stops them; `None` = the policy.
    pub rule: Option<usize>,
}

/// An edit that lets a flow through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Suggestion {
    /// Index of the firewall's file that is to be edited.
    pub file: usize,
    /// Insert after this line (from 1); 0 = at the top.
    pub after_line: u32,
    /// The lines, without the last line end.
    pub text: String,
    /// The text is not for the file, which only shows what is in force elsewhere; then this says what to do with it, as an
    /// imperative: `run`, `add to the Terraform configuration`.
    pub elsewhere: Option<String>,
}

/// What part a file plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// Holds rules.
    Rules,
    /// Holds what rules refer to (`ipset save`, interfaces, prefix lists): of no use alone.
    Companion,
}

/// Of which world a file tells, where the files of a folder belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum World {
    /// The one that exists: all such files of a folder, and all that are named, tell of the same.
    Shared,
    /// One of its own: a plan or a template is what may become.
    Own,
    /// That of the files of its folder which are of this kind.
    Folder,
}

/// How files become firewalls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Grouping {
    /// Each file with rules is one firewall. Companions that are named are read with it, and where it was found by walking a folder those of
    /// its folder.
    Each,
    /// The files of one folder (or those given by name in one run) are one firewall.
    Together,
}

/// What reading depends on beside the files.
#[derive(Debug, Clone, Default)]
pub struct ReadOptions {
    /// The variant asked for by `--dialect`; `None` = as the content tells.
    pub variant: Option<&'static str>,
    /// Addresses of host names, from the deployment file; names in lower case.
    pub names: BTreeMap<String, IntervalSet>,
    /// The moment at which schedules are judged (local time of the box); `None` = schedules are not decided.
    pub at: Option<jiff::civil::DateTime>,
    /// Labels that the deployment declares for the box (security groups of the interface). What those of them mean that no file
    /// describes is not known.
    pub labels: Vec<String>,
    /// The files are complete: what they do not mention does not exist.
    pub complete: bool,
    /// Values of parameters of templates, by name.
    pub parameters: BTreeMap<String, String>,
    /// Companions that lie beside a named file are read with it if none is named, and that is said: the files are those of one member of a
    /// deployment.
    pub beside: bool,
    /// How folders are walked.
    pub walk: Walk,
    /// Files that are read with other content than they have.
    pub edited: Arc<Edited>,
    /// What is known of files that rulesets include.
    pub includes: Includes,
    /// Only the firewalls of this part are read; `None` = all.
    pub shard: Option<Shard>,
    /// What lies beside named files.
    pub folders: Arc<beside::Folders>,
    /// Firewalls of an earlier run with the same options but for their files; `None` = nobody will ask for those of this run.
    pub kept: Option<Arc<kept::Kept>>,
    /// Counts the files.
    pub progress: Arc<Progress>,
}

/// What is known of included files that do not lie below the ruleset's own folder.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Includes {
    /// The folder that stands for the root of the box's file system: absolute names are looked up in it.
    pub root: Option<PathBuf>,
    /// Those that are not read are taken to hold nothing.
    pub assumed_empty: bool,
}

/// All dialects, in the order in which content is tried.
pub static DIALECTS: &[&dyn Dialect] =
    &[&iptables::Iptables, &aws::Aws, &nftables::Nftables, &pfsense::Pfsense];

/// The dialect of a file by its content.
pub fn detect(content: &[u8]) -> Option<(&'static dyn Dialect, Role)> {
    DIALECTS.iter().find_map(|d| d.detect(content).map(|role| (*d, role)))
}

/// The dialect with a name, and the name as the dialect spells it.
pub fn by_name(name: &str) -> Option<(&'static dyn Dialect, &'static str)> {
    DIALECTS.iter().find_map(|d| d.names().iter().find(|n| **n == name).map(|n| (*d, *n)))
}
