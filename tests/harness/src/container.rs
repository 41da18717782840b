//! A program in its image's root filesystem, confined as a pod's container is, without a container engine.
//!
//! What a kubelet and a container runtime do is done by the programs `unshare`, `mount`, `setpriv` and `chroot`: a mount
//! namespace of its own, the image's files as a read-only root, the usual devices, `/proc`, the files of the pod, a user that
//! is not root, no capability and no way to get one. The network is the machine's.

use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use crate::control_plane::ControlPlane;
use crate::error::Error;
use crate::folder::Folder;
use crate::install::Installation;
use crate::process::scrub_environment;

/// Builds the root in a mount namespace that is there already, and becomes the program. The image is copied, so that what
/// the pod adds has a place, and nothing of it outlives the namespace. What the kubelet gives to the container's user is
/// that user's.
const SETUP: &str = r#"
set -eu
image=$1 pod=$2 root=$3 owner=$4
shift 4
mount -t tmpfs -o mode=0755 tmpfs "$root"
cp -R -- "$image/." "$root"
cp -R -- "$pod/." "$root"
mkdir -p "$root/dev" "$root/proc"
find "$root" -type d -exec chmod 0755 {} +
chmod -R a+r "$root/etc"
if [ -n "$owner" ] && [ -d "$root/var/run/secrets" ]; then chown -R "$owner" "$root/var/run/secrets"; fi
for device in null zero full random urandom; do
    : >"$root/dev/$device"
    mount --bind "/dev/$device" "$root/dev/$device"
done
mount --rbind /proc "$root/proc"
mount -o remount,bind,ro "$root"
exec "$@"
"#;

/// Where a pod finds what it needs to know of its cluster.
const ACCOUNT: &str = "var/run/secrets/kubernetes.io/serviceaccount";

/// What container runtimes set where the image says nothing; the programs above are found by it, too.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How the confinement is had.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    /// By root, who may mount and change the user.
    Root,
    /// By a user namespace, in which everybody may: the container's user stands for the one who started it.
    UserNamespace,
}

/// A container, not started.
#[derive(Clone, Debug)]
#[must_use]
pub struct Container {
    image: PathBuf,
    user: u32,
    entrypoint: String,
    way: Way,
    environment: Vec<(String, String)>,
    /// The pod's files and the place of its root.
    folder: Arc<Folder>,
}

impl Container {
    /// A container of this root filesystem, user (its group has the same number) and program. That it can be had is tried
    /// out with the program's `version`.
    ///
    /// # Errors
    /// This machine does not allow it, and the error says what has to be allowed.
    pub fn create(image: &Path, user: u32, entrypoint: &str) -> Result<Self, Error> {
        let folder = Folder::create("container")?;
        folder.make("root")?;
        folder.make("pod/etc")?;
        let ways: &[Way] =
            if rustix::process::geteuid().is_root() { &[Way::Root, Way::UserNamespace] } else { &[Way::UserNamespace] };
        let mut container = Self {
            image: image.to_path_buf(),
            user,
            entrypoint: entrypoint.to_owned(),
            way: Way::Root,
            environment: vec![("PATH".to_owned(), PATH.to_owned())],
            folder: Arc::new(folder),
        };
        container = container
            .file("etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")?
            // As in a pod without name servers: nothing here is looked up outside.
            .file("etc/resolv.conf", "nameserver 127.0.0.1\noptions attempts:1 timeout:1\n")?;
        let mut tried = Vec::new();
        for way in ways {
            container.way = *way;
            match container.try_out() {
                Ok(()) => return Ok(container),
                Err(seen) => tried.push(format!("{way:?}: {seen}")),
            }
        }
        Err(Error::Confinement { tried: tried.join("; ") })
    }

