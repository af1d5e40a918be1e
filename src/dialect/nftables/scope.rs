//! Variables: `define`, `redefine`, `undefine`, each valid from its place on, in its block and those inside.

use crate::source::Origin;
use rustc_hash::FxHashMap;

/// A block in which variables live.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct ScopeId(u32);

/// A moment: variables defined before it are seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(super) struct Moment(u32);

/// Where a piece of text stands, and which variables it sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Body {
    pub(super) at: Origin,
    pub(super) scope: ScopeId,
    pub(super) moment: Moment,
}

#[derive(Debug, Default)]
struct Scope {
    parent: Option<ScopeId>,
    // The values that a name had, in order; `None` = undefined from then on.
    names: FxHashMap<String, Vec<(Moment, Option<Body>)>>,
}

/// All variables of a ruleset.
#[derive(Debug)]
pub(super) struct Scopes {
    scopes: Vec<Scope>,
    now: u32,
    definitions: Vec<Definition>,
}

/// A `define` or `redefine`, as it is written.
#[derive(Debug)]
pub(super) struct Definition {
    pub(super) name: String,
    /// Place of the name.
    pub(super) at: Origin,
    pub(super) scope: ScopeId,
}

impl Scopes {
    /// The outermost block.
    pub(super) const GLOBAL: ScopeId = ScopeId(0);

    pub(super) fn new() -> Self {
        Self { scopes: vec![Scope::default()], now: 0, definitions: Vec::new() }
    }

    /// Opens a block.
    pub(super) fn open(&mut self, parent: ScopeId) -> ScopeId {
        self.scopes.push(Scope { parent: Some(parent), ..Scope::default() });
        ScopeId(self.scopes.len() as u32 - 1)
    }

    /// A piece of text as it is seen now.
    pub(super) fn body(&self, at: Origin, scope: ScopeId) -> Body {
        Body { at, scope, moment: Moment(self.now) }
    }

    /// Sets a variable in a block, or removes it.
    pub(super) fn set(&mut self, scope: ScopeId, name: &str, value: Option<Body>) {
        self.now += 1;
        let moment = Moment(self.now);
        self.scopes[scope.0 as usize].names.entry(name.to_owned()).or_default().push((moment, value));
    }

    /// Notes where a variable is defined.
    pub(super) fn defined(&mut self, scope: ScopeId, name: &str, at: Origin) {
        self.definitions.push(Definition { name: name.to_owned(), at, scope });
    }

    /// All definitions, in the order of the text.
    pub(super) fn definitions(&self) -> &[Definition] {
        &self.definitions
    }

    /// Whether a block is another one, or lies in it.
    pub(super) fn within(&self, inner: ScopeId, outer: ScopeId) -> bool {
        let mut at = Some(inner);
        while let Some(id) = at {
            if id == outer {
                return true;
            }
            at = self.scopes[id.0 as usize].parent;
        }
        false
    }

    /// The block in which a name is defined now, looking outwards.
    pub(super) fn owner(&self, scope: ScopeId, name: &str) -> Option<ScopeId> {
        let now = Moment(self.now);
        self.find(scope, name, now).map(|(s, _)| s)
    }

    /// Value of a variable as a piece of text sees it.
    pub(super) fn get(&self, seen_from: &Body, name: &str) -> Option<Body> {
        self.find(seen_from.scope, name, seen_from.moment).map(|(_, b)| b)
    }

    fn find(&self, scope: ScopeId, name: &str, moment: Moment) -> Option<(ScopeId, Body)> {
        let mut at = Some(scope);
        while let Some(id) = at {
            let s = &self.scopes[id.0 as usize];
            if let Some(values) = s.names.get(name)
                && let Some((_, value)) = values.iter().rev().find(|(m, _)| *m <= moment)
                && let Some(body) = value
            {
                return Some((id, *body));
            }
            at = s.parent;
        }
        None
    }

    /// Names that a piece of text sees, to suggest one.
    pub(super) fn names(&self, seen_from: &Body) -> Vec<&str> {
        let mut out = Vec::new();
        let mut at = Some(seen_from.scope);
        while let Some(id) = at {
            let s = &self.scopes[id.0 as usize];
            out.extend(s.names.keys().map(String::as_str));
            at = s.parent;
        }
        out.sort_unstable();
        out
    }
}
