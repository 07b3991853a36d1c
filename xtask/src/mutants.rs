//! What tests are worth: each fault of a list is put into a copy of what they test, and they must turn red. Nothing of this is in the
//! crates themselves: there are no hooks to leave in a release.
//!
//! There are two lists. One has faults of the machines of routing, which the simulator must catch; the other faults of the program, of
//! which the judge (`llmleaf_testkit::judge`) must see what they break.
//!
//! A fault is a name, a file, and lines to take out and to put in, in one place or in several:
//!
//! ```text
//! # a third trial
//! src/health/breaker.rs
//! - inner.trials >= TRIALS
//! + inner.trials > TRIALS
//! ```

use std::fs;
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command};
use std::time::{Duration, Instant};

/// Between two looks at whether the tests have ended.
const PAUSE: Duration = Duration::from_millis(50);

/// Faults of something, and the tests that must see each.
struct Suite {
    /// The list of faults.
    list: &'static str,
    /// What their files are below.
    base: &'static str,
    /// The crates that are needed; all where none is named.
    crates: &'static [&'static str],
    /// What else is copied.
    beside: &'static [&'static str],
    copy: &'static str,
    /// The tests, for cargo, and which of them.
    test: &'static [&'static str],
    only: &'static [&'static str],
    /// How long the tests of one fault may take, once they are built.
    longest: Duration,
}

const ROUTING: Suite = Suite {
    list: "crates/llmleaf-route/tests/mutants.txt",
    base: "crates/llmleaf-route",
    crates: &["crates/llmleaf-model", "crates/llmleaf-route"],
    beside: &[],
    copy: "target/mutants",
    test: &["--package", "llmleaf-route", "--test", "sim"],
    only: &[],
    longest: Duration::from_secs(120),
};

const PROGRAM: Suite = Suite {
    list: "crates/llmleaf/tests/judge/mutants.txt",
    base: "crates",
    crates: &[],
    beside: &["docs", "deploy", "recordings", "llmleaf.example.toml"],
    copy: "target/mutants-program",
    test: &["--package", "llmleaf", "--test", "judge"],
    // What these do is much of the same.
    only: &["--skip", "crowds::", "--skip", "chaos::"],
    longest: Duration::from_secs(240),
};

/// One planted fault.
#[derive(Debug, Default, PartialEq)]
struct Mutant {
    name: String,
    file: String,
    places: Vec<Place>,
}

/// What is taken out somewhere, and what is put in its place.
#[derive(Debug, Default, PartialEq)]
struct Place {
    out: String,
    into: Option<String>,
}

/// Plants every fault of routing in turn, beginning at the `first`, and prints which were caught; fails if one was not.
pub fn routing(root: &Path, first: usize) -> Result<(), String> {
    run(root, &ROUTING, first)
}

/// The same with faults of the program.
pub fn program(root: &Path, first: usize) -> Result<(), String> {
    run(root, &PROGRAM, first)
}

