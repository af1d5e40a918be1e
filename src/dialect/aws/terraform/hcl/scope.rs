//! What names mean: modules and their instances, with values that are computed once.

use super::super::tree::{Data, Map, Node};
use super::Module;
use crate::source::Origin;
use hcl_edit::structure::Block;
use rustc_hash::FxHashMap;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;

/// All modules, by folder.
pub struct World<'s> {
    pub modules: BTreeMap<&'s str, Module<'s>>,
    fuel: Cell<u64>,
}

/// How many expressions are evaluated, at most: more than the largest real configurations have by far.
const FUEL: u64 = 4_000_000;

/// A module with its arguments.
pub struct Instance<'s> {
    /// Its folder.
    pub folder: &'s str,
    /// What it declares.
    pub module: &'s Module<'s>,
    /// What stands before addresses in it: `module.net.`.
    pub prefix: String,
    /// How it is called; `None` = it is the root.
    pub call: Option<Call<'s>>,
    /// Values by name; `None` while they are computed.
    pub memo: RefCell<FxHashMap<String, Option<Node>>>,
    /// Instances of the modules that it calls.
    pub children: RefCell<FxHashMap<&'s str, Rc<Children<'s>>>>,
}

/// A call of a module.
pub struct Call<'s> {
    pub parent: Rc<Instance<'s>>,
    pub block: &'s Block,
    pub file: usize,
    pub scope: Scope,
}

/// The instances of a called module.
pub enum Children<'s> {
    /// Its files are not read.
    Unread,
    /// How many there are is not known; this one stands for all.
    Unsure(Rc<Instance<'s>>),
    /// One.
    One(Rc<Instance<'s>>),
    /// One for each index.
    Many(Vec<(Node, Rc<Instance<'s>>)>),
}

impl<'s> Children<'s> {
    /// All instances.
    pub fn all(&self) -> Vec<&Rc<Instance<'s>>> {
        match self {
            Children::Unread => Vec::new(),
            Children::Unsure(one) | Children::One(one) => vec![one],
            Children::Many(list) => list.iter().map(|(_, i)| i).collect(),
        }
    }
}

impl<'s> World<'s> {
    /// Modules by folder.
    pub fn new(modules: BTreeMap<&'s str, Module<'s>>) -> Self {
        Self { modules, fuel: Cell::new(FUEL) }
    }

    /// Takes one step; false if there were too many.
    pub fn step(&self) -> bool {
        let left = self.fuel.get();
        self.fuel.set(left.saturating_sub(1));
        left > 0
    }
}

impl<'s> Instance<'s> {
    /// A module that nobody calls.
    pub fn root(folder: &'s str, module: &'s Module<'s>) -> Self {
        Self::new(folder, module, String::new(), None)
    }

    /// A module as it is called.
    pub fn new(folder: &'s str, module: &'s Module<'s>, prefix: String, call: Option<Call<'s>>) -> Self {
        Self { folder, module, prefix, call, memo: RefCell::default(), children: RefCell::default() }
    }

    /// The value with that name, computed at the first time; a value that needs itself is not known.
    pub fn once(&self, name: String, at: Origin, compute: impl FnOnce() -> Node) -> Node {
        match self.memo.borrow().get(&name) {
            Some(Some(node)) => return node.clone(),
            Some(None) => return Node::open(name, "it refers to itself", at),
            None => {}
        }
        self.memo.borrow_mut().insert(name.clone(), None);
        let node = compute();
        self.memo.borrow_mut().insert(name, Some(node.clone()));
        node
    }

    /// How deep it is called.
    pub fn depth(&self) -> usize {
        let mut depth = 0;
        let mut call = &self.call;
        while let Some(c) = call {
            depth += 1;
            call = &c.parent.call;
        }
        depth
    }
}

/// Names that only a part of the text knows: `each`, `count`, the variables of `for` and of `dynamic`.
#[derive(Debug, Clone, Default)]
pub struct Scope(Vec<(String, Node)>);

impl Scope {
    /// With one name more.
    #[must_use]
    pub fn with(&self, name: &str, value: Node) -> Self {
        let mut out = self.clone();
        out.0.push((name.to_owned(), value));
        out
    }

    /// With `name.key` and `name.value`.
    #[must_use]
    pub fn with_pair(&self, name: &str, key: Node, value: Node) -> Self {
        let at = value.at;
        let entries = vec![("key".to_owned(), key), ("value".to_owned(), value)];
        self.with(name, Node::new(Data::Map(Map { entries, rest: None }), at))
    }

    /// With `count.index`.
    #[must_use]
    pub fn with_index(&self, index: Node) -> Self {
        let at = index.at;
        let entries = vec![("index".to_owned(), index)];
        self.with("count", Node::new(Data::Map(Map { entries, rest: None }), at))
    }

    /// The innermost value with that name.
    pub fn get(&self, name: &str) -> Option<&Node> {
        self.0.iter().rev().find(|(n, _)| n == name).map(|(_, v)| v)
    }
}
