//! A headless Chromium, told what to do over a pipe.

use std::{
    io::{BufRead as _, BufReader, Write as _},
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    thread,
    time::{Duration, Instant},
};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::PATIENCE;

/// Messages of the browser that wait to be read.
const WAITING_MAX: usize = 4_096;

/// One browser with one page.
pub struct Browser {
    child: Child,
    _profile: TempDir,
    to: ChildStdin,
    from: Receiver<Value>,
    session: String,
    last: u64,
    /// What the page asked for, said and did, since it was last looked at.
    pub seen: Seen,
}

/// What a page did that a test may not like.
#[derive(Debug, Default)]
pub struct Seen {
    /// The addresses of all requests.
    pub requests: Vec<String>,
    /// Whatever went wrong: exceptions, dialogs, and what the policy of the page forbade.
    pub complaints: Vec<String>,
    /// Which documents were loaded, in order.
    loads: Vec<String>,
}

impl Browser {
    /// Starts one; its page is as wide as said.
    pub fn start(width: u32) -> Self {
        let profile = tempfile::tempdir().unwrap();
        // The browser reads from its third descriptor and writes to its fourth.
        let script = "exec chromium --headless=new --no-sandbox --disable-gpu --no-first-run \
            --disable-dev-shm-usage --disable-background-networking --disable-component-update \
            --remote-debugging-pipe --user-data-dir=\"$1\" about:blank 3<&0 4>&1 >/dev/null 2>&1";
        let mut child = Command::new("sh")
            .args(["-c", script, "sh"])
            .arg(profile.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let (sender, from) = sync_channel(WAITING_MAX);
        // Each message ends with a zero byte.
        let messages = BufReader::new(child.stdout.take().unwrap()).split(0);
        thread::spawn(move || {
            let messages = messages.map_while(Result::ok);
            messages
                .map(|text| serde_json::from_slice(&text).unwrap())
                .try_for_each(|message| sender.send(message))
        });
        let to = child.stdin.take().unwrap();
        let (session, seen) = (String::new(), Seen::default());
        let mut browser = Self { child, _profile: profile, to, from, session, last: 0, seen };
        browser.attach(width);
        browser
    }

    fn attach(&mut self, width: u32) {
        let targets = self.call("Target.getTargets", json!({}));
        let targets = targets["targetInfos"].as_array().unwrap();
        let page = targets.iter().find(|target| target["type"] == "page").unwrap();
        let attach = json!({"targetId": page["targetId"], "flatten": true});
        let attached = self.call("Target.attachToTarget", attach);
        self.session = attached["sessionId"].as_str().unwrap().to_owned();
        for domain in ["Page", "Runtime", "Network", "Log"] {
            self.call(&format!("{domain}.enable"), json!({}));
        }
        self.call("Page.setLifecycleEventsEnabled", json!({"enabled": true}));
        self.set_width(width);
    }

    /// Makes the page as wide as a screen.
    pub fn set_width(&mut self, width: u32) {
        let screen =
            json!({"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", screen);
    }

    /// Has pages be shown as on a light or dark system.
    pub fn set_theme(&mut self, theme: &str) {
        let feature = json!([{"name": "prefers-color-scheme", "value": theme}]);
        self.call("Emulation.setEmulatedMedia", json!({"features": feature}));
    }

    /// Switches the scripts of pages off or on.
    pub fn set_scripts(&mut self, on: bool) {
        self.call("Emulation.setScriptExecutionDisabled", json!({"value": !on}));
    }

    /// Calls a method of the protocol.
    pub fn call(&mut self, method: &str, params: Value) -> Value {
        self.last += 1;
        let id = self.last;
        let mut message = json!({"id": id, "method": method, "params": params});
        if !self.session.is_empty() {
            message["sessionId"] = json!(self.session);
        }
        let mut text = message.to_string().into_bytes();
        text.push(0);
        self.to.write_all(&text).unwrap();
        loop {
            let message = self.next().unwrap_or_else(|| panic!("no answer to {method}"));
            if message["id"] == json!(id) {
                assert!(message["error"].is_null(), "{method}: {message}");
                return message["result"].clone();
            }
            self.note(&message);
        }
    }

    fn next(&mut self) -> Option<Value> {
        self.from.recv_timeout(PATIENCE).ok()
    }

    fn note(&mut self, message: &Value) {
        let params = &message["params"];
        match message["method"].as_str().unwrap_or_default() {
            "Network.requestWillBeSent" => {
                let url = params["request"]["url"].as_str().unwrap_or_default();
                self.seen.requests.push(url.to_owned());
            }
            "Page.lifecycleEvent" if params["name"] == "load" => {
                self.seen.loads.push(params["loaderId"].as_str().unwrap_or_default().to_owned());
            }
            "Runtime.exceptionThrown" | "Page.javascriptDialogOpening" => {
                self.seen.complaints.push(params.to_string());
            }
            "Log.entryAdded" if params["entry"]["source"] == "security" => {
                self.seen.complaints.push(params.to_string());
            }
            _ => {}
        }
    }

    /// Loads a page.
    pub fn go(&mut self, url: &str) {
        let went = self.call("Page.navigate", json!({"url": url}));
        assert!(went["errorText"].is_null(), "{url}: {went}");
        let document = went["loaderId"].as_str().unwrap();
        self.wait_for_load(|loads| loads.iter().any(|loaded| loaded == document));
    }

    /// Does something that leads to another page, and waits for that.
    pub fn lead(&mut self, what: impl FnOnce(&mut Self)) {
        let before = self.seen.loads.len();
        what(self);
        self.wait_for_load(|loads| loads.len() > before);
    }

    fn wait_for_load(&mut self, is_it: impl Fn(&[String]) -> bool) {
        while !is_it(&self.seen.loads) {
            let message = self.next().expect("the page is loaded");
            self.note(&message);
        }
    }

    /// Computes something in the page.
    pub fn eval(&mut self, script: &str) -> Value {
        let ask = json!({"expression": script, "returnByValue": true, "awaitPromise": true});
        let answer = self.call("Runtime.evaluate", ask);
        assert!(answer["exceptionDetails"].is_null(), "{script}: {answer}");
        answer["result"]["value"].clone()
    }

    /// Gives the text of the first element that a selector finds; empty if there is none.
    pub fn text(&mut self, selector: &str) -> String {
        // What is drawn has no inner text.
        let script = format!(
            "(found => found?.innerText ?? found?.textContent ?? '')(document.querySelector({}))",
            json!(selector)
        );
        self.eval(&script).as_str().unwrap_or_default().to_owned()
    }

    /// Waits until a computation in the page gives true.
    pub fn until(&mut self, script: &str) {
        let begun = Instant::now();
        while self.eval(&format!("Boolean({script})")) != json!(true) {
            assert!(begun.elapsed() < PATIENCE, "waited in vain for {script}");
            // Meanwhile the page tells of what it does.
            match self.from.recv_timeout(Duration::from_millis(50)) {
                Ok(message) => self.note(&message),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => panic!("the browser has gone"),
            }
        }
    }

    /// Clicks in the middle of the first element that a selector finds.
    pub fn click(&mut self, selector: &str) {
        let script = format!(
            "(() => {{ const found = document.querySelector({}); \
             found.scrollIntoView({{block: 'center', behavior: 'instant'}}); \
             const box = found.getBoundingClientRect(); \
             const at = [box.x + box.width / 2, box.y + box.height / 2]; \
             const hit = document.elementFromPoint(...at); \
             return found.contains(hit) ? at : null; }})()",
            json!(selector)
        );
        let at = self.eval(&script);
        assert!(at.is_array(), "{selector} cannot be clicked");
        for kind in ["mousePressed", "mouseReleased"] {
            let event = json!({
                "type": kind, "x": at[0], "y": at[1], "button": "left", "clickCount": 1,
            });
            self.call("Input.dispatchMouseEvent", event);
        }
    }

    /// Types a text into the first field that a selector finds, in place of what is there.
    pub fn fill(&mut self, selector: &str, text: &str) {
        let script = format!(
            "(() => {{ const field = document.querySelector({}); field.focus(); field.select(); \
             }})()",
            json!(selector)
        );
        self.eval(&script);
        self.call("Input.insertText", json!({"text": text}));
    }

    /// Presses keys, one after the other.
    pub fn press(&mut self, keys: &[&str]) {
        for key in keys {
            for kind in ["keyDown", "keyUp"] {
                let mut event = json!({"type": kind, "key": key});
                if kind == "keyDown" && key.len() == 1 {
                    event["text"] = json!(key);
                }
                self.call("Input.dispatchKeyEvent", event);
            }
        }
    }

    /// Draws the whole page, as a PNG.
    pub fn picture(&mut self) -> Vec<u8> {
        let how = json!({"captureBeyondViewport": true, "format": "png"});
        let drawn = self.call("Page.captureScreenshot", how);
        STANDARD.decode(drawn["data"].as_str().unwrap()).unwrap()
    }

    /// Forgets what was seen, and gives it.
    pub fn take_seen(&mut self) -> Seen {
        // What the page did before this has been told before the answer.
        self.eval("0");
        let loads = std::mem::take(&mut self.seen.loads);
        std::mem::replace(&mut self.seen, Seen { loads, ..Seen::default() })
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}
