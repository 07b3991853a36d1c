//! Ids of batches and their files, that any node can read, and nobody can write.
//!
//! An id says what it names, what the requests are for, which provider and account has it, which models were asked, and the provider's
//! own id; the proof takes the owner's key in. So a foreign or made-up id is no id, and no state is shared between nodes.

use crate::holders::Holders;
use llmleaf_auth::sealed_id::TAG;
use llmleaf_auth::{IdSeal, Secret};
use llmleaf_config::Config;
use llmleaf_dialects::batches::{BatchForm, Kind, Task, files};
use llmleaf_model::{Failure, FailureKind, Origin};
use std::sync::Arc;

/// The form of a sealed payload.
const FORM: u8 = 1;
/// Longest id of a provider that is taken.
const LONGEST: usize = 512;
/// Most bytes of the names of models that an id has.
const MODELS_BYTES: usize = 400;
/// Between two of them; no name has one.
const BETWEEN: &str = "\n";

/// Seals and opens ids of batches.
#[derive(Debug)]
pub struct BatchIds {
    /// The one that seals, then those that open too.
    keys: Vec<Key>,
}

#[derive(Debug)]
struct Key {
    seal: IdSeal,
    providers: Holders,
    /// Stands in the place of a provider where this gateway is it.
    here: [u8; TAG],
}

/// Who has what an id names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Holder {
    /// A provider, and the index of the credential where it is still configured.
    Provider(usize, Option<usize>),
    /// This gateway's own directory.
    Here,
}

/// An opened id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// What it names.
    pub kind: Kind,
    /// What the requests are for.
    pub task: Task,
    /// Who has it.
    pub holder: Holder,
    /// The models that are asked, as far as they fit.
    pub models: Vec<String>,
    /// The holder's own id.
    pub id: String,
    /// The batch whose results a file has.
    pub batch: Option<String>,
}

/// What is to be sealed.
#[derive(Clone, Copy, Debug)]
pub struct Named<'a> {
    /// What it names.
    pub kind: Kind,
    /// What the requests are for.
    pub task: Task,
    /// Who has it.
    pub holder: Holder,
    /// The models that are asked.
    pub models: &'a [String],
    /// The holder's own id; of a file of results, that of its batch behind a line break.
    pub id: &'a str,
}

impl BatchIds {
    /// With the secrets that all nodes share.
    pub fn new(config: &Config) -> Option<Arc<Self>> {
        let secrets = [
            config.server.batch_id_secret.as_ref(),
            config.server.batch_id_secret_previous.as_ref(),
        ];
        config.server.batch_id_secret.as_ref()?;
        let key = |secret: &Secret| {
            let seal = IdSeal::new(&Secret::new(secret.expose().to_owned()), "batches");
            Key {
                providers: Holders::of(&seal, config),
                here: seal.tag("here", b""),
                seal,
            }
        };
        let keys = secrets.into_iter().flatten().map(key).collect();
        Some(Arc::new(Self { keys }))
    }

    /// The id to tell an owner.
    pub fn told(&self, owner: &str, named: &Named<'_>) -> String {
        let Some(key) = self.keys.first() else {
            return String::new();
        };
        let [name, account] = match named.holder {
            Holder::Here => [key.here, [0; TAG]],
            Holder::Provider(provider, credential) => {
                let told = key.providers.told(provider, credential);
                told.unwrap_or_default()
            }
        };
        let models = models(named.models);
        let mut payload = vec![FORM, letter(named.kind), named.task.letter() as u8];
        payload.extend_from_slice(&name);
        payload.extend_from_slice(&account);
        let length = u16::try_from(models.len()).unwrap_or_default();
        payload.extend_from_slice(&length.to_be_bytes());
        payload.extend_from_slice(models.as_bytes());
        payload.extend_from_slice(named.id.as_bytes());
        let prefix = match (named.kind, named.task.form()) {
            (Kind::Batch, BatchForm::Files) => "batch_",
            (Kind::Batch, BatchForm::Messages) => "msgbatch_",
            (Kind::Input | Kind::Output | Kind::Errors, _) => "file-",
        };
        [prefix, &key.seal.seal(owner, &payload)].concat()
    }

