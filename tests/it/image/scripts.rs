//! `tools/image`, `tools/rootfs` and `tools/chart`, run as `make` runs them; engines and cargo are stand-ins that say how they
//! were called.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::Path;
use std::process::{Command, Output};

use scrobble_harness::tools::Tools;
use tempfile::TempDir;

use super::root;

const VERSION: &str = env!("CARGO_PKG_VERSION");

/// What `tools/image` uses apart from engines.
const PROGRAMS: [&str; 7] = ["sh", "dirname", "sed", "head", "git", "env", "cat"];

/// A PATH that holds these engines and nothing else that could build an image.
fn path(engines: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let path = std::env::var_os("PATH").unwrap();
    let found = |name: &str| std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file());
    for program in PROGRAMS {
        symlink(found(program).unwrap_or_else(|| panic!("no {program} on PATH")), folder.path().join(program)).unwrap();
    }
    for (name, script) in engines {
        let file = folder.path().join(name);
        fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o755)).unwrap();
    }
    folder
}

/// An engine that prints its arguments.
const WILLING: &str = "printf '%s ' \"$@\"; echo";

fn image(engines: &[(&str, &str)], settings: &[(&str, &str)]) -> (bool, String, String) {
    let path = path(engines);
    let mut command = Command::new(root().join("tools/image"));
    for name in ["IMAGE", "TAG", "PLATFORMS", "PUSH", "ENGINE"] {
        command.env_remove(name);
    }
    command.env("PATH", path.path()).envs(settings.iter().copied());
    told(&command.output().unwrap())
}

