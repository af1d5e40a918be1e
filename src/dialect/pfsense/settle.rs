//! What a file holds that nobody understood, and what it leaves open.
//!
//! Readers take notice of each element that they ask for ([`Element`]). What is left when something has been read – an element that nobody
//! asked for and that is not known to be [without effect](super::silent), or a value that means nothing – leaves open the most
//! that it could touch: a rule what that rule may match, a translation all translations, anything else the whole box.

use super::xml::{Doubt, Element};

/// What nobody understood in an element, itself included; it is answered for from here on.
pub(super) fn settle(e: Element<'_>) -> Vec<Doubt> {
    let mut found = Vec::new();
    walk(e, &mut found);
    e.settle();
    found
}

// An element that nobody asked for is one doubt, whatever it holds.
fn walk(e: Element<'_>, found: &mut Vec<Doubt>) {
    let mut work = vec![e];
    while let Some(e) = work.pop() {
        if let Some(odd) = e.oddity() {
            found.push(Doubt { origin: e.origin(), what: format!("in <{}>, {odd}", e.name()) });
        }
        let mut inside = None;
        for child in e.elements() {
            if child.is_taken() {
                work.push(child);
                continue;
            }
            let inside = inside.get_or_insert_with(|| e.known_inside());
            if inside.is_asked_for(child) {
                work.push(child);
            } else if !inside.is_silent(child) {
                let what = format!("<{}> in <{}> is not known", child.name(), e.name());
                found.push(Doubt { origin: child.origin(), what });
            }
        }
    }
    found.sort_by_key(|d| d.origin);
}
