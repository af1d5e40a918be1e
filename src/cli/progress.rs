//! A line on the terminal that says how far a run is, once it takes longer than a second.

use crate::source::progress::{Progress, Tally};
use indicatif::{ProgressBar, ProgressStyle};
use std::io::{self, IsTerminal};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

/// A run that is over before needs no line.
const PATIENCE: Duration = Duration::from_secs(1);
const STEP: Duration = Duration::from_millis(100);

/// Does a job, and meanwhile shows how far it is: on standard error, if that is a terminal, and nowhere else.
pub fn shown<T>(progress: &Progress, job: impl FnOnce() -> T) -> T {
    if !io::stderr().is_terminal() {
        return job();
    }
    thread::scope(|scope| {
        // Whatever becomes of the job, the end of it closes the channel.
        let (running, over) = channel::<()>();
        scope.spawn(move || watch(progress, &over));
        let done = job();
        drop(running);
        done
    })
}

fn watch(progress: &Progress, over: &Receiver<()>) {
    let waits = |time| over.recv_timeout(time) == Err(RecvTimeoutError::Timeout);
    if !waits(PATIENCE) {
        return;
    }
    let line = ProgressBar::new_spinner();
    if let Ok(style) = ProgressStyle::with_template("{spinner} {msg} ({elapsed})") {
        line.set_style(style);
    }
    loop {
        line.set_message(words(progress));
        line.tick();
        if !waits(STEP) {
            break;
        }
    }
    line.finish_and_clear();
}

fn words(progress: &Progress) -> String {
    let of = |tally: &Tally, what: &str| {
        let (done, all) = tally.read();
        (all > 0).then(|| format!("{done} of {all} {what}"))
    };
    let parts = [of(&progress.files, "files read"), of(&progress.requirements, "flows judged")];
    let parts: Vec<String> = parts.into_iter().flatten().collect();
    if parts.is_empty() { "looking for files".to_owned() } else { parts.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn says_what_is_done() {
        let progress = Progress::default();
        assert_eq!(words(&progress), "looking for files");
        progress.files.expect(2);
        progress.files.tick();
        assert_eq!(words(&progress), "1 of 2 files read");
        progress.requirements.expect(3);
        assert_eq!(words(&progress), "1 of 2 files read, 0 of 3 flows judged");
        assert_eq!(shown(&progress, || 7), 7);
    }
}
