//! `[access_log]`: one line for each request.

use crate::read::{Reading, Table};
use std::path::PathBuf;

/// The `[access_log]` table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessLog {
    /// Where lines go.
    pub to: LogTo,
    /// How they look. Default [`LogFormat::Json`].
    pub format: LogFormat,
}

/// Where a log goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogTo {
    /// Standard output.
    Stdout,
    /// A file, which is appended to.
    File(PathBuf),
}

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// An object of JSON.
    #[default]
    Json,
    /// Words for people.
    Text,
}

/// The words of `format`.
const FORMATS: &[(&str, LogFormat)] = &[("json", LogFormat::Json), ("text", LogFormat::Text)];

/// Reads the `[access_log]` table.
pub(crate) fn read(cx: &Reading<'_>, root: &mut Table<'_>) -> Option<AccessLog> {
    let mut table = root.table(cx, "access_log")?;
    let path = table.required(cx, "path", "a file, or \"stdout\"");
    let format = table.choice(cx, "format", FORMATS);
    table.finish(cx);
    let path = path?.value;
    Some(AccessLog {
        to: match path.as_str() {
            "stdout" => LogTo::Stdout,
            path => LogTo::File(cx.file(path)),
        },
        format: format.unwrap_or_default(),
    })
}
