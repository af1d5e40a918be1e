//! pfSense and OPNsense configurations: fixtures, facts, and a second evaluator of the rules as pf text.

mod accounting;
mod facts;
mod fixtures;
mod negation;
mod text;
