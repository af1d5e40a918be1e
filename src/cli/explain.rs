//! `havenlint explain` and `havenlint rules`: what rules mean.

use super::{print, say, status, style};
use crate::catalogue;
use crate::finding::RuleDoc;
use crate::report::explain::{list, list_json, write};
use crate::session::{DEFAULT_CATALOGUE, all_rules};
use clap::{Args, ColorChoice};
use std::path::Path;

/// Show what a rule means: what it does, why it matters, an example, what to use instead.
#[derive(Debug, Args)]
#[command(after_help = super::help::EXPLAIN)]
pub struct Explain {
    /// The rule's id.
    id: String,
    /// The catalogue in which to look up the id.
    #[arg(long, value_name = "NAME|FILE", default_value = DEFAULT_CATALOGUE)]
    catalogue: String,
}

/// List all rules.
#[derive(Debug, Args)]
pub struct Rules {
    /// The catalogue whose requirements to list.
    #[arg(long, value_name = "NAME|FILE", default_value = DEFAULT_CATALOGUE)]
    catalogue: String,
    /// Output format.
    #[arg(long, value_name = "FORMAT", default_value = "human", value_parser = ["human", "json"])]
    format: String,
}

// Documentation of all rules, and other names of requirements with the id that each stands for.
type Docs = (Vec<RuleDoc>, Vec<(String, String)>);

fn docs(name: &str) -> Result<Docs, String> {
    let catalogue = catalogue::open(name, Path::new(""));
    if !catalogue.is_sound() {
        return Err(format!("the catalogue `{name}` has errors: run `havenlint catalogue lint {name}`"));
    }
    Ok((all_rules(&catalogue), catalogue.aliases()))
}

/// Runs `explain`.
pub fn explain(args: &Explain, color: ColorChoice) -> u8 {
    let (all, aliases) = match docs(&args.catalogue) {
        Ok(d) => d,
        Err(e) => {
            say(&format!("error: {e}"));
            return status::TROUBLE;
        }
    };
    let alias = aliases.iter().find(|(alias, _)| alias.eq_ignore_ascii_case(&args.id));
    let id = alias.map_or(&args.id, |(_, id)| id);
    let Some(doc) = all.iter().find(|d| d.id.eq_ignore_ascii_case(id)) else {
        let near = all.iter().max_by(|a, b| {
            let likeness = |d: &RuleDoc| strsim::jaro_winkler(&d.id, &args.id.to_uppercase());
            likeness(a).total_cmp(&likeness(b))
        });
        let hint = near.map(|d| format!("; did you mean {}?", d.id)).unwrap_or_default();
        say(&format!("error: unknown rule {}{hint} (`havenlint rules` lists all rules)", args.id));
        return status::TROUBLE;
    };
    print(|out| write(doc, &style(color, false), out))
}

/// Runs `rules`.
pub fn rules(args: &Rules, color: ColorChoice) -> u8 {
    let (all, _) = match docs(&args.catalogue) {
        Ok(d) => d,
        Err(e) => {
            say(&format!("error: {e}"));
            return status::TROUBLE;
        }
    };
    print(
        |out| {
            if args.format == "json" { list_json(&all, out) } else { list(&all, &style(color, false), out) }
        },
    )
}
