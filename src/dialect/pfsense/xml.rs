//! The XML of a configuration, read as pfSense reads it (`xmlparse.inc`), with the place of every element.

use super::product::Product;
use super::silent::Inside;
use crate::source::{Diagnostic, Origin, SourceFile};
use roxmltree::{Document, Error, Node, NodeId, NodeType, ParsingOptions};
use rustc_hash::{FxHashMap, FxHashSet};
use std::borrow::Cow;
use std::cell::{Cell, RefCell};
use std::rc::Rc;

/// Elements may be nested this deep; a real configuration stays below 20.
const MAX_DEPTH: u32 = 200;
/// Attributes of one element: pfSense writes none, OPNsense two.
const MAX_ATTRIBUTES: u32 = 64;
/// Declarations of XML namespaces in a file; neither product writes one.
const MAX_NAMESPACES: u32 = 64;

/// Names that may occur several times in one parent (`listtags()` in `xmlparse.inc`). Any other element given twice makes
/// pfSense refuse the file.
#[rustfmt::skip]
const LIST_TAGS: &[&str] = &[
    "acls", "alias", "aliasurl", "allowedhostname", "allowedip", "authserver", "bridged",
    "build_port_path", "ca", "cacert", "cert", "checkipservice", "clone", "columnitem", "config",
    "container", "crl", "depends_on_package", "disk", "dnsserver", "dnsupdate", "domainoverrides",
    "dyndns", "earlyshellcmd", "element", "encryption-algorithm-option", "field", "fieldname",
    "gateway_group", "gateway_item", "gif", "gre", "group", "hash-algorithm-option", "hosts",
    "ifgroupentry", "igmpentry", "interface_array", "item", "key", "l7rules", "lagg", "lbaction",
    "lbpool", "lbprotocol", "member", "menu", "mobilekey", "monitor_type", "mount", "npt", "ntpserver",
    "onetoone", "openvpn-client", "openvpn-csc", "openvpn-server", "option", "package", "pages",
    "passthrumac", "phase1", "phase2", "pipe", "pool", "ppp", "pppoe", "priv", "proxyarpnet",
    "qinqentry", "queue", "radnsserver", "roll", "route", "row", "rrddatafile", "rule", "schedule",
    "separator", "servernat", "servers", "serversdisabled", "service", "shellcmd", "staticmap",
    "subqueue", "switch", "swport", "tab", "timerange", "tunnel", "user", "vip", "virtual_server",
    "vlan", "vlangroup", "voucherdbfile", "vxlan", "widget", "winsserver", "wolentry", "xmldatafile",
    "xmlfile",
];

/// Sections whose content decides about packets: only there a repeated element is looked for.
const DECIDING: &[&str] = &[
    "aliases",
    "bridges",
    "dhcpd",
    "dhcpdv6",
    "dhcrelay",
    "dhcrelay6",
    "filter",
    "gateways",
    "ifgroups",
    "interfaces",
    "ipsec",
    "nat",
    "openvpn",
    "pppoes",
    "schedules",
    "staticroutes",
    "system",
    "virtualip",
];

/// Reads a document. DTDs are refused, so no entity can expand; what a parser would need more than its bytes for is refused before.
pub(super) fn parse<'i>(text: &'i str, file: &SourceFile) -> Result<Document<'i>, Diagnostic> {
    if let Some((at, what)) = excess(text.as_bytes()) {
        let place = Origin::new(0, at, at + 1);
        return Err(Diagnostic::error(place, what).help("this is no configuration that pfSense wrote"));
    }
    let options = ParsingOptions { allow_dtd: false, ..ParsingOptions::default() };
    Document::parse_with_options(text, options).map_err(|e| explain(&e, file))
}

