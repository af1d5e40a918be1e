//! What of a flow gets through a whole deployment.

use super::super::journey::{self, Ends, Shape};
use super::super::{say, status};
use super::Query;
use clap::ColorChoice;

/// Answers a question that names no files; `None` = it names some, or is no flow from one end to another.
pub fn execute(args: &Query, color: ColorChoice) -> Option<u8> {
    match args.through()? {
        Ok(ends) => {
            let json = args.format == "json";
            let each = ends.iter().map(|e| journey::execute(e, &args.inputs, Shape::Parts, json, color));
            each.max()
        }
        Err(e) => {
            say(&format!("error: {e}"));
            Some(status::TROUBLE)
        }
    }
}

impl Query {
    // The flow, once for each protocol; `None` = firewalls are asked whose files are named.
    fn through(&self) -> Option<Result<Vec<Ends>, String>> {
        let ([from], [to], true) = (self.from.as_slice(), self.to.as_slice(), self.inputs.paths.is_empty())
        else {
            return None;
        };
        let of_a_box = [
            ("--iif", !self.iif.is_empty()),
            ("--oif", !self.oif.is_empty()),
            ("--sport", !self.sport.is_empty()),
            ("--ct", !self.ct.is_empty()),
            ("--group", !self.group.is_empty()),
            ("--set", !self.set.is_empty()),
            ("--exact", self.exact),
            ("--matrix", self.matrix),
        ];
        if let Some((option, _)) = of_a_box.iter().find(|(_, given)| *given) {
            return Some(Err(format!("{option} is for the files of a firewall: name them")));
        }
        if self.proto.is_empty() || self.proto.iter().any(|p| p == "any") {
            return Some(Err("a flow through a deployment has a protocol: --proto tcp".to_owned()));
        }
        let port = (!self.port.is_empty()).then(|| self.port.join(","));
        let ends = |p: &String| Ends::of(from, to, p, port.clone(), self.config.clone());
        Some(Ok(self.proto.iter().map(ends).collect()))
    }
}