    fn try_out(&self) -> Result<(), String> {
        let mut command = self.command(&[]);
        scrub_environment(&mut command);
        let output =
            command.arg("version").stdin(Stdio::null()).output().map_err(|error| format!("unshare: {error}"))?;
        if output.status.success() {
            return Ok(());
        }
        Err(format!("{}, {}", output.status, String::from_utf8_lossy(&output.stderr).trim()))
    }

    /// Puts a file of the pod in its place; it wins over the image's.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn file(self, path: &str, content: &str) -> Result<Self, Error> {
        let path = format!("pod/{}", path.trim_start_matches('/'));
        if let Some((parent, _)) = path.rsplit_once('/') {
            self.folder.make(parent)?;
        }
        self.folder.write(&path, content)?;
        Ok(self)
    }

    /// Lets names stand for this machine, as `hostAliases` of a pod do.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn hosts(self, names: &[&str]) -> Result<Self, Error> {
        let names = names.join(" ");
        self.file("etc/hosts", &format!("127.0.0.1 localhost\n::1 localhost\n127.0.0.1 {names}\n"))
    }

    /// Sets an environment variable of the container.
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// What a kubelet gives a pod of the installed Deployment: the token of its `ServiceAccount`, the API server's
    /// certificate authority and address, and the namespace.
    ///
    /// # Errors
    /// No token is issued, or a file cannot be written.
    pub async fn in_cluster(self, plane: &ControlPlane, installation: &Installation) -> Result<Self, Error> {
        let namespace = &installation.namespace;
        let token = plane.service_account_token(namespace, &installation.service_account).await?;
        let container = self
            .file(&format!("{ACCOUNT}/token"), &token)?
            .file(&format!("{ACCOUNT}/ca.crt"), plane.authority())?
            .file(&format!("{ACCOUNT}/namespace"), namespace)?
            .environment("KUBERNETES_SERVICE_HOST", "127.0.0.1")
            .environment("KUBERNETES_SERVICE_PORT", &plane.port().to_string())
            .environment("POD_NAMESPACE", namespace)
            .environment("HOSTNAME", "scrobble-operator-0");
        Ok(container)
    }

    /// The command that becomes the program, with these environment variables and the container's own and no others; the
    /// program's arguments are to be added. No process stays in between, so that signals reach the program.
    pub(crate) fn command(&self, environment: &[(String, String)]) -> Command {
        let (user, root) = (self.user, self.folder.path().join("root"));
        let mut command = Command::new("unshare");
        let owner = match self.way {
            Way::Root => {
                command.arg("--mount");
                format!("{user}:{user}")
            }
            Way::UserNamespace => {
                command.args(["--user", "--map-root-user", "--mount"]);
                // There is only one user there, whatever the number.
                String::new()
            }
        };
        command.args(["/bin/sh", "-c", SETUP, "container"]);
        command.arg(&self.image).arg(self.folder.path().join("pod")).arg(&root).arg(owner);
        command.args(["env", "-i"]);
        command.args(self.environment.iter().chain(environment).map(|(name, value)| format!("{name}={value}")));
        command.args(["setpriv", "--no-new-privs", "--inh-caps=-all"]);
        match self.way {
            Way::Root => {
                // What is left is what the change of root and user takes, and goes with the user.
                command.args(["--bounding-set=-all,+sys_chroot,+setgid,+setuid", "chroot"]);
                command.args([format!("--userspec={user}:{user}"), "--groups=".to_owned()]).arg(&root);
            }
            Way::UserNamespace => {
                command.args(["unshare", "--user"]);
                command.args([format!("--map-user={user}"), format!("--map-group={user}")]);
                let mut option = OsString::from("--root=");
                option.push(&root);
                command.arg(option);
            }
        }
        command.arg(&self.entrypoint);
        command
    }
}

/// What the kernel says about a running process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Confinement {
    /// The user, as the process sees itself.
    pub user: u32,
    /// The group, as the process sees itself.
    pub group: u32,
    /// Whether there are capabilities that it has, may take or may hand on.
    pub has_capabilities: bool,
    /// Whether it may get more rights by starting a program.
    pub may_gain_rights: bool,
    /// Whether its root is mounted read-only.
    pub has_read_only_root: bool,
}

