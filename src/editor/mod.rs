//! A language server: what `check` says, while a ruleset, a catalogue or a deployment file is being written.
//!
//! A change that rests for a moment is followed by a run over the folder, with open documents as they stand in the editor. Only what the changed file
//! has a say in is judged again; all else is known from the run before. Who types on in the meantime is not kept waiting: the run's results are out
//! of date then, and are not shown. A repair is proven when it is asked for, as `fix` does it.

mod answers;
mod places;

use crate::finding::Report;
use crate::model::Firewall;
use crate::session::{Memory, Options, run_again};
use crate::source::discover::Edited;
use answers::Answers;
use crossbeam_channel::{Receiver, RecvError, after, bounded, never, select};
use lsp_server::{Connection, ErrorCode, Message, Notification, Request, Response};
use lsp_types::notification::{
    DidChangeTextDocument, DidCloseTextDocument, DidOpenTextDocument, DidSaveTextDocument, Notification as _,
    PublishDiagnostics,
};
use lsp_types::request::{CodeActionRequest, CodeActionResolveRequest, HoverRequest, Request as _};
use lsp_types::{
    CodeActionKind, CodeActionOptions, CodeActionProviderCapability, Diagnostic, HoverProviderCapability,
    PublishDiagnosticsParams, ServerCapabilities, TextDocumentSyncCapability, TextDocumentSyncKind, Uri,
};
use places::path_of;
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

/// How long a change must rest at most before it is judged. Where judging takes less, it need not rest longer than that.
const REST: Duration = Duration::from_millis(250);
/// Stack of the threads that judge, in bytes.
const STACK: usize = 16 << 20;

/// Serves an editor until it says goodbye.
///
/// # Errors
/// What breaks the conversation.
pub fn serve(connection: &Connection) -> Result<(), String> {
    let capabilities = ServerCapabilities {
        text_document_sync: Some(TextDocumentSyncCapability::Kind(TextDocumentSyncKind::FULL)),
        hover_provider: Some(HoverProviderCapability::Simple(true)),
        code_action_provider: Some(CodeActionProviderCapability::Options(CodeActionOptions {
            code_action_kinds: Some(vec![CodeActionKind::QUICKFIX]),
            resolve_provider: Some(true),
            ..CodeActionOptions::default()
        })),
        ..ServerCapabilities::default()
    };
    let capabilities = serde_json::to_value(capabilities).map_err(text)?;
    let asked = connection.initialize(capabilities).map_err(text)?;
    let mut server = Server::new(connection, folder(&asked));
    server.begin()?;
    server.talk()
}

/// The folder that is open in the editor.
fn folder(asked: &Value) -> PathBuf {
    let first = asked["workspaceFolders"][0]["uri"].as_str().or(asked["rootUri"].as_str());
    let named = first.and_then(|u| u.parse::<Uri>().ok()).and_then(|u| path_of(&u));
    named.unwrap_or_else(|| PathBuf::from("."))
}

struct Server<'a> {
    connection: &'a Connection,
    folder: PathBuf,
    /// Documents as they stand in the editor, by path.
    open: BTreeMap<PathBuf, (Uri, String)>,
    /// The diagnostics that the editor has, by file.
    marked: BTreeMap<PathBuf, Vec<Diagnostic>>,
    report: Report,
    firewalls: Vec<Firewall>,
    /// Something changed since the last run began.
    stale: bool,
    /// The run that is under way.
    judging: Option<Receiver<Judged>>,
    /// What the runs before have found out; a run that is under way has it.
    memory: Memory,
    /// How long the last run took.
    took: Duration,
}

/// What came of a run.
type Judged = Result<Run, String>;

struct Run {
    report: Report,
    firewalls: Vec<Firewall>,
    memory: Memory,
    took: Duration,
}

impl<'a> Server<'a> {
    fn new(connection: &'a Connection, folder: PathBuf) -> Self {
        Self {
            connection,
            folder,
            open: BTreeMap::new(),
            marked: BTreeMap::new(),
            report: Report::default(),
            firewalls: Vec::new(),
            stale: false,
            judging: None,
            memory: Memory::default(),
            took: REST,
        }
    }

    fn talk(&mut self) -> Result<(), String> {
        loop {
            let done = self.judging.clone().unwrap_or_else(never);
            // Counted from the last message on: a change has to rest.
            let rested =
                if self.stale && self.judging.is_none() { after(REST.min(self.took)) } else { never() };
            select! {
                recv(self.connection.receiver) -> message => match message {
                    Err(_) => return Ok(()),
                    Ok(Message::Request(request)) => {
                        if self.connection.handle_shutdown(&request).map_err(text)? {
                            return Ok(());
                        }
                        // An answer is about what the editor shows.
                        self.catch_up()?;
                        let response = self.answer(request);
                        self.send(Message::Response(response))?;
                    }
                    Ok(Message::Notification(note)) => self.note(note),
                    Ok(Message::Response(_)) => {}
                },
                recv(done) -> judged => self.end(judged)?,
                recv(rested) -> _ => self.begin()?,
            }
        }
    }

    fn note(&mut self, note: Notification) {
        match note.method.as_str() {
            DidOpenTextDocument::METHOD => {
                if let Some(p) = parameters::<lsp_types::DidOpenTextDocumentParams>(note.params) {
                    // Its name may be written otherwise from now on: what is known of it is to be said again.
                    if let Some(path) = path_of(&p.text_document.uri) {
                        self.marked.insert(path, Vec::new());
                    }
                    self.put(p.text_document.uri, p.text_document.text);
                }
            }
            DidChangeTextDocument::METHOD => {
                if let Some(p) = parameters::<lsp_types::DidChangeTextDocumentParams>(note.params)
                    && let Some(whole) = p.content_changes.into_iter().next_back()
                {
                    self.put(p.text_document.uri, whole.text);
                }
            }
            DidCloseTextDocument::METHOD => {
                if let Some(p) = parameters::<lsp_types::DidCloseTextDocumentParams>(note.params)
                    && let Some(path) = path_of(&p.text_document.uri)
                {
                    self.open.remove(&path);
                    self.stale = true;
                }
            }
            DidSaveTextDocument::METHOD => self.stale = true,
            _ => {}
        }
    }

