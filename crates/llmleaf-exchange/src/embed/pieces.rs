//! What is asked for piece by piece: a request's inputs, some at a time.

use crate::asking::unsupported;
use llmleaf_model::{EmbeddingInput, EmbeddingRequest, Failure};
use std::vec::IntoIter;

/// Most requests that one attempt makes of the consumer's.
const PIECES: usize = 128;

/// The requests that are made of the consumer's, one after another: it alone, or some of its inputs each. The inputs are moved from
/// one to the next and never copied, since they may be megabytes.
pub(super) struct Pieces {
    /// The piece that is asked for now.
    request: EmbeddingRequest,
    most: usize,
    begun: bool,
    asked: Vec<EmbeddingInput>,
    later: IntoIter<EmbeddingInput>,
}

impl Pieces {
    /// # Errors
    /// The target would have to be asked too often (kind `Unsupported`: the next target may take more at a time).
    pub fn of(mut request: EmbeddingRequest, most: usize) -> Result<Self, Failure> {
        let most = most.max(1);
        if request.inputs.len().div_ceil(most) > PIECES {
            return Err(unsupported("so many inputs at once"));
        }
        let later = match request.inputs.len() > most {
            true => std::mem::take(&mut request.inputs),
            false => Vec::new(),
        };
        let mut later = later.into_iter();
        request.inputs.extend(later.by_ref().take(most));
        Ok(Self {
            request,
            most,
            begun: false,
            asked: Vec::new(),
            later,
        })
    }

    /// The next piece. A request of no inputs is one.
    pub fn next(&mut self) -> Option<&EmbeddingRequest> {
        if self.begun {
            self.asked.append(&mut self.request.inputs);
            let next = self.later.by_ref().take(self.most);
            self.request.inputs.extend(next);
        }
        let first = !std::mem::replace(&mut self.begun, true);
        (first || !self.request.inputs.is_empty()).then_some(&self.request)
    }

    /// The consumer's request again.
    pub fn whole(mut self) -> EmbeddingRequest {
        self.asked.append(&mut self.request.inputs);
        self.asked.extend(self.later);
        self.request.inputs = self.asked;
        self.request
    }
}

#[cfg(test)]
mod tests {
    use super::{PIECES, Pieces};
    use llmleaf_dialects::EmbeddingForm;
    use llmleaf_model::{EmbeddingInput, EmbeddingRequest, FailureKind};

    fn request(inputs: usize) -> EmbeddingRequest {
        let texts: Vec<String> = (0..inputs).map(|n| format!("\"text {n}\"")).collect();
        let body = format!("{{\"input\":[{}]}}", texts.join(","));
        let read = EmbeddingForm::Lines.parse_request(&body, "m");
        read.unwrap_or_else(|failure| panic!("{}", failure.message))
    }

    fn places(inputs: &[EmbeddingInput]) -> Vec<*const u8> {
        let place = |input: &EmbeddingInput| match input {
            EmbeddingInput::Text(text) => text.as_ptr(),
            other => panic!("{other:?}"),
        };
        inputs.iter().map(place).collect()
    }

    #[test]
    fn inputs_are_asked_for_in_pieces_and_copied_into_none() {
        for (inputs, most, sizes) in [
            (7, 3, &[3, 3, 1][..]),
            (6, 3, &[3, 3]),
            (3, 3, &[3]),
            (2, usize::MAX, &[2]),
            (2, 0, &[1, 1]),
            (0, 3, &[0]),
        ] {
            let request = request(inputs);
            let (kept, all) = (request.clone(), places(&request.inputs));
            let mut pieces = Pieces::of(request, most).expect("few enough");
            let (mut seen, mut got) = (Vec::new(), Vec::new());
            while let Some(piece) = pieces.next() {
                got.push(piece.inputs.len());
                seen.extend(places(&piece.inputs));
            }
            assert_eq!((got.as_slice(), &seen), (sizes, &all));
            let whole = pieces.whole();
            assert_eq!(places(&whole.inputs), all);
            assert_eq!(whole, kept);
        }
        let refused = Pieces::of(request(PIECES + 1), 1).err();
        assert_eq!(refused.map(|f| f.kind), Some(FailureKind::Unsupported));
    }
}
