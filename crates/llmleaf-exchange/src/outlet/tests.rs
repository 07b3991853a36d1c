use super::*;
use crate::panics;
use llmleaf_dialects::Dialect;

fn outlet() -> Outlet {
    let out = Outlet(Rc::default());
    out.keep_back();
    out
}

fn head(whole: Option<&'static str>) -> ReplyHead {
    ReplyHead {
        status: StatusCode::OK,
        headers: HeaderMap::new(),
        whole: whole.map(Bytes::from),
    }
}

#[test]
fn no_sign_of_life_takes_a_whole_answer_along() {
    let out = outlet();
    out.head(head(Some("unseen")));
    out.sign(b": keep-alive\n\n");
    assert!(!out.head_sent());
    assert_eq!(out.pending(), 0);
    let stream = outlet();
    stream.head(head(None));
    stream.sign(b": keep-alive\n\n");
    assert!(stream.head_sent());
    assert_eq!(stream.pending(), 14);
}

#[tokio::test(start_paused = true)]
async fn a_panic_is_told_in_a_stream_that_is_kept_back() {
    let out = outlet();
    out.head(head(None));
    out.write(b"data: unseen\n\n");
    out.sign(b": keep-alive\n\n");
    let told = panics::told(out.clone(), Dialect::ChatCompletions, "id".into());
    let taking = async {
        let taken = std::mem::take(&mut out.0.borrow_mut().ready);
        tokio::task::yield_now().await;
        String::from_utf8(taken).expect("text")
    };
    let ((), text) = tokio::join!(told, taking);
    assert!(text.contains("error") && !text.contains("unseen"), "{text}");
    assert!(out.0.borrow().aborted, "it does not end cleanly");
}
