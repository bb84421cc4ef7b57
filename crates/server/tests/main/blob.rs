//! Blobs over HTTP.

use model::{BlobId, limits};

use crate::support::{Client, Reply, Request, Server};

const PATH: &str = "/namespace/n/blob";

async fn put(server: &Server, content: &[u8], kind: &str) -> String {
    let request = Request::new("POST", PATH).header("Content-Type", kind).body(content);
    let reply = server.send(request).await;
    assert_eq!(reply.status, 201, "{}", reply.text());
    let id = reply.json()["id"].as_str().unwrap().to_owned();
    assert_eq!(id, BlobId::of(content).to_string());
    assert_eq!(reply.header("location"), Some(&*format!("{PATH}/{id}")));
    id
}

async fn get(server: &Server, id: &str, name: &str, value: &str) -> Reply {
    server.send(Request::new("GET", &format!("{PATH}/{id}")).header(name, value)).await
}

#[tokio::test]
async fn content_comes_back_whole_and_in_stretches() {
    let server = Server::start();
    let size = usize::try_from(limits::BLOB_PART_BYTES).unwrap();
    let content: Vec<u8> = (0..2 * size + 9).map(|at| u8::try_from(at % 253).unwrap()).collect();
    let id = put(&server, &content, "text/html").await;
    let whole = get(&server, &id, "Accept", "*/*").await;
    assert_eq!((whole.status, whole.body == content), (200, true));
    // Whatever somebody has put here, no browser shows it.
    assert_eq!(whole.header("content-type"), Some("application/octet-stream"));
    assert_eq!(whole.header("content-disposition"), Some("attachment"));
    assert_eq!(whole.header("x-content-type-options"), Some("nosniff"));
    assert_eq!(whole.header("content-security-policy"), Some("sandbox"));
    assert_eq!(whole.header("lockstep-type"), Some("text/html"));
    assert_eq!(whole.header("etag"), Some(&*format!("\"{id}\"")));
    for (range, from, to) in [
        ("bytes=0-4".to_owned(), 0, 5),
        (format!("bytes={}-{}", size - 2, size + 1), size - 2, size + 2),
        (format!("bytes={}-", 2 * size), 2 * size, content.len()),
        ("bytes=-3".to_owned(), content.len() - 3, content.len()),
    ] {
        let part = get(&server, &id, "Range", &range).await;
        assert_eq!((part.status, part.body.as_slice()), (206, &content[from..to]), "{range}");
        let said = format!("bytes {from}-{}/{}", to - 1, content.len());
        assert_eq!(part.header("content-range"), Some(&*said));
    }
    let outside = get(&server, &id, "Range", &format!("bytes={}-", content.len())).await;
    assert_eq!(outside.status, 416);
    let held = get(&server, &id, "If-None-Match", &format!("\"{id}\"")).await;
    assert_eq!((held.status, held.body.len()), (304, 0));
}

#[tokio::test]
async fn what_is_there_is_listed_and_told_by_its_head() {
    let server = Server::start();
    let id = put(&server, b"content", "text/plain").await;
    assert_eq!(put(&server, b"content", "text/plain").await, id);
    let list = server.get(PATH).await.json();
    assert_eq!(list["blobs"].as_array().unwrap().len(), 1);
    assert_eq!(
        (&list["blobs"][0]["bytes"], &list["blobs"][0]["type"]),
        (&7.into(), &"text/plain".into())
    );
    let mut client = Client::new(server.address).await;
    client.write(&Request::new("HEAD", &format!("{PATH}/{id}"))).await;
    let head = client.reply(true).await;
    assert_eq!((head.status, head.header("content-length")), (200, Some("7")));
    let none = server.get(&format!("{PATH}/{}", "0".repeat(64))).await;
    assert_eq!((none.status, &none.json()["code"]), (404, &"no_such_blob".into()));
    assert_eq!(server.get(&format!("{PATH}/nonsense")).await.status, 400);
}

#[tokio::test]
async fn what_is_too_large_is_refused_before_anything_is_kept() {
    let server = Server::start();
    let mut client = Client::new(server.address).await;
    let length = limits::BLOB_BYTES_MAX + 1;
    let head = format!(
        "POST {PATH} HTTP/1.1\r\nHost: localhost:{}\r\nContent-Length: {length}\r\n\r\n",
        server.address.port()
    );
    client.raw(head.as_bytes()).await;
    let reply = client.reply(false).await;
    assert_eq!((reply.status, &reply.json()["code"]), (413, &"too_large".into()));
    let query = model::Query::Namespace(model::Namespace::new("n").unwrap());
    assert!(model::Backend::read(&*server.backend, query, 0).await.is_err(), "nothing is there");
}
