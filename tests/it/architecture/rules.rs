//! Who may import whom, and what a layer may not contain.

use super::paths::{self, Path};
use super::tokens::{self, Placed, Token};

/// The most lines a source file may have.
pub const LINES: usize = 400;

/// The most lines a program's own file may have: it parses, runs and exits.
pub const PROGRAM_LINES: usize = 40;

/// Names that say nothing about what a file holds.
const EMPTY_NAMES: [&str; 8] = ["util", "utils", "helper", "helpers", "manager", "managers", "common", "misc"];

/// Macros that mark work as unfinished or were left from debugging.
const UNFINISHED: [&str; 3] = ["todo", "unimplemented", "dbg"];

/// The parts of kube's runtime that drive reconciles. Whoever names them must change when the driver is exchanged.
const DRIVERS: [&str; 4] = ["controller", "Controller", "reflector", "watcher"];

/// One layer, the folder of `src/` with its name.
struct Layer {
    name: &'static str,
    /// The layers it may import.
    uses: &'static [&'static str],
    /// Paths it may not name, nor anything below them.
    refuses: &'static [&'static [&'static str]],
    /// Whether it is plain computation: no `async`, no `.await`, no `now`.
    pure: bool,
}

/// What would let a decision act, wait, or depend on when and where it is made.
const EFFECTS: &[&[&str]] = &[
    &["axum"],
    &["futures"],
    &["hyper"],
    &["kube", "Client"],
    &["kube", "client"],
    &["kube", "runtime"],
    &["kube_client"],
    &["kube_runtime"],
    &["oauth2"],
    &["opentelemetry"],
    &["opentelemetry_sdk"],
    &["rand"],
    &["reqwest"],
    &["std", "fs"],
    &["std", "process"],
    &["std", "thread"],
    &["std", "time", "Instant"],
    &["std", "time", "SystemTime"],
    &["tokio"],
    &["tokio_util"],
    &["tracing"],
    &["tracing_opentelemetry"],
    &["tracing_subscriber"],
];

/// What a driver may not contain. It has spans; how they reach others is for the adapters of HTTP and the runtime.
const OF_ADAPTERS: &[&[&str]] = &[
    &["reqwest"],
    &["crate", "adapters", "spotify", "model"],
    &["opentelemetry"],
    &["opentelemetry_sdk"],
    &["tracing_opentelemetry"],
    &["tracing_subscriber"],
];

const EVERYTHING: &[&str] = &["api", "domain", "plan", "adapters", "reconcile", "connect", "runtime", "cli"];

const LAYERS: [Layer; 9] = [
    Layer { name: "api", uses: &["api", "domain"], refuses: EFFECTS, pure: true },
    Layer { name: "domain", uses: &["api", "domain"], refuses: EFFECTS, pure: true },
    Layer { name: "plan", uses: &["api", "domain", "plan"], refuses: EFFECTS, pure: true },
    // What an adapter saw is an outcome; which condition and reason follow from it is decided in plan.
    Layer {
        name: "adapters",
        uses: &["api", "domain", "adapters"],
        refuses: &[&["crate", "api", "condition"]],
        pure: false,
    },
    Layer {
        name: "reconcile",
        uses: &["api", "domain", "plan", "adapters", "reconcile"],
        refuses: OF_ADAPTERS,
        pure: false,
    },
    // A driver as well, of one authorization. It reads Secrets and the clock the way that passes do.
    Layer {
        name: "connect",
        uses: &["api", "domain", "plan", "adapters", "reconcile", "connect"],
        refuses: OF_ADAPTERS,
        pure: false,
    },
    Layer { name: "runtime", uses: EVERYTHING, refuses: &[], pure: false },
    Layer { name: "cli", uses: EVERYTHING, refuses: &[], pure: false },
    // The programs: src/main.rs and src/bin/.
    Layer { name: "main", uses: &["cli", "runtime"], refuses: &[], pure: false },
];

/// Every folder that must be there for the map to be true.
pub fn folders() -> impl Iterator<Item = &'static str> {
    LAYERS.iter().map(|layer| layer.name).filter(|name| *name != "main")
}

/// What is wrong with a file of the repository, one sentence each. `file` is relative to the repository's root.
pub fn violations(file: &str, source: &str) -> Vec<String> {
    let tokens = tokens::tokens(source);
    let mut found = shape(file, source);
    found.extend(unfinished(file, source, &tokens));
    if let Some(inside) = file.strip_prefix("src/") {
        found.extend(layering(file, inside, &tokens));
    }
    found
}

fn shape(file: &str, source: &str) -> Vec<String> {
    let mut found = Vec::new();
    let lines = source.lines().count();
    if lines > LINES {
        found.push(format!("{file}: {lines} lines; split it by noun, {LINES} is the cap"));
    }
    if (file == "src/main.rs" || file.starts_with("src/bin/")) && lines > PROGRAM_LINES {
        found.push(format!("{file}: {lines} lines; a program's own file has at most {PROGRAM_LINES}"));
    }
    if let Some(name) = file.trim_end_matches(".rs").split('/').find(|part| EMPTY_NAMES.contains(part)) {
        found.push(format!("{file}: `{name}` does not say what it holds"));
    }
    found
}

