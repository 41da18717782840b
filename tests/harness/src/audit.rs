//! The API server's audit log: who asked for what, and what the answer was.
//!
//! Requests for the operator's own kinds are logged with their bodies, and what a `ServiceAccount` writes into Secrets and
//! Leases with the body of the request; all others without. Every request is logged once it is answered; a watch also when it begins.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, Client};
use serde::Deserialize;
use serde_json::Value;

use crate::error::Error;
use crate::wait::wait_until;

/// What the API server logs: <https://kubernetes.io/docs/tasks/debug/debug-cluster/audit/>.
pub(crate) const POLICY: &str = r"
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
omitManagedFields: true
rules:
  - level: RequestResponse
    resources: [{group: scrobble-operator.io}]
  - level: Request
    userGroups: ['system:serviceaccounts']
    verbs: [create, update, patch]
    resources: [{group: '', resources: [secrets]}, {group: coordination.k8s.io, resources: [leases]}]
  - level: Metadata
";

/// A place in the audit log: everything before it has been seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Marker(u64);

/// One line of the audit log.
#[derive(Clone, Debug)]
pub struct AuditEntry {
    /// When the request arrived.
    pub received_time: Timestamp,
    /// When this stage was reached.
    pub time: Timestamp,
    /// `ResponseComplete`, `ResponseStarted` (of a watch) or `Panic`.
    pub stage: String,
    /// Who asked; a `ServiceAccount` is `system:serviceaccount:<namespace>:<name>`.
    pub user: String,
    /// Whom the asker spoke for, if not for itself.
    pub impersonated_user: Option<String>,
    /// `get`, `list`, `watch`, `create`, `update`, `patch`, `delete` or `deletecollection`.
    pub verb: String,
    /// The API group; empty for the core group and for paths that are no resource.
    pub group: String,
    /// The resource in the plural; empty for paths that are no resource.
    pub resource: String,
    /// `status`, `token`, ...
    pub subresource: Option<String>,
    /// The object's namespace.
    pub namespace: Option<String>,
    /// The object's name.
    pub name: Option<String>,
    /// The HTTP status of the answer, 0 if there was none.
    pub code: u16,
    /// Path and query, which names the field manager of a patch.
    pub uri: String,
    /// What the client called itself.
    pub user_agent: String,
    /// The body of the request, for the operator's own kinds and for Secrets and Leases that a `ServiceAccount` writes.
    pub request: Option<Value>,
    /// The body of the answer, for the operator's own kinds.
    pub response: Option<Value>,
}

impl AuditEntry {
    /// Whether the request could change something, and was not refused.
    pub fn is_write(&self) -> bool {
        !matches!(self.verb.as_str(), "get" | "list" | "watch") && (200..300).contains(&self.code)
    }

    /// Whether the object is in this namespace.
    pub fn is_in(&self, namespace: &str) -> bool {
        self.namespace.as_deref() == Some(namespace)
    }

    /// Whether this is about the resource, in the form `secrets` or `spotifyaccounts/status`.
    pub fn is_about(&self, resource: &str) -> bool {
        match resource.split_once('/') {
            Some((resource, subresource)) => {
                self.resource == resource && self.subresource.as_deref() == Some(subresource)
            }
            None => self.resource == resource && self.subresource.is_none(),
        }
    }
}

/// The audit log of one API server.
#[derive(Clone, Debug)]
pub struct AuditLog {
    path: PathBuf,
}

impl AuditLog {
    /// The log in this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The end of the log as it is now.
    pub fn marker(&self) -> Result<Marker, Error> {
        let length = std::fs::metadata(&self.path).map_err(Error::io("look at the audit log"))?.len();
        Ok(Marker(length))
    }

    /// All entries.
    pub fn entries(&self) -> Result<Vec<AuditEntry>, Error> {
        self.entries_since(Marker(0))
    }

    /// The entries after the marker. An answer may reach its client a moment before its entry is here: see
    /// [`AuditLog::settle`].
    pub fn entries_since(&self, marker: Marker) -> Result<Vec<AuditEntry>, Error> {
        self.read(marker, |_| true).map(|(entries, _)| entries)
    }

    /// The entries after the marker that are about one namespace, and the marker after all that was read. For whoever
    /// reads a long log bit by bit: other lines are not parsed.
    pub fn entries_in(&self, namespace: &str, marker: Marker) -> Result<(Vec<AuditEntry>, Marker), Error> {
        let about = format!("\"namespace\":\"{namespace}\"");
        let (mut entries, read) =
            self.read(marker, |line| line.windows(about.len()).any(|part| part == about.as_bytes()))?;
        entries.retain(|entry| entry.is_in(namespace));
        Ok((entries, read))
    }

