//! The files of the image, and those that its build sees.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::Path;
use std::process::Command;

use serde_json::Value;

use super::dockerfile::Dockerfile;
use super::{folder, root};

/// Every file below a folder, by its path from there, with its mode.
fn files(folder: &Path) -> BTreeMap<String, u32> {
    let mut found = BTreeMap::new();
    let mut open = vec![folder.to_path_buf()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).unwrap() {
            let path = entry.unwrap().path();
            let metadata = fs::symlink_metadata(&path).unwrap();
            assert_eq!(metadata.mtime(), 0, "{}", path.display());
            let mode = metadata.permissions().mode();
            if metadata.is_dir() {
                assert_eq!(mode & 0o7777, 0o755, "{}", path.display());
                open.push(path);
            } else {
                assert!(metadata.is_file(), "{}", path.display());
                found.insert(format!("/{}", path.strip_prefix(folder).unwrap().display()), mode & 0o7777);
            }
        }
    }
    found
}

#[tokio::test]
async fn there_is_one_program_and_what_it_reads() {
    let folder = folder().await;
    let expected = [
        ("/etc/group", 0o644),
        ("/etc/nsswitch.conf", 0o644),
        ("/etc/passwd", 0o644),
        ("/etc/ssl/certs/ca-certificates.crt", 0o644),
        ("/licenses/LICENSE", 0o644),
        ("/scrobble-operator", 0o755),
    ];
    let expected: BTreeMap<String, u32> = expected.map(|(path, mode)| (path.to_owned(), mode)).into();
    assert_eq!(files(&folder), expected);
    let (program, arguments) = Dockerfile::read().entrypoint();
    assert_eq!((program.as_str(), arguments), ("/scrobble-operator", vec!["run".to_owned()]));

    // The page names them all.
    let page = fs::read_to_string(root().join("docs/image.md")).unwrap();
    for path in expected.keys() {
        assert!(page.contains(&format!("| `{path}` |")), "docs/image.md does not tell about {path}");
    }
}

#[tokio::test]
async fn dockerfile_files_and_chart_name_one_user() {
    let folder = folder().await;
    let (user, group) = Dockerfile::read().user();
    let ids = |file: &str, field: usize| {
        let text = fs::read_to_string(folder.join(file)).unwrap();
        let fields: Vec<String> = text.trim().split(':').map(str::to_owned).collect();
        assert_eq!(fields[0], "scrobble-operator");
        fields[field].parse::<u32>().unwrap()
    };
    assert_eq!((ids("etc/passwd", 2), ids("etc/passwd", 3), ids("etc/group", 2)), (user, group, group));
    let values = fs::read_to_string(root().join("charts/scrobble-operator/values.yaml")).unwrap();
    let values: Value = serde_yaml::from_str(&values).unwrap();
    let pod = &values["podSecurityContext"];
    assert_eq!((pod["runAsUser"].as_u64(), pod["runAsGroup"].as_u64()), (Some(user.into()), Some(group.into())));
}

/// What `.dockerignore` lets through, as paths: everything else is shut out by its first line.
fn context() -> Vec<String> {
    let text = fs::read_to_string(root().join(".dockerignore")).unwrap();
    let mut lines = text.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    assert_eq!(lines.next(), Some("*"));
    lines.map(|line| line.strip_prefix('!').unwrap().to_owned()).collect()
}

fn copy(from: &Path, to: &Path) {
    if from.is_dir() {
        for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
            copy(&entry.path(), &to.join(entry.file_name()));
        }
    } else {
        fs::create_dir_all(to.parent().unwrap()).unwrap();
        fs::copy(from, to).unwrap();
    }
}

#[test]
fn the_build_sees_all_that_it_needs_and_no_more() {
    let copied = tempfile::tempdir().unwrap();
    for path in context() {
        copy(&root().join(&path), &copied.path().join(&path));
    }
    // Cargo reads the manifest, and finds every program, library and test that it names.
    let mut cargo = Command::new(env!("CARGO"));
    cargo.args(["metadata", "--no-deps", "--offline", "--locked", "--format-version", "1"]);
    let output = cargo.current_dir(copied.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let targets =
        metadata["packages"].as_array().unwrap().iter().flat_map(|package| package["targets"].as_array().unwrap());
    for target in targets {
        let path = target["src_path"].as_str().unwrap();
        assert!(Path::new(path).is_file() || !path.contains("/src/"), "{path}");
    }
    // What the program's source takes in from elsewhere.
    for needed in ["LICENSE", "build.rs", "tools/rootfs"] {
        assert!(copied.path().join(needed).is_file(), "{needed}");
    }
    for kept in [".git", "target", "docs", "charts", "README.md", "tests/it/world.rs"] {
        assert!(!copied.path().join(kept).exists(), "{kept} reaches the build");
    }
}
