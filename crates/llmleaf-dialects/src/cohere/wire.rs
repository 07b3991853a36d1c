//! The words of this wire, and the frames of its streams.

pub(super) use crate::writer::{
    ObjectWriter, array, dollars, json_object, one_line, string as write_string,
};

use crate::object::{Object, string};
use llmleaf_model::{Artefact, ReasoningForm};

/// The field beside a thought or a call that carries an artefact of another family; no service of this wire knows it.
pub(super) const SIGNATURE: &str = "signature";

/// Writes one named event of a stream.
pub(super) fn event(out: &mut Vec<u8>, name: &str, fill: impl FnOnce(&mut ObjectWriter<'_>)) {
    out.extend_from_slice(b"event: ");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\ndata: ");
    let mut object = ObjectWriter::new(out);
    object.string("type", name);
    fill(&mut object);
    object.end();
    out.extend_from_slice(b"\n\n");
}

/// A string of an object; `None` where it is none.
pub(super) fn text(object: &Object<'_>, name: &str) -> Option<String> {
    let text = object.get(name).and_then(string)?;
    Some(text.into_owned())
}

/// An object one level down.
pub(super) fn inner<'a>(object: &Object<'a>, name: &str) -> Option<Object<'a>> {
    object.get(name).and_then(Object::from_raw)
}

/// What the wire's `signature` carries; `None` for what is no envelope of ours.
pub(super) fn opened(object: &Object<'_>) -> Option<crate::sealed::Sealed> {
    crate::sealed::Sealed::open(&text(object, SIGNATURE)?)
}

/// The envelope of an artefact.
pub(super) fn sealed(artefact: &Artefact, id: Option<&str>, form: ReasoningForm) -> String {
    let sealed = crate::sealed::Sealed {
        artefact: Some(artefact.clone()),
        form,
        id: id.map(str::to_owned),
        ..crate::sealed::Sealed::default()
    };
    sealed.seal()
}
