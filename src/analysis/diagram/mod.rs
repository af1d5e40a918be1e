//! Interval diagrams: functions from packets to outcomes, shared and reduced.
//!
//! A node asks one question, "in which class is this field's value", and has an edge for each run of classes with the same
//! answer; a terminal is the set of outcomes that are possible there. Equal functions are one node, so that a chain that a thousand rules jump
//! to is one diagram, and two rulesets decide alike exactly if their diagrams are the same node.
//!
//! Values become [`classes`](Classes) first: the runs of values that no set of the question tells apart. A diagram's size then depends on how
//! many sets there are, not on how many addresses they hold.

mod arena;
mod classes;
mod operations;
mod search;
#[cfg(test)]
mod tests;

pub use arena::{Arena, Class, Level, Node, Outcome};
pub use classes::{ClassSet, Classes, Sorter};
