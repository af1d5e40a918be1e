//! Reports in every format.

mod formats;
mod merge;
mod sample;
mod sarif_validator;
