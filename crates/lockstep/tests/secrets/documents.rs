//! A workflow that uses twenty secrets in as many ways.

use super::SECRETS;

/// A workflow that brings each of its secrets into a step of some kind; first those that go along
/// with requests.
pub(super) fn requests(echo: &str) -> String {
    let names: Vec<String> = (0..SECRETS).map(|number| format!("s{number}")).collect();
    format!(
        r#"document: {{dsl: 1.0.3, namespace: shop, name: birds, version: 1.0.0}}
use: {{secrets: [{names}]}}
do:
- set:
    set: {{a: '${{ $secrets.s0 }}', b: '${{ "x" + $secrets.s1.inner }}'}}
    export: {{as: '${{ . }}'}}
- header:
    call: http
    with:
      method: get
      endpoint: '{echo}/header'
      headers: {{x-key: '${{ "Key " + $secrets.s2 }}'}}
- body:
    call: http
    with: {{method: post, endpoint: '{echo}/body', body: {{deep: ['${{ $secrets.s3 }}']}}}}
- query:
    call: http
    with: {{method: get, endpoint: '{echo}/query', query: {{key: '${{ $secrets.s4 }}'}}}}
- bearer:
    call: http
    with:
      method: get
      endpoint: {{uri: '{echo}/bearer', authentication: {{bearer: {{use: s5}}}}}}
- basic:
    call: http
    with:
      method: get
      endpoint: {{uri: '{echo}/basic', authentication: {{basic: {{use: s6}}}}}}
- oauth:
    call: http
    with:
      method: get
      endpoint:
        uri: '{echo}/oauth'
        authentication:
          oauth2:
            authority: '{echo}'
            grant: client_credentials
            client: {{id: me, secret: '${{ $secrets.s7 }}'}}
"#,
        names = names.join(", ")
    )
}

/// The rest of it: what fails, what runs here, and what is done without a request.
pub(super) fn others(echo: &str) -> String {
    format!(
        r#"- fails:
    try:
    - ask:
        call: http
        with: {{method: post, endpoint: '{echo}/fail', body: '${{ $secrets.s8 }}'}}
    catch: {{as: problem, do: [{{note: {{set: {{problem: '${{ $problem }}'}}}}}}]}}
- shell:
    run:
      shell:
        command: 'echo "$CANARY" "$0"; echo "$CANARY" >&2'
        environment: {{CANARY: '${{ $secrets.s9 }}'}}
      return: all
- broken:
    try:
    - shell:
        run:
          shell:
            command: 'echo "$CANARY" >&2; exit 3'
            environment: {{CANARY: '${{ $secrets.s10 }}'}}
    catch: {{as: problem, do: [{{note: {{set: {{problem: '${{ $problem }}'}}}}}}]}}
- emit:
    emit:
      event: {{with: {{source: shop, type: told.v1, data: {{bird: '${{ $secrets.s11 }}'}}}}}}
- choose: {{switch: [{{yes: {{when: '$secrets.s12 == "x"', then: end}}}}, {{no: {{then: each}}}}]}}
- each:
    for: {{each: item, in: '${{ [$secrets.s13] }}'}}
    do: [{{keep: {{set: {{kept: '${{ $item }}'}}}}}}]
- fork: {{fork: {{branches: [{{one: {{set: {{kept: '${{ $secrets.s14 }}'}}}}}}]}}}}
- unit: {{call: work, with: {{spec: others, data: {{bird: '${{ $secrets.s15 }}'}}}}}}
- raises:
    try:
    - raise:
        raise:
          error: {{type: 'https://x.example/e', status: 400, detail: '${{ $secrets.s16 }}'}}
    catch: {{as: problem, do: [{{note: {{set: {{problem: '${{ $problem }}'}}}}}}]}}
- computes:
    try:
    - error: {{set: {{kept: '${{ $secrets.s17 | error }}'}}}}
    catch: {{as: problem, do: [{{note: {{set: {{problem: '${{ $problem }}'}}}}}}]}}
- wait: {{wait: {{milliseconds: 10}}, output: {{as: '${{ {{kept: $secrets.s18}} }}'}}}}
- last:
    call: http
    with: {{method: post, endpoint: '{echo}/last', body: '${{ $context }}'}}
"#
    )
}