fn unfinished(file: &str, source: &str, tokens: &[Placed]) -> Vec<String> {
    let mut found = Vec::new();
    for pair in tokens.windows(2) {
        let Some(word) = pair[0].word() else { continue };
        if UNFINISHED.contains(&word) && pair[1].is('!') {
            found.push(format!("{file}:{}: `{word}!` is unfinished work", pair[0].line));
        }
    }
    for (at, three) in tokens.windows(3).enumerate() {
        let ignored = three[0].is('#') && three[1].is('[') && three[2].word() == Some("ignore");
        if ignored && !is_started_by_a_test(source, &tokens[at..]) {
            found.push(format!("{file}:{}: `#[ignore]`: a test runs or does not exist", three[2].line));
        }
    }
    found
}

/// Whether the function after these tokens is no test but a program that a test of the same file starts by its name.
fn is_started_by_a_test(source: &str, tokens: &[Placed]) -> bool {
    let name = tokens.windows(2).find(|pair| pair[0].word() == Some("fn")).and_then(|pair| pair[1].word());
    name.is_some_and(|name| name.starts_with("helper_") && source.contains(&format!("{name}\"")))
}

fn layering(file: &str, inside: &str, tokens: &[Placed]) -> Vec<String> {
    let module = module(inside);
    let name = match module.first().map(String::as_str) {
        // The crate's root only declares the layers.
        None => return Vec::new(),
        Some("bin") => "main",
        Some(name) => name,
    };
    let Some(layer) = LAYERS.iter().find(|layer| layer.name == name) else {
        return vec![format!("{file}: `{name}` is no layer")];
    };
    let mut found = Vec::new();
    for path in paths::paths(tokens, &module) {
        for complaint in path_complaints(layer, file, &module, &path) {
            found.push(format!("{file}:{}: {complaint}", path.line));
        }
    }
    for (line, complaint) in word_complaints(layer, tokens) {
        found.push(format!("{file}:{line}: {complaint}"));
    }
    found
}

fn path_complaints(layer: &Layer, file: &str, module: &[String], path: &Path) -> Vec<String> {
    let text = path.text();
    let mut found = Vec::new();
    if path.parts[0] == "crate" {
        match path.parts.get(1).map(String::as_str) {
            None => found.push(format!("`{text}` imports the crate's root, which hides the layer")),
            Some(target) if !layer.uses.contains(&target) => {
                found.push(format!("{} may not use {target} (`{text}`)", layer.name));
            }
            Some("adapters") if layer.name == "adapters" => found.extend(neighbour(module, path)),
            Some(_) => {}
        }
    }
    for refused in layer.refuses {
        if path.reaches(refused) {
            found.push(format!("{} may not use {} (`{text}`)", layer.name, refused.join("::")));
        }
    }
    let drives = |crates: &[&str]| DRIVERS.iter().any(|part| path.reaches(&[crates, &[part]].concat()));
    let may_drive = layer.name == "runtime" || file == "src/reconcile/mod.rs";
    if !may_drive && (drives(&["kube", "runtime"]) || drives(&["kube_runtime"])) {
        found.push(format!("only runtime/ and reconcile/mod.rs may name what drives reconciles (`{text}`)"));
    }
    if layer.name != "cli" && path.reaches(&["std", "env"]) {
        found.push(format!("only cli/ may read the environment (`{text}`)"));
    }
    found
}

/// An adapter knows itself and the HTTP transport that all of them share.
fn neighbour(module: &[String], path: &Path) -> Option<String> {
    let own = module.get(1).map(String::as_str);
    let target = path.parts.get(2).map(String::as_str);
    let allowed = match target {
        Some("http") => true,
        // adapters/mod.rs declares them all and is none of them.
        Some(_) => own.is_none() || own == target,
        None => false,
    };
    (!allowed).then(|| format!("an adapter may not use another (`{}`)", path.text()))
}

fn word_complaints(layer: &Layer, tokens: &[Placed]) -> Vec<(usize, String)> {
    let mut found = Vec::new();
    for (at, placed) in tokens.iter().enumerate() {
        let Some(word) = placed.word() else { continue };
        let before = at.checked_sub(1).map(|before| &tokens[before].token);
        let after = tokens.get(at + 1).map(|placed| &placed.token);
        let attribute = before == Some(&Token::Mark('['));
        let complaint = match word {
            "async" | "await" if layer.pure => format!("{} may not wait (`{word}`)", layer.name),
            "now" if layer.pure && matches!(before, Some(Token::Colons | Token::Mark('.'))) => {
                let field = before == Some(&Token::Mark('.')) && after != Some(&Token::Mark('('));
                if field {
                    continue;
                }
                format!("{} may not read the clock: `now` is an argument", layer.name)
            }
            "path" if attribute && after == Some(&Token::Mark('=')) => "`#[path]` hides the layer".to_owned(),
            "include" if after == Some(&Token::Mark('!')) => "`include!` hides the layer".to_owned(),
            _ => continue,
        };
        found.push((placed.line, complaint));
    }
    found
}

/// The module that a file below `src/` holds.
fn module(inside: &str) -> Vec<String> {
    let parts = inside.trim_end_matches(".rs").split('/').map(str::to_owned);
    let mut module: Vec<String> = parts.collect();
    if matches!(module.last().map(String::as_str), Some("mod" | "lib")) {
        module.pop();
    }
    module
}
