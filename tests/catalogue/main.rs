//! Catalogues.

mod built_in;