impl Confinement {
    /// Looks at a process of this machine.
    ///
    /// # Errors
    /// The process is gone, or is not this user's.
    pub fn of(process: u32) -> Result<Self, Error> {
        let read = |file: &str| {
            let path = format!("/proc/{process}/{file}");
            fs::read_to_string(&path).map_err(Error::io(format!("read {path}")))
        };
        let (status, mounts) = (read("status")?, read("mountinfo")?);
        let (users, groups) = (read("uid_map")?, read("gid_map")?);
        let fields = |name: &str| -> Vec<&str> {
            let line = status.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(':'));
            line.unwrap_or_default().split_whitespace().collect()
        };
        let sets = ["CapInh", "CapPrm", "CapEff", "CapAmb"].map(|set| fields(set).concat());
        // The last mount over `/` is the one that is seen.
        let root =
            mounts.lines().rev().map(|line| line.split(' ').collect::<Vec<_>>()).find(|line| line.get(4) == Some(&"/"));
        let options = root.and_then(|line| line.get(5).copied()).unwrap_or_default();
        Ok(Self {
            user: within(&users, &fields("Uid")),
            group: within(&groups, &fields("Gid")),
            // A set that the kernel does not tell about counts as one that is not empty.
            has_capabilities: sets.iter().any(|set| set.is_empty() || !set.trim_start_matches('0').is_empty()),
            may_gain_rights: fields("NoNewPrivs") != ["1"],
            has_read_only_root: options.split(',').any(|option| option == "ro"),
        })
    }
}

/// What a user or group of this machine is called in a namespace with this map of inner numbers, outer numbers and lengths.
/// Real, effective, saved and filesystem's number have to be one; otherwise, and where it has no name there, it is the
/// kernel's `nobody`.
fn within(map: &str, outer: &[&str]) -> u32 {
    const NOBODY: u32 = 65534;
    let numbers: Vec<u32> = outer.iter().filter_map(|number| number.parse().ok()).collect();
    let Some(first) = numbers.first().filter(|first| numbers.iter().all(|number| number == *first)) else {
        return NOBODY;
    };
    let ranges = map.lines().filter_map(|line| {
        let fields: Vec<u32> = line.split_whitespace().filter_map(|field| field.parse().ok()).collect();
        <[u32; 3]>::try_from(fields).ok()
    });
    ranges
        .into_iter()
        .find_map(|[inner, outer, length]| {
            let offset = first.checked_sub(outer)?;
            (offset < length).then(|| inner.checked_add(offset)).flatten()
        })
        .unwrap_or(NOBODY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_is_not_confined() {
        let found = Confinement::of(std::process::id()).unwrap();

        assert!(!found.has_read_only_root && found.may_gain_rights, "{found:?}");
        assert_eq!(found.user, rustix::process::geteuid().as_raw());
    }

    #[test]
    fn numbers_are_told_as_the_process_sees_them() {
        let four = |number| [number; 4];
        assert_eq!(within("         0          0 4294967295\n", &four("65532")), 65532);
        assert_eq!(within("     65532       1000          1\n", &four("1000")), 65532);
        assert_eq!(within("     65532       1000          1\n", &four("1001")), 65534);
        assert_eq!(within("         0          0 4294967295\n", &["65532", "0", "0", "0"]), 65534);
    }

    #[test]
    fn a_program_that_cannot_be_confined_is_an_error_that_says_what_is_needed() {
        let image = tempfile::tempdir().unwrap();

        let error = Container::create(image.path(), 65532, "/missing").unwrap_err();

        assert!(matches!(&error, Error::Confinement { tried } if tried.contains("UserNamespace: ")), "{error:?}");
        assert!(error.to_string().contains("CAP_SYS_ADMIN, or user namespaces"), "{error}");
    }
}
