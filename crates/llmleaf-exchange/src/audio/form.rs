//! An upload on its way to a service of some form.

use crate::upload::{Reader, Upload};
use bytes::Bytes;
use llmleaf_dialects::transcription::{
    Change, Editor, FormQuirks, Inline, Request, Task, TranscriptionWire,
};
use llmleaf_model::{Failure, Loss};
use llmleaf_transport::{Feed, Unfed};
use std::cell::RefCell;
use std::rc::Rc;
use std::task::{Context, Poll, Waker, ready};

/// Changes a form while it passes.
#[expect(
    clippy::large_enum_variant,
    reason = "one per upload, and it is not moved"
)]
pub(super) enum Passing {
    /// It stays a form.
    Form(Editor),
    /// It becomes a request with the sound inside.
    Inline(Inline),
}

impl Passing {
    pub fn push(&mut self, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Failure> {
        match self {
            Self::Form(editor) => editor.push(bytes, out),
            Self::Inline(inline) => inline.push(bytes, out),
        }
    }

    fn finish(&self) -> Result<(), Failure> {
        match self {
            Self::Form(editor) => editor.finish(),
            Self::Inline(inline) => inline.finish(),
        }
    }

    fn is_over(&self) -> bool {
        match self {
            Self::Form(editor) => editor.is_over(),
            Self::Inline(inline) => inline.is_over(),
        }
    }

    /// What the form says, as far as it has passed.
    pub fn request(&self) -> &Request {
        match self {
            Self::Form(editor) => editor.request(),
            Self::Inline(inline) => inline.request(),
        }
    }

    pub fn losses(&self) -> &[Loss] {
        match self {
            Self::Form(editor) => editor.losses(),
            Self::Inline(inline) => inline.losses(),
        }
    }
}

/// What makes a form what a service takes: from its beginning, any number of times.
#[derive(Clone)]
pub(super) struct Making {
    pub upload: Upload,
    pub boundary: String,
    pub model: String,
    pub wire: &'static TranscriptionWire,
    pub task: Task,
}

impl Making {
    /// At the beginning.
    pub fn begin(&self) -> Passing {
        match self.wire {
            TranscriptionWire::Form(quirks) => {
                let change = change(&self.model, quirks);
                Passing::Form(Editor::new(&self.boundary, &change))
            }
            TranscriptionWire::GenerateContent => {
                Passing::Inline(Inline::new(&self.boundary, self.task))
            }
        }
    }

    /// Has what is held pass, to see what becomes of it: what it says so far, what is lost, and how long it will be, if that can be known.
    ///
    /// # Errors
    /// It is no form, or asks what the service cannot do.
    pub fn glance(&self) -> Result<(Passing, Option<u64>), Failure> {
        let mut passing = self.begin();
        let mut reader = self.upload.reader().ok_or_else(crate::upload::gone)?;
        let mut nobody = Context::from_waker(Waker::noop());
        let (mut out, mut given) = (Vec::new(), 0u64);
        while reader.is_held() {
            let Poll::Ready(Some(bytes)) = reader.poll_next(&mut nobody) else {
                break;
            };
            let pushed = passing.push(&bytes?, &mut out);
            given = given.saturating_add(out.len() as u64);
            out.clear();
            pushed?;
        }
        let whole = self.upload.is_whole();
        if whole {
            passing.finish()?;
        }
        let length = match &passing {
            Passing::Form(editor) => editor.length(self.upload.length(), whole),
            Passing::Inline(_) => whole.then_some(given),
        };
        Ok((passing, length))
    }

    /// Begins to feed a request. What passes is seen in `passing`.
    pub fn feed(
        &self,
        passing: &Rc<RefCell<Passing>>,
        length: Option<u64>,
    ) -> Option<Box<dyn Feed>> {
        let reader = self.upload.reader()?;
        *passing.borrow_mut() = self.begin();
        Some(Box::new(Fed {
            making: self.clone(),
            reader,
            passing: Rc::clone(passing),
            out: Vec::new(),
            length,
            ended: false,
        }))
    }
}

pub(super) fn change<'a>(model: &'a str, quirks: &'a FormQuirks) -> Change<'a> {
    Change { model, quirks }
}

struct Fed {
    making: Making,
    reader: Reader,
    passing: Rc<RefCell<Passing>>,
    out: Vec<u8>,
    length: Option<u64>,
    ended: bool,
}

impl Fed {
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Result<Option<Bytes>, Failure>> {
        loop {
            if !self.out.is_empty() {
                let out = Bytes::from(std::mem::take(&mut self.out));
                return Poll::Ready(Ok(Some(out)));
            }
            if self.ended {
                return Poll::Ready(Ok(None));
            }
            let passing = &mut *self.passing.borrow_mut();
            match ready!(self.reader.poll_next(cx)).transpose()? {
                Some(bytes) => {
                    self.out.reserve(bytes.len());
                    passing.push(&bytes, &mut self.out)?;
                    if passing.is_over() {
                        self.making.upload.close();
                    }
                }
                None => {
                    passing.finish()?;
                    self.ended = true;
                }
            }
        }
    }
}

impl Feed for Fed {
    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, Unfed>>> {
        match ready!(self.poll(cx)) {
            Ok(bytes) => Poll::Ready(bytes.map(Ok)),
            Err(failure) => {
                self.making.upload.fail(failure);
                Poll::Ready(Some(Err(Unfed)))
            }
        }
    }

    fn rewind(&mut self) -> bool {
        if !self.reader.rewind() {
            return false;
        }
        *self.passing.borrow_mut() = self.making.begin();
        self.out = Vec::new();
        self.ended = false;
        true
    }

    fn length(&self) -> Option<u64> {
        self.length
    }
}
