//! Through a proxy: what it is told, what it may answer, and that it is never told more.

use std::sync::Arc;

use llmleaf_transport::{Limits, Origin, Pool, Proxy, ProxyKind, TlsConfig, TransportError};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use crate::support::{CONNECT_TIMEOUT, OK, post};
use crate::tls::{TlsServer, exchange};

const LOGIN: Option<(&str, &str)> = Some(("me", "canary-Zx81:secret"));

fn origin(url: &str) -> Arc<Origin> {
    Arc::new(Origin::parse(url).expect("origin").0)
}

async fn proxy(kind: ProxyKind, login: Option<(&str, &str)>) -> (TcpListener, Proxy) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("bind");
    let port = listener.local_addr().expect("address").port();
    let proxy = Proxy::new(kind, "127.0.0.1", port, login).expect("a proxy");
    (listener, proxy)
}

fn pool(proxy: &Proxy, tls: TlsConfig) -> Pool {
    Pool::through(Some(proxy.clone()), Limits::default(), tls)
}

async fn call(pool: &Pool, origin: &Arc<Origin>) -> Result<String, TransportError> {
    let response = pool.call(origin, post("{}"), CONNECT_TIMEOUT).await?;
    let body = response.body.collect(99).await?;
    Ok(String::from_utf8_lossy(&body).into_owned())
}

async fn head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.expect("a head"));
    }
    String::from_utf8(head).expect("text")
}

#[tokio::test]
async fn a_tunnel_is_asked_for_and_tls_spoken_inside() {
    let server = TlsServer::start("api.example").await;
    let (listener, proxy) = proxy(ProxyKind::Http, LOGIN).await;
    let pool = pool(&proxy, server.trust());
    // The name is the proxy's to resolve; it exists nowhere.
    let target = origin("https://api.example/v1");
    let (result, (asked, _open)) = tokio::join!(call(&pool, &target), async {
        let (mut stream, _) = listener.accept().await.expect("accepts");
        let asked = head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.1 200 fine\r\nx: y\r\n\r\n")
            .await
            .expect("written");
        let mut inner = server.shake(stream).await;
        exchange(&mut inner, OK).await;
        (asked, inner)
    });
    assert_eq!(result, Ok("ok".to_owned()));
    assert_eq!(
        asked,
        "CONNECT api.example:443 HTTP/1.1\r\nHost: api.example:443\r\n\
         Proxy-Authorization: Basic bWU6Y2FuYXJ5LVp4ODE6c2VjcmV0\r\n\r\n"
    );
    assert_eq!(pool.idle(), 1, "the tunnel is used again");
}

#[tokio::test]
async fn a_plain_origin_is_reached_by_a_tunnel_too() {
    let (listener, proxy) = proxy(ProxyKind::Http, None).await;
    let pool = pool(&proxy, TlsConfig::new().expect("TLS"));
    let target = origin("http://[::1]:81");
    let (result, asked) = tokio::join!(call(&pool, &target), async {
        let (mut stream, _) = listener.accept().await.expect("accepts");
        let asked = head(&mut stream).await;
        stream
            .write_all(b"HTTP/1.0 200 \r\n\r\n")
            .await
            .expect("written");
        exchange(&mut stream, OK).await;
        asked
    });
    assert_eq!(result, Ok("ok".to_owned()));
    assert_eq!(asked, "CONNECT [::1]:81 HTTP/1.1\r\nHost: [::1]:81\r\n\r\n");
}

#[tokio::test]
async fn a_proxy_may_be_spoken_to_inside_tls() {
    let outer = TlsServer::start("127.0.0.1").await;
    let inner = TlsServer::start("api.example").await;
    let both = [outer.ca_pem.as_str(), inner.ca_pem.as_str()].concat();
    let tls = TlsConfig::with(Some(both.as_bytes()), None).expect("CAs");
    let proxy = Proxy::new(ProxyKind::Https, "127.0.0.1", outer.origin.port(), LOGIN);
    let pool = pool(&proxy.expect("a proxy"), tls);
    let target = origin("https://api.example");
    let (result, ()) = tokio::join!(call(&pool, &target), async {
        let mut stream = outer.accept().await.expect("handshake");
        assert!(head(&mut stream).await.contains("Proxy-Authorization"));
        stream
            .write_all(b"HTTP/1.1 200 OK\r\n\r\n")
            .await
            .expect("written");
        stream.flush().await.expect("flushed");
        let mut inner = inner.shake(stream).await;
        exchange(&mut inner, OK).await;
    });
    assert_eq!(result, Ok("ok".to_owned()));
}