// The first place where a bound is passed. Looks at tags only, as far as it understands them: what is malformed is for the parser to say.
fn excess(bytes: &[u8]) -> Option<(usize, String)> {
    let (mut depth, mut namespaces, mut at) = (0u32, 0u32, 0);
    while let Some(start) = memchr::memchr(b'<', &bytes[at..]).map(|i| at + i) {
        let rest = &bytes[start..];
        let skipped = [("<!--", "-->"), ("<![CDATA[", "]]>"), ("<?", "?>")]
            .iter()
            .find(|(open, _)| rest.starts_with(open.as_bytes()))
            .map(|(_, close)| close.as_bytes());
        if let Some(close) = skipped {
            at = start + memchr::memmem::find(rest, close)? + close.len();
            continue;
        }
        let tag = Tag::read(rest);
        at = start + tag.length;
        if rest.starts_with(b"</") {
            depth = depth.saturating_sub(1);
            continue;
        }
        namespaces += tag.namespaces;
        depth += 1;
        if depth > MAX_DEPTH {
            return Some((start, format!("elements are nested more than {MAX_DEPTH} deep")));
        }
        if tag.attributes > MAX_ATTRIBUTES {
            return Some((start, format!("an element has more than {MAX_ATTRIBUTES} attributes")));
        }
        if namespaces > MAX_NAMESPACES {
            return Some((start, format!("more than {MAX_NAMESPACES} XML namespaces are declared")));
        }
        depth -= u32::from(tag.closed);
    }
    None
}

// A tag, as a parser reads it: quoted values may hold anything.
#[derive(Default)]
struct Tag {
    length: usize,
    attributes: u32,
    namespaces: u32,
    closed: bool,
}

impl Tag {
    fn read(bytes: &[u8]) -> Self {
        let mut tag = Tag::default();
        let mut at = 1;
        let mut name = 0;
        while let Some(byte) = bytes.get(at) {
            match byte {
                b'>' => {
                    tag.closed = bytes[at - 1] == b'/';
                    at += 1;
                    break;
                }
                b'=' => {
                    tag.attributes += 1;
                    tag.namespaces += u32::from(bytes[name..at].starts_with(b"xmlns"));
                }
                b'"' | b'\'' => {
                    let end = memchr::memchr(*byte, &bytes[at + 1..]);
                    at = end.map_or(bytes.len(), |e| at + 1 + e);
                    name = at + 1;
                }
                b if b.is_ascii_whitespace() => name = at + 1,
                _ => {}
            }
            at += 1;
        }
        tag.length = at.min(bytes.len());
        tag
    }
}

fn explain(e: &Error, file: &SourceFile) -> Diagnostic {
    let bytes = file.bytes();
    let at = |start: usize| Origin::new(0, start.min(bytes.len()), (start + 1).min(bytes.len()));
    match e {
        Error::DtdDetected => {
            let start = memchr::memmem::find(bytes, b"<!DOCTYPE").unwrap_or(0);
            Diagnostic::error(at(start), "the file declares a document type (DTD), which is refused")
                .help("pfSense writes none; remove the <!DOCTYPE …> declaration")
        }
        Error::NoRootNode => Diagnostic::error(at(0), "the file holds no XML element")
            .help("export it again under Diagnostics > Backup & Restore"),
        _ if is_cut(bytes) => {
            let end = bytes.len().saturating_sub(1);
            Diagnostic::error(at(end), "the file ends before its last element is closed: it was cut off")
                .help("export it again under Diagnostics > Backup & Restore")
        }
        other => {
            let pos = other.pos();
            let line = file.line_range((pos.row as usize).saturating_sub(1));
            let text = file.text(line.clone());
            let column: usize =
                text.chars().take((pos.col as usize).saturating_sub(1)).map(char::len_utf8).sum();
            Diagnostic::error(at(line.start + column), format!("the file is not well-formed XML: {other}"))
                .help("pfSense itself refuses such a file; restore it from a backup")
        }
    }
}

// Whether the document's element is opened and not closed at the end of the file.
fn is_cut(bytes: &[u8]) -> bool {
    let Some(root) = super::root_name(bytes) else { return false };
    let closing = [b"</", root, b">"].concat();
    let tail = bytes.trim_ascii_end();
    // What may stand behind the closing tag is a comment: the tag is looked for in the last bytes only.
    memchr::memmem::find(&tail[tail.len().saturating_sub(4096)..], &closing).is_none()
        && !tail.ends_with(b"/>")
}

/// Elements that stand twice where only one may be, in the sections that decide about packets: the second of each.
pub(super) fn duplicates<'a>(root: Element<'a>) -> Vec<Element<'a>> {
    let mut found = Vec::new();
    let mut stack: Vec<Element<'a>> = root.elements().filter(|e| DECIDING.iter().any(|d| e.is(d))).collect();
    let top: Vec<_> = stack.clone();
    found.extend(repeated(&top));
    while let Some(element) = stack.pop() {
        let children: Vec<_> = element.elements().collect();
        found.extend(repeated(&children));
        stack.extend(children);
    }
    found.sort_by_key(|e| e.origin());
    found
}

