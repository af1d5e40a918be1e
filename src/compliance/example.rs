//! Examples of a catalogue: one firewall file, one machine, one requirement.

use super::path::{EnforcementPoint, EnforcementPoints, environment};
use super::requirement::rows;
use crate::analysis::Environment;
use crate::catalogue::resolve::resolve;
use crate::catalogue::together::Together;
use crate::catalogue::{Catalogue, Example, Requirement};
use crate::deployment::{Options, from_options};
use crate::dialect::{ReadOptions, by_name};
use crate::finding::State;
use crate::source::{Severity, SourceFile};

/// The state of a requirement on an example's machine: the worst of its flows.
///
/// # Errors
/// A message if the example cannot be run: its dialect is not known, its file or its sets are malformed.
pub fn run(catalogue: &Catalogue, requirement: &Requirement, example: &Example) -> Result<State, String> {
    let (dialect, variant) =
        by_name(&example.dialect).ok_or_else(|| format!("unknown dialect `{}`", example.dialect))?;
    let options = Options {
        role: Some(example.role.clone()),
        phase: example.phase.clone(),
        site_type: example.site_type.clone(),
        sets: example.sets.clone(),
        local: None,
    };
    let deployment = from_options(&options, &catalogue.vocabulary()).map_err(|e| e.join("; "))?;
    let names = deployment.names.iter().map(|(n, s)| (n.clone(), s.addresses.clone())).collect();
    let read = ReadOptions { variant: Some(variant), names, ..ReadOptions::default() };
    let firewall = dialect.read(&[SourceFile::new("example", example.file.as_bytes())], &read);
    if let Some(d) = firewall.diagnostics.iter().find(|d| d.severity == Severity::Error) {
        let at = firewall.locate(d.origin);
        return Err(format!("line {} of the file: {}", at.line, d.message));
    }
    let points = EnforcementPoints {
        nodes: vec![EnforcementPoint::new(
            &example.role,
            &[&firewall],
            environment(&deployment, 0, &Environment::default()),
        )],
        gateways: Vec::new(),
    };
    let flows: Vec<_> = resolve(catalogue, &deployment, &Together::default())
        .into_iter()
        .filter(|f| catalogue.requirements[f.requirement].id == requirement.id)
        .collect();
    let gravity = |s: &State| match s {
        State::Violated => 4,
        State::Undecided => 3,
        State::Met => 2,
        State::NotChecked => 1,
        State::NotApplicable => 0,
    };
    let states = rows(catalogue, &flows, &points).into_iter().map(|r| r.state);
    states.max_by_key(gravity).ok_or_else(|| "the requirement does not apply to this machine".to_owned())
}
