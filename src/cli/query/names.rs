//! Names of addresses: of the deployment, of the files, and given on the command line.

use super::super::subject::Subject;
use super::{Query, addresses};
use crate::deployment::Deployment;
use crate::evidence::near::few;
use crate::packet::{Family, IntervalSet, addr, public};
use crate::session::{self, Options};
use crate::source::Severity;
use std::collections::BTreeMap;

/// Names of addresses.
#[derive(Debug, Clone, Default)]
pub struct Names(pub BTreeMap<String, IntervalSet>);

/// The Internet, as deployments and catalogues call it.
pub const INTERNET: &str = "internet";

impl Names {
    /// The names of a deployment: its networks, nodes (also one of their networks, `srn-east.service`) and sites.
    pub fn of(deployment: &Deployment) -> Self {
        let mut out = BTreeMap::new();
        for (s, site) in deployment.sites.iter().enumerate() {
            let nodes = deployment.nodes.iter().filter(|n| n.site == Some(s)).filter_map(|n| n.all());
            let all = nodes.chain(site.servers.values().cloned());
            out.insert(site.name.clone(), all.fold(IntervalSet::EMPTY, |a, b| a.union(&b)));
        }
        for node in &deployment.nodes {
            for (network, set) in &node.addresses {
                out.insert(format!("{}.{network}", node.name), set.clone());
            }
            out.extend(node.all().map(|all| (node.name.clone(), all)));
        }
        out.extend(deployment.networks.iter().map(|(n, s)| (n.clone(), s.addresses.clone())));
        out.retain(|_, set| !set.is_empty());
        out.insert(INTERNET.to_owned(), public::with_documentation().clone());
        Self(out)
    }

    /// The names of the deployment that the options name, or of havenlint.toml in this folder or one above, where there is one.
    ///
    /// # Errors
    /// A message if the named file cannot be read or has errors.
    pub fn open(args: &Query) -> Result<Self, String> {
        let options = Options { config: args.config.clone(), ..Options::default() };
        let (deployment, problems) = session::deployment(&options);
        let wrong = problems.into_iter().find(|p| p.level == Severity::Error);
        match (deployment, wrong) {
            (Some(d), None) => Ok(Self::of(&d)),
            (_, Some(p)) if args.config.is_some() => {
                Err(format!("{}:{}: {}", p.location.path, p.location.line, p.message))
            }
            _ => Ok(Self::of(&Deployment::default())),
        }
    }

    /// These, the networks behind interfaces as a box's files tell them, and what the options call so.
    ///
    /// # Errors
    /// A message on what cannot be read.
    pub fn with(&self, args: &Query, subject: &Subject) -> Result<Self, String> {
        let mut out = self.clone();
        for i in subject.firewalls.iter().flat_map(|f| &f.interfaces) {
            if let Some(n) = &i.networks {
                out.add(&i.name, n.clone());
            }
        }
        for spec in &args.set {
            let (name, list) = spec
                .split_once('=')
                .ok_or_else(|| format!("--set {spec}: write NAME=CIDR[,CIDR…], such as admin=10.0.9.0/24"))?;
            let words: Vec<String> = list.split(',').map(str::to_owned).collect();
            let set = addresses("--set", &words, &out)?;
            out.add(name, set);
        }
        Ok(out)
    }

    /// The addresses of a name.
    pub fn get(&self, name: &str) -> Option<&IntervalSet> {
        self.0.get(name)
    }

    /// Adds a name, or gives it another meaning.
    pub fn add(&mut self, name: &str, set: IntervalSet) {
        self.0.insert(name.to_owned(), set);
    }

    /// Addresses of a family as people call them: `any`, `any but 10.0.0.0/8`, `admin, 10.1.0.10`.
    pub fn label(&self, set: &IntervalSet, family: Family) -> String {
        let all = family.all();
        let left_out = all.minus(set);
        if left_out.is_empty() {
            return "any".to_owned();
        }
        if let Some(name) = self.exactly(set, &all) {
            return name.to_owned();
        }
        if left_out.count() < all.count() / 2
            && (left_out.ranges().len() <= 4 || self.exactly(&left_out, &all).is_some())
        {
            return format!("any but {}", self.parts(&left_out, &all));
        }
        self.parts(set, &all)
    }

    // The shortest name of just these addresses.
    fn exactly(&self, set: &IntervalSet, all: &IntervalSet) -> Option<&str> {
        let named = self.0.iter().filter(|(_, s)| s.intersect(all) == *set).map(|(n, _)| n.as_str());
        named.min_by_key(|n| (n.len(), *n))
    }

    // Names that the set holds whole, the largest first, and what is left as addresses.
    fn parts(&self, set: &IntervalSet, all: &IntervalSet) -> String {
        let mut left = set.clone();
        let mut named: Vec<(&str, IntervalSet)> = self
            .0
            .iter()
            .map(|(n, s)| (n.as_str(), s.intersect(all)))
            .filter(|(_, s)| !s.is_empty())
            .collect();
        named.sort_by_key(|(n, s)| (std::cmp::Reverse(s.count()), n.len()));
        let mut out = Vec::new();
        for (name, own) in named {
            if left.covers(&own) {
                out.push(name.to_owned());
                left = left.minus(&own);
            }
        }
        out.extend(addr::display(&left));
        few(&out)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sets_are_called_by_their_names() {
        let set = |t: &str| addr::parse(t).unwrap();
        let mut names = Names::default();
        names.add("admin", set("10.0.9.0/24"));
        names.add("cms-1", set("10.1.0.10"));
        let label = |s: &IntervalSet| names.label(s, Family::V4);
        assert_eq!(label(&Family::V4.all()), "any");
        assert_eq!(label(&set("10.0.9.0/24")), "admin");
        assert_eq!(label(&set("10.0.9.0/24").union(&set("192.0.2.7"))), "admin, 192.0.2.7");
        assert_eq!(label(&Family::V4.all().minus(&set("10.1.0.10"))), "any but cms-1");
        assert_eq!(label(&set("10.0.9.0/25")), "10.0.9.0/25");
    }
}
