//! What is wrong with a configuration, and how that is shown: file, line, caret, reason, way out.

use std::fmt;
use std::ops::Range;
use std::path::PathBuf;

use annotate_snippets::{AnnotationKind, Group, Level, Renderer, Snippet};

/// Byte range in the configuration text.
pub(crate) type Span = Range<usize>;

/// How bad a [`Diagnostic`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration is refused.
    Error,
    /// The configuration is used, but not as its author may expect.
    Warning,
}

/// Where the value that a diagnostic speaks of was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// In the file.
    File(Span),
    /// In an environment variable, with the value that was found there.
    Env { var: String, value: String },
    /// Nowhere in particular: it is the whole that is wrong.
    Whole,
}

/// One thing to say about a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    severity: Severity,
    message: String,
    place: Place,
    label: String,
    related: Vec<(Span, String)>,
    help: Vec<String>,
}

impl Diagnostic {
    /// An error at `place`; `label` stands beside the caret and may be empty.
    pub(crate) fn error(
        place: &Place,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        Diagnostic {
            severity: Severity::Error,
            message: message.into(),
            place: place.clone(),
            label: label.into(),
            related: Vec::new(),
            help: Vec::new(),
        }
    }

    /// A warning at `place`.
    pub(crate) fn warning(
        place: &Place,
        message: impl Into<String>,
        label: impl Into<String>,
    ) -> Self {
        Diagnostic {
            severity: Severity::Warning,
            ..Diagnostic::error(place, message, label)
        }
    }

    /// A second place that has to do with it.
    pub(crate) fn related(mut self, place: &Place, label: impl Into<String>) -> Self {
        if let Place::File(span) = place {
            self.related.push((span.clone(), label.into()));
        }
        self
    }

    /// A way out.
    pub(crate) fn help(mut self, text: impl Into<String>) -> Self {
        self.help.push(text.into());
        self
    }

    /// A way out, if there is one.
    pub(crate) fn maybe_help(self, text: Option<String>) -> Self {
        match text {
            Some(text) => self.help(text),
            None => self,
        }
    }

    /// Error or warning.
    pub fn severity(&self) -> Severity {
        self.severity
    }

    /// One sentence, without place and help.
    pub fn message(&self) -> &str {
        &self.message
    }

    pub(crate) fn span(&self) -> Option<&Span> {
        match &self.place {
            Place::File(span) => Some(span),
            Place::Env { .. } | Place::Whole => None,
        }
    }
}

/// Everything there is to say about one configuration, in file order.
#[derive(Clone, PartialEq, Eq)]
pub struct Diagnostics {
    file: String,
    text: String,
    items: Vec<Diagnostic>,
    files: Vec<PathBuf>,
}

impl Diagnostics {
    /// Sorts `items` by place. `text` is the file as it may be shown, secrets already masked.
    pub(crate) fn new(file: &str, text: String, mut items: Vec<Diagnostic>) -> Self {
        items.sort_by_key(|item| item.span().map_or(usize::MAX, |span| span.start));
        Diagnostics {
            file: file.to_owned(),
            text,
            items,
            files: Vec::new(),
        }
    }

    /// Names the files that the configuration depends on.
    pub(crate) fn with_files(mut self, files: Vec<PathBuf>) -> Self {
        self.files = files;
        self
    }

    /// The files that the configuration depends on, beside its own: another try may be worth it when one changes.
    pub fn files(&self) -> &[PathBuf] {
        &self.files
    }

    /// Each diagnostic, in file order.
    pub fn iter(&self) -> impl Iterator<Item = &Diagnostic> {
        self.items.iter()
    }

    /// Whether there is nothing to say.
    pub fn is_empty(&self) -> bool {
        self.items.is_empty()
    }

    /// How many there are of that severity.
    pub fn count(&self, severity: Severity) -> usize {
        self.items
            .iter()
            .filter(|item| item.severity == severity)
            .count()
    }

    /// One-based line of a diagnostic of this list, where it has a place in the file.
    pub fn line_of(&self, diagnostic: &Diagnostic) -> Option<usize> {
        let before = self.text.get(..diagnostic.span()?.start)?;
        Some(before.matches('\n').count() + 1)
    }

    /// Text for people, with terminal colours or without.
    pub fn render(&self, colour: bool) -> String {
        let renderer = if colour {
            Renderer::styled()
        } else {
            Renderer::plain()
        };
        let mut out = String::new();
        for item in &self.items {
            out.push_str(&self.render_one(item, &renderer));
            out.push_str("\n\n");
        }
        out.push_str(&self.summary());
        out.push('\n');
        out
    }

    fn render_one(&self, item: &Diagnostic, renderer: &Renderer) -> String {
        let level = match item.severity {
            Severity::Error => Level::ERROR,
            Severity::Warning => Level::WARNING,
        };
        let mut group = Group::with_title(level.primary_title(item.message.as_str()));
        match &item.place {
            Place::File(span) => group = group.element(self.file_snippet(item, span)),
            Place::Env { var, value } => {
                // A line break would draw the caret elsewhere.
                let value = value.replace(char::is_control, "?");
                let line = format!("{var}={value}");
                let mark = AnnotationKind::Primary
                    .span(var.len() + 1..line.len())
                    .label(label(&item.label));
                group = group.element(
                    Snippet::source(line)
                        .path("environment")
                        .line_numbering(false)
                        .annotation(mark),
                );
            }
            Place::Whole => {}
        }
        for help in &item.help {
            group = group.element(Level::HELP.message(help.as_str()));
        }
        renderer.render(&[group])
    }

    fn file_snippet<'a>(
        &'a self,
        item: &'a Diagnostic,
        span: &Span,
    ) -> Snippet<'a, annotate_snippets::Annotation<'a>> {
        let primary = AnnotationKind::Primary
            .span(self.one_line(span))
            .label(label(&item.label));
        let related = item.related.iter().map(|(span, text)| {
            AnnotationKind::Context
                .span(self.one_line(span))
                .label(label(text))
        });
        Snippet::source(self.text.as_str())
            .path(self.file.as_str())
            .annotation(primary)
            .annotations(related)
    }

    /// The part of a span that is on its first line, at least one column wide: a caret under the place says
    /// more than a bracket beside ten lines.
    fn one_line(&self, span: &Span) -> Span {
        let start = span.start.min(self.text.len());
        let inside = self.text.get(start..span.end).unwrap_or("");
        let width = inside.find(['\n', '\r']).unwrap_or(inside.len());
        start..start + width
    }

    fn summary(&self) -> String {
        let count = |n: usize, noun: &str| match n {
            0 => None,
            1 => Some(format!("1 {noun}")),
            n => Some(format!("{n} {noun}s")),
        };
        let parts: Vec<String> = [
            count(self.count(Severity::Error), "error"),
            count(self.count(Severity::Warning), "warning"),
        ]
        .into_iter()
        .flatten()
        .collect();
        format!("{}: {}", self.file, parts.join(", "))
    }
}

fn label(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.render(false))
    }
}

impl fmt::Debug for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.items).finish()
    }
}

impl std::error::Error for Diagnostics {}
