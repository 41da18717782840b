//! A real Prometheus, as a process, and promtool.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

use reqwest::{Client, Url};
use serde_json::{Value, json};

use crate::command::Output;
use crate::error::Error;
use crate::folder::Folder;
use crate::port::{free_port, lost_race};
use crate::process::{Grace, Process, scrub_environment};
use crate::wait::wait_until;
use crate::{install_crypto_provider, repository_root};

/// How long Prometheus may take until it answers; alone it takes less than a second.
const START: Duration = Duration::from_mins(1);
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a start is tried again where another process took the port.
const TRIES: usize = 5;
/// The programs of the folder.
const PROGRAMS: [&str; 2] = ["prometheus", "promtool"];

/// The folder with prometheus and promtool.
#[derive(Clone, Debug)]
pub struct PrometheusTools {
    folder: PathBuf,
}

/// One series of an answer with its value.
#[derive(Clone, Debug, PartialEq)]
pub struct Sample {
    /// Its labels; the metric's name is `__name__`.
    pub labels: BTreeMap<String, String>,
    /// Its value; NaN where it is that.
    pub value: f64,
}

impl PrometheusTools {
    /// The folder that `SCROBBLE_OPERATOR_PROMETHEUS` names, as `make test` sets it, or else the one that
    /// `tools/build prometheus` builds, which takes minutes the first time.
    ///
    /// # Errors
    /// The folder is incomplete, or cannot be built.
    pub async fn locate() -> Result<Self, Error> {
        match std::env::var_os("SCROBBLE_OPERATOR_PROMETHEUS").filter(|folder| !folder.is_empty()) {
            Some(folder) => Self::in_folder(Path::new(&folder)),
            None => Self::build().await,
        }
    }

    fn in_folder(folder: &Path) -> Result<Self, Error> {
        let missing: Vec<&str> = PROGRAMS.into_iter().filter(|program| !folder.join(program).is_file()).collect();
        if missing.is_empty() {
            Ok(Self { folder: folder.to_path_buf() })
        } else {
            Err(Error::PrometheusMissing { folder: folder.to_path_buf(), missing: missing.join(", ") })
        }
    }

    async fn build() -> Result<Self, Error> {
        let mut command = tokio::process::Command::new(repository_root().join("tools/build"));
        command.arg("prometheus").stdin(Stdio::null()).stderr(Stdio::inherit()).kill_on_drop(true);
        let output = command.output().await.map_err(Error::io("run tools/build prometheus"))?;
        if !output.status.success() {
            return Err(Error::ToolsBuild { status: output.status.to_string() });
        }
        let printed = String::from_utf8_lossy(&output.stdout);
        Self::in_folder(Path::new(printed.lines().last().unwrap_or_default()))
    }

    /// Runs promtool in a folder with this standard input, to its end.
    ///
    /// # Errors
    /// [`Error::Command`] where it finds fault, with what it printed.
    pub fn promtool(&self, folder: &Path, arguments: &[&str], input: &str) -> Result<Output, Error> {
        let mut command = Command::new(self.folder.join("promtool"));
        scrub_environment(&mut command);
        command.args(arguments).current_dir(folder);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(Error::io("start promtool"))?;
        if let Some(mut pipe) = child.stdin.take() {
            pipe.write_all(input.as_bytes()).map_err(Error::io("write promtool's input"))?;
        }
        let output = child.wait_with_output().map_err(Error::io("wait for promtool"))?;
        let [stdout, stderr] = [output.stdout, output.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        if output.status.success() {
            return Ok(Output { stdout, stderr });
        }
        Err(Error::Command {
            command: format!("promtool {}", arguments.join(" ")),
            status: output.status.to_string(),
            // It tells of failed tests on standard output.
            stderr: format!("{stderr}{stdout}"),
            stdout,
        })
    }
}

/// A running Prometheus on 127.0.0.1. Dropping it kills it and forgets its samples.
#[derive(Debug)]
pub struct Prometheus {
    process: Process,
    port: u16,
    client: Client,
    // Dropped last: the process writes into it.
    folder: Folder,
}

impl Prometheus {
    /// Starts one with these scrape configurations and rule files (each its text), which scrapes and evaluates every
    /// second, and returns when it answers.
    ///
    /// # Errors
    /// There is no Prometheus, and the error says how to get it; or it does not start.
    pub async fn start(tools: &PrometheusTools, scrapes: &Value, rules: &[&str]) -> Result<Self, Error> {
        install_crypto_provider();
        let folder = Folder::create("prometheus")?;
        let mut files = Vec::new();
        for (number, rules) in rules.iter().enumerate() {
            files.push(folder.write(&format!("rules-{number}.yaml"), rules)?);
        }
        // JSON is YAML.
        let configuration = json!({
            "global": {"scrape_interval": "1s", "scrape_timeout": "1s", "evaluation_interval": "1s"},
            "rule_files": files,
            "scrape_configs": scrapes,
        });
        folder.write("prometheus.yaml", &configuration.to_string())?;
        let client = Client::builder()
            .no_proxy()
            .timeout(PATIENCE)
            .build()
            .map_err(|error| Error::io("make a client of Prometheus")(std::io::Error::other(error)))?;
        let port = free_port()?;
        let process = spawn(tools, &folder, port)?;
        let mut prometheus = Self { process, port, client, folder };
        for _ in 0..TRIES {
            match prometheus.wait_until_ready().await {
                Err(_) if lost_race(&prometheus.process.log()) => {
                    prometheus.port = free_port()?;
                    prometheus.process = spawn(tools, &prometheus.folder, prometheus.port)?;
                }
                started => return started.map(|()| prometheus),
            }
        }
        prometheus.wait_until_ready().await.map(|()| prometheus)
    }

