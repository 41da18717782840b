//! A real Maloja, as a process, and what may stand between it and its clients.

mod proxy;

use std::collections::BTreeMap;
use std::future::Future;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::Client;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::Error;
use crate::folder::Folder;
use crate::port::{free_port, lost_race};
use crate::process::{Grace, Process, scrub_environment};
use crate::wait::wait_until;
use crate::{install_crypto_provider, repository_root};

pub use proxy::{MalojaProxy, Passed};

/// How long Maloja may take until it answers; alone it takes a second or two.
const START: Duration = Duration::from_mins(1);
/// How long it may take to end.
const STOP: Duration = Duration::from_secs(30);
/// How many scrobbles are asked for at a time.
const PAGE: usize = 500;
/// How often a start is tried again where another process took the port.
const TRIES: usize = 5;
/// The name and the key that the harness itself scrobbles with.
const OWN_KEY: (&str, &str) = ("harness", "the-harness-scrobbles-with-this");

/// A scrobble, as Maloja shows it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MalojaScrobble {
    /// When, in seconds since 1970.
    pub second: i64,
    /// The title, as it was first sent for this track.
    pub title: String,
    /// The artists, each as it was first sent, in no particular order.
    pub artists: Vec<String>,
    /// The album.
    pub album: Option<String>,
    /// The track's length in seconds.
    pub length: Option<i64>,
    /// The name of the API key that it was sent with.
    pub client: String,
}

/// A running Maloja on 127.0.0.1 with a data folder of its own. Dropping it kills it and forgets its scrobbles.
#[derive(Debug)]
pub struct Maloja {
    program: PathBuf,
    process: Process,
    port: u16,
    time_zone: i32,
    client: Client,
    // Dropped last: the process writes into it.
    folder: Folder,
}

impl Maloja {
    /// Starts the Maloja of the folder that `SCROBBLE_OPERATOR_MALOJA` names, as `make test` sets it, or else the one that
    /// `tools/maloja` installs, and returns when it answers. It accepts these API keys, each a name and a key.
    ///
    /// # Errors
    /// There is no Maloja, and the error says how to get it; or it does not start.
    pub async fn start(keys: &[(&str, &str)]) -> Result<Self, Error> {
        Self::start_in_time_zone(keys, 0).await
    }

    /// The same for a Maloja whose days begin so many hours before those of UTC.
    ///
    /// # Errors
    /// As [`Maloja::start`].
    pub async fn start_in_time_zone(keys: &[(&str, &str)], hours: i32) -> Result<Self, Error> {
        install_crypto_provider();
        let program = locate().await?;
        let folder = Folder::create("maloja")?;
        folder.make("data")?;
        // JSON is YAML.
        let keys: BTreeMap<&str, &str> = keys.iter().copied().chain([OWN_KEY]).collect();
        folder.write("data/apikeys.yml", &json!(keys).to_string())?;
        let client = Client::builder()
            .no_proxy()
            .timeout(START)
            .build()
            .map_err(|error| Error::io("make a client of Maloja")(std::io::Error::other(error)))?;
        let port = free_port()?;
        let process = spawn(&program, &folder, port, hours)?;
        let mut maloja = Self { program, process, port, time_zone: hours, client, folder };
        for _ in 0..TRIES {
            match maloja.wait_until_ready().await {
                Err(_) if lost_race(&maloja.process.log()) => {
                    maloja.port = free_port()?;
                    maloja.process = maloja.spawn()?;
                }
                started => return started.map(|()| maloja),
            }
        }
        maloja.wait_until_ready().await.map(|()| maloja)
    }

    /// Where it is, without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// All that it has printed, over all its restarts.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// Asks it to end and waits until it has.
    ///
    /// # Errors
    /// It does not end.
    pub async fn stop(&mut self) -> Result<(), Error> {
        self.process.terminate(STOP).await.map(|_| ())
    }

    /// Kills it, as a power cut would.
    ///
    /// # Errors
    /// It cannot be killed.
    pub fn kill(&mut self) -> Result<(), Error> {
        self.process.kill().map(|_| ())
    }

    /// Starts it again on the same port with the same data, after it was ended if it still runs.
    ///
    /// # Errors
    /// It does not end, or does not start.
    pub async fn restart(&mut self) -> Result<(), Error> {
        self.stop().await?;
        self.process = self.spawn()?;
        self.wait_until_ready().await
    }

    /// All scrobbles that it holds, oldest first.
    ///
    /// # Errors
    /// It does not answer every read with 200, as a corrupted Maloja does not.
    pub async fn scrobbles(&self) -> Result<Vec<MalojaScrobble>, Error> {
        let mut all = Vec::new();
        loop {
            let page = all.len() / PAGE;
            let query = format!("scrobbles?from=1971&to=2200&reverse=no&perpage={PAGE}&page={page}");
            let answer = self.get(&query).await?;
            let list = answer.get("list").and_then(Value::as_array).cloned().unwrap_or_default();
            let last = list.len() < PAGE;
            for entry in list {
                let entry: Entry = serde_json::from_value(entry)
                    .map_err(|error| Error::Misuse(format!("Maloja shows a scrobble that cannot be read: {error}")))?;
                all.push(entry.into());
            }
            if last {
                return Ok(all);
            }
        }
    }

