//! What a run goes by: the catalogue, and the deployment of its file or of the options.

use super::{DEFAULT_CATALOGUE, DEPLOYMENT_FILE, Options, all_rules, problems_of, trouble};
use crate::catalogue::{self, Catalogue};
use crate::deployment::{self, Deployment};
use crate::finding::{COMMAND_LINE, Problem, Severity};
use crate::lint::registry;
use crate::packet::Region;
use crate::source::SourceFile;
use crate::source::discover::shown;
use crate::triage::selection::Selection;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// What a run goes by.
pub struct Opened {
    /// The catalogue.
    pub catalogue: Catalogue,
    /// The deployment: of its file, or made from the options.
    pub deployment: Deployment,
    /// Whether there is a deployment file.
    pub deployed: bool,
    /// Neither has errors: requirements can be judged.
    pub sound: bool,
    /// Flows that were seen.
    pub seen: Vec<Region>,
    /// What is wrong with them.
    pub problems: Vec<Problem>,
}

impl Opened {
    /// Opens what the options name, or what is found where they name nothing.
    pub fn of(options: &Options) -> Self {
        let mut problems = Vec::new();
        let draft = deployment_file(options, &mut problems);
        let catalogue = open_catalogue(options, draft.as_ref());
        let deployed = draft.is_some();
        // Without a catalogue nearly every word of the deployment is unknown: that is one mistake, not many.
        let wordless = !catalogue.is_sound() && catalogue.roles.is_empty();
        let written = draft.as_ref().map_or_else(Vec::new, |d| d.diagnostics().to_vec());
        let mut deployment = match draft {
            Some(d) => d.deployment(&vocabulary(&catalogue)),
            None => {
                deployment::from_options(&from(options), &vocabulary(&catalogue)).unwrap_or_else(|errors| {
                    problems.extend(errors.into_iter().map(|e| trouble(COMMAND_LINE, e, "")));
                    Deployment::default()
                })
            }
        };
        override_phase(options, &catalogue, &mut deployment, &mut problems);
        for (alias, id) in catalogue.aliases() {
            deployment.waivers.iter_mut().filter(|w| w.rule == alias).for_each(|w| w.rule.clone_from(&id));
        }
        let files: Vec<_> = deployment.file.iter().cloned().collect();
        if wordless {
            deployment.diagnostics = written;
        }
        problems.extend(problems_of(&deployment.diagnostics, &files));
        problems.extend(problems_of(&catalogue.diagnostics, &catalogue.files));
        let sound =
            catalogue.is_sound() && deployment.diagnostics.iter().all(|d| d.severity != Severity::Error);
        let seen = match options.seen.as_deref().map(super::seen::read) {
            Some(Ok(seen)) => seen,
            Some(Err(problem)) => {
                problems.push(*problem);
                Vec::new()
            }
            None => Vec::new(),
        };
        Self { catalogue, deployment, deployed, sound, seen, problems }
    }

    /// The rules that the options select; what they name wrongly becomes a problem.
    pub fn selection(&mut self, options: &Options) -> Selection {
        if let Some(selection) = &options.selection {
            return selection.clone();
        }
        // Options weigh more than what the deployment file says.
        let given = !options.select.is_empty() || !options.ignore.is_empty() || options.report_all;
        let defaults = &self.deployment.defaults;
        let (select, ignore) =
            if given { (&options.select, &options.ignore) } else { (&defaults.select, &defaults.ignore) };
        if select.is_empty() && ignore.is_empty() {
            return Selection::default();
        }
        let rules = all_rules(&self.catalogue);
        let (selection, errors) = Selection::new(select, ignore, &rules, &self.catalogue.aliases());
        let file = self.deployment.file.as_ref().map(|f| f.path.clone()).unwrap_or_default();
        let place = if given { COMMAND_LINE } else { &file };
        self.problems.extend(errors.into_iter().map(|(e, help)| trouble(place, e, &help)));
        selection
    }

