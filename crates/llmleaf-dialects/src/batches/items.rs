//! What a consumer hands over: the requests, each with its name, and what is said about all of them.
//!
//! Errors name the line or the place of the request, several at once, so that a file is mended in one go.

use super::{BatchForm, Task};
use crate::head::{self, Head};
use crate::object::{self, Object};
use crate::splice::range_of;
use bytes::Bytes;
use llmleaf_model::Failure;
use serde_json::value::RawValue;
use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

/// Longest name of a request, in bytes.
const LONGEST_ID: usize = 512;
/// Most problems that are told at once.
const TOLD: usize = 8;

/// One request of a batch.
#[derive(Debug)]
pub struct Item {
    /// The consumer's name of it.
    pub custom_id: String,
    /// Its line or place, from 1.
    pub line: usize,
    /// What it asks for.
    pub task: Task,
    /// Its body, as it was written.
    pub body: Bytes,
    /// The first reading of that.
    pub head: Head,
}

/// What a consumer asks to be done.
#[derive(Debug, Default)]
pub struct Order {
    /// The requests, where they came along.
    pub items: Vec<Item>,
    /// The file that has them, where they did not.
    pub file: Option<String>,
    /// What they are for, where that is said.
    pub endpoint: Option<String>,
    /// How long it may take.
    pub window: Option<String>,
    /// What the consumer attached.
    pub labels: Vec<(String, String)>,
}

/// What is wrong with the requests of a batch, by line.
#[derive(Debug, Default)]
pub struct Problems {
    told: Vec<String>,
    count: usize,
}

impl Problems {
    /// One more.
    pub fn add(&mut self, place: &str, line: usize, why: &str) {
        self.count += 1;
        if self.told.len() < TOLD {
            self.told.push(format!("{place} {line}: {why}"));
        }
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }

    /// So many that no more need to be found.
    pub fn is_full(&self) -> bool {
        self.count >= TOLD
    }

    /// All of them, where there is one.
    ///
    /// # Errors
    /// There is one.
    pub fn check(self, param: &str) -> Result<(), Failure> {
        if self.count == 0 {
            return Ok(());
        }
        let mut message = self.told.join("; ");
        if self.is_full() {
            message.push_str("; and perhaps more");
        }
        let mut failure = Failure::invalid(message, Some(param));
        failure.code = Some("invalid_batch".to_owned());
        Err(failure)
    }
}

/// Reads the body that makes a batch.
///
/// # Errors
/// It says too little, or a request in it is none.
pub fn order(body: &Bytes, form: BatchForm) -> Result<Order, Failure> {
    let text = head::text(body)?;
    let root = Object::parse(text).map_err(|error| head::invalid_json(&error))?;
    let word = |name: &str| root.get(name).and_then(object::string);
    let mut order = Order {
        file: word("input_file_id").map(Into::into),
        endpoint: word("endpoint").map(Into::into),
        window: word("completion_window").map(Into::into),
        labels: super::reading::labels(&root, "metadata"),
        ..Order::default()
    };
    let task = match &order.endpoint {
        _ if form == BatchForm::Messages => Task::Messages,
        Some(endpoint) => Task::of(endpoint).ok_or_else(|| unserved(endpoint))?,
        None => Task::Chat,
    };
    let inline = ["requests", "input"];
    let (param, list) = match inline.into_iter().find_map(|n| Some((n, root.get(n)?))) {
        Some((name, raw)) => (name, Some(raw)),
        None => ("requests", None),
    };
    let (Some(list), None) = (list, &order.file) else {
        return match (list, order.file.is_some()) {
            (None, true) => Ok(order),
            (Some(_), _) => Err(Failure::invalid(
                "a batch has either `input_file_id` or `requests`",
                Some(param),
            )),
            (None, false) if form == BatchForm::Messages => Err(Failure::invalid(
                "the field `requests` is missing",
                Some(param),
            )),
            (None, false) => Err(Failure::invalid(
                "a batch needs `input_file_id`, or its requests in `requests`",
                Some("input_file_id"),
            )),
        };
    };
    let list = object::items(list)
        .ok_or_else(|| Failure::invalid(format!("`{param}` must be a list"), Some(param)))?;
    if list.is_empty() {
        let message = "a batch needs at least one request";
        return Err(Failure::invalid(message, Some(param)));
    }
    let mut reader = Reader::new(form, Some(task), "request");
    for (at, raw) in list.into_iter().enumerate() {
        let place = range_of(text, raw).map(|range| slice(body, text, range));
        if let Some(item) = reader.read(at + 1, raw.get(), place.as_ref()) {
            order.items.push(item);
        }
        if reader.problems.is_full() {
            break;
        }
    }
    reader.problems.check(param)?;
    Ok(order)
}

/// The bytes of a piece of a body's text; a mark in front of the text counts for the body alone.
fn slice(body: &Bytes, text: &str, range: std::ops::Range<usize>) -> Bytes {
    let shift = body.len() - text.len();
    body.slice(range.start + shift..range.end + shift)
}

