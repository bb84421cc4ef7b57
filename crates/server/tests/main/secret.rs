//! Secrets over HTTP: values go in, and nothing gives them back.

use std::{sync::Arc, time::Duration};

use engine::{Engine, KEY_BYTES, Keys, SystemClock};
use model::Namespace;

use crate::support::{Request, Server};

const LIST: &str = "/namespace/n/secret";
const ERP: &str = "/namespace/n/secret/erp";
const PAGE: &str = "/ui/ns/n/secrets";

/// Starts a server with a key for secrets, and gives what opens them.
async fn start() -> (Server, Arc<Engine>) {
    let engine = Engine::new(Arc::new(store::Memory::new()), Arc::new(SystemClock));
    let keys = Keys::new(&[[7; KEY_BYTES].into()]).unwrap();
    engine.take_keys(Some(Arc::new(keys))).await.unwrap();
    (Server::over(engine.clone(), true, Duration::from_secs(10)), engine)
}

fn put(value: impl Into<Vec<u8>>) -> Request {
    Request::new("PUT", ERP).body(value)
}

async fn opened(engine: &Engine) -> Option<String> {
    let value = engine.open_secret(&Namespace::new("n").unwrap(), "erp").await.unwrap();
    value.map(|value| value.expose().to_owned())
}

#[tokio::test]
async fn values_go_in_and_do_not_come_out() {
    let (server, engine) = start().await;
    let set = server.send(put("canary-1\n")).await;
    assert_eq!((set.status, set.text()), (204, ""));
    assert_eq!(opened(&engine).await.as_deref(), Some("canary-1\n"), "it is kept as it is");
    let list = server.get(LIST).await;
    assert_eq!(list.status, 200, "{}", list.text());
    let secrets = list.json();
    assert_eq!(secrets["secrets"][0]["name"], "erp");
    assert_eq!(secrets["secrets"][0]["revision"], set.revision());
    assert_eq!(server.get(ERP).await.status, 405, "there is nothing that could be read");
    for accept in ["application/json", "text/html"] {
        let page = server.send(Request::new("GET", PAGE).header("Accept", accept)).await;
        assert_eq!(page.status, 200, "{}", page.text());
        assert!(page.text().contains("erp") && !page.text().contains("canary-"), "{accept}");
    }
    let history = serde_json::json!({"namespace": "n", "after": 0, "limit": 100});
    let told = [
        server.get("/audit?namespace=n").await.text().to_owned(),
        server.post("/v1/events", history).await.text().to_owned(),
        server.get("/metrics").await.text().to_owned(),
        list.text().to_owned(),
    ];
    assert!(told[0].contains("secret.set") && told[1].contains("erp"), "{told:?}");
    assert!(told.iter().all(|text| !text.contains("canary-")), "{told:?}");
    assert_eq!(server.delete(ERP).await.status, 204);
    let gone = server.delete(ERP).await;
    assert_eq!((gone.status, &gone.json()["code"]), (404, &"no_such_secret".into()));
    assert_eq!(opened(&engine).await, None);
}

#[tokio::test]
async fn what_is_refused_is_not_said_again() {
    let (server, _) = start().await;
    let mut large = b"canary-1".to_vec();
    large.resize(model::limits::SECRET_BYTES_MAX + 1, b'x');
    for (value, status) in [(b"canary-1\xff".to_vec(), 400), (Vec::new(), 400), (large, 413)] {
        let refused = server.send(put(value)).await;
        assert_eq!(refused.status, status, "{}", refused.text());
        assert!(!refused.text().contains("canary-"), "{}", refused.text());
    }
    let long = format!("/namespace/n/secret/{}", "x".repeat(129));
    assert_eq!(server.send(Request::new("PUT", &long).body("v")).await.status, 413);
    let hidden = server.send(Request::new("PUT", "/namespace/n/secret/.erp").body("v")).await;
    assert_eq!(hidden.status, 400, "{}", hidden.text());
    // The native door says names of fields and no values.
    let set = serde_json::json!({"secret": {"set": {"name": "a b", "value": "canary-1"}}});
    let refused = server.post(
        "/v1/write",
        serde_json::json!({
            "namespace": "n", "commands": [set]
        }),
    );
    let refused = refused.await;
    assert!(refused.status == 400 && !refused.text().contains("canary-"), "{}", refused.text());
}

#[tokio::test]
async fn without_a_key_nothing_is_set() {
    let server = Server::start();
    let refused = server.send(put("canary-1")).await;
    assert_eq!((refused.status, &refused.json()["code"]), (409, &"no_secrets_key".into()));
    assert!(!refused.text().contains("canary-"));
    assert_eq!(server.get(LIST).await.status, 404, "not even the namespace is there");
}

#[tokio::test]
async fn forms_set_and_remove() {
    let (server, engine) = start().await;
    let browser = |request: Request| request.header("Accept", "text/html");
    let shown = server.send(browser(Request::new("GET", PAGE))).await;
    let (_, rest) = shown.text().split_once("name=\"form\" value=\"").expect("a form");
    let token = rest.split('"').next().unwrap().to_owned();
    assert!(shown.text().contains("type=\"password\" autocomplete=\"off\""), "{}", shown.text());
    let post = async |fields: String| {
        let request = Request::new("POST", PAGE)
            .header("Content-Type", "application/x-www-form-urlencoded")
            .body(format!("form={token}&{fields}"));
        server.send(browser(request)).await
    };
    let set = post("do=set&name=erp&value=canary%2D1".to_owned()).await;
    let to = set.header("location").unwrap().to_owned();
    assert_eq!((set.status, to.as_str()), (303, "/ui/ns/n/secrets?done=set"));
    assert_eq!(opened(&engine).await.as_deref(), Some("canary-1"));
    let shown = server.send(browser(Request::new("GET", &to))).await;
    assert!(shown.text().contains("erp") && !shown.text().contains("canary"), "{}", shown.text());
    let wrong = post("do=set&name=a%20b&value=canary%2D2".to_owned()).await;
    assert!(wrong.status == 400 && !wrong.text().contains("canary"), "{}", wrong.text());
    assert_eq!(post("do=remove&name=erp".to_owned()).await.status, 303);
    assert_eq!(opened(&engine).await, None);
}