fn run(root: &Path, suite: &Suite, first: usize) -> Result<(), String> {
    let mutants = parse(&read(&root.join(suite.list))?)?;
    let base = root.join(suite.base);
    for mutant in &mutants {
        planted(&read(&base.join(&mutant.file))?, mutant)?;
    }
    let copy = root.join(suite.copy);
    lay_out(root, &copy, suite)?;
    let told = passes(&copy, suite)?;
    if !told.passed {
        return Err(format!(
            "the tests fail before any fault is planted: {}",
            told.by
        ));
    }
    let (mut survived, mut tried) = (Vec::new(), 0);
    for (index, mutant) in mutants.iter().enumerate().skip(first.saturating_sub(1)) {
        tried += 1;
        let begun = Instant::now();
        let path = copy.join(suite.base).join(&mutant.file);
        let sound = read(&path)?;
        write(&path, &planted(&sound, mutant)?)?;
        let told = passes(&copy, suite);
        write(&path, &sound)?;
        let told = told.map_err(|why| format!("{}: {why}", mutant.name))?;
        let verdict = if told.passed { "SURVIVED" } else { "caught  " };
        let seconds = begun.elapsed().as_secs();
        eprintln!(
            "{verdict}  {} {} ({seconds} s) {}",
            index + 1,
            mutant.name,
            told.by
        );
        if told.passed {
            survived.push(mutant.name.as_str());
        }
    }
    eprintln!("mutants: {} of {tried} caught", tried - survived.len());
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
        match (line.strip_prefix("- "), line.strip_prefix("+ ")) {
            (Some(text), _) => mutant.take_out(text),
            (_, Some(text)) => match mutant.places.last_mut() {
                Some(place) => match &mut place.into {
                    Some(into) => add(into, text),
                    None => place.into = Some(text.to_owned()),
                },
                None => return Err(format!("line {}: nothing is taken out", index + 1)),
            },
            _ if mutant.file.is_empty() => line.clone_into(&mut mutant.file),
            _ => return Err(format!("line {}: neither `- ` nor `+ `", index + 1)),
        }
    }
    Ok(all)
}

impl Mutant {
    /// One more line to take out: of the same place, unless something was put in there already.
    fn take_out(&mut self, text: &str) {
        match self.places.last_mut().filter(|place| place.into.is_none()) {
            Some(place) => add(&mut place.out, text),
            None => self.places.push(Place {
                out: text.to_owned(),
                into: None,
            }),
        }
    }
}

fn add(lines: &mut String, line: &str) {
    lines.push('\n');
    lines.push_str(line);
}

/// The file with the fault in it. Each place must be the only one of its kind: else nobody knows what was tested.
fn planted(sound: &str, mutant: &Mutant) -> Result<String, String> {
    let mut text = sound.to_owned();
    for place in &mutant.places {
        match text.matches(&place.out).count() {
            1 => text = text.replace(&place.out, place.into.as_deref().unwrap_or_default()),
            count => {
                return Err(format!(
                    "{}: what is to be taken out stands {count} times in {}",
                    mutant.name, mutant.file
                ));
            }
        }
    }
    Ok(text)
}

/// A workspace of the crates that are needed alone, so that a fault costs as little as can be.
fn lay_out(root: &Path, copy: &Path, suite: &Suite) -> Result<(), String> {
    let crates = match suite.crates {
        [] => all_crates(root)?,
        named => named.iter().map(PathBuf::from).collect(),
    };
    let manifest = read(&root.join("Cargo.toml"))?;
    let members: Vec<String> = crates.iter().map(|member| format!("{member:?}")).collect();
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
    let beside = suite.beside.iter().map(PathBuf::from);
    for path in crates
        .into_iter()
        .chain(beside)
        .chain(["Cargo.lock".into()])
    {
        let (from, to) = (root.join(&path), copy.join(&path));
        if to.is_dir() {
            fs::remove_dir_all(&to).map_err(|error| format!("{}: {error}", to.display()))?;
        }
        if from.is_dir() {
            copy_tree(&from, &to)?;
        } else {
            fs::copy(&from, &to).map_err(|error| format!("{}: {error}", from.display()))?;
        }
    }
    Ok(())
}