    /// All that it has printed.
    pub fn log(&self) -> String {
        self.process.log()
    }

    /// What an expression is now.
    ///
    /// # Errors
    /// It cannot be evaluated.
    pub async fn query(&self, expression: &str) -> Result<Vec<Sample>, Error> {
        let data = self.get("query", &[("query", expression)]).await?;
        let result = data.get("result").and_then(Value::as_array).cloned().unwrap_or_default();
        Ok(result.iter().filter_map(sample).collect())
    }

    /// What a page of its API, such as `rules`, answers: the value of `data`.
    ///
    /// # Errors
    /// It does not answer, or says no.
    pub async fn get(&self, page: &str, parameters: &[(&str, &str)]) -> Result<Value, Error> {
        let action = format!("ask Prometheus for {page} {parameters:?}");
        let failed = |error: reqwest::Error| Error::io(action.clone())(std::io::Error::other(error));
        let url = Url::parse_with_params(&format!("http://127.0.0.1:{}/api/v1/{page}", self.port), parameters)
            .map_err(|error| Error::Misuse(error.to_string()))?;
        let response = self.client.get(url).send().await.map_err(failed)?;
        let status = response.status().as_u16();
        let body = response.text().await.map_err(failed)?;
        match serde_json::from_str::<Value>(&body) {
            Ok(mut answer) if status == 200 => Ok(answer.get_mut("data").map(Value::take).unwrap_or_default()),
            _ => Err(Error::Answer { action, status, body }),
        }
    }

    async fn wait_until_ready(&mut self) -> Result<(), Error> {
        let url = format!("http://127.0.0.1:{}/-/ready", self.port);
        wait_until("Prometheus to be ready", START, async || {
            if let Err(ended) = self.process.ensure_running() {
                return Ok(Err(ended));
            }
            match self.client.get(&url).send().await {
                Ok(answer) if answer.status() == 200 => Ok(Ok(())),
                Ok(answer) => Err(answer.status().to_string()),
                Err(error) => Err(error.to_string()),
            }
        })
        .await?
    }
}

fn spawn(tools: &PrometheusTools, folder: &Folder, port: u16) -> Result<Process, Error> {
    let mut command = Command::new(tools.folder.join("prometheus"));
    scrub_environment(&mut command);
    command
        .arg(format!("--config.file={}", folder.path().join("prometheus.yaml").display()))
        .arg(format!("--storage.tsdb.path={}", folder.path().join("data").display()))
        .arg(format!("--web.listen-address=127.0.0.1:{port}"))
        .env("GOMAXPROCS", "1")
        .current_dir(folder.path());
    Process::spawn("prometheus", &command, &folder.path().join("prometheus.log"), Grace::None)
}

fn sample(series: &Value) -> Option<Sample> {
    let labels = serde_json::from_value(series.get("metric")?.clone()).ok()?;
    let value = series.pointer("/value/1")?.as_str()?;
    Some(Sample { labels, value: value.parse().unwrap_or(f64::NAN) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_without_it_is_refused_by_saying_how_to_get_it() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("prometheus"), "").unwrap();
        let message = PrometheusTools::in_folder(folder.path()).unwrap_err().to_string();
        assert!(message.contains("promtool") && message.contains("make tools"), "{message}");
    }

    #[test]
    fn a_sample_is_read_with_its_labels() {
        let series = json!({"metric": {"__name__": "up", "job": "text"}, "value": [1_764_300_000.1, "NaN"]});
        let found = sample(&series).unwrap();
        assert!(found.value.is_nan());
        assert_eq!(found.labels["job"], "text");
    }
}