fn told(output: &Output) -> (bool, String, String) {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (output.status.success(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn without_an_engine_the_way_that_needs_none_is_named() {
    let (done, _, said) = image(&[], &[]);
    assert!(!done);
    assert!(said.contains("docker: not on PATH; podman: not on PATH; buildah: not on PATH"), "{said}");
    assert!(said.contains("make image-rootfs"), "{said}");

    let (done, _, said) = image(&[("docker", "exit 1")], &[]);
    assert!(!done && said.contains("docker: its daemon does not answer"), "{said}");

    let (done, _, said) = image(&[("docker", WILLING)], &[("ENGINE", "kaniko")]);
    assert!(!done && said.contains("ENGINE=kaniko is not known"), "{said}");
}

#[test]
fn the_engine_that_works_builds_the_image_with_its_labels() {
    let (done, printed, said) = image(&[("docker", "exit 1"), ("podman", WILLING), ("buildah", WILLING)], &[]);
    assert!(done, "{said}");
    assert!(said.contains(&format!("building scrobble-operator:{VERSION} with podman")), "{said}");
    let file = root().join("Dockerfile");
    assert!(
        printed.starts_with(&format!("build --file {} --build-arg VERSION={VERSION} ", file.display())),
        "{printed}"
    );
    for argument in [" REVISION=", " CREATED=", " SOURCE="] {
        assert_eq!(printed.matches(argument).count(), 1, "{argument} in {printed}");
    }
    assert!(printed.contains(&format!(" --tag scrobble-operator:{VERSION} ")), "{printed}");
    // Every build argument is one that the image's labels take.
    let dockerfile = fs::read_to_string(&file).unwrap();
    for argument in printed.split("--build-arg ").skip(1).filter_map(|rest| rest.split('=').next()) {
        assert!(dockerfile.contains(&format!("\nARG {argument}=")), "{argument}");
    }

    let named = [("IMAGE", "registry.example.org/operator"), ("TAG", "next"), ("ENGINE", "buildah"), ("PUSH", "1")];
    let (done, printed, said) = image(&[("docker", WILLING), ("buildah", WILLING)], &named);
    assert!(done && printed.ends_with("\npush registry.example.org/operator:next \n"), "{printed}{said}");
}

#[test]
fn several_platforms_are_built_where_they_can_be_kept() {
    const BOTH: (&str, &str) = ("PLATFORMS", "linux/amd64,linux/arm64");
    let (done, _, said) = image(&[("docker", WILLING)], &[BOTH]);
    assert!(!done && said.contains("PUSH=1"), "{said}");

    let (done, printed, said) = image(&[("docker", WILLING)], &[BOTH, ("PUSH", "1")]);
    assert!(done, "{said}");
    let build = printed.lines().last().unwrap();
    assert!(build.starts_with("buildx build "), "{build}");
    for argument in [" --platform linux/amd64,linux/arm64 ", " --push ", " --sbom=true ", " --provenance=mode=max "] {
        assert!(build.contains(argument), "{argument} in {build}");
    }

    let (done, printed, said) = image(&[("podman", WILLING)], &[BOTH, ("PUSH", "1")]);
    assert!(done, "{said}");
    let name = format!("scrobble-operator:{VERSION}");
    assert!(printed.contains(&format!(" --manifest {name} ")), "{printed}");
    assert!(printed.ends_with(&format!("\nmanifest push --all {name} docker://{name} \n")), "{printed}");
}

/// `tools/rootfs` with a cargo that builds what it is told to.
fn lay_out(program: &str, settings: &[(&str, &str)]) -> (bool, String, String) {
    let scratch = tempfile::tempdir().unwrap();
    let cargo = scratch.path().join("cargo");
    let builds = format!(
        "#!/bin/sh\nset -eu\nwhile [ \"$1\" != --target ]; do shift; done\nmkdir -p \"$CARGO_TARGET_DIR/$2/debug\"\n\
         {program} >\"$CARGO_TARGET_DIR/$2/debug/scrobble-operator\"\n"
    );
    fs::write(&cargo, builds).unwrap();
    fs::set_permissions(&cargo, fs::Permissions::from_mode(0o755)).unwrap();
    let mut command = Command::new(root().join("tools/rootfs"));
    command.args(["--profile", "dev", "--output"]).arg(scratch.path().join("out"));
    command.env("CARGO", &cargo).env("CARGO_TARGET_DIR", scratch.path().join("target")).envs(settings.iter().copied());
    told(&command.output().unwrap())
}

#[test]
fn what_does_not_run_in_an_empty_root_is_not_laid_out() {
    let (done, _, said) = lay_out("cat \"$(command -v env)\"", &[]);
    assert!(!done && said.contains("asks for a dynamic loader"), "{said}");

    let (done, _, said) = lay_out("false", &[]);
    assert!(!done && said.contains("the C library as an archive"), "{said}");

    let (done, _, said) = lay_out("echo", &[("SCROBBLE_OPERATOR_CA_FILE", "/dev/null")]);
    assert!(!done && said.contains("/dev/null holds none"), "{said}");
}

fn copy(from: &Path, to: &Path) {
    let copied = Command::new("cp").args(["-R", "--"]).args([from, to]).status().unwrap();
    assert!(copied.success());
}

#[tokio::test]
async fn the_chart_is_packaged_under_the_operators_version() {
    let tools = Tools::locate().await.unwrap();
    let copied = tempfile::tempdir().unwrap();
    for folder in ["tools", "charts"] {
        fs::create_dir(copied.path().join(folder)).unwrap();
    }
    for path in ["Cargo.toml", "crds", "tools/chart", "charts/scrobble-operator"] {
        copy(&root().join(path), &copied.path().join(path));
    }
    let package = || {
        let mut command = Command::new(copied.path().join("tools/chart"));
        command.arg(tools.folder()).arg(copied.path().join("out"));
        told(&command.output().unwrap())
    };
    let (done, printed, said) = package();
    assert!(done, "{printed}{said}");
    let file = printed.lines().last().unwrap();
    assert!(file.contains("/out/scrobble-operator-") && Path::new(file).is_file(), "{file}");
    let sets = fs::read_dir(root().join("charts/scrobble-operator/ci")).unwrap().count();
    assert_eq!(printed.matches("1 chart(s) linted, 0 chart(s) failed").count(), 1 + sets, "{printed}");

    let chart = copied.path().join("charts/scrobble-operator/Chart.yaml");
    let text = fs::read_to_string(&chart).unwrap();
    fs::write(&chart, text.replace(&format!("appVersion: {VERSION}"), "appVersion: 9.9.9")).unwrap();
    let (done, _, said) = package();
    assert!(!done && said.contains("appVersion 9.9.9") && said.contains(VERSION), "{said}");
    fs::write(&chart, text).unwrap();

    fs::write(copied.path().join("charts/scrobble-operator/files/crds/more.yaml"), "kind: Unknown\n").unwrap();
    let (done, _, said) = package();
    assert!(!done && said.contains("make generate"), "{said}");
}