    /// What an id names, where it was sealed for this owner.
    pub fn open(&self, owner: &str, told: &str) -> Option<Found> {
        let prefixes = ["batch_", "msgbatch_", "file-"];
        let sealed = prefixes.iter().find_map(|p| told.strip_prefix(p))?;
        let found = self.keys.iter().find_map(|key| key.open(owner, sealed))?;
        // The words in front say nothing that the seal does not: one that disagrees is nobody's.
        let is_file = !matches!(found.kind, Kind::Batch);
        (is_file == told.starts_with("file-")).then_some(found)
    }

    /// How marks begin by which a provider's lists show whose a batch is.
    pub fn owner_marks(&self, owner: &str) -> Vec<String> {
        let mark = |key: &Key| {
            let tag = key.seal.tag("owner", owner.as_bytes());
            let hex: String = tag.iter().map(|byte| format!("{byte:02x}")).collect();
            format!("{}-{hex}-", files::MARK)
        };
        self.keys.iter().map(mark).collect()
    }

    /// The mark of a batch: whose it is, what it is for, which models it asks.
    pub fn mark(&self, owner: &str, task: Task, names: &[String]) -> String {
        let owner = self.owner_marks(owner).into_iter().next();
        format!(
            "{}{}{}",
            owner.unwrap_or_default(),
            task.letter(),
            models(names).replace(BETWEEN, ",")
        )
    }

    /// What a mark of this owner says: what the batch is for, and the models.
    pub fn marked(&self, owner: &str, mark: &str) -> Option<(Task, Vec<String>)> {
        let owners = self.owner_marks(owner);
        let mut owners = owners.iter();
        let rest = owners.find_map(|owner| mark.strip_prefix(&**owner))?;
        let task = Task::of_letter(rest.chars().next()?)?;
        let names = rest.get(1..)?.split(',').filter(|name| !name.is_empty());
        Some((task, names.map(str::to_owned).collect()))
    }
}

impl Key {
    fn open(&self, owner: &str, sealed: &str) -> Option<Found> {
        let payload = self.seal.open(owner, sealed)?;
        let rest = payload.strip_prefix(&[FORM])?;
        let (&[kind, task], rest) = rest.split_first_chunk::<2>()?;
        let (name, rest) = rest.split_first_chunk::<TAG>()?;
        let (account, rest) = rest.split_first_chunk::<TAG>()?;
        let (length, rest) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (models, id) = rest.split_at_checked(length)?;
        let holder = if *name == self.here {
            Holder::Here
        } else {
            let (provider, credential) = self.providers.find(name, account)?;
            Holder::Provider(provider, credential)
        };
        let models = std::str::from_utf8(models).ok()?;
        let id = std::str::from_utf8(id).ok()?;
        let (id, batch) = match id.split_once(BETWEEN) {
            Some((id, batch)) => (id, Some(batch)),
            None => (id, None),
        };
        let parts = [Some(id), batch];
        if !parts.into_iter().flatten().all(is_id) {
            return None;
        }
        Some(Found {
            kind: of_letter(kind)?,
            task: Task::of_letter(char::from(task))?,
            holder,
            models: (models.split(BETWEEN).filter(|name| !name.is_empty()))
                .map(str::to_owned)
                .collect(),
            id: id.to_owned(),
            batch: batch.map(str::to_owned),
        })
    }
}

/// The names of models as one text: as many as fit.
fn models(names: &[String]) -> String {
    let mut text = String::new();
    for name in names {
        let fits = text.len() + name.len() < MODELS_BYTES && !name.contains(['\n', ',']);
        if !fits {
            continue;
        }
        if !text.is_empty() {
            text.push_str(BETWEEN);
        }
        text.push_str(name);
    }
    text
}

fn letter(kind: Kind) -> u8 {
    match kind {
        Kind::Batch => b'b',
        Kind::Input => b'i',
        Kind::Output => b'o',
        Kind::Errors => b'e',
    }
}

fn of_letter(letter: u8) -> Option<Kind> {
    let all = [Kind::Batch, Kind::Input, Kind::Output, Kind::Errors];
    all.into_iter().find(|kind| self::letter(*kind) == letter)
}

