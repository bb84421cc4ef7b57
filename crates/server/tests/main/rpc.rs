//! CBOR-RPC connections of clients that take their time, and of a server that stops. The clock of
//! these tests jumps ahead whenever all wait.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use engine::{Engine, SystemClock};
use model::limits;
use server::{Options, Rate, RpcOptions, bind};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::oneshot,
    task::JoinHandle,
    time::Instant,
};

/// `clear()`, with the id 1.
const CLEAR: &[u8] = b"\xd8\x18\x58\x1a\xa3\x42id\x01\x46method\x45clear\x46params\x80";
/// Its answer: 0.
const CLEARED: &[u8] = b"\xd8\x18\x4d\xa2\x42id\x01\x46result\x00";

struct Server {
    address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

fn start() -> Server {
    let engine = Engine::new(Arc::new(store::Memory::new()), Arc::new(SystemClock));
    let listen = "127.0.0.1:0".parse().unwrap();
    let grace = Duration::from_secs(10);
    let options = Options { listen, open: true, rate: Rate::Unlimited, grace };
    let clock = Arc::new(SystemClock);
    let rpc = RpcOptions { listen, open: true, clock, config: None };
    let bound = bind(options, engine).unwrap().with_rpc(rpc).unwrap();
    let address = bound.rpc_address().unwrap();
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(async move {
        bound.serve(async { drop(stopped.await) }).await.unwrap();
    });
    Server { address, stop: Some(stop), served }
}

async fn clear(stream: &mut TcpStream) {
    stream.write_all(CLEAR).await.unwrap();
    let mut answer = [0; CLEARED.len()];
    stream.read_exact(&mut answer).await.unwrap();
    assert_eq!(answer, CLEARED);
}

/// Waits until the server closes the connection, and tells how long that took.
async fn closed(stream: &mut TcpStream) -> Duration {
    let begin = Instant::now();
    let mut rest = Vec::new();
    // A connection that is cut off may end with an error.
    let _cut = stream.read_to_end(&mut rest).await;
    assert_eq!(rest, b"");
    begin.elapsed()
}

#[tokio::test(start_paused = true)]
async fn the_first_request_must_come_in_time() {
    let server = start();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let took = closed(&mut stream).await;
    assert!(took >= limits::IDLE_MAX && took < 2 * limits::IDLE_MAX, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_worker_may_keep_its_connection_while_it_works() {
    let server = start();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    clear(&mut stream).await;
    tokio::time::sleep(limits::RPC_IDLE_MAX / 2).await;
    clear(&mut stream).await;
    let took = closed(&mut stream).await;
    assert!(took >= limits::RPC_IDLE_MAX && took < 2 * limits::RPC_IDLE_MAX, "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn the_start_of_a_frame_must_come_in_time() {
    let server = start();
    for part in [&CLEAR[..1], &CLEAR[..3]] {
        let mut stream = TcpStream::connect(server.address).await.unwrap();
        stream.write_all(part).await.unwrap();
        let took = closed(&mut stream).await;
        assert!(took >= limits::HEADER_READ_MAX && took < limits::BODY_READ_MAX, "{took:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_rest_of_a_frame_must_come_in_time() {
    let server = start();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    stream.write_all(&CLEAR[..10]).await.unwrap();
    let took = closed(&mut stream).await;
    assert!(took >= limits::BODY_READ_MAX && took < limits::IDLE_MAX, "{took:?}");
}

/// 94. What nobody takes does no harm.
#[tokio::test(start_paused = true)]
async fn answers_must_be_taken_in_time() {
    let server = start();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    let begin = Instant::now();
    // The answers of all these fill every buffer between here and there.
    let sent = async {
        loop {
            stream.write_all(&CLEAR.repeat(1_000)).await?;
        }
    };
    let ended: std::io::Result<()> = sent.await;
    assert!(ended.is_err() && begin.elapsed() >= limits::BODY_READ_MAX);
    let mut gone = TcpStream::connect(server.address).await.unwrap();
    gone.write_all(CLEAR).await.unwrap();
    drop(gone);
    clear(&mut TcpStream::connect(server.address).await.unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_closes_idle_connections() {
    let mut server = start();
    let mut stream = TcpStream::connect(server.address).await.unwrap();
    clear(&mut stream).await;
    drop(server.stop.take());
    assert!(closed(&mut stream).await < Duration::from_secs(1));
    server.served.await.unwrap();
}

#[tokio::test]
async fn others_cannot_be_let_in_without_tokens() {
    let engine = Engine::new(Arc::new(store::Memory::new()), Arc::new(SystemClock));
    let listen = "127.0.0.1:0".parse().unwrap();
    let options = Options { listen, open: true, rate: Rate::Usual, grace: Duration::ZERO };
    let bound = bind(options, engine).unwrap();
    let listen = "0.0.0.0:0".parse().unwrap();
    let rpc = RpcOptions { listen, open: true, clock: Arc::new(SystemClock), config: None };
    let Err(error) = bound.with_rpc(rpc) else { panic!("everyone is let in") };
    assert_eq!(error.code().code, "denied");
}
