//! The packets that a finding about a requirement is about.

use super::conversation::{Case, Stage};
use super::row::Row;
use crate::evidence::near::ports;
use crate::finding::{Part, State};
use crate::packet::{Field, addr};

impl Row<'_> {
    /// All conversations for which the requirement does not hold, or not certainly; more than [`Row::cases`], which are only the worst kind.
    pub fn extent(&self) -> Vec<Part> {
        let broken = match self.wanted.kind.wants_passage() {
            true => &self.judged.stopped,
            false => &self.judged.passed,
        };
        let certain = broken.iter().map(|c| Part::certain(c.region.clone(), fate(c)));
        let open = self
            .judged
            .undecided
            .iter()
            .map(|c| Part::uncertain(c.region.clone(), fate(c), &self.conditions_of(c)));
        let mut parts: Vec<Part> = certain.chain(open).collect();
        if parts.is_empty() && self.state == State::Undecided {
            let reasons: Vec<&str> = self.reasons.iter().map(|r| r.text.as_str()).collect();
            parts.push(Part::uncertain(self.conversation.region(), "", &reasons.join(" and ")));
        }
        parts
    }

    /// Conversations that pass as long as a limit is not exceeded.
    pub fn limited(&self, limit: &str) -> Vec<Part> {
        let under = self.judged.passed.iter().filter(|c| c.assumed.iter().any(|a| a.text == limit));
        under.map(|c| Part::uncertain(c.region.clone(), "", limit)).collect()
    }

    fn conditions_of(&self, case: &Case) -> String {
        let mut texts: Vec<String> = self.because(case).into_iter().map(|r| r.text).collect();
        texts.sort();
        texts.dedup();
        texts.join(" and ")
    }
}

// What tells it from other conversations between the same ends.
fn fate(case: &Case) -> String {
    let mut words: Vec<String> = Vec::new();
    if case.stage != Stage::First {
        words.push(case.stage.words().to_owned());
    }
    words.extend(case.elsewhere.iter().map(|who| format!("sent on to {who}")));
    if let Some((to, port)) = &case.sent_to {
        let port = match *port == Field::Dport.all() {
            true => String::new(),
            false => format!(" port {}", ports(port).join(",")),
        };
        words.push(format!("sent to {}{port}", addr::display(to).join(",")));
    }
    words.join(", ")
}