fn all_crates(root: &Path) -> Result<Vec<PathBuf>, String> {
    let folder = root.join("crates");
    let entries =
        fs::read_dir(&folder).map_err(|error| format!("{}: {error}", folder.display()))?;
    let mut all = Vec::new();
    for entry in entries {
        let name = entry.map_err(|error| error.to_string())?.file_name();
        all.push(Path::new("crates").join(name));
    }
    all.sort();
    Ok(all)
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

/// What the tests said.
struct Told {
    passed: bool,
    /// Those that failed.
    by: String,
}

/// Whether the tests pass. A fault that makes them hang is found, too.
fn passes(copy: &Path, suite: &Suite) -> Result<Told, String> {
    let output = copy.join("output.txt");
    // What does not compile shows nothing about the tests.
    let built = cargo(copy, suite, &["--no-run"], &output)?
        .status()
        .map_err(no_cargo)?;
    if !built.success() {
        return Err(format!("it does not compile: {}", output.display()));
    }
    let only = [&["--"], suite.only].concat();
    let mut running = cargo(copy, suite, &only, &output)?
        .spawn()
        .map_err(no_cargo)?;
    let deadline = Instant::now() + suite.longest;
    loop {
        if let Some(status) = running.try_wait().map_err(no_cargo)? {
            return Ok(Told {
                passed: status.success(),
                by: failed(&read(&output)?),
            });
        }
        if Instant::now() >= deadline {
            kill(&mut running)?;
            let by = format!("{}, and then it hung", failed(&read(&output)?));
            return Ok(Told { passed: false, by });
        }
        std::thread::sleep(PAUSE);
    }
}

/// The names of the tests that failed. A fault should be seen by those that look for it, not by all or by one that is moody.
fn failed(output: &str) -> String {
    let names: Vec<&str> = output
        .lines()
        .filter_map(|line| line.strip_prefix("test ")?.strip_suffix(" ... FAILED"))
        .collect();
    format!("{} failed: {}", names.len(), names.join(" "))
}

/// Ends cargo, and the tests that it runs.
fn kill(running: &mut Child) -> Result<(), String> {
    let group = format!("-{}", running.id());
    let killed = Command::new("kill").args(["-KILL", "--", &group]).status();
    killed.map_err(|error| format!("cannot run kill: {error}"))?;
    running.wait().map_err(no_cargo)?;
    Ok(())
}

fn cargo(copy: &Path, suite: &Suite, more: &[&str], output: &Path) -> Result<Command, String> {
    let out = fs::File::create(output).map_err(|error| format!("{}: {error}", output.display()))?;
    let error = out.try_clone().map_err(|error| error.to_string())?;
    let mut command = Command::new("cargo");
    command
        .args(["test", "--offline"])
        .args(suite.test)
        .args(more)
        .current_dir(copy)
        .env("CARGO_TARGET_DIR", copy.join("target"))
        // A fault may well be what a lint is against.
        .env_remove("RUSTC_WORKSPACE_WRAPPER")
        .env_remove("RUSTFLAGS")
        .process_group(0)
        .stdout(out)
        .stderr(error);
    Ok(command)
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
        let list = "Words before the first.\n\n# off by one\nsrc/a.rs\n- a < b\n+ a <= b\n\n# gone\nsrc/b.rs\n- x();\n- y();\n+ \n- z();\n+ w();\n+ v();\n";
        let mutants = parse(list).unwrap();
        assert_eq!(mutants.len(), 2);
        assert_eq!(planted("if a < b {", &mutants[0]).unwrap(), "if a <= b {");
        assert_eq!(
            planted("x();\ny();\nz();", &mutants[1]).unwrap(),
            "\nw();\nv();"
        );
        assert!(planted("a < b, a < b", &mutants[0]).is_err());
        assert!(parse("# x\nsrc/a.rs\nwhat").is_err());
        assert!(parse("# x\nsrc/a.rs\n+ what").is_err());
    }

    #[test]
    fn those_that_failed_are_named() {
        let output =
            "running 2 tests\ntest a::b ... ok\ntest a::c ... FAILED\n\ntest result: FAILED. 1";
        assert_eq!(failed(output), "1 failed: a::c");
    }

    #[test]
    fn the_lists_fit_what_they_are_of() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
        for suite in [ROUTING, PROGRAM] {
            let mutants = parse(&read(&root.join(suite.list)).unwrap()).unwrap();
            for mutant in &mutants {
                let sound = read(&root.join(suite.base).join(&mutant.file)).unwrap();
                let planted = planted(&sound, mutant).unwrap();
                assert_ne!(planted, sound, "{}", mutant.name);
            }
            assert!(mutants.len() >= 15, "{}", suite.list);
        }
    }
}
