//! Clients that take their time. The clock of these tests jumps ahead whenever all wait.

use model::limits;
use tokio::time::Instant;

use crate::support::{Client, Request, Server};

#[tokio::test(start_paused = true)]
async fn headers_must_come_in_time() {
    let server = Server::start();
    for begun in [&b""[..], b"GET /livez HT", b"GET /livez HTTP/1.1\r\nHost: x\r\n"] {
        let begin = Instant::now();
        let mut client = Client::new(server.address).await;
        client.raw(begun).await;
        assert_eq!(client.closed().await, b"");
        let took = begin.elapsed();
        assert!(took >= limits::HEADER_READ_MAX && took < limits::IDLE_MAX, "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed() {
    let server = Server::start();
    let mut client = server.connect().await;
    for _ in 0..3 {
        assert_eq!(client.send(Request::new("GET", "/livez")).await.status, 200);
        tokio::time::advance(limits::IDLE_MAX / 2).await;
    }
    let begin = Instant::now();
    assert_eq!(client.closed().await, b"");
    let took = begin.elapsed();
    assert!(took >= limits::IDLE_MAX / 3 && took <= limits::IDLE_MAX, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_second_request_must_come_in_time_too() {
    let server = Server::start();
    let mut client = server.connect().await;
    assert_eq!(client.send(Request::new("GET", "/livez")).await.status, 200);
    let begin = Instant::now();
    client.raw(b"GET /livez HT").await;
    assert_eq!(client.closed().await, b"");
    let took = begin.elapsed();
    assert!(took >= limits::HEADER_READ_MAX && took < limits::IDLE_MAX, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn bodies_must_come_in_time() {
    let server = Server::start();
    let begin = Instant::now();
    let mut client = server.connect().await;
    client
        .write(
            &Request::new("POST", "/namespace")
                .header("Content-Type", "application/json")
                .header("Content-Length", "100"),
        )
        .await;
    client.raw(b"{\"name\":").await;
    let reply = client.reply(false).await;
    assert_eq!((reply.status, reply.header("connection")), (408, Some("close")));
    assert!(begin.elapsed() >= limits::BODY_READ_MAX);
    assert_eq!(client.closed().await, b"");
}

#[tokio::test(start_paused = true)]
async fn answers_must_be_taken_in_time() {
    let server = Server::start();
    let begin = Instant::now();
    let client = server.connect().await;
    // More answers than the sockets hold, of which none is read.
    let request = format!("GET /openapi.json HTTP/1.1\r\nHost: {}\r\n\r\n", server.address);
    let mut sent = 0;
    while sent < 4_000 {
        let Ok(size) = client.stream.try_write(request.as_bytes()) else { break };
        assert_eq!(size, request.len());
        sent += 1;
        tokio::task::yield_now().await;
    }
    let error = loop {
        // The server gives up, and then writing fails.
        match client.stream.try_write(request.as_bytes()) {
            Err(error) if error.kind() != std::io::ErrorKind::WouldBlock => break error,
            _ => tokio::time::advance(limits::BODY_READ_MAX / 10).await,
        }
        assert!(begin.elapsed() < limits::BODY_READ_MAX * 10);
    };
    assert!(begin.elapsed() >= limits::BODY_READ_MAX, "{error}");
}