fn repeated<'a>(siblings: &[Element<'a>]) -> Vec<Element<'a>> {
    let mut seen: FxHashSet<Cow<'_, str>> = FxHashSet::default();
    let folded = |e: &Element<'a>| match e.name() {
        name if name.bytes().any(|b| b.is_ascii_uppercase()) => Cow::Owned(name.to_ascii_lowercase()),
        name => Cow::Borrowed(name),
    };
    // Most names stand once: then nothing more has to be known of them.
    let again = siblings.iter().filter(|e| !seen.insert(folded(e)));
    again.filter(|e| !LIST_TAGS.iter().any(|t| e.is(t))).copied().collect()
}

/// What a reader has taken notice of in a document: each element that something asked for by name, and each value that nobody knows.
#[derive(Debug)]
pub(super) struct Notes {
    product: Product,
    taken: Vec<Cell<bool>>,
    odd: RefCell<FxHashMap<NodeId, String>>,
    // What is known of the elements in a parent, by its path: a list holds thousands of the same.
    inside: RefCell<FxHashMap<String, Rc<Inside>>>,
}

impl Notes {
    /// Nothing noticed yet.
    pub fn of(doc: &Document<'_>, product: Product) -> Self {
        let nodes = doc.root().descendants().count();
        Self {
            product,
            taken: vec![Cell::new(false); nodes + 1],
            odd: RefCell::default(),
            inside: RefCell::default(),
        }
    }
}

/// Something in the file that nobody understood: an element that nobody asked for, or a value that means nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Doubt {
    /// The element.
    pub origin: Origin,
    /// What is not understood, as a clause: `<x> is not known`.
    pub what: String,
}

/// An element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    node: Node<'a, 'a>,
    notes: &'a Notes,
}

impl PartialEq for Element<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.node == other.node
    }
}

impl<'a> Element<'a> {
    /// The root of a document.
    pub fn root(doc: &'a Document<'a>, notes: &'a Notes) -> Self {
        Self { node: doc.root_element(), notes }.taken()
    }

    /// The product whose file it is.
    pub fn product(self) -> Product {
        self.notes.product
    }

