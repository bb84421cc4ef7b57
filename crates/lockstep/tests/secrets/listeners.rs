//! Whoever is told secrets, and says them again.

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::mpsc,
    thread,
    time::Duration,
};

use serde_json::json;

use super::canary;

/// Says back what it was told, as JSON, and gives it to the test; a path with `fail` gives an error
/// that says it, too.
pub(super) fn echo() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let (sender, heard) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            stream.set_read_timeout(Some(Duration::from_millis(200))).unwrap();
            let (mut request, mut part) = (Vec::new(), [0; 4096]);
            // What a client sends in one go comes in a few parts; then it waits.
            while let Ok(read @ 1..) = stream.read(&mut part) {
                request.extend_from_slice(&part[..read]);
            }
            let request = String::from_utf8_lossy(&request).into_owned();
            let mut body = json!({"said": request});
            if request.contains("/oauth2/token") {
                body["access_token"] = canary(19).into();
            }
            let body = body.to_string();
            let status = if request.contains("/fail") { "500 No" } else { "200 OK" };
            let answer = format!(
                "HTTP/1.1 {status}\r\ncontent-type: application/json\r\nconnection: close\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            );
            stream.write_all(answer.as_bytes()).unwrap();
            let _test_is_over = sender.send(request);
        }
    });
    (url, heard)
}

/// Takes no login, and says so with all that it was told, as some servers do.
pub(super) fn mail() -> (String, mpsc::Receiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let (sender, heard) = mpsc::channel();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let sender = sender.clone();
            thread::spawn(move || refuse(BufReader::new(stream.unwrap()), &sender));
        }
    });
    (address, heard)
}

fn refuse(mut stream: BufReader<TcpStream>, heard: &mpsc::Sender<String>) -> Option<()> {
    let ways = "IMAP4rev1 SASL-IR AUTH=XOAUTH2";
    write!(stream.get_mut(), "* OK [CAPABILITY {ways}] ready\r\n").ok()?;
    let mut line = String::new();
    while stream.read_line(&mut line).ok()? > 0 {
        let (tag, rest) = line.trim_end().split_once(' ')?;
        // The test may be over.
        heard.send(rest.to_owned()).ok()?;
        let answer = match rest {
            "CAPABILITY" => format!("* CAPABILITY {ways}\r\n{tag} OK done"),
            "LOGOUT" => format!("* BYE\r\n{tag} OK done"),
            rest => format!("{tag} NO [AUTHENTICATIONFAILED] no {rest} here"),
        };
        write!(stream.get_mut(), "{answer}\r\n").ok()?;
        line.clear();
    }
    Some(())
}