    fn read(&self, marker: Marker, wanted: impl Fn(&[u8]) -> bool) -> Result<(Vec<AuditEntry>, Marker), Error> {
        let mut text = Vec::new();
        // A marker may have been set while a line was being written, which belongs to what was before.
        let from = marker.0.saturating_sub(1);
        File::open(&self.path)
            .and_then(|mut file| {
                file.seek(SeekFrom::Start(from))?;
                file.read_to_end(&mut text)
            })
            .map_err(Error::io("read the audit log"))?;
        let begin = match marker.0 {
            0 => 0,
            _ => text.iter().position(|byte| *byte == b'\n').map_or(text.len(), |end| end + 1),
        };
        // The last line may be half written.
        let whole = text.iter().rposition(|byte| *byte == b'\n').map_or(begin, |end| end + 1).max(begin);
        let lines = text.get(begin..whole).unwrap_or_default().split(|byte| *byte == b'\n');
        let lines = lines.filter(|line| !line.is_empty());
        let entries = lines
            .filter(|line| wanted(line))
            .map(|line| parse(line).map_err(|source| Error::io("parse the audit log")(source.into())))
            .collect::<Result<_, _>>()?;
        Ok((entries, Marker(from + whole as u64)))
    }

    /// The requests after the marker by one user that changed something in one namespace.
    pub fn writes_by(&self, user: &str, namespace: &str, marker: Marker) -> Result<Vec<AuditEntry>, Error> {
        let mut entries = self.entries_since(marker)?;
        entries.retain(|entry| entry.user == user && entry.is_in(namespace) && entry.is_write());
        Ok(entries)
    }

    /// Returns when every request that was answered before this call has its entry, and says where the log ends then.
    /// Use it before a statement about what is *not* in the log.
    pub async fn settle(&self, client: &Client) -> Result<Marker, Error> {
        let before = self.marker()?;
        let name = format!("audit-barrier-{:08x}", rand::random::<u32>());
        let namespaces: Api<Namespace> = Api::all(client.clone());
        namespaces.get_opt(&name).await.map_err(Error::cluster("ask for the audit log's barrier"))?;
        wait_until("the audit log to hold its barrier", Duration::from_secs(20), async || {
            let entries = self.entries_since(before).map_err(|error| error.to_string())?;
            entries
                .iter()
                .any(|entry| entry.name.as_deref() == Some(&name))
                .then_some(())
                .ok_or_else(|| format!("{} entries", entries.len()))
        })
        .await?;
        self.marker()
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    stage: String,
    #[serde(rename = "requestURI")]
    request_uri: String,
    verb: String,
    user: User,
    impersonated_user: Option<User>,
    #[serde(default)]
    user_agent: String,
    #[serde(default)]
    object_ref: ObjectRef,
    #[serde(default)]
    response_status: Status,
    request_object: Option<Value>,
    response_object: Option<Value>,
    request_received_timestamp: Timestamp,
    stage_timestamp: Timestamp,
}

#[derive(Default, Deserialize)]
struct User {
    #[serde(default)]
    username: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct ObjectRef {
    api_group: String,
    resource: String,
    subresource: Option<String>,
    namespace: Option<String>,
    name: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Status {
    code: u16,
}

fn parse(line: &[u8]) -> Result<AuditEntry, serde_json::Error> {
    let line: Line = serde_json::from_slice(line)?;
    Ok(AuditEntry {
        received_time: line.request_received_timestamp,
        time: line.stage_timestamp,
        stage: line.stage,
        user: line.user.username,
        impersonated_user: line.impersonated_user.map(|user| user.username),
        verb: line.verb,
        group: line.object_ref.api_group,
        resource: line.object_ref.resource,
        subresource: line.object_ref.subresource,
        namespace: line.object_ref.namespace,
        name: line.object_ref.name,
        code: line.response_status.code,
        uri: line.request_uri,
        user_agent: line.user_agent,
        request: line.request_object,
        response: line.response_object,
    })
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn line(name: &str) -> String {
        format!(
            r#"{{"stage":"ResponseComplete","requestURI":"/","verb":"get","user":{{"username":"u"}},"objectRef":{{"name":"{name}","namespace":"n"}},"requestReceivedTimestamp":"2026-11-23T10:00:00Z","stageTimestamp":"2026-11-23T10:00:00Z"}}"#
        )
    }

    #[test]
    fn a_marker_within_a_line_stands_for_its_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audit.log");
        let mut file = File::create(&path).unwrap();
        let names = |entries: Vec<AuditEntry>| entries.into_iter().filter_map(|entry| entry.name).collect::<Vec<_>>();
        let log = AuditLog::new(&path);

        let (one, two) = (line("one"), line("two"));
        writeln!(file, "{one}").unwrap();
        let after_one = log.marker().unwrap();
        write!(file, "{}", &two[..20]).unwrap();
        let within_two = log.marker().unwrap();
        assert_eq!(names(log.entries_since(after_one).unwrap()), Vec::<String>::new(), "it is half written");
        let (none, read) = log.entries_in("n", within_two).unwrap();
        assert!(none.is_empty());
        writeln!(file, "{}", &two[20..]).unwrap();
        writeln!(file, "{}", line("three")).unwrap();

        assert_eq!(names(log.entries().unwrap()), ["one", "two", "three"]);
        assert_eq!(names(log.entries_since(after_one).unwrap()), ["two", "three"]);
        assert_eq!(names(log.entries_since(within_two).unwrap()), ["three"]);
        assert_eq!(names(log.entries_in("n", read).unwrap().0), ["three"]);
        assert!(log.entries_since(log.marker().unwrap()).unwrap().is_empty());
    }
}