#[tokio::test]
async fn socks_is_spoken_with_a_login_and_a_name() {
    let (listener, proxy) = proxy(ProxyKind::Socks5, LOGIN).await;
    let pool = pool(&proxy, TlsConfig::new().expect("TLS"));
    let target = origin("http://api.example:81");
    let (result, ()) = tokio::join!(call(&pool, &target), async {
        let (mut stream, _) = listener.accept().await.expect("accepts");
        let mut expect = async |bytes: &[u8], answer: &[u8]| {
            let mut read = vec![0; bytes.len()];
            stream.read_exact(&mut read).await.expect("read");
            assert_eq!(read, bytes);
            stream.write_all(answer).await.expect("written");
        };
        expect(&[5, 1, 2], &[5, 2]).await;
        expect(b"\x01\x02me\x12canary-Zx81:secret", &[1, 0]).await;
        let bound = [5, 0, 0, 3, 3, b'a', b'.', b'b', 0, 80];
        expect(b"\x05\x01\x00\x03\x0bapi.example\x00\x51", &bound).await;
        exchange(&mut stream, OK).await;
    });
    assert_eq!(result, Ok("ok".to_owned()));
}

#[tokio::test]
async fn socks_takes_addresses_as_they_are() {
    for (url, sent) in [
        (
            "http://10.1.2.3:81",
            &b"\x05\x01\x00\x01\x0a\x01\x02\x03\x00\x51"[..],
        ),
        (
            "http://[::2]:81",
            &b"\x05\x01\x00\x04\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x02\x00\x51"[..],
        ),
    ] {
        let (listener, proxy) = proxy(ProxyKind::Socks5, None).await;
        let pool = pool(&proxy, TlsConfig::new().expect("TLS"));
        let target = origin(url);
        let (result, ()) = tokio::join!(call(&pool, &target), async {
            let (mut stream, _) = listener.accept().await.expect("accepts");
            let mut hello = [0; 3];
            stream.read_exact(&mut hello).await.expect("read");
            assert_eq!(hello, [5, 1, 0]);
            stream.write_all(&[5, 0]).await.expect("written");
            let mut read = vec![0; sent.len()];
            stream.read_exact(&mut read).await.expect("read");
            assert_eq!(read, sent);
            stream
                .write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0])
                .await
                .expect("written");
            exchange(&mut stream, OK).await;
        });
        assert_eq!(result, Ok("ok".to_owned()), "{url}");
    }
}

#[tokio::test]
async fn what_a_proxy_refuses_is_told_without_the_login() {
    let long = [b"HTTP/1.1 200 OK\r\nx: ".as_slice(), &[b'x'; 9000]].concat();
    let cases: [(ProxyKind, &[u8], &str); 9] = [
        (ProxyKind::Http, b"HTTP/1.1 407 No\r\n\r\n", "407"),
        (ProxyKind::Http, b"HTTP/1.1 502 No\r\n\r\n", "502"),
        (ProxyKind::Http, b"SSH-2.0-other\r\n\r\n", "does not speak"),
        (ProxyKind::Http, &long, "does not speak"),
        (ProxyKind::Http, b"", "the proxy failed"),
        (ProxyKind::Socks5, &[5, 0xff], "another way to log in"),
        (ProxyKind::Socks5, &[5, 2, 1, 1], "another user name"),
        (ProxyKind::Socks5, &[5, 2, 1, 0, 5, 5, 0, 1], "refused"),
        (ProxyKind::Socks5, b"HTTP/1.1 400", "does not speak"),
    ];
    for (kind, answer, words) in cases {
        let (listener, proxy) = proxy(kind, LOGIN).await;
        let pool = pool(&proxy, TlsConfig::new().expect("TLS"));
        let target = origin("https://api.example");
        let (result, ()) = tokio::join!(call(&pool, &target), async {
            let (mut stream, _) = listener.accept().await.expect("accepts");
            stream.write_all(answer).await.expect("written");
            stream.shutdown().await.expect("shut");
            let _ = tokio::io::copy(&mut stream, &mut tokio::io::sink()).await;
        });
        let error = result.expect_err("refused");
        assert_eq!(error.kind(), "connect");
        assert!(error.retry_is_safe(), "nothing was sent");
        let text = format!("{error} {error:?} {proxy:?}");
        assert!(text.contains(words), "{words}: {text}");
        assert!(!text.contains("canary"), "{text}");
    }
}