    /// Puts a track of somebody else's at a second, so that no other track can stand there.
    ///
    /// # Errors
    /// It is not taken: a second that is already taken must not be sent to again.
    pub async fn occupy(&self, second: i64, title: &str, artist: &str) -> Result<(), Error> {
        let body = json!({"key": OWN_KEY.1, "artists": [artist], "title": title, "time": second, "nofix": true});
        let url = format!("{}/apis/mlj_1/newscrobble", self.base_url());
        let action = format!("put a track at second {second}");
        let sent = self.client.post(url).header("content-type", "application/json").body(body.to_string()).send();
        let answer = read(&action, sent).await?;
        let plain = answer.get("status").and_then(Value::as_str) == Some("success") && answer.get("warnings").is_none();
        if plain { Ok(()) } else { Err(Error::Misuse(format!("{action}: Maloja answered {answer}"))) }
    }

    fn spawn(&self) -> Result<Process, Error> {
        spawn(&self.program, &self.folder, self.port, self.time_zone)
    }

    async fn get(&self, path: &str) -> Result<Value, Error> {
        let url = format!("{}/apis/mlj_1/{path}", self.base_url());
        read(&format!("read {path} of Maloja"), self.client.get(url).send()).await
    }

    async fn wait_until_ready(&mut self) -> Result<(), Error> {
        let name = name(&self.folder);
        wait_until("Maloja to answer", START, async || {
            if let Err(ended) = self.process.ensure_running() {
                return Ok(Err(ended));
            }
            match self.get("serverinfo").await {
                // Another process may have taken the port, and be a Maloja too. And it answers this before it has looked
                // at its database; until then every read is a 503.
                Ok(answer)
                    if answer.get("name").and_then(Value::as_str) == Some(&name)
                        && answer.pointer("/db_status/healthy").and_then(Value::as_bool) == Some(true) =>
                {
                    Ok(Ok(()))
                }
                Ok(answer) => Err(answer.to_string()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await?
    }
}

fn name(folder: &Folder) -> String {
    folder.path().file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn spawn(program: &Path, folder: &Folder, port: u16, hours: i32) -> Result<Process, Error> {
    let mut command = Command::new(program);
    scrub_environment(&mut command);
    for (key, _) in std::env::vars_os() {
        let text = key.to_string_lossy();
        if text.starts_with("MALOJA_") || text.starts_with("PYTHON") {
            command.env_remove(&key);
        }
    }
    command
        .arg("run")
        .current_dir(folder.path())
        .env("HOME", folder.path())
        .env("MALOJA_DATA_DIRECTORY", folder.path().join("data"))
        .env("MALOJA_SKIP_SETUP", "yes")
        .env("MALOJA_FORCE_PASSWORD", "nobody-signs-in")
        .env("MALOJA_HOST", "127.0.0.1")
        .env("MALOJA_PORT", port.to_string())
        .env("MALOJA_NAME", name(folder))
        .env("MALOJA_TIMEZONE", hours.to_string())
        // It asks nobody for pictures.
        .env("MALOJA_METADATA_PROVIDERS", "")
        .env("MALOJA_CLEAN_OUTPUT", "yes");
    Process::spawn("maloja", &command, &folder.path().join("maloja.log"), Grace::None)
}

/// The program of the environment's folder.
async fn locate() -> Result<PathBuf, Error> {
    match std::env::var_os("SCROBBLE_OPERATOR_MALOJA").filter(|folder| !folder.is_empty()) {
        Some(folder) => in_environment(Path::new(&folder)),
        None => install().await,
    }
}

fn in_environment(folder: &Path) -> Result<PathBuf, Error> {
    let program = folder.join("bin/maloja");
    if program.is_file() { Ok(program) } else { Err(Error::MalojaMissing { folder: folder.to_path_buf() }) }
}

async fn install() -> Result<PathBuf, Error> {
    let mut command = tokio::process::Command::new(repository_root().join("tools/maloja"));
    command.stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
    let output = command.output().await.map_err(Error::io("run tools/maloja"))?;
    if !output.status.success() {
        return Err(Error::MalojaInstallation { status: output.status.to_string() });
    }
    let printed = String::from_utf8_lossy(&output.stdout);
    in_environment(Path::new(printed.lines().last().unwrap_or_default()))
}

/// The JSON of a 200.
async fn read(
    action: &str,
    sent: impl Future<Output = Result<reqwest::Response, reqwest::Error>>,
) -> Result<Value, Error> {
    let failed = |error: reqwest::Error| Error::io(action.to_owned())(std::io::Error::other(error));
    let response = sent.await.map_err(failed)?;
    let status = response.status().as_u16();
    let body = response.text().await.map_err(failed)?;
    match serde_json::from_str(&body) {
        Ok(value) if status == 200 => Ok(value),
        _ => Err(Error::Answer { action: action.to_owned(), status, body }),
    }
}

#[derive(Deserialize)]
struct Entry {
    time: i64,
    track: Track,
    origin: String,
}

#[derive(Deserialize)]
struct Track {
    title: String,
    artists: Vec<String>,
    album: Option<Album>,
    length: Option<i64>,
}

#[derive(Deserialize)]
struct Album {
    albumtitle: String,
}

impl From<Entry> for MalojaScrobble {
    fn from(entry: Entry) -> Self {
        let client = entry.origin.strip_prefix("client:").unwrap_or(&entry.origin).to_owned();
        let Track { title, artists, album, length } = entry.track;
        Self { second: entry.time, title, artists, album: album.map(|album| album.albumtitle), length, client }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_maloja_is_refused_by_saying_how_to_get_it() {
        let folder = tempfile::tempdir().unwrap();
        let message = in_environment(folder.path()).unwrap_err().to_string();
        assert!(message.contains("make tools"), "{message}");
    }
}
