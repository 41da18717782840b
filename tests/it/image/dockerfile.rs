//! The Dockerfile, as far as it decides what the image is.

use std::fs;

use super::root;

/// An instruction with its arguments, continuation lines joined, comments dropped.
#[derive(Debug)]
pub struct Instruction {
    pub name: String,
    pub arguments: String,
}

/// The Dockerfile: what stands before the first stage, and the stages.
pub struct Dockerfile {
    pub head: Vec<Instruction>,
    pub stages: Vec<Vec<Instruction>>,
}

impl Dockerfile {
    /// The one of this repository.
    pub fn read() -> Self {
        Self::parse(&fs::read_to_string(root().join("Dockerfile")).unwrap())
    }

    fn parse(text: &str) -> Self {
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim_start().starts_with('#')).collect();
        let joined = lines.join("\n").replace("\\\n", " ");
        let (mut head, mut stages) = (Vec::new(), Vec::<Vec<Instruction>>::new());
        for line in joined.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (name, arguments) = line.split_once(char::is_whitespace).unwrap();
            let arguments = arguments.split_whitespace().collect::<Vec<_>>().join(" ");
            let instruction = Instruction { name: name.to_uppercase(), arguments };
            if instruction.name == "FROM" {
                stages.push(Vec::new());
            }
            stages.last_mut().unwrap_or(&mut head).push(instruction);
        }
        Self { head, stages }
    }

    /// The stage that becomes the image.
    pub fn image(&self) -> &[Instruction] {
        self.stages.last().unwrap()
    }

    /// The arguments of an instruction in the image's stage, which stands there once.
    pub fn only(&self, name: &str) -> &str {
        let found: Vec<&str> =
            self.image().iter().filter(|one| one.name == name).map(|one| one.arguments.as_str()).collect();
        assert_eq!(found.len(), 1, "{name} in the last stage: {found:?}");
        found[0]
    }

    /// The user and the group that the image names.
    pub fn user(&self) -> (u32, u32) {
        let (user, group) = self.only("USER").split_once(':').unwrap();
        (user.parse().unwrap(), group.parse().unwrap())
    }

    /// The program that the image starts, and its first arguments.
    pub fn entrypoint(&self) -> (String, Vec<String>) {
        let words = |name| serde_json::from_str::<Vec<String>>(self.only(name)).unwrap();
        let [program] = <[String; 1]>::try_from(words("ENTRYPOINT")).unwrap();
        (program, words("CMD"))
    }
}

#[test]
fn the_image_is_what_tools_rootfs_lays_out_and_nothing_else() {
    let dockerfile = Dockerfile::read();
    assert_eq!(dockerfile.only("FROM"), "scratch");
    // All of it in one layer: a file more would not be in the root filesystem that the tests run.
    let copied = dockerfile.only("COPY");
    let output = copied.strip_prefix("--from=build ").and_then(|rest| rest.strip_suffix("/ /")).unwrap();
    assert!(dockerfile.image().iter().all(|one| !matches!(one.name.as_str(), "ADD" | "RUN" | "WORKDIR" | "VOLUME")));

    let build = &dockerfile.stages[0];
    assert!(build[0].arguments.ends_with(" AS build"), "{:?}", build[0]);
    let last = build.last().unwrap();
    assert_eq!(last.name, "RUN");
    let script = last.arguments.split_whitespace().find(|word| word.starts_with("tools/")).unwrap();
    assert!(root().join(script).is_file(), "{script}");
    assert!(last.arguments.ends_with(&format!(" --output {output}")), "{}", last.arguments);
    assert!(!last.arguments.contains("--profile"), "it is built as it is released");
}

#[test]
fn its_compiler_is_the_repositorys() {
    let dockerfile = Dockerfile::read();
    let toolchain = fs::read_to_string(root().join("rust-toolchain.toml")).unwrap();
    let version = toolchain.split("channel = \"").nth(1).unwrap().split('"').next().unwrap();
    let head: Vec<String> = dockerfile.head.iter().map(|one| format!("{} {}", one.name, one.arguments)).collect();
    assert!(head.contains(&format!("ARG RUST_VERSION={version}")), "{head:?}");
    let base = &dockerfile.stages[0][0].arguments;
    assert!(base.starts_with("--platform=$BUILDPLATFORM ") && base.contains("/rust:${RUST_VERSION}-"), "{base}");
}

#[test]
fn it_says_what_it_is_by_the_labels_of_oci() {
    let labels = Dockerfile::read().only("LABEL").to_owned();
    for label in ["title", "description", "version", "revision", "created", "source", "documentation", "licenses"] {
        assert_eq!(labels.matches(&format!("org.opencontainers.image.{label}=\"")).count(), 1, "{label}");
    }
    let manifest = fs::read_to_string(root().join("Cargo.toml")).unwrap();
    let description = manifest.split("description = \"").nth(1).unwrap().split('"').next().unwrap();
    assert!(labels.contains(&format!("image.description=\"{description}\"")), "{labels}");
    assert!(labels.contains("image.licenses=\"Apache-2.0\"") && manifest.contains("license = \"Apache-2.0\""));
}

#[test]
fn instructions_are_read_as_an_engine_reads_them() {
    let read = Dockerfile::parse(
        "# A.\nARG ONE=1\nFROM a AS b\nrun one \\\n    # not this\n    two\n\nFROM scratch\nUSER 1:2\n",
    );
    assert_eq!(read.head[0].arguments, "ONE=1");
    assert_eq!((read.stages.len(), read.stages[0][1].name.as_str()), (2, "RUN"));
    assert_eq!(read.stages[0][1].arguments, "one two");
    assert_eq!(read.user(), (1, 2));
}
