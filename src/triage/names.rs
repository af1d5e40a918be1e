//! What rules are called, told with findings about them.

use crate::finding::Finding;

/// Adds the names of rules whose first line does not tell which they are: to the finding's details, and to what is
/// said about the other places.
pub fn tell(findings: &mut [Finding]) {
    for f in findings {
        if let Some(rule) = &f.location.rule {
            f.details.insert(0, ("rule".to_owned(), rule.to_string()));
        }
        let own = f.location.rule.clone();
        for r in f.related.iter_mut().chain(&mut f.path) {
            let name = r.location.rule.as_ref().filter(|n| Some(*n) != own.as_ref());
            if let Some(n) = name.filter(|n| !n.description.is_empty()) {
                r.message = format!("{} (rule \"{}\")", r.message, n.description).into();
            }
        }
    }
}