/// Whether this can be an id, and a segment of a path.
fn is_id(id: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.~".contains(&byte);
    (1..=LONGEST).contains(&id.len()) && id.bytes().all(plain) && !id.bytes().all(|b| b == b'.')
}

/// Nobody has such a thing, as far as the caller may know.
pub fn unknown(what: &str, told: &str) -> Failure {
    const ECHOED: usize = 64;
    let shown: String = told
        .chars()
        .filter(|c| !c.is_control())
        .take(ECHOED)
        .collect();
    let message = format!("no {what} with the id \"{shown}\" is kept for this key");
    let mut failure = Failure::new(Origin::Consumer, FailureKind::NotFound, message);
    failure.code = Some(format!("{what}_not_found"));
    failure
}

/// Without a secret nobody could say whose a batch is.
pub fn unsealed() -> Failure {
    let message = "batches need `batch_id_secret` in the gateway's configuration: their ids are sealed with it for the key that made them";
    let mut failure = Failure::new(Origin::Gateway, FailureKind::Unsupported, message);
    failure.code = Some("batches_not_configured".to_owned());
    failure
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ids(secrets: &[&str]) -> BatchIds {
        let text = |at: usize| secrets.get(at).map(|s| (*s).to_owned());
        let mut config = String::from("[server]\n");
        for (name, secret) in [
            ("batch_id_secret", text(0)),
            ("batch_id_secret_previous", text(1)),
        ] {
            if let Some(secret) = secret {
                config.push_str(&format!("{name} = \"{secret}\"\n"));
            }
        }
        for name in ["a", "b"] {
            config.push_str(&format!(
                "[[providers]]\nname = \"{name}\"\nkind = \"openai\"\ncredentials = [\"{name}-one-secret\", \"{name}-two-secret\"]\nprefix = \"{name}\"\n"
            ));
        }
        let config = Config::parse(&config, "test", &|_| None).expect("it is good");
        Arc::into_inner(BatchIds::new(&config).expect("it seals")).expect("it is alone")
    }

    fn named<'a>(kind: Kind, models: &'a [String], id: &'a str) -> Named<'a> {
        Named {
            kind,
            task: Task::Chat,
            holder: Holder::Provider(1, Some(1)),
            models,
            id,
        }
    }

    #[test]
    fn an_id_says_all_that_is_needed_and_only_to_its_key() {
        let models = ["m1".to_owned(), "vendor/m2".to_owned()];
        let told = ids(&["new"]).told("me", &named(Kind::Output, &models, "file-1\nbatch_1"));
        assert!(told.starts_with("file-"), "{told}");
        let found = ids(&["new"]).open("me", &told).expect("it is mine");
        assert_eq!(found.kind, Kind::Output);
        assert_eq!(found.holder, Holder::Provider(1, Some(1)));
        assert_eq!(found.models, models);
        assert_eq!(
            (&*found.id, found.batch.as_deref()),
            ("file-1", Some("batch_1"))
        );
        assert_eq!(ids(&["new"]).open("you", &told), None);
        assert_eq!(ids(&["other"]).open("me", &told), None);
        let as_batch = told.replacen("file-", "batch_", 1);
        assert_eq!(ids(&["new"]).open("me", &as_batch), None);
        let bad = ids(&["new"]).told("me", &named(Kind::Batch, &models, "../files"));
        assert_eq!(ids(&["new"]).open("me", &bad), None);
    }

    #[test]
    fn the_secret_before_still_opens_and_marks() {
        let models = ["m".to_owned()];
        let old = ids(&["old"]);
        let told = old.told("me", &named(Kind::Batch, &models, "batch_1"));
        let mark = old.mark("me", Task::Chat, &models);
        let new = ids(&["new", "old"]);
        assert!(new.open("me", &told).is_some());
        assert_ne!(
            new.told("me", &named(Kind::Batch, &models, "batch_1")),
            told
        );
        assert_eq!(new.marked("me", &mark), Some((Task::Chat, models.to_vec())));
        assert_eq!(new.marked("you", &mark), None);
    }
}
