use super::*;
use crate::batches::files::Jobs;
use llmleaf_model::{BatchOutcome, BatchStatus};
use llmleaf_testkit::recordings::{Body, Recording, load_where};
use std::borrow::Cow;

fn wire(provider: &str) -> BatchWire {
    match provider {
        "anthropic" => BatchWire::Messages,
        "gemini" => BatchWire::GenerateContent,
        "xai" => BatchWire::Added,
        "mistral" => BatchWire::Files(FilesQuirks {
            jobs: Jobs::OfOneModel,
            ..FilesQuirks::REFERENCE
        }),
        _ => BatchWire::Files(FilesQuirks::REFERENCE),
    }
}

fn text(recording: &Recording) -> String {
    match &recording.body {
        Body::Json(text) | Body::Ndjson(text) | Body::Text(text) => text.clone(),
        Body::Sse(_) | Body::Binary(_) => String::new(),
    }
}

#[test]
fn every_recorded_batch_is_read_and_its_results_have_answers() {
    let Some(recordings) = load_where("batches", |r| r.wire == "batch") else {
        return;
    };
    assert!(recordings.len() >= 20, "only {}", recordings.len());
    let (mut batches, mut results) = (0, 0);
    for recording in recordings.iter().filter(|r| r.status == 200) {
        let wire = wire(&recording.provider);
        let text = text(recording);
        let path = recording.path.split('?').next().unwrap_or_default();
        let found = match path {
            // It says nothing.
            _ if path.ends_with("/requests") => continue,
            _ if path.ends_with("/results") && wire == BatchWire::Added => {
                wire.parse_page(text.as_bytes()).unwrap().0
            }
            _ if path.ends_with("/results") => {
                let lines = text.lines().filter(|line| !line.is_empty());
                lines
                    .map(|line| wire.parse_line(line.as_bytes()).unwrap())
                    .collect()
            }
            _ if recording.path.contains("after=") => {
                let (list, _) = wire.parse_list(text.as_bytes(), (None, 100)).unwrap();
                assert!(!list.is_empty(), "{}", recording.id);
                continue;
            }
            _ => {
                batches += 1;
                let batch = wire.parse_batch(text.as_bytes()).unwrap();
                let id = batch.id.as_str();
                assert!(text.contains(id) && !id.is_empty(), "{}", recording.id);
                assert!(batch.created.is_some(), "{}", recording.id);
                match wire {
                    BatchWire::GenerateContent if batch.status.is_final() => {
                        wire.parse_page(text.as_bytes()).unwrap().0
                    }
                    _ => continue,
                }
            }
        };
        assert!(!found.is_empty(), "{}", recording.id);
        results += found.len();
        for result in found {
            assert!(result.outcome.is_answer(), "{}: {result:?}", recording.id);
            assert!(["0", "1"].contains(&&*result.custom_id), "{}", recording.id);
        }
    }
    assert!(
        batches >= 14 && results >= 6,
        "{batches} batches, {results} results"
    );
}

fn of_files(jobs: Jobs) -> BatchWire {
    BatchWire::Files(FilesQuirks {
        jobs,
        ..FilesQuirks::REFERENCE
    })
}

/// Five requests, two answered, one failed; what became of the others.
#[track_caller]
fn told(wire: &BatchWire, body: &str, status: BatchStatus, left: [u64; 3]) {
    let batch = wire.parse_batch(body.as_bytes()).unwrap();
    let counts = batch.counts;
    assert_eq!(batch.status, status, "{body}");
    let others = [counts.processing, counts.cancelled, counts.expired];
    assert_eq!(others, left, "{body}");
    assert_eq!(
        (counts.total(), counts.completed, counts.failed),
        (5, 2, 1),
        "{body}"
    );
}

