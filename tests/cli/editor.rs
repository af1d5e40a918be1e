//! The language server, spoken to as an editor does: over standard input and output.

use super::commands::folder;
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, Stdio};

/// A host that drops what no rule takes; ssh is missing for the administrators.
const RULES: &str = "*filter\n:INPUT DROP [0:0]\n:FORWARD DROP [0:0]\n:OUTPUT ACCEPT [0:0]\n\
    -A INPUT -i lo -j ACCEPT\n\
    -A INPUT -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n\
    -A INPUT -p tcp -m tcp --dport 443 -j ACCEPT\n\
    COMMIT\n";
const POLICY: &str = "format = 1\nid = \"own\"\nversion = \"1\"\ntitle = \"Our servers\"\nroles.web = { summary = \"A server.\" }\n\
    roles.admin = { summary = \"Administrators.\", declared = \"network\" }\n\n\
    [[requirement]]\nid = \"WEB-SSH\"\nkind = \"required\"\ntitle = \"Administrators can reach the servers by ssh\"\n\
    from = [{ role = \"admin\" }]\nto = [{ role = \"web\" }]\nprotocols = [\"tcp\"]\nports = [22]\n";
const DEPLOYMENT: &str = "catalogue = \"policy.toml\"\n[networks]\nadmin = [\"10.0.9.0/24\"]\n\
    [[node]]\nname = \"web-1\"\nrole = \"web\"\naddress = [\"10.0.20.11\"]\nfirewall = [\"web-1.v4.rules\"]\n";

pub struct Editor {
    server: Child,
    out: BufReader<ChildStdout>,
    asked: i64,
    /// Diagnostics as they were published last, by the end of the file's name.
    marks: Vec<(String, Value)>,
}

impl Editor {
    pub fn open(folder: &Path) -> Self {
        let mut server = Command::new(env!("CARGO_BIN_EXE_havenlint"))
            .arg("lsp")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let out = BufReader::new(server.stdout.take().unwrap());
        let mut it = Self { server, out, asked: 0, marks: vec![] };
        let uri = format!("file://{}", folder.canonicalize().unwrap().display());
        let answer = it.ask("initialize", json!({ "processId": null, "rootUri": uri, "capabilities": {} }));
        assert_eq!(answer["capabilities"]["hoverProvider"], true);
        it.tell("initialized", json!({}));
        it
    }

    fn send(&mut self, message: &Value) {
        let body = message.to_string();
        let to = self.server.stdin.as_mut().unwrap();
        write!(to, "Content-Length: {}\r\n\r\n{body}", body.len()).unwrap();
        to.flush().unwrap();
    }

    pub fn tell(&mut self, method: &str, params: Value) {
        self.send(&json!({ "jsonrpc": "2.0", "method": method, "params": params }));
    }

    fn next(&mut self) -> Value {
        let mut length = 0;
        loop {
            let mut line = String::new();
            assert!(self.out.read_line(&mut line).unwrap() > 0, "the server is gone");
            match line.trim_end() {
                "" => break,
                l => length = l.strip_prefix("Content-Length: ").map_or(length, |n| n.parse().unwrap()),
            }
        }
        let mut body = vec![0; length];
        self.out.read_exact(&mut body).unwrap();
        let message: Value = serde_json::from_slice(&body).unwrap();
        if message["method"] == "textDocument/publishDiagnostics" {
            let uri = message["params"]["uri"].as_str().unwrap().to_owned();
            self.marks.retain(|(u, _)| *u != uri);
            self.marks.push((uri, message["params"]["diagnostics"].clone()));
        }
        message
    }

    fn ask(&mut self, method: &str, params: Value) -> Value {
        self.asked += 1;
        let id = self.asked;
        self.send(&json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params }));
        loop {
            let message = self.next();
            if message["id"] == id {
                assert!(message["error"].is_null(), "{message}");
                return message["result"].clone();
            }
        }
    }

    /// All diagnostics that are shown, once the server has judged what it was told.
    pub fn shown(&mut self, folder: &Path) -> BTreeMap<String, Value> {
        let any = Self::uri(folder, "any");
        self.ask(
            "textDocument/hover",
            json!({ "textDocument": { "uri": any }, "position": { "line": 0, "character": 0 } }),
        );
        self.marks.iter().filter(|(_, d)| !d.as_array().unwrap().is_empty()).cloned().collect()
    }

    /// The codes of a file's diagnostics with their lines, from 0.
    fn codes(&self, file: &str) -> Vec<(String, u64)> {
        let own =
            self.marks.iter().filter(|(uri, _)| uri.ends_with(file)).flat_map(|(_, d)| d.as_array().unwrap());
        own.map(|d| (d["code"].as_str().unwrap().to_owned(), d["range"]["start"]["line"].as_u64().unwrap()))
            .collect()
    }

    pub fn uri(folder: &Path, file: &str) -> String {
        format!("file://{}/{file}", folder.canonicalize().unwrap().display())
    }

    pub fn change(&mut self, uri: &str, text: &str) {
        self.tell(
            "textDocument/didChange",
            json!({ "textDocument": { "uri": uri, "version": 2 }, "contentChanges": [{ "text": text }] }),
        );
    }
}