    /// The files that were opened for it.
    pub fn files(&self) -> impl Iterator<Item = &Arc<SourceFile>> {
        self.deployment.file.iter().chain(&self.catalogue.files)
    }
}

// The deployment file: named, or in a folder that is given, or in this folder or one above it.
fn deployment_file(options: &Options, problems: &mut Vec<Problem>) -> Option<deployment::Draft> {
    if options.no_config || options.role.is_some() {
        return None;
    }
    let path = match &options.config {
        Some(p) => p.clone(),
        None => {
            let given = options.paths.iter().map(|p| p.join(DEPLOYMENT_FILE)).find(|p| p.is_file());
            let above = || -> Option<PathBuf> {
                let stdin = options.paths.iter().any(|p| p.as_os_str() == "-");
                let start = match options.paths.first() {
                    _ if stdin => return None,
                    Some(p) => std::path::absolute(p).ok()?,
                    None => std::env::current_dir().ok()?,
                };
                let here = std::env::current_dir().ok()?;
                let found = start.ancestors().map(|a| a.join(DEPLOYMENT_FILE)).find(|p| p.is_file())?;
                Some(found.strip_prefix(&here).map(Path::to_owned).unwrap_or(found))
            };
            given.or_else(above)?
        }
    };
    // An editor's document counts as it stands there.
    let edited = options.read.edited.get(&path).map(|bytes| {
        let folder = path.parent().map_or_else(PathBuf::new, Path::to_owned);
        deployment::read(SourceFile::new(shown(&path), bytes), &folder)
    });
    match edited.map_or_else(|| deployment::open(&path), Ok) {
        Ok(draft) => Some(draft),
        Err(e) => {
            problems.push(trouble(&shown(&path), e, ""));
            None
        }
    }
}

fn open_catalogue(options: &Options, draft: Option<&deployment::Draft>) -> Catalogue {
    let (spec, folder) = match (&options.catalogue, draft) {
        (Some(c), _) => (c.as_str(), Path::new("")),
        (None, Some(d)) => (d.catalogue().map_or(DEFAULT_CATALOGUE, |c| c.0), d.folder()),
        (None, None) => (DEFAULT_CATALOGUE, Path::new("")),
    };
    let path = folder.join(spec);
    match options.read.edited.get(&path) {
        Some(bytes) => {
            let base = path.parent().map_or_else(PathBuf::new, Path::to_owned);
            catalogue::read(SourceFile::new(shown(&path), bytes), &base)
        }
        None => catalogue::open(spec, folder),
    }
}

fn vocabulary(catalogue: &Catalogue) -> deployment::Vocabulary {
    let mut v = catalogue.vocabulary();
    v.rules.extend(catalogue.requirements.iter().map(|r| r.id.clone()));
    v.rules.extend(catalogue.aliases().into_iter().map(|(alias, _)| alias));
    v.rules.extend(registry::CHECKS.iter().map(|c| c.id.to_owned()));
    v.rules.extend(crate::triage::docs().into_iter().map(|d| d.id));
    v
}

fn from(options: &Options) -> deployment::Options {
    deployment::Options {
        role: options.role.clone(),
        phase: options.phase.clone(),
        site_type: options.site_type.clone(),
        sets: options.sets.clone(),
        local: options.local.clone(),
    }
}

fn override_phase(options: &Options, catalogue: &Catalogue, d: &mut Deployment, problems: &mut Vec<Problem>) {
    let Some(phase) = &options.phase else { return };
    if catalogue.phases.iter().any(|p| p.name == *phase) {
        d.phase = phase.clone();
    } else if d.file.is_some() {
        let known: Vec<_> = catalogue.phases.iter().map(|p| p.name.as_str()).collect();
        problems.push(trouble(
            "",
            format!("--phase {phase}: unknown phase; use one of {}", known.join(", ")),
            "",
        ));
    }
}