#[test]
fn states_of_files_are_told_apart_in_whichever_words() {
    use BatchStatus::{Cancelled, Cancelling, Expired, Finalizing, InProgress, Validating};
    let plain = |status: &str| {
        format!(
            r#"{{"id":"b","status":"{status}","request_counts":{{"total":5,"completed":2,"failed":1}}}}"#
        )
    };
    let reference = of_files(Jobs::Reference);
    told(&reference, &plain("validating"), Validating, [2, 0, 0]);
    told(&reference, &plain("finalizing"), Finalizing, [2, 0, 0]);
    told(&reference, &plain("expired"), Expired, [0, 0, 2]);
    let wrapped = of_files(Jobs::Wrapped);
    let made = format!(r#"{{"job":{}}}"#, plain("IN_PROGRESS"));
    told(&wrapped, &made, InProgress, [2, 0, 0]);
    told(&wrapped, &plain("CANCELLED"), Cancelled, [0, 2, 0]);
    let own = |status: &str| {
        format!(
            r#"{{"id":"b","status":"{status}","total_requests":5,"succeeded_requests":2,"failed_requests":1,"errors":[{{"message":"no"}}]}}"#
        )
    };
    let once = of_files(Jobs::OfOneModel);
    told(&once, &own("QUEUED"), Validating, [2, 0, 0]);
    told(&once, &own("TIMEOUT_EXCEEDED"), Expired, [0, 0, 2]);
    told(&once, &own("CANCELLATION_REQUESTED"), Cancelling, [2, 0, 0]);
}

#[test]
fn states_of_others_are_told_apart_and_what_is_none_is_no_batch() {
    let own = |state: &str| {
        format!(
            r#"{{"name":"batches/b","metadata":{{"state":"{state}","batchStats":{{"requestCount":"5","successfulRequestCount":"2","failedRequestCount":1}}}}}}"#
        )
    };
    let wire = BatchWire::GenerateContent;
    let running = own("BATCH_STATE_RUNNING");
    told(&wire, &running, BatchStatus::InProgress, [2, 0, 0]);
    let stopped = own("JOB_STATE_CANCELLED");
    told(&wire, &stopped, BatchStatus::Cancelled, [0, 2, 0]);
    for body in ["", "null", "[]", "{}", "{\"error\":{}}"] {
        for wire in [
            of_files(Jobs::Reference),
            BatchWire::Messages,
            BatchWire::GenerateContent,
            BatchWire::Added,
        ] {
            assert!(wire.parse_batch(body.as_bytes()).is_err(), "{body}");
        }
    }
}

#[test]
fn names_are_told_otherwise_and_all_else_stays() {
    let naming = |kind: Kind, own: &str| format!("{kind:?}-{own}");
    for (form, body, told) in [
        (
            BatchForm::Files,
            r#" {"id" : "b1","x":1.0, "output_file_id":null,"input_file_id":"f1","metadata":{"a":"1","llmleaf":"m"}}"#,
            r#" {"id" : "Batch-b1","x":1.0, "output_file_id":null,"input_file_id":"Input-f1","metadata":{"a":"1"}}"#,
        ),
        (
            BatchForm::Files,
            r#"{"metadata":{"llmleaf":"m"},"error_file_id":"e","id":"b1"}"#,
            r#"{"metadata":null,"error_file_id":"Errors-e","id":"Batch-b1"}"#,
        ),
        (
            BatchForm::Files,
            r#"{"metadata":{"llmleaf":"m","z":"1"},"id":"b1"}"#,
            r#"{"metadata":{"z":"1"},"id":"Batch-b1"}"#,
        ),
        (
            BatchForm::Messages,
            r#"{"id":"b1","results_url":"https://x/y","metadata":null}"#,
            r#"{"id":"Batch-b1","results_url":"/v1/messages/batches/Batch-b1/results","metadata":null}"#,
        ),
        (
            BatchForm::Messages,
            r#"{"id":"b1","results_url":null}"#,
            r#"{"id":"Batch-b1","results_url":null}"#,
        ),
    ] {
        let renamed = files::renamed(body.as_bytes(), form, &naming).unwrap();
        assert_eq!(std::str::from_utf8(&renamed).unwrap(), told);
    }
}

#[test]
fn requests_are_written_as_each_service_takes_them() {
    let body = br#"{"model":"m","messages":[]}"#;
    let written = |wire: &BatchWire| {
        let mut out = Vec::new();
        wire.write_item(&mut out, "a\"b", "/v1/chat/completions", body);
        String::from_utf8(out).unwrap()
    };
    let plain = FilesQuirks::REFERENCE;
    let once = FilesQuirks {
        jobs: Jobs::OfOneModel,
        purpose: Cow::Borrowed("x"),
        ..plain.clone()
    };
    for (wire, expected) in [
        (
            BatchWire::Files(plain),
            "{\"custom_id\":\"a\\\"b\",\"method\":\"POST\",\"url\":\"/v1/chat/completions\",\"body\":{\"model\":\"m\",\"messages\":[]}}\n",
        ),
        (
            BatchWire::Files(once),
            "{\"custom_id\":\"a\\\"b\",\"body\":{\"messages\":[]}}\n",
        ),
        (
            BatchWire::Messages,
            "{\"custom_id\":\"a\\\"b\",\"params\":{\"model\":\"m\",\"messages\":[]}}",
        ),
        (
            BatchWire::GenerateContent,
            "{\"request\":{\"model\":\"m\",\"messages\":[]},\"metadata\":{\"key\":\"a\\\"b\"}}",
        ),
        (
            BatchWire::Added,
            "{\"batch_request_id\":\"a\\\"b\",\"batch_request\":{\"chat_get_completion\":{\"model\":\"m\",\"messages\":[]}}}",
        ),
    ] {
        assert_eq!(written(&wire), expected);
    }
}

#[test]
fn an_order_says_what_is_wrong_by_its_place() {
    let read =
        |body: &str| items::order(&Bytes::copy_from_slice(body.as_bytes()), BatchForm::Files);
    let order = read(
        "\u{feff}{\"input\":[{\"custom_id\":\"a\",\"url\":\"/v1/responses\",\"body\": {\"model\":\"m\",\"input\":\"ä\"} }],\"metadata\":{\"k\":\"v\"}}",
    );
    // What the first one is for is not what the batch says it is for.
    assert!(order.unwrap_err().message.contains("request 1: `url`"));
    let order = read("\u{feff}{\"endpoint\":\"/v1/responses\",\"input\":[{\"custom_id\":\"a\",\"body\": {\"model\":\"m\",\"input\":\"ä\"} }],\"metadata\":{\"k\":\"v\"}}").unwrap();
    assert_eq!(order.labels, [("k".to_owned(), "v".to_owned())]);
    assert_eq!(
        &*order.items[0].body,
        "{\"model\":\"m\",\"input\":\"ä\"}".as_bytes()
    );
    assert_eq!(order.items[0].task, Task::Responses);
    let many: Vec<String> = (0..20).map(|_| "1".to_owned()).collect();
    let failure = read(&format!("{{\"requests\":[{}]}}", many.join(","))).unwrap_err();
    assert!(
        failure.message.contains("request 8: "),
        "{}",
        failure.message
    );
    assert!(
        failure.message.ends_with("and perhaps more"),
        "{}",
        failure.message
    );
}

#[test]
fn results_that_are_no_answers_say_what_became_of_them() {
    let files = BatchWire::Files(FilesQuirks::REFERENCE);
    let line = |text: &str| files.parse_line(text.as_bytes()).unwrap().outcome;
    assert_eq!(
        line(
            r#"{"custom_id":"a","response":null,"error":{"code":"batch_expired","message":"late"}}"#
        ),
        BatchOutcome::Expired
    );
    assert!(matches!(
        line(r#"{"custom_id":"a","response":null,"error":{"code":"x","message":"no"}}"#),
        BatchOutcome::Failed { .. }
    ));
    assert!(
        !line(r#"{"custom_id":"a","response":{"status_code":400,"body":{}},"error":null}"#)
            .is_answer()
    );
    let added = |text: &str| {
        BatchWire::Added
            .parse_page(text.as_bytes())
            .unwrap()
            .0
            .remove(0)
            .outcome
    };
    assert_eq!(
        added(r#"{"results":[{"batch_request_id":"a","error_message":"no"}]}"#),
        BatchOutcome::Failed {
            code: None,
            message: "no".to_owned()
        }
    );
    assert_eq!(
        usage_of_vectors(br#"{"usage":{"prompt_tokens":7}}"#).map(|u| u.input),
        Some(7)
    );
}

#[test]
fn a_list_goes_on_by_what_its_service_says() {
    let page = |provider: &str, text: &str, asked| {
        let (batches, next) = wire(provider).parse_list(text.as_bytes(), asked).unwrap();
        (batches.len(), next)
    };
    let one = r#"{"id":"b","status":"SUCCESS"}"#;
    let of = |total: usize| format!(r#"{{"data":[{one}],"total":{total}}}"#);
    assert_eq!(
        page("mistral", &of(3), (None, 1)),
        (1, Some("1".to_owned()))
    );
    assert_eq!(
        page("mistral", &of(3), (Some("1"), 1)),
        (1, Some("2".to_owned()))
    );
    assert_eq!(page("mistral", &of(3), (Some("2"), 1)), (1, None));
    let query = wire("mistral").list_query(Some("2"), 1);
    assert_eq!(query, "page=2&page_size=1");
    let text = r#"{"batches":[{"batch_id":"b"}],"pagination_token":"t+"}"#;
    assert_eq!(page("xai", text, (None, 1)), (1, Some("t+".to_owned())));
    assert!(
        wire("xai")
            .list_query(Some("t+"), 1)
            .ends_with("pagination_token=t%2B")
    );
    for (provider, by_id) in [
        ("openai", true),
        ("anthropic", true),
        ("mistral", false),
        ("gemini", false),
        ("xai", false),
    ] {
        assert_eq!(wire(provider).lists_by_id(), by_id, "{provider}");
    }
}

#[test]
fn nonsense_of_a_service_overflows_nothing() {
    let far = u64::MAX;
    let batch = Batch {
        id: "b".to_owned(),
        created: Some(far),
        ..Batch::default()
    };
    let naming = |_: Kind, own: &str| own.to_owned();
    let told = object::render(&batch, BatchForm::Messages, Task::Messages, &naming);
    assert!(
        String::from_utf8(told)
            .unwrap()
            .contains("\"expires_at\":\"9999-")
    );
    let stats = format!(
        r#"{{"name":"batches/b","metadata":{{"state":"X_FAILED","createTime":{far},"batchStats":{{"requestCount":"{far}","successfulRequestCount":"0","failedRequestCount":"1"}}}}}}"#
    );
    let batch = BatchWire::GenerateContent
        .parse_batch(stats.as_bytes())
        .unwrap();
    assert_eq!((batch.counts.failed, batch.expires), (far, Some(far)));
}

#[test]
fn a_batch_waits_for_its_answers_by_itself() {
    let read = |more: &str| {
        let body = format!(
            r#"{{"endpoint":"/v1/responses","requests":[{{"custom_id":"a","body":{{"model":"m","input":"hi"{more}}}}}]}}"#
        );
        items::order(&Bytes::from(body), BatchForm::Files)
    };
    assert!(read("").is_ok());
    assert!(read(r#","background":false"#).is_ok());
    let refused = read(r#","background":true"#).unwrap_err();
    assert!(
        refused.message.starts_with("request 1: body: `background`"),
        "{}",
        refused.message
    );
    for (window, hours) in [
        ("24h", Some(24)),
        ("7d", Some(168)),
        ("x", None),
        ("", None),
    ] {
        assert_eq!(window_hours(window), hours, "{window}");
    }
}
