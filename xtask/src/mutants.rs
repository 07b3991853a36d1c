//! What the simulator is worth: each planted fault of a crate's `tests/mutants.txt` is put into a copy of the crate, and its tests must
//! turn red. Nothing of this is in the crate itself: there are no hooks to leave in a release.
//!
//! A fault is a name, a file, and lines to take out and to put in:
//!
//! ```text
//! # a third trial
//! src/health/breaker.rs
//! - inner.trials >= TRIALS
//! + inner.trials > TRIALS
//! ```

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// How long the tests of one fault may take, once they are built.
const LONGEST: Duration = Duration::from_secs(120);
/// Between two looks at whether they have ended.
const PAUSE: Duration = Duration::from_millis(50);

const CRATE: &str = "crates/llmleaf-route";
/// What the crate needs beside it.
const NEIGHBOURS: &[&str] = &["crates/llmleaf-model"];
const LIST: &str = "tests/mutants.txt";
const COPY: &str = "target/mutants";
/// The test that judges.
const TEST: &[&str] = &[
    "test",
    "--offline",
    "--package",
    "llmleaf-route",
    "--test",
    "sim",
];

/// One planted fault.
#[derive(Debug, Default, PartialEq)]
struct Mutant {
    name: String,
    file: String,
    out: String,
    into: String,
}

/// Plants every fault in turn and prints which were caught; fails if one was not.
pub fn run(root: &Path) -> Result<(), String> {
    let list = read(&root.join(CRATE).join(LIST))?;
    let mutants = parse(&list)?;
    for mutant in &mutants {
        planted(&read(&root.join(CRATE).join(&mutant.file))?, mutant)?;
    }
    let copy = root.join(COPY);
    lay_out(root, &copy)?;
    if !passes(&copy)? {
        return Err("the tests fail before any fault is planted".to_owned());
    }
    let mut survived = Vec::new();
    for mutant in &mutants {
        let path = copy.join(CRATE).join(&mutant.file);
        let sound = read(&path)?;
        write(&path, &planted(&sound, mutant)?)?;
        let passed = passes(&copy);
        write(&path, &sound)?;
        let caught = !passed.map_err(|why| format!("{}: {why}", mutant.name))?;
        let verdict = if caught { "caught  " } else { "SURVIVED" };
        eprintln!("{verdict}  {}", mutant.name);
        if !caught {
            survived.push(mutant.name.as_str());
        }
    }
    let (all, left) = (mutants.len(), survived.len());
    eprintln!("mutants: {} of {all} caught", all - left);
    if survived.is_empty() {
        Ok(())
    } else {
        Err(format!("not caught: {}", survived.join(", ")))
    }
}

fn parse(list: &str) -> Result<Vec<Mutant>, String> {
    let mut all: Vec<Mutant> = Vec::new();
    for (index, line) in list.lines().enumerate() {
        if let Some(name) = line.strip_prefix("# ") {
            all.push(Mutant {
                name: name.to_owned(),
                ..Mutant::default()
            });
            continue;
        }
        let Some(mutant) = all.last_mut().filter(|_| !line.trim().is_empty()) else {
            continue;
        };
        let (text, part) = match (line.strip_prefix("- "), line.strip_prefix("+ ")) {
            (Some(text), _) => (&mut mutant.out, text),
            (_, Some(text)) => (&mut mutant.into, text),
            _ if mutant.file.is_empty() => {
                line.clone_into(&mut mutant.file);
                continue;
            }
            _ => return Err(format!("{LIST}:{}: neither `- ` nor `+ `", index + 1)),
        };
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(part);
    }
    Ok(all)
}

/// The file with the fault in it. The place must be the only one of its kind: else nobody knows what was tested.
fn planted(sound: &str, mutant: &Mutant) -> Result<String, String> {
    match sound.matches(&mutant.out).count() {
        1 => Ok(sound.replace(&mutant.out, &mutant.into)),
        count => Err(format!(
            "{}: what is to be taken out stands {count} times in {}",
            mutant.name, mutant.file
        )),
    }
}

