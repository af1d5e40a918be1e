//! Reports in every format.

mod accessibility;
mod files;
mod formats;
mod hostile;
mod hostile_inputs;
mod merge;
mod sample;
mod sarif_validator;
mod terminal;
