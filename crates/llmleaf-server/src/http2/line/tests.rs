use super::{Held, Line};
use bytes::Bytes;
use http_body::{Body, Frame};
use llmleaf_exchange::Aborted;
use std::pin::Pin;
use std::task::{Context, Poll, Waker};

/// A word, and then an end that is none.
struct Broken(Option<Bytes>);

impl Body for Broken {
    type Data = Bytes;
    type Error = Aborted;

    fn poll_frame(
        self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Aborted>>> {
        let word = self.get_mut().0.take();
        Poll::Ready(Some(
            word.map_or(Err(Aborted), |word| Ok(Frame::data(word))),
        ))
    }
}

fn poll(held: &mut Held<Broken>) -> Poll<Option<Result<usize, Aborted>>> {
    let polled = Pin::new(held).poll_frame(&mut nobody());
    polled.map(|frame| frame.map(|frame| frame.map(|f| f.data_ref().map_or(0, Bytes::len))))
}

fn nobody() -> Context<'static> {
    Context::from_waker(Waker::noop())
}

#[tokio::test]
async fn a_piece_is_handed_to_http2_as_its_frames_hold_it() {
    let line = Line::new();
    let word = Bytes::from(vec![b'x'; 40_000]);
    let mut held = line.open(None).hold(Broken(Some(word)), false);
    let before = line.moves();
    for length in [16_384, 16_384, 7_232] {
        assert!(matches!(poll(&mut held), Poll::Ready(Some(Ok(l))) if l == length));
    }
    assert_eq!(line.moves() - before, 3);
}
