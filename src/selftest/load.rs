//! How a ruleset is loaded: by the program that wrote it.

use crate::dialect::{Role, detect};
use crate::model::Firewall;
use crate::packet::Family;

/// A text, and the program that takes it on standard input.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Load {
    /// The program.
    pub program: &'static str,
    /// Its arguments.
    pub arguments: &'static [&'static str],
    /// Where the text comes from.
    pub path: String,
    /// The text.
    pub text: Vec<u8>,
}

impl Load {
    /// The program with its arguments.
    pub fn command(&self) -> String {
        [&[self.program], self.arguments].concat().join(" ")
    }
}

/// What loads the firewalls of a box: sets first, for rules name them.
///
/// # Errors
/// A message for a dialect that this machine's kernel does not run.
pub fn loads(firewalls: &[&Firewall]) -> Result<Vec<Load>, String> {
    let mut out: Vec<Load> = Vec::new();
    for f in firewalls {
        let programs: Vec<(&'static str, &'static [&'static str])> = match f.dialect {
            // A dump that does not tell its family was read for both.
            "iptables" | "ip6tables" => f.families.iter().map(|family| (restore(*family), NONE)).collect(),
            name if name.starts_with("nftables") => vec![("nft", &["-f", "-"])],
            other => {
                return Err(format!(
                    "{}: {other} does not run in the Linux kernel; only iptables and nftables can be compared with it",
                    f.path()
                ));
            }
        };
        let nft = f.dialect.starts_with("nftables");
        for (n, file) in f.files.iter().enumerate() {
            let text = file.bytes();
            let json = text.trim_ascii_start().starts_with(b"{");
            let programs = match n {
                0 if nft && json => vec![("nft", ["-j", "-f", "-"].as_slice())],
                0 => programs.clone(),
                _ if !nft && matches!(detect(text), Some((_, Role::Companion))) => {
                    vec![("ipset", ["restore"].as_slice())]
                }
                // Included files are read by the program itself.
                _ => continue,
            };
            for (program, arguments) in programs {
                let load = Load { program, arguments, path: file.path.clone(), text: text.to_vec() };
                if !out.contains(&load) {
                    out.push(load);
                }
            }
        }
    }
    out.sort_by_key(|l| l.program != "ipset");
    Ok(out)
}

const NONE: &[&str] = &[];

fn restore(family: Family) -> &'static str {
    match family {
        Family::V4 => "iptables-restore",
        Family::V6 => "ip6tables-restore",
    }
}