#[test]
fn an_editor_sees_findings_while_files_are_written_and_gets_proven_repairs() {
    let dir = folder(&[
        ("havenlint.toml", DEPLOYMENT.as_bytes()),
        ("policy.toml", POLICY.as_bytes()),
        ("web-1.v4.rules", RULES.as_bytes()),
    ]);
    let mut editor = Editor::open(dir.path());
    let rules = Editor::uri(dir.path(), "web-1.v4.rules");
    let document = json!({ "uri": rules });
    editor.tell(
        "textDocument/didOpen",
        json!({ "textDocument": { "uri": rules, "languageId": "iptables", "version": 1, "text": RULES } }),
    );
    // Hover on the policy that decides: the finding, and what the rule means.
    let at =
        |line: u32| json!({ "textDocument": { "uri": rules }, "position": { "line": line, "character": 3 } });
    let hover =
        editor.ask("textDocument/hover", at(1))["contents"]["value"].as_str().unwrap_or_default().to_owned();
    assert!(
        hover.contains("WEB-SSH")
            && hover.contains("cannot reach web-1 on tcp/22")
            && hover.contains("## Requirement"),
        "{hover}"
    );
    let hover =
        editor.ask("textDocument/hover", at(6))["contents"]["value"].as_str().unwrap_or_default().to_owned();
    assert!(hover.contains("**accepts**") && hover.contains("tcp/443 from"), "{hover}");
    assert!(editor.ask("textDocument/hover", at(0)).is_null());
    assert!(editor.codes("web-1.v4.rules").contains(&("WEB-SSH".to_owned(), 1)), "{:?}", editor.marks);
    // The repair, proven when it is asked for.
    let range = json!({ "start": { "line": 1, "character": 0 }, "end": { "line": 1, "character": 0 } });
    let actions = editor.ask(
        "textDocument/codeAction",
        json!({ "textDocument": document, "range": range, "context": { "diagnostics": [] } }),
    );
    let action = actions
        .as_array()
        .unwrap()
        .iter()
        .find(|a| a["title"].as_str().unwrap().contains("WEB-SSH"))
        .unwrap()
        .clone();
    let resolved = editor.ask("codeAction/resolve", action);
    assert!(resolved["title"].as_str().unwrap().contains("1 proven repair of WEB-SSH"), "{resolved}");
    let edit = resolved["edit"]["changes"][&rules][0].clone();
    let text = edit["newText"].as_str().unwrap();
    assert!(text.contains("-s 10.0.9.0/24") && text.contains("--dport 22"), "{edit}");
    // Typed in, unsaved: the finding is gone; broken, the line is marked.
    let at = edit["range"]["start"]["line"].as_u64().unwrap() as usize;
    let mut lines: Vec<&str> = RULES.split_inclusive('\n').collect();
    lines.insert(at, text);
    editor.change(&rules, &lines.concat());
    editor.ask(
        "textDocument/hover",
        json!({ "textDocument": document, "position": { "line": 0, "character": 0 } }),
    );
    assert!(!editor.codes("web-1.v4.rules").iter().any(|(c, _)| c == "WEB-SSH"), "{:?}", editor.marks);
    editor.change(&rules, &RULES.replace("--dport 443", "--dprot 443"));
    editor.ask(
        "textDocument/hover",
        json!({ "textDocument": document, "position": { "line": 0, "character": 0 } }),
    );
    assert!(editor.codes("web-1.v4.rules").contains(&("HL-INPUT".to_owned(), 6)), "{:?}", editor.marks);
    // Deployment and catalogue are documents, too.
    for (file, text, broken) in [
        ("havenlint.toml", DEPLOYMENT.replace("role = \"web\"", "role = \"wbe\""), 5),
        ("policy.toml", POLICY.replace("kind = \"required\"", "kind = \"requird\""), 9),
    ] {
        let uri = Editor::uri(dir.path(), file);
        editor.tell(
            "textDocument/didOpen",
            json!({ "textDocument": { "uri": uri, "languageId": "toml", "version": 1, "text": text } }),
        );
        editor.ask(
            "textDocument/hover",
            json!({ "textDocument": document, "position": { "line": 0, "character": 0 } }),
        );
        assert!(editor.codes(file).contains(&("HL-INPUT".to_owned(), broken)), "{file}: {:?}", editor.marks);
        editor.tell("textDocument/didClose", json!({ "textDocument": { "uri": uri } }));
        editor.ask(
            "textDocument/hover",
            json!({ "textDocument": document, "position": { "line": 0, "character": 0 } }),
        );
        assert_eq!(editor.codes(file), [], "{file}");
    }
    assert_eq!(
        std::fs::read_to_string(dir.path().join("web-1.v4.rules")).unwrap(),
        RULES,
        "nothing is written"
    );
    editor.ask("shutdown", Value::Null);
    editor.tell("exit", Value::Null);
    assert!(editor.server.wait().unwrap().success());
}
