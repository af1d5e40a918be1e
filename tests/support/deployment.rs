//! Deployment files for tests, put together from sites and nodes.

/// A deployment file that grows.
pub struct Deployment(String);

impl Deployment {
    /// A SafeHaven 4 cluster in operation: administrators at 10.0.9.0/24, and sites that are set up by hand.
    pub fn of_sites(sites: &[&str]) -> Self {
        let mut text =
            "catalogue = \"safehaven-4\"\nphase = \"operation\"\n[networks]\nadmin = [\"10.0.9.0/24\"]\n"
                .to_owned();
        for name in sites {
            text += &format!("[[site]]\nname = \"{name}\"\ntype = \"manual\"\n");
        }
        Self(text)
    }

    /// Adds a node; `keys` are its further lines: addresses, firewall files, groups.
    pub fn node(self, name: &str, role: &str, site: &str, keys: &str) -> Self {
        Self(self.0 + &format!("[[node]]\nname = \"{name}\"\nrole = \"{role}\"\nsite = \"{site}\"\n{keys}\n"))
    }

    /// The file.
    pub fn text(self) -> String {
        self.0
    }
}