    /// Name as written; pfSense folds case, so compare with [`Element::is`].
    pub fn name(self) -> &'a str {
        self.node.tag_name().name()
    }

    /// Whether this is its name: in any case in pfSense, exactly in OPNsense. A name with a prefix is another name.
    pub fn is(self, name: &str) -> bool {
        let same = match self.notes.product {
            Product::PfSense => self.name().eq_ignore_ascii_case(name),
            Product::OpnSense => self.name() == name,
        };
        same && self.node.tag_name().namespace().is_none()
    }

    /// Element children. Asking for all of them takes notice of none.
    pub fn elements(self) -> impl Iterator<Item = Element<'a>> {
        self.node.children().filter(|c| c.is_element()).map(move |node| Self { node, notes: self.notes })
    }

    /// The descendant at a path of names separated by `/`.
    pub fn at(self, path: &str) -> Option<Element<'a>> {
        path.split('/').try_fold(self, |e, name| e.elements().find(|c| c.is(name)).map(Element::taken))
    }

    /// The element, taken notice of.
    pub fn taken(self) -> Self {
        if let Some(seen) = self.notes.taken.get(self.node.id().get_usize()) {
            seen.set(true);
        }
        self
    }

    /// Whether something took notice of it.
    pub fn is_taken(self) -> bool {
        self.notes.taken.get(self.node.id().get_usize()).is_some_and(Cell::get)
    }

    /// Says that its value is not understood.
    pub fn odd(self, what: impl Into<String>) {
        self.notes.odd.borrow_mut().entry(self.node.id()).or_insert_with(|| what.into());
    }

    /// What makes its value odd.
    pub fn oddity(self) -> Option<String> {
        self.notes.odd.borrow().get(&self.node.id()).cloned()
    }

    /// What is known of the elements in it.
    pub fn known_inside(self) -> Rc<Inside> {
        let mut path = String::new();
        let mut at = Some(self);
        while let Some(e) = at {
            path += e.name();
            path += if e.node.tag_name().namespace().is_none() { "/" } else { ":" };
            at = e.parent();
        }
        let mut known = self.notes.inside.borrow_mut();
        Rc::clone(known.entry(path).or_insert_with(|| Rc::new(Inside::of(self))))
    }

    /// Takes notice of everything in it, understood or not: it is not in force, or somebody has answered for it.
    pub fn settle(self) {
        for node in self.node.descendants() {
            if let Some(seen) = self.notes.taken.get(node.id().get_usize()) {
                seen.set(true);
            }
            self.notes.odd.borrow_mut().remove(&node.id());
        }
    }

    /// Whether a flag is set. In pfSense its mere presence sets it; in OPNsense its text must say so.
    pub fn flag(self, path: &str) -> bool {
        self.at(path).is_some_and(|e| match self.notes.product {
            Product::PfSense => true,
            Product::OpnSense => e.is_on(),
        })
    }

    // A flag of OPNsense: empty and `0` are off, whatever else is on; a word that the product never writes may be of a later release.
    fn is_on(self) -> bool {
        let text = self.text();
        let word = text.trim().to_ascii_lowercase();
        if !["", "0", "1", "yes", "on", "true", "enabled", "checked", "no"].contains(&word.as_str()) {
            self.odd(format!("`{text}` is neither 0 nor 1"));
        }
        !matches!(text.as_str(), "" | "0")
    }

    /// The element of a flag that is set.
    pub fn flagged(self, path: &str) -> Option<Element<'a>> {
        self.at(path).filter(|_| self.flag(path))
    }

    /// Children of that name that are not empty; pfSense drops empty elements of a list.
    pub fn list(self, name: &'a str) -> impl Iterator<Item = Element<'a>> {
        self.elements().filter(move |e| e.is(name)).map(Element::taken).filter(|e| !e.is_blank())
    }

    /// Neither an element nor a character that counts.
    pub fn is_blank(self) -> bool {
        self.elements().next().is_none() && self.text().is_empty()
    }

    /// The text: CDATA sections joined, tabs and line ends trimmed (not spaces), entities decoded once more.
    pub fn text(self) -> String {
        let texts = self.node.children().filter(|c| c.node_type() == NodeType::Text);
        let whole: String = texts.filter_map(|t| t.text()).collect();
        decode(whole.trim_matches(['\t', '\r', '\n']))
    }

    /// Text of the element at the path, `None` where it is missing or empty.
    pub fn value(self, path: &str) -> Option<String> {
        self.at(path).map(Element::text).filter(|t| !t.is_empty())
    }

    /// Text of the element at the path, empty where it is missing.
    pub fn word(self, path: &str) -> String {
        self.value(path).unwrap_or_default()
    }

    /// The same where only some words mean something; any other is not understood.
    pub fn choice(self, path: &str, known: &[&str]) -> String {
        let word = self.word(path);
        if !word.is_empty()
            && !known.contains(&word.as_str())
            && let Some(e) = self.at(path)
        {
            e.odd(format!("`{word}` is not known here"));
        }
        word
    }

    /// A number at the path; `None` where it is missing or empty. Anything else is not understood.
    pub fn number<T: std::str::FromStr>(self, path: &str) -> Option<T> {
        let text = self.value(path)?;
        let number = text.trim().parse().ok();
        if let (None, Some(e)) = (&number, self.at(path)) {
            e.odd(format!("`{text}` is no number that may stand here"));
        }
        number
    }

    /// An attribute.
    pub fn attribute(self, name: &str) -> Option<&'a str> {
        self.node.attribute(name)
    }

    /// The element around it.
    pub fn parent(self) -> Option<Element<'a>> {
        self.node.parent_element().map(|node| Self { node, notes: self.notes })
    }

    /// Its place, from `<` of the opening to `>` of the closing tag.
    pub fn origin(self) -> Origin {
        let range = self.node.range();
        Origin::new(0, range.start, range.end)
    }
}

