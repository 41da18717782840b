//! Every command of the pages is run as it is printed, or stands in the table with the reason why it cannot be.

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use scrobble_harness::{ControlPlane, Options};
use scrobble_simulator::Simulator;
use serde::Deserialize as _;
use serde_json::Value;

use super::blocks::{Block, all, blocks, pages};
use super::table::{ELSEWHERE, FOREIGN_GROUPS, NOT_RUN, STAGES};

/// The reason why a command is not run, if there is one.
fn reason(command: &str) -> Option<&'static str> {
    // What a pipe ends in may be missing, too.
    let begins = |known: &str| command.split(" | ").any(|part| part.starts_with(known));
    let is_meant = |known: &str| known.strip_prefix('…').map_or_else(|| begins(known), |inner| command.contains(inner));
    NOT_RUN.iter().find(|(known, _)| is_meant(known)).map(|(_, why)| *why)
}

/// Whether no command of a block can be run here.
fn is_out_of_reach(block: &Block) -> bool {
    block.beginnings().iter().all(|line| reason(line).is_some())
}

/// The blocks of a page that are run here.
pub fn runnable(page: &str) -> Vec<Block> {
    blocks(page).into_iter().filter(|block| block.language == "sh" && !is_out_of_reach(block)).collect()
}

#[test]
fn what_is_not_run_has_a_reason() {
    let mut wrong = Vec::new();
    for block in all() {
        let commands = match block.language.as_str() {
            "sh" => block.beginnings(),
            "console" => block.commands(),
            "bash" | "shell" | "zsh" => {
                wrong.push(format!("{block}: commands stand in blocks of `sh`, transcripts in blocks of `console`"));
                continue;
            }
            _ => continue,
        };
        let given: Vec<&String> = commands.iter().filter(|command| reason(command).is_some()).collect();
        if block.language == "console" {
            for command in commands.iter().filter(|command| reason(command).is_none()) {
                wrong.push(format!(
                    "{block}: `{command}` is run by no test: print it in a block of `sh`, or add it to NOT_RUN of \
                     tests/it/documents/table.rs with the reason"
                ));
            }
        } else if !given.is_empty() && given.len() < commands.len() {
            wrong.push(format!("{block}: it mixes commands that are run with `{}`: make it two blocks", given[0]));
        }
    }
    let known = pages();
    let named = STAGES.iter().map(|stage| stage.page).chain(ELSEWHERE.iter().map(|(page, _)| *page));
    wrong.extend(named.filter(|page| !known.iter().any(|known| known == page)).map(|page| format!("no page {page}")));
    for (page, test) in ELSEWHERE {
        if !super::root().join(test).exists() {
            wrong.push(format!("{page}: there is no {test}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A folder for the commands of pages: what they name of the repository is there, and what they write goes with it.
pub fn folder(plane: &ControlPlane, name: &str) -> PathBuf {
    let folder = plane.folder().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    for entry in ["charts", "crds", "docs", "examples"] {
        symlink(super::root().join(entry), folder.join(entry)).unwrap();
    }
    folder
}

/// Runs blocks in one shell; an error names the block and what it said.
pub async fn run(
    plane: &ControlPlane,
    folder: &Path,
    blocks: &[Block],
    before: &str,
    after: &str,
) -> Result<String, String> {
    let marked = |name: &str, text: &str| format!("echo '@@ {name}' >&2\n{text}\n");
    let mut script = marked("its stage in tests/it/documents/table.rs", before);
    for block in blocks {
        script.push_str(&marked(&block.to_string(), &block.text));
    }
    script.push_str(&marked("what its stage in tests/it/documents/table.rs looks at afterwards", after));
    let mut shell = super::shell(plane, &script);
    shell.current_dir(folder);
    let output = tokio::process::Command::from(shell).kill_on_drop(true).output().await.unwrap();
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let last = said.rsplit("@@ ").next().unwrap_or_default();
    let (name, said) = last.split_once('\n').unwrap_or((last, ""));
    Err(format!(
        "{name} fails: {}\nWhat a page needs first goes to STAGES of tests/it/documents/table.rs, a command that cannot be \
         run here to NOT_RUN, with the reason.",
        said.trim()
    ))
}

#[tokio::test]
async fn every_command_of_the_pages_works_as_it_is_printed() {
    // The pages install the chart with its definitions, so this test has a cluster of its own.
    let plane = ControlPlane::start(Options::default()).await.unwrap();
    let simulator = Simulator::start(scrobble_simulator::Options::default()).await.unwrap();
    let address = format!("SIMULATOR={}", simulator.client().base_url());
    let folder = folder(&plane, "pages");
    let mut wrong = Vec::new();
    for page in pages() {
        let blocks = runnable(&page);
        if blocks.is_empty() || ELSEWHERE.iter().any(|(elsewhere, _)| *elsewhere == page) {
            continue;
        }
        let stage = STAGES.iter().find(|stage| stage.page == page);
        let (before, after) = stage.map_or(("", ""), |stage| (stage.before, stage.after));
        wrong.extend(run(&plane, &folder, &blocks, &format!("{address}\n{before}"), after).await.err());
    }
    for block in all().into_iter().filter(|block| block.language == "yaml") {
        wrong.extend(try_objects(&plane, &folder, &block).await.err());
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

/// Reads what a block of YAML holds. Objects that a server here knows are tried on it; values of the chart, which a block
/// calls so in its first line, on the chart.
async fn try_objects(plane: &ControlPlane, folder: &Path, block: &Block) -> Result<(), String> {
    let documents: Result<Vec<Value>, _> =
        serde_yaml::Deserializer::from_str(&block.text).map(Value::deserialize).collect();
    let documents = documents.map_err(|error| format!("{block} is no YAML: {error}"))?;
    if block.text.starts_with("# Values") {
        let file = folder.join("values.yaml");
        std::fs::write(&file, &block.text).unwrap();
        let arguments = ["template", "charts/scrobble-operator", "--namespace", "music", "--values", "values.yaml"];
        let helm = Block { text: format!("helm {} > /dev/null", arguments.join(" ")), ..block.clone() };
        return run(plane, folder, &[helm], "", "").await.map(drop);
    }
    for document in documents {
        let (Some(version), Some(kind)) = (document["apiVersion"].as_str(), document["kind"].as_str()) else {
            continue;
        };
        let group = version.split_once('/').map_or("", |(group, _)| group);
        if FOREIGN_GROUPS.contains(&group) {
            if document["metadata"]["name"].as_str().is_none() {
                return Err(format!("{block}: the {kind} has no name"));
            }
            continue;
        }
        let arguments =
            ["apply", "--server-side", "--dry-run=server", "--force-conflicts", "--field-manager=pages", "-f", "-"];
        let namespace = document["metadata"]["namespace"].as_str().unwrap_or("music");
        // A namespace that no page makes, such as that of a tool.
        plane.kubectl(&["create", "namespace", namespace]).await.ok();
        let namespace = format!("--namespace={namespace}");
        let arguments = [arguments.as_slice(), &[&namespace]].concat();
        let tried = plane.kubectl_with_input(&arguments, &document.to_string()).await;
        tried.map_err(|error| format!("{block}: the {kind} is refused: {error}"))?;
    }
    Ok(())
}
