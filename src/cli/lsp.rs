//! `havenlint lsp`: a language server on standard input and output.

use super::{say, status};
use crate::editor::serve;
use lsp_server::Connection;

/// Runs the command.
pub fn execute() -> u8 {
    let (connection, threads) = Connection::stdio();
    let served = serve(&connection);
    // The threads end when nobody is there to write to.
    drop(connection);
    match served.and_then(|()| threads.join().map_err(|e| e.to_string())) {
        Ok(()) => status::CLEAN,
        Err(e) => {
            say(&format!("error: {e}"));
            status::TROUBLE
        }
    }
}
