//! What any address can reach depends on something that the files do not tell.
//!
//! ## What it does
//! Reports conditions on which it depends whether anybody reaches a sensitive service, or nearly everything: a set whose elements are not
//! in the files, a match that havenlint does not know. One finding for each condition, with the rules that would let it in.
//! Where more rules let anybody in than a report can list, sensitive services and what is widest are listed, and one finding counts the rules of which not
//! everything is.
//!
//! ## Why is this bad?
//! The condition may open the machine to everyone, or keep everyone out.
//!
//! ## Example
//! ```text
//! -A INPUT -p tcp -m tcp --dport 22 -m set --match-set trusted src -j ACCEPT
//! ```
//!
//! ## Use instead
//! ```text
//! ipset save > trusted.ipset     (beside the dump; then it is decided)
//! ```

use crate::finding::{Finding, Severity};
use crate::lint::open::finding::undecided;
use crate::lint::registry::{Check, Run, Subject};

/// The check.
pub static CHECK: Check = Check {
    id: "HL-EXPOSED-UNDECIDED",
    name: "ExposedUndecided",
    summary: "the files do not decide whether any address gets in",
    level: Severity::Note,
    security_severity: Some(5.0),
    source: include_str!("exposed_undecided.rs"),
    run: Run::Firewall(run),
};

fn run(subject: &Subject<'_>, findings: &mut Vec<Finding>) {
    undecided(&CHECK, subject, findings);
}