    fn put(&mut self, uri: Uri, content: String) {
        if let Some(path) = path_of(&uri) {
            self.open.insert(path, (uri, content));
            self.stale = true;
        }
    }

    /// What is checked: the folder, with open documents as they stand.
    fn options(&self) -> Options {
        let mut edited = Edited::default();
        for (path, (_, content)) in &self.open {
            // A document that was never saved has no place in a deployment yet.
            let _ = edited.set(path, content.clone().into_bytes());
        }
        let mut options = Options { paths: vec![self.folder.clone()], ..Options::default() };
        options.read.edited = Arc::new(edited);
        if self.folder.join(crate::session::DEPLOYMENT_FILE).is_file() {
            options.config = Some(self.folder.join(crate::session::DEPLOYMENT_FILE));
            options.paths.clear();
        }
        options
    }

    /// Begins a run over what has changed.
    fn begin(&mut self) -> Result<(), String> {
        self.stale = false;
        let options = self.options();
        let (done, judged) = bounded(1);
        let mut memory = std::mem::take(&mut self.memory);
        memory.take_back(std::mem::take(&mut self.firewalls));
        let job = move || {
            let began = Instant::now();
            let outcome = pooled(|| run_again(&options, &mut memory));
            // Nobody listens any more when the editor has said goodbye.
            let _ = done.send(outcome.map(|o| Run {
                report: o.report,
                firewalls: o.firewalls,
                memory,
                took: began.elapsed(),
            }));
        };
        std::thread::Builder::new().spawn(job).map_err(text)?;
        self.judging = Some(judged);
        Ok(())
    }

    /// Waits until what was judged is what the editor shows.
    fn catch_up(&mut self) -> Result<(), String> {
        while self.stale || self.judging.is_some() {
            match self.judging.clone() {
                Some(judged) => self.end(judged.recv())?,
                None => self.begin()?,
            }
        }
        Ok(())
    }

    /// Shows what a run found, unless something changed while it went on.
    fn end(&mut self, judged: Result<Judged, RecvError>) -> Result<(), String> {
        self.judging = None;
        let Run { report, firewalls, memory, took } =
            judged.map_err(|_| "internal error: a run broke off".to_owned())??;
        (self.report, self.firewalls, self.memory, self.took) = (report, firewalls, memory, took);
        if self.stale {
            return Ok(());
        }
        let fresh = self.answers().diagnostics();
        let old = std::mem::replace(&mut self.marked, fresh);
        let gone = old.keys().filter(|p| !self.marked.contains_key(*p)).map(|p| (p, Vec::new()));
        let others = self.marked.iter().filter(|(p, d)| old.get(*p) != Some(d));
        for (path, diagnostics) in gone.chain(others.map(|(p, d)| (p, d.clone()))) {
            let Some(uri) = self.uri(path) else { continue };
            let params = PublishDiagnosticsParams { uri, diagnostics, version: None };
            let note = Notification::new(PublishDiagnostics::METHOD.to_owned(), params);
            self.send(Message::Notification(note))?;
        }
        Ok(())
    }

    fn answers(&self) -> Answers<'_> {
        Answers::new(&self.report, &self.firewalls)
    }

    /// A file's name as the editor has it.
    fn uri(&self, path: &Path) -> Option<Uri> {
        self.open.get(path).map(|(uri, _)| uri.clone()).or_else(|| places::uri_of(path))
    }

    fn answer(&self, request: Request) -> Response {
        let Request { id, method, params } = request;
        match method.as_str() {
            HoverRequest::METHOD => respond(id, params, |p: lsp_types::HoverParams| {
                let at = p.text_document_position_params;
                let path = path_of(&at.text_document.uri)?;
                self.answers().hover(&path, at.position)
            }),
            CodeActionRequest::METHOD => respond(id, params, |p: lsp_types::CodeActionParams| {
                let path = path_of(&p.text_document.uri)?;
                Some(self.answers().actions(&path, p.range))
            }),
            CodeActionResolveRequest::METHOD => respond(id, params, |p: lsp_types::CodeAction| {
                let options = self.options();
                pooled(|| answers::resolve(p, &options)).ok()
            }),
            _ => Response::new_err(id, ErrorCode::MethodNotFound as i32, format!("no method `{method}`")),
        }
    }

    fn send(&self, message: Message) -> Result<(), String> {
        self.connection.sender.send(message).map_err(text)
    }
}

fn respond<P: DeserializeOwned, R: Serialize>(
    id: lsp_server::RequestId,
    params: Value,
    answer: impl FnOnce(P) -> Option<R>,
) -> Response {
    match serde_json::from_value(params) {
        Ok(p) => Response::new_ok(id, answer(p)),
        Err(e) => Response::new_err(id, ErrorCode::InvalidParams as i32, e.to_string()),
    }
}

fn parameters<P: DeserializeOwned>(params: Value) -> Option<P> {
    serde_json::from_value(params).ok()
}

/// Judging needs a deep stack.
fn pooled<T: Send>(job: impl FnOnce() -> T + Send) -> Result<T, String> {
    let pool = rayon::ThreadPoolBuilder::new().stack_size(STACK).build().map_err(text)?;
    Ok(pool.install(job))
}

fn text(e: impl std::fmt::Display) -> String {
    e.to_string()
}
