use super::*;
use llmleaf_exchange::{Began, Cost, End, Grade, Outcome, UsageRecord};
use llmleaf_model::Usage;
use std::sync::mpsc;

const LONG: Duration = Duration::from_secs(20);

fn record(model: &str) -> Arc<EndRecord> {
    let attempt = |number: u32, outcome, cost| UsageRecord {
        id: format!("x-{number}"),
        request_id: "r-1".into(),
        attempt: number,
        key: "Team A".into(),
        dialect: "messages",
        model: model.into(),
        provider: "main".into(),
        upstream_model: "m-1".into(),
        credential: 0,
        stream: true,
        outcome,
        failure: None,
        status: Some(200),
        grade: Grade::Reported,
        usage: Usage {
            input: 10,
            input_cache_read: 5,
            input_cache_write: 2,
            output: 7,
            output_reasoning: 3,
            ..Usage::default()
        },
        cost,
        possibly_billed: false,
        losses: vec!["dropped: `x`".to_owned()],
        began_ms: 0,
        connect_ms: None,
        first_content_ms: Some(30),
        chunks: llmleaf_exchange::Chunks::default(),
        total_ms: 100,
    };
    Arc::new(EndRecord {
        began: Began {
            id: "x".into(),
            request_id: "r-1".into(),
            at_ms: 1_795_651_200_045,
            key: "Team A".into(),
            dialect: "messages",
            operation: "chat",
            model: model.into(),
            stream: true,
            trace: None,
        },
        route: Some("fast".into()),
        end: End::Completed,
        failure: None,
        status: Some(200),
        attempts: vec![
            attempt(1, Outcome::Failed, Cost::Computed(0)),
            attempt(2, Outcome::Completed, Cost::Computed(31_500)),
        ],
        trail: None,
        queue_ms: 0,
        first_content_ms: Some(40),
        total_ms: 120,
        own_us: 250,
    })
}

fn early() -> Refused {
    Refused {
        at_ms: 1_795_651_200_045,
        request_id: "r-2".into(),
        endpoint: Some(("POST", "/v1/messages")),
        failure: "authentication",
        status: 401,
    }
}

fn lines(format: LogFormat, model: &str) -> String {
    let mut out = Vec::new();
    line::ended(&record(model), format, &mut out);
    line::refused(&early(), format, &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn a_line_tells_what_became_of_a_request() {
    let expected = concat!(
        r#"{"time":"2026-11-26T00:00:00.045Z","request_id":"r-1","id":"x","key":"Team A","dialect":"messages","operation":"chat","model":"m","stream":true,"#,
        r#""route":"fast","provider":"main","upstream_model":"m-1","attempts":2,"end":"completed","failure":null,"status":200,"total_ms":120,"queue_ms":0,"#,
        r#""first_content_ms":40,"own_us":250,"input_tokens":34,"cache_read_tokens":10,"cache_write_tokens":4,"output_tokens":20,"reasoning_tokens":6,"#,
        r#""grade":"reported","cost_usd":0.0000315,"losses":1}"#,
        "\n",
        r#"{"time":"2026-11-26T00:00:00.045Z","request_id":"r-2","method":"POST","endpoint":"/v1/messages","end":"refused","failure":"authentication","status":401}"#,
        "\n",
    );
    assert_eq!(lines(LogFormat::Json, "m"), expected);
    let expected = concat!(
        "2026-11-26T00:00:00.045Z 200 completed messages chat m -> main m-1 key=\"Team A\" 120 ms first=40 own=250 us in=34 out=20 \
         cost=$0.0000315 attempts=2 id=r-1\n",
        "2026-11-26T00:00:00.045Z 401 refused POST /v1/messages failure=authentication id=r-2\n",
    );
    assert_eq!(lines(LogFormat::Text, "m"), expected);
}

#[test]
fn a_line_is_one_line_whatever_a_consumer_calls_its_model() {
    for model in [
        "a\nb",
        "a\r{\"end\":\"x\"}",
        "",
        "a b",
        "\u{2028}\u{85}",
        "\"",
        "\\",
    ] {
        for format in [LogFormat::Json, LogFormat::Text] {
            let text = lines(format, model);
            assert_eq!(text.lines().count(), 2, "{text}");
            let inside = text.trim_end().replace('\n', "");
            assert!(!inside.contains(|c: char| c.is_control()), "{text:?}");
        }
        let text = lines(LogFormat::Json, model);
        let read: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(read["model"], model);
    }
}

/// A pipe that takes each write only when it is asked for it.
struct Pipe(mpsc::SyncSender<Vec<u8>>);

impl Write for Pipe {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let gone = |_| io::Error::from(io::ErrorKind::BrokenPipe);
        self.0.send(bytes.to_vec()).map_err(gone)?;
        Ok(bytes.len())
    }
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

#[test]
fn i10_nobody_waits_for_whoever_reads_it_and_what_is_lost_is_counted() {
    let (sender, reader) = mpsc::sync_channel(0);
    let log = AccessLog::write_to(Out::Other(Box::new(Pipe(sender))), LogFormat::Json).unwrap();
    let (sink, record) = (log.sink(), record("m"));
    let told = 3 * ROOM as u64;
    for _ in 0..told {
        sink.ended(&record);
    }
    let dropped = log.counts().dropped.get();
    assert!(dropped >= told - ROOM as u64 - 1000, "{dropped}");
    let mut read = 0;
    while read + dropped < told {
        let piece = reader
            .recv_timeout(LONG)
            .expect("it goes on when it is read");
        read += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
    }
    assert_eq!(read + dropped, told);
    // Whoever read it is gone: that harms nobody, and is counted.
    drop(reader);
    sink.ended(&record);
    log.flush();
    assert_eq!(log.counts().dropped.get(), dropped + 1);
    assert_eq!(log.counts().written.get(), read);
}

#[test]
fn a_file_that_was_moved_away_is_written_anew() {
    let name = format!("llmleaf-access-{}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).unwrap();
    let (path, moved) = (folder.join("access.log"), folder.join("access.log.1"));
    let wanted = Wanted {
        to: LogTo::File(path.clone()),
        format: LogFormat::Text,
    };
    let log = AccessLog::start(&wanted).unwrap();
    log.sink().ended(&record("before"));
    log.flush();
    std::fs::rename(&path, &moved).unwrap();
    log.reopen();
    log.sink().ended(&record("after"));
    log.flush();
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let (old, new) = (read(&moved), read(&path));
    std::fs::remove_dir_all(&folder).unwrap();
    assert!(
        old.contains(" before ") && !old.contains(" after "),
        "{old}"
    );
    assert!(
        new.contains(" after ") && !new.contains(" before "),
        "{new}"
    );
    let nowhere = LogTo::File(folder.join("access.log"));
    assert!(Out::open(&nowhere).is_err(), "there is no such folder");
}