/// A workspace of the crate and its neighbours alone, so that a fault costs seconds.
fn lay_out(root: &Path, copy: &Path) -> Result<(), String> {
    let manifest = read(&root.join("Cargo.toml"))?;
    let members: Vec<String> = NEIGHBOURS
        .iter()
        .chain([&CRATE])
        .map(|member| format!("{member:?}"))
        .collect();
    let kept = manifest
        .lines()
        .filter(|line| !line.starts_with("default-members") && !line.starts_with("exclude"))
        .map(|line| {
            if line.starts_with("members") {
                format!("members = [{}]\n", members.join(", "))
            } else {
                format!("{line}\n")
            }
        });
    make(copy)?;
    write(&copy.join("Cargo.toml"), &kept.collect::<String>())?;
    write(&copy.join("Cargo.lock"), &read(&root.join("Cargo.lock"))?)?;
    for member in NEIGHBOURS.iter().chain([&CRATE]) {
        let to = copy.join(member);
        if to.exists() {
            fs::remove_dir_all(&to).map_err(|error| format!("{}: {error}", to.display()))?;
        }
        copy_tree(&root.join(member), &to)?;
    }
    Ok(())
}

fn copy_tree(from: &Path, to: &Path) -> Result<(), String> {
    make(to)?;
    let entries = fs::read_dir(from).map_err(|error| format!("{}: {error}", from.display()))?;
    for entry in entries {
        let path = entry.map_err(|error| error.to_string())?.path();
        let Some(name) = path.file_name() else {
            continue;
        };
        let target = to.join(name);
        if path.is_dir() {
            copy_tree(&path, &target)?;
        } else {
            fs::copy(&path, &target).map_err(|error| format!("{}: {error}", path.display()))?;
        }
    }
    Ok(())
}

/// Whether the tests pass. A fault that makes them hang is found, too.
fn passes(copy: &Path) -> Result<bool, String> {
    // What does not compile shows nothing about the tests.
    let built = cargo(copy, &["--no-run"]).status().map_err(no_cargo)?;
    if !built.success() {
        return Err("it does not compile".to_owned());
    }
    let mut running = cargo(copy, &[]).spawn().map_err(no_cargo)?;
    let deadline = Instant::now() + LONGEST;
    loop {
        if let Some(status) = running.try_wait().map_err(no_cargo)? {
            return Ok(status.success());
        }
        if Instant::now() >= deadline {
            running.kill().map_err(no_cargo)?;
            running.wait().map_err(no_cargo)?;
            return Ok(false);
        }
        std::thread::sleep(PAUSE);
    }
}

fn cargo(copy: &Path, more: &[&str]) -> Command {
    let mut command = Command::new("cargo");
    command
        .args(TEST)
        .args(more)
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", copy.join("target"))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

fn no_cargo(error: std::io::Error) -> String {
    format!("cannot run cargo: {error}")
}

fn read(path: &Path) -> Result<String, String> {
    fs::read_to_string(path).map_err(|error| format!("{}: {error}", path.display()))
}

fn write(path: &Path, text: &str) -> Result<(), String> {
    fs::write(path, text).map_err(|error| format!("{}: {error}", path.display()))
}

fn make(path: &Path) -> Result<(), String> {
    fs::create_dir_all(path).map_err(|error| format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fault_is_read_and_planted_once() {
        let list = "Words before the first.\n\n# off by one\nsrc/a.rs\n- a < b\n+ a <= b\n\n# gone\nsrc/b.rs\n- x();\n- y();\n";
        let mutants = parse(list).unwrap();
        assert_eq!(mutants.len(), 2);
        assert_eq!(planted("if a < b {", &mutants[0]).unwrap(), "if a <= b {");
        assert_eq!(planted("x();\ny();\nz();", &mutants[1]).unwrap(), "\nz();");
        assert!(planted("a < b, a < b", &mutants[0]).is_err());
        assert!(parse("# x\nsrc/a.rs\nwhat").is_err());
    }
}