// What PHP's html_entity_decode does to what is already XML-decoded. Names beyond these five never stand in a value that matters.
fn decode(text: &str) -> String {
    if !text.contains('&') {
        return text.to_owned();
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(i) = rest.find('&') {
        out.push_str(&rest[..i]);
        rest = &rest[i..];
        // An entity is short: do not search the whole text for its end.
        let window = rest.char_indices().take(12).find(|(_, c)| *c == ';').map(|(n, _)| n);
        match window.and_then(|n| Some((n, entity(&rest[1..n])?))) {
            Some((n, c)) => {
                out.push(c);
                rest = &rest[n + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "lt" => Some('<'),
        "gt" => Some('>'),
        "quot" => Some('"'),
        "nbsp" => Some('\u{a0}'),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn root(text: &str) -> Document<'_> {
        parse(text, &SourceFile::new("config.xml", text)).expect("well-formed")
    }

    #[test]
    fn text_is_joined_trimmed_and_decoded_twice() {
        let doc = root("<a><b>\n\t x &amp;amp; <![CDATA[y&lt;]]>\r\n</b><C/><d>&amp;#39;&amp;bogus;</d></a>");
        let notes = Notes::of(&doc, Product::PfSense);
        let a = Element::root(&doc, &notes);
        assert_eq!(a.word("b"), " x & y<");
        assert!(a.flag("c"), "names are folded, presence is the flag");
        assert_eq!(a.value("c"), None);
        assert_eq!(a.word("D"), "'&bogus;");
    }

    #[test]
    fn empty_list_elements_do_not_count() {
        let doc = root("<filter><rule/><rule>\n\t</rule><rule><type>pass</type></rule></filter>");
        let notes = Notes::of(&doc, Product::PfSense);
        assert_eq!(Element::root(&doc, &notes).list("rule").count(), 1);
    }

    #[test]
    fn duplicates_are_found_where_they_decide() {
        let doc = root(
            "<pfsense><system><a/><a/><user/><user/></system><rrd><b/><b/></rrd><filter><rule><type>pass</type><TYPE>block</TYPE></rule><rule/></filter></pfsense>",
        );
        let notes = Notes::of(&doc, Product::PfSense);
        let names: Vec<_> = duplicates(Element::root(&doc, &notes)).iter().map(|e| e.name()).collect();
        assert_eq!(names, ["a", "TYPE"]);
    }

    #[test]
    fn bad_files_say_where() {
        for (text, place, words) in [
            ("<pfsense>\n<a></b></pfsense>", (2, 4), "well-formed"),
            ("<pfsense>\n<a>", (2, 3), "cut off"),
            ("<pfsense>\n<a", (2, 2), "cut off"),
            ("<!DOCTYPE p [<!ENTITY a \"b\">]><pfsense>&a;</pfsense>", (1, 1), "DTD"),
            ("", (1, 1), "no XML"),
        ] {
            let file = SourceFile::new("config.xml", text);
            let d = parse(text, &file).expect_err(text);
            assert!(d.message.contains(words), "{text}: {}", d.message);
            let at = file.locate(d.origin.start as usize, d.origin.end as usize);
            assert_eq!((at.line, at.column), place, "{text}: {}", d.message);
        }
    }

    #[test]
    fn what_costs_more_than_its_bytes_is_refused() {
        let attributes: String = (0..300_000).map(|i| format!(" a{i}=\">\"")).collect();
        let spaces = |n: usize| (0..n).map(|i| format!("<a xmlns:n{i}='u'>")).collect::<String>();
        for (text, words) in [
            (format!("{}{}", "<a>".repeat(300_000), "</a>".repeat(300_000)), "nested"),
            (format!("<a{attributes}/>"), "attributes"),
            (format!("<a>{}</a>", "<b xmlns='u'/>".repeat(300_000)), "namespaces"),
            (spaces(100), "namespaces"),
        ] {
            let d = parse(&text, &SourceFile::new("c.xml", text.as_str())).expect_err(words);
            assert!(d.message.contains(words), "{}", d.message);
        }
    }

    #[test]
    fn what_only_looks_deep_is_read() {
        let text = format!(
            "<a><!-- {0} --><b c='{1}'><![CDATA[{0}]]></b>{2}<?p {0} ?></a>",
            "<a>".repeat(300),
            ">".repeat(300),
            "<a/>".repeat(300)
        );
        parse(&text, &SourceFile::new("c.xml", text.as_str())).expect("shallow");
    }
}
