//! A list that is too long for memory: put into a temporary file in ordered runs, and given back in the order of the whole.

use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::{Mutex, PoisonError};

/// An element of such a list.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Record {
    /// What orders it: bytes that compare as the elements do. Two elements with the same are one.
    pub key: Vec<u8>,
    /// What the reader must know of it without reading it.
    pub mark: Vec<u8>,
    /// The element.
    pub body: Vec<u8>,
}

/// The list, while it is filled.
pub struct Spill {
    out: BufWriter<File>,
    // Where each run begins; it ends where the next one does.
    runs: Vec<u64>,
    length: u64,
    last: Vec<u8>,
}

impl Spill {
    /// An empty list.
    ///
    /// # Errors
    /// No temporary file can be made.
    pub fn new() -> io::Result<Self> {
        Ok(Self { out: BufWriter::new(tempfile::tempfile()?), runs: Vec::new(), length: 0, last: Vec::new() })
    }

    /// Adds an element. Elements that come in order make one run.
    ///
    /// # Errors
    /// Whatever writing gives.
    pub fn push(&mut self, record: Record) -> io::Result<()> {
        if self.runs.is_empty() || record.key < self.last {
            self.runs.push(self.length);
        }
        for part in [&record.key, &record.mark, &record.body] {
            let length = u32::try_from(part.len()).map_err(io::Error::other)?;
            self.out.write_all(&length.to_le_bytes())?;
            self.out.write_all(part)?;
            self.length += 4 + u64::from(length);
        }
        self.last = record.key;
        Ok(())
    }

    /// The list in order, each element once.
    ///
    /// # Errors
    /// Whatever writing and reading gives.
    pub fn merged(self) -> io::Result<Merged> {
        let Self { out, runs, length, .. } = self;
        Ok(Merged {
            file: Mutex::new(out.into_inner().map_err(io::IntoInnerError::into_error)?),
            runs,
            length,
        })
    }
}

/// The list, filled.
pub struct Merged {
    file: Mutex<File>,
    runs: Vec<u64>,
    length: u64,
}

impl Merged {
    /// The elements in order, each once, as often as wanted.
    pub fn iter(&self) -> Elements<'_> {
        let ends = self.runs.iter().skip(1).chain([&self.length]);
        let run = |(at, end): (&u64, &u64)| Run { file: &self.file, at: *at, end: *end };
        let runs = self.runs.iter().zip(ends).map(|r| BufReader::with_capacity(BUFFER, run(r))).collect();
        Elements { runs, heads: BinaryHeap::new(), last: None, begun: false }
    }
}

// Bytes read at once from a run; there may be a thousand runs.
const BUFFER: usize = 32 << 10;

// A part of the file. Several are read in turn.
struct Run<'f> {
    file: &'f Mutex<File>,
    at: u64,
    end: u64,
}

impl Read for Run<'_> {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let left = usize::try_from(self.end - self.at).unwrap_or(usize::MAX);
        let most = out.len().min(left);
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        file.seek(SeekFrom::Start(self.at))?;
        let read = file.read(&mut out[..most])?;
        self.at += read as u64;
        Ok(read)
    }
}

/// Elements in order.
pub struct Elements<'f> {
    runs: Vec<BufReader<Run<'f>>>,
    // The next of each run, the first of them on top.
    heads: BinaryHeap<std::cmp::Reverse<(Record, usize)>>,
    last: Option<Vec<u8>>,
    begun: bool,
}

impl Elements<'_> {
    fn next_record(&mut self) -> io::Result<Option<Record>> {
        if !self.begun {
            self.begun = true;
            for n in 0..self.runs.len() {
                self.advance(n)?;
            }
        }
        while let Some(std::cmp::Reverse((record, run))) = self.heads.pop() {
            self.advance(run)?;
            if self.last.as_ref() != Some(&record.key) {
                self.last = Some(record.key.clone());
                return Ok(Some(record));
            }
        }
        Ok(None)
    }

    // Takes the next element of a run to the heads.
    fn advance(&mut self, run: usize) -> io::Result<()> {
        let from = &mut self.runs[run];
        if from.buffer().is_empty() && from.get_ref().at == from.get_ref().end {
            return Ok(());
        }
        let mut record = Record::default();
        for part in [&mut record.key, &mut record.mark, &mut record.body] {
            let mut length = [0; 4];
            from.read_exact(&mut length)?;
            part.resize(u32::from_le_bytes(length) as usize, 0);
            from.read_exact(part)?;
        }
        self.heads.push(std::cmp::Reverse((record, run)));
        Ok(())
    }
}

impl Iterator for Elements<'_> {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        self.next_record().transpose()
    }
}

/// A key that compares as its parts do, one after the other.
#[derive(Default)]
pub struct Key(Vec<u8>);

impl Key {
    /// A text.
    pub fn text(mut self, text: &str) -> Self {
        for b in text.bytes() {
            self.0.push(b);
            if b == 0 {
                self.0.push(0xff);
            }
        }
        self.0.extend([0, 1]);
        self
    }

    /// A list of texts.
    pub fn texts(self, list: &[String]) -> Self {
        let mut this = list.iter().fold(self, |k, t| k.text(t));
        this.0.extend([0, 0]);
        this
    }

    /// A number.
    pub fn number(mut self, n: u32) -> Self {
        self.0.extend(n.to_be_bytes());
        self
    }

    /// The bytes.
    pub fn done(self) -> Vec<u8> {
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn record(n: u32) -> Record {
        let body = vec![b'x'; n as usize % 70_000];
        Record { key: Key::default().number(n).done(), mark: n.to_le_bytes().to_vec(), body }
    }

    proptest! {
        #[test]
        fn what_was_put_in_comes_back_in_order_and_once(list in prop::collection::vec(0u32..100_000, 0..60)) {
            let mut spill = Spill::new().unwrap();
            for n in &list {
                spill.push(record(*n)).unwrap();
            }
            let merged = spill.merged().unwrap();
            let mut expected = list.clone();
            expected.sort_unstable();
            expected.dedup();
            for _ in 0..2 {
                let back: Vec<Record> = merged.iter().collect::<Result<_, _>>().unwrap();
                prop_assert_eq!(&back, &expected.iter().map(|n| record(*n)).collect::<Vec<_>>());
            }
        }

        #[test]
        fn keys_compare_as_their_parts(a in parts(), b in parts()) {
            let key = |(t, l, n): &(String, Vec<String>, u32)| Key::default().text(t).texts(l).number(*n).done();
            prop_assert_eq!(key(&a).cmp(&key(&b)), a.cmp(&b));
        }
    }

    fn parts() -> impl Strategy<Value = (String, Vec<String>, u32)> {
        let text = || "[\0\u{1}a\u{ff}]{0,3}";
        (text(), prop::collection::vec(text(), 0..3), 0u32..3)
    }
}
