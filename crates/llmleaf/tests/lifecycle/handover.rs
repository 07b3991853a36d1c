//! One process follows another on the same port, and the service manager's words.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::os::unix::net::UnixDatagram;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use llmleaf_testkit::binary::Llmleaf;
use llmleaf_testkit::http::get;
use llmleaf_testkit::replay::{Gate, Script};
use llmleaf_testkit::samples::Wire;
use llmleaf_testkit::stage::LONG;

use super::stage;

/// A connection of its own with one request on it.
fn asks(addr: std::net::SocketAddr) -> std::io::Result<bool> {
    let mut stream = TcpStream::connect(addr)?;
    stream.set_read_timeout(Some(LONG))?;
    stream.write_all(b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    Ok(answer.starts_with("HTTP/1.1 200"))
}

/// Whether the system hands connections over that are being made.
fn hands_over() -> bool {
    let told = std::fs::read_to_string("/proc/sys/net/ipv4/tcp_migrate_req");
    told.is_ok_and(|told| told.trim() == "1")
}

#[test]
fn i9_a_new_process_takes_the_port_over_and_no_connection_fails() {
    for workers in ["1", "2"] {
        let mut old = stage()
            .instead("workers", workers)
            .server("reuse_port = true")
            .start();
        let addr = old.leaf.addr;
        let gate = Gate::new();
        let stream = Wire::Chat.stream("first answer");
        let at = stream.until(1).len();
        old.first
            .push(Script::sse(stream.body()).hold_at(at, &gate));
        let mut running = old.ask(Wire::Chat, "chat", true);
        running.connection.read_to("first ");
        let done = AtomicBool::new(false);
        let [asked, failed, resets] = [const { AtomicUsize::new(0) }; 3];
        // It outlives the connections to it.
        let mut new = None;
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    while !done.load(Ordering::Relaxed) {
                        let good = asks(addr);
                        asked.fetch_add(1, Ordering::Relaxed);
                        // Linux resets what is in the middle of being made when a port closes, unless it is told to hand that over
                        // (`tcp_migrate_req`, docs/operations.md). Where the machine is busy that happens on one machine too.
                        let reset = good
                            .as_ref()
                            .is_err_and(|e| e.kind() == ErrorKind::ConnectionReset);
                        if reset && !hands_over() && resets.fetch_add(1, Ordering::Relaxed) == 0 {
                            println!("a connection was reset while it was made");
                        } else if !matches!(good, Ok(true)) {
                            println!("a connection failed: {good:?}");
                            failed.fetch_add(1, Ordering::Relaxed);
                        }
                    }
                });
            }
            let config = old.config.replace("127.0.0.1:0", &addr.to_string());
            let started = Llmleaf::with_config(env!("CARGO_BIN_EXE_llmleaf"), &config).start();
            assert_eq!(started.addr, addr);
            new = Some(started);
            old.leaf.signal("TERM");
            let heard = |line: &str| line.contains("\"draining\"");
            assert!(old.leaf.wait_lines(1, LONG, heard).is_some());
            gate.release();
            let response = running.connection.response();
            assert_eq!(Wire::Chat.read(&response).text(), "first answer");
            assert!(old.leaf.wait_exit(LONG).expect("it ends").success());
            let so_far = asked.load(Ordering::Relaxed);
            while asked.load(Ordering::Relaxed) < so_far + 100 {
                std::thread::yield_now();
            }
            done.store(true, Ordering::Relaxed);
        });
        let (asked, failed) = (asked.into_inner(), failed.into_inner());
        assert!(new.is_some_and(|new| get(new.addr, "/readyz", &[]).status == 200));
        assert_eq!(failed, 0, "of {asked} connections, {workers} workers");
    }
}

#[test]
fn i9_the_service_manager_hears_how_it_goes() {
    let folder = std::env::temp_dir().join(format!("llmleaf-notify-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(LONG)).expect("a deadline");
    let hears = |words: &str| {
        let mut bytes = [0; 1024];
        loop {
            let read = socket.recv(&mut bytes).expect("a word");
            let text = String::from_utf8_lossy(&bytes[..read]).into_owned();
            if text.contains(words) {
                return text;
            }
            assert!(text.contains("WATCHDOG=1"), "{text} instead of {words}");
        }
    };
    let mut stage = stage()
        .env("NOTIFY_SOCKET", &path.display().to_string())
        .env("WATCHDOG_USEC", "200000")
        .start();
    hears("READY=1");
    hears("WATCHDOG=1");
    stage.leaf.signal("HUP");
    let reloading = hears("RELOADING=1");
    let micros = reloading.split("MONOTONIC_USEC=").nth(1);
    let micros: u64 = micros
        .and_then(|text| text.trim().parse().ok())
        .expect("a time");
    assert!(micros > 0);
    hears("READY=1");
    stage.leaf.signal("TERM");
    hears("STOPPING=1");
    assert!(stage.leaf.wait_exit(LONG).expect("it ends").success());
    std::fs::remove_dir_all(folder).expect("removed");
}