/// Reads requests one after another.
#[derive(Debug)]
pub struct Reader {
    form: BatchForm,
    task: Option<Task>,
    place: &'static str,
    seen: Names,
    /// What was wrong so far.
    pub problems: Problems,
}

/// Names that were used, each as 128 bits by a secret of this process: a file may have a hundred thousand long ones.
#[derive(Debug, Default)]
struct Names {
    by: (RandomState, RandomState),
    seen: HashSet<(u64, u64)>,
}

impl Names {
    fn is_new(&mut self, name: &str) -> bool {
        let (one, two) = &self.by;
        self.seen.insert((one.hash_one(name), two.hash_one(name)))
    }
}

impl Reader {
    /// For requests of that surface. `task` is what they must be for; else the first one says it.
    pub fn new(form: BatchForm, task: Option<Task>, place: &'static str) -> Self {
        Self {
            form,
            task,
            place,
            seen: Names::default(),
            problems: Problems::default(),
        }
    }

    /// What the requests are for, as far as that is known.
    pub fn task(&self) -> Option<Task> {
        self.task
    }

    /// Notes a problem of a request that was read.
    pub fn object(&mut self, line: usize, why: &str) {
        self.problems.add(self.place, line, why);
    }

    /// Reads a request; `None` where it is none, which is noted. `whole` is the text as bytes, where there are any to share.
    pub fn read(&mut self, line: usize, text: &str, whole: Option<&Bytes>) -> Option<Item> {
        match self.item(line, text, whole) {
            Ok(item) => Some(item),
            Err(why) => {
                self.object(line, &why);
                None
            }
        }
    }

    fn item(&mut self, line: usize, text: &str, whole: Option<&Bytes>) -> Result<Item, String> {
        let item = Object::parse(text).map_err(|error| format!("not a JSON object: {error}"))?;
        let custom_id = self.custom_id(&item)?;
        let task = self.asked(&item)?;
        let field = match self.form {
            BatchForm::Files => "body",
            BatchForm::Messages => "params",
        };
        let raw: &RawValue = item
            .get(field)
            .ok_or_else(|| format!("the field `{field}` is missing"))?;
        let body = match (whole, range_of(text, raw)) {
            (Some(whole), Some(range)) if range.end <= whole.len() => whole.slice(range),
            _ => Bytes::copy_from_slice(raw.get().as_bytes()),
        };
        let head = match task.dialect() {
            Some(dialect) => Head::read_as(dialect, &body),
            None => Head::read(&body),
        };
        let mut head = head.map_err(|failure| format!("{field}: {}", failure.message))?;
        // Nothing streams in a batch, whatever a request says.
        head.stream = false;
        let is_true = |name: &str| {
            let text = std::str::from_utf8(&body).ok();
            text.and_then(|text| head.value(text, name)) == Some("true")
        };
        if task == Task::Responses && is_true("background") {
            return Err(format!(
                "{field}: `background` is not offered in a batch, which waits for its answers by itself"
            ));
        }
        Ok(Item {
            custom_id,
            line,
            task,
            body,
            head,
        })
    }

    fn custom_id(&mut self, item: &Object<'_>) -> Result<String, String> {
        let id = item.get("custom_id").and_then(object::string);
        let id = id.filter(|id| !id.is_empty());
        let id = id.ok_or("`custom_id` must be a non-empty string")?;
        if id.len() > LONGEST_ID || id.chars().any(char::is_control) {
            return Err(format!(
                "`custom_id` may have {LONGEST_ID} bytes, and no control characters"
            ));
        }
        if !self.seen.is_new(&id) {
            return Err(format!("`custom_id` {id:?} was used before"));
        }
        Ok(id.into_owned())
    }

    /// What a request asks for: all must ask for the same.
    fn asked(&mut self, item: &Object<'_>) -> Result<Task, String> {
        if self.form == BatchForm::Messages {
            return Ok(Task::Messages);
        }
        let method = item.get("method").and_then(object::string);
        if method.is_some_and(|method| !method.eq_ignore_ascii_case("POST")) {
            return Err("`method` must be POST".to_owned());
        }
        let Some(url) = item.get("url").and_then(object::string) else {
            return Ok(*self.task.get_or_insert(Task::Chat));
        };
        let task = Task::of(&url).ok_or_else(|| unserved(&url).message)?;
        let expected = *self.task.get_or_insert(task);
        if task == expected {
            return Ok(task);
        }
        Err(format!(
            "`url` is {}, and the others are for {}",
            task.endpoint(),
            expected.endpoint()
        ))
    }
}

fn unserved(endpoint: &str) -> Failure {
    let shown: String = endpoint.chars().take(64).collect();
    let message = format!(
        "batches are served for /v1/chat/completions, /v1/responses and /v1/embeddings, not for {shown:?}"
    );
    Failure::invalid(message, Some("endpoint"))
}
