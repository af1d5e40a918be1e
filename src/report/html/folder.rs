//! A large deployment as a folder of pages: a first page, causes beyond it, and a page for each node. Names of files are made from numbers
//! alone, whatever nodes are called.

use super::super::Style;
use super::super::guard::{Spelling, guarded};
use super::super::verdict::verdict;
use super::{MAX_CAUSES, Page, put};
use crate::finding::Report;
use maud::html;
use std::io::{self, Write};

/// Writes one file of a folder: its name, and what writes it.
pub type Put<'a> = &'a mut dyn FnMut(&str, &dyn Fn(&mut dyn Write) -> io::Result<()>) -> io::Result<()>;

/// Name of the page that a cause is on, where the first page has no room for it.
pub(super) fn causes_page(i: usize) -> String {
    format!("causes-{}.html", i / MAX_CAUSES + 1)
}

/// Name of a node's page.
pub(super) fn node_page(i: usize) -> String {
    format!("node-{}.html", i + 1)
}

/// Writes the report as a folder of pages, each through `file`.
///
/// # Errors
/// Whatever `file` gives.
pub fn write_folder(report: &Report, style: &Style, file: Put<'_>) -> io::Result<()> {
    let page = Page::new(report, style, true);
    let title = format!("Firewall compliance: {}", verdict(report));
    file("index.html", &|out| {
        safe(out, |out| {
            page.whole(&title, out, |out| {
                page.front(out)?;
                put(out, page.list_of_nodes())?;
                put(out, page.evidence())
            })
        })
    })?;
    let wrong: Vec<_> = page.wrong().collect();
    for (n, chunk) in wrong.chunks(MAX_CAUSES).enumerate().skip(1) {
        file(&causes_page(n * MAX_CAUSES), &|out| {
            safe(out, |out| {
                page.whole("Firewall compliance: causes", out, |out| {
                    put(out, html! { h1 { "Causes" } p { a href="index.html" { "Firewall compliance report" } } h2 { "The next causes" } })?;
                    chunk.iter().try_for_each(|(i, c)| put(out, page.cause(*i, c)))
                })
            })
        })?;
    }
    let about = page.about();
    for (i, (subject, own)) in page.subjects.iter().zip(&about).enumerate() {
        file(&node_page(i), &|out| {
            safe(out, |out| {
                page.whole(&format!("Firewall compliance: {subject}"), out, |out| {
                    put(out, html! {
                        h1 { (subject) }
                        p { (page.node_title(subject, own)) " " a href="index.html" { "Firewall compliance report" } }
                        (page.node(own, own.rows.len()))
                    })
                })
            })
        })?;
    }
    Ok(())
}

fn safe(out: &mut dyn Write, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<()> {
    guarded(out, Spelling::Markup, false, write)
}

impl Page<'_> {
    /// The nodes, each leading to its page.
    fn list_of_nodes(&self) -> maud::Markup {
        let about = self.about();
        html! {
            section {
                h2 #nodes { "Nodes" }
                ul.plain { @for (i, (subject, own)) in self.subjects.iter().zip(&about).enumerate() {
                    li { a href=(node_page(i)) { (subject) } " " (self.node_title(subject, own)) }
                } }
            }
        }
    }
}
