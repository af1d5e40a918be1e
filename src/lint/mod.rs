//! Hygiene checks: one file a rule, in the folder of what it looks at. The file's name is the rule's id in small letters without
//! the prefix: `HL-AWS-WIDE-CIDR` is `aws/wide_cidr.rs`, `HL-ANY-ANY` is `general/any_any.rs`.

pub mod aws;
pub mod general;
pub mod narrowed;
pub mod nftables;
pub mod open;
pub mod pfsense;
pub mod privilege;
pub mod probe;
pub mod reach;
pub mod registry;
pub mod sensitive_ports;
pub mod through;
pub mod unused;

#[cfg(test)]
mod tests {
    use super::registry::CHECKS;
    use std::path::Path;

    #[test]
    fn a_rules_file_is_found_by_its_id() {
        for check in CHECKS {
            let name = check.id.trim_start_matches("HL-").to_lowercase().replace('-', "_");
            let folders = [("aws", "aws_"), ("nftables", "nft_"), ("pfsense", "pf_"), ("general", "")];
            // INVARIANT: every name begins with the empty prefix of the last folder.
            let (folder, rest) = folders.iter().find_map(|(f, p)| Some((f, name.strip_prefix(p)?))).unwrap();
            let file = format!("{}/src/lint/{folder}/{rest}.rs", env!("CARGO_MANIFEST_DIR"));
            assert!(Path::new(&file).is_file(), "{}: there is no {file}", check.id);
            assert!(check.source.contains(check.id), "{}: its documentation is another file's", check.id);
        }
    }
}
