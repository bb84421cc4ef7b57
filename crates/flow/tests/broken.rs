//! Broken documents: what is told about each, and where.

use flow::{Code, Definition, Problem};

const HEAD: &str = "document: { dsl: '1.0.3', namespace: a, name: b, version: '1.0.0' }\n";

/// Reads a text after the head, and gives all its problems.
fn problems(text: &str) -> Vec<Problem> {
    match Definition::parse(&format!("{HEAD}{text}")) {
        Ok(definition) => definition.warnings,
        Err(problems) => problems,
    }
}

fn told(text: &str) -> Vec<String> {
    problems(text)
        .iter()
        .map(|p| format!("{}:{} {} {}", p.at.line, p.at.column, p.code.as_str(), p.path))
        .collect()
}

/// What stands after the head, which is line 1, and what is told about it.
const TABLE: &[(&str, &[&str])] = &[
    ("", &["1:1 missing_key "]),
    ("do: []\n", &["2:5 empty /do"]),
    ("do: {}\n", &["2:5 wrong_type /do"]),
    ("do: [1]\n", &["2:6 wrong_type /do/0"]),
    ("do: [{}]\n", &["2:6 wrong_type /do/0"]),
    ("do: [{a: {}}]\n", &["2:10 no_task_kind /do/0/a"]),
    ("do: [{a: {walk: 1}}]\n", &["2:11 no_task_kind /do/0/a"]),
    ("do: [{a: {wait: PT1S, set: {x: 1}}}]\n", &["2:11 many_task_kinds /do/0/a"]),
    ("do: [{a: {wait: PT1S, fi: .x}}]\n", &["2:23 unknown_key /do/0/a/fi"]),
    ("do: [{a: {wait: PT1S}}]\noutptu: {}\n", &["3:1 unknown_key /outptu"]),
    ("do: [{a: {wait: soon}}]\n", &["2:17 bad_duration /do/0/a/wait"]),
    ("do: [{a: {wait: -PT1S}}]\n", &["2:17 bad_duration /do/0/a/wait"]),
    ("do: [{a: {wait: {}}}]\n", &["2:17 bad_duration /do/0/a/wait"]),
    ("do: [{a: {wait: {mins: 1}}}]\n", &["2:18 unknown_key /do/0/a/wait/mins"]),
    ("do: [{a: {wait: {minutes: -1}}}]\n", &["2:27 wrong_type /do/0/a/wait/minutes"]),
    ("do: [{a: {wait: 5}}]\n", &["2:17 wrong_type /do/0/a/wait"]),
    ("do:\n- a: {wait: PT1S}\n- a: {wait: PT1S}\n", &["4:3 duplicate_name /do/1/a"]),
    ("do: [{a: {wait: PT1S, wait: PT2S}}]\n", &["2:23 duplicate_key /do/0/a/wait"]),
    ("do: [{' a': {wait: PT1S}}]\n", &["2:7 bad_name /do/0"]),
    ("do: [{a: {wait: PT1S, then: c}}]\n", &["2:29 unknown_target /do/0/a/then"]),
    (
        "do:\n- a: {wait: PT1S, then: c}\n- b: {wait: PT1S}\n- c: {wait: PT1S}\n",
        &["4:3 unreachable /do/1/b"],
    ),
    (
        "do:\n- a:\n    switch: [{x: {when: .a, then: d}}]\n- b: {wait: PT1S}\n",
        &["4:35 unknown_target /do/0/a/switch/0/x/then"],
    ),
    (
        "do:\n- a:\n    do: [{b: {wait: PT1S, then: c}}]\n- c: {wait: PT1S}\n",
        &["4:33 unknown_target /do/0/a/do/0/b/then"],
    ),
    ("do: [{a: {call: grpc, with: {}}}]\n", &["2:17 unsupported /do/0/a/call"]),
    ("do: [{a: {call: asyncapi}}]\n", &["2:17 unsupported /do/0/a/call"]),
    ("do: [{a: {call: mcp}}]\n", &["2:17 unsupported /do/0/a/call"]),
    ("do: [{a: {call: nobody}}]\n", &["2:17 unknown_reference /do/0/a/call"]),
    ("do: [{a: {call: http}}]\n", &["2:10 missing_key /do/0/a"]),
    (
        "do: [{a: {call: http, with: {method: fetch, endpoint: e}}}]\n",
        &["2:38 bad_value /do/0/a/with/method"],
    ),
    ("do: [{a: {call: http, with: {method: get}}}]\n", &["2:29 missing_key /do/0/a/with"]),
    (
        "do: [{a: {call: http, with: {method: get, endpoint: {uri: u, authentication: \
         {use: x}}}}}]\n",
        &["2:84 unknown_reference /do/0/a/with/endpoint/authentication/use"],
    ),
    (
        "do: [{a: {call: http, with: {method: get, endpoint: {uri: u, authentication: \
         {digest: {}}}}}}]\n",
        &["2:79 unsupported /do/0/a/with/endpoint/authentication/digest"],
    ),
    ("do: [{a: {run: {container: {image: i}}}}]\n", &["2:17 unsupported /do/0/a/run/container"]),
    ("do: [{a: {run: {}}}]\n", &["2:16 missing_key /do/0/a/run"]),
    (
        "do: [{a: {run: {shell: {command: c}, script: {language: js, code: c}}}}]\n",
        &["2:38 key_conflict /do/0/a/run"],
    ),
    ("do: [{a: {set: {x: '${ .a'}}}]\n", &["2:20 bad_expression /do/0/a/set/x"]),
    ("do: [{a: {set: {x: '${ (.a }'}}}]\n", &["2:20 bad_expression /do/0/a/set/x"]),
    ("do: [{a: {set: {x: '${ .a] }'}}}]\n", &["2:20 bad_expression /do/0/a/set/x"]),
    ("do: [{a: {set: {x: '${ \"a }'}}}]\n", &["2:20 bad_expression /do/0/a/set/x"]),
    ("do: [{a: {set: {x: '${ }'}}}]\n", &["2:20 bad_expression /do/0/a/set/x"]),
    ("do: [{a: {set: {x: 'a ${ .b } c'}}}]\n", &["2:20 no_effect /do/0/a/set/x"]),
    ("do: [{a: {set: {}}}]\n", &["2:16 empty /do/0/a"]),
    ("do: [{a: {raise: {error: e}}}]\n", &["2:26 unknown_reference /do/0/a/raise/error"]),
    (
        "do: [{a: {raise: {error: {type: t, status: 42}}}}]\n",
        &["2:44 bad_value /do/0/a/raise/error/status"],
    ),
    (
        "do: [{a: {try: [{b: {wait: PT1S}}], catch: {retry: often}}}]\n",
        &["2:52 unknown_reference /do/0/a/catch/retry"],
    ),
    ("do: [{a: {try: [{b: {wait: PT1S}}]}}]\n", &["2:10 missing_key /do/0/a"]),
    (
        "do: [{a: {try: [{b: {wait: PT1S}}], catch: {retry: {delay: PT1S, backoff: {}}}}}]\n",
        &["2:75 missing_key /do/0/a/catch/retry/backoff"],
    ),
    (
        "do: [{a: {try: [{b: {wait: PT1S}}], catch: {retry: {jitter: {from: PT2S, to: PT1S}}}}}]\n",
        &["2:61 bad_duration /do/0/a/catch/retry/jitter"],
    ),
    ("do: [{a: {listen: {to: {}}}}]\n", &["2:24 missing_key /do/0/a/listen/to"]),
    (
        "do: [{a: {listen: {to: {one: {with: {Type: t}}}}}}]\n",
        &["2:38 unknown_key /do/0/a/listen/to/one/with/Type"],
    ),
    (
        "do: [{a: {emit: {event: {with: {type: t}}}}}]\n",
        &["2:32 missing_key /do/0/a/emit/event/with"],
    ),
    (
        "do: [{a: {for: {in: .x, each: i, at: i}, do: [{b: {wait: PT1S}}]}}]\n",
        &["2:16 duplicate_name /do/0/a/for"],
    ),
    ("do: [{a: {wait: PT1S, timeout: day}}]\n", &["2:32 unknown_reference /do/0/a/timeout"]),
    ("do: [{a: {wait: PT1S}}]\nschedule: {cron: 'x'}\n", &["3:18 bad_cron /schedule/cron"]),
    (
        "do: [{a: {wait: PT1S}}]\nschedule: {cron: '0 0 30 2 *'}\n",
        &["3:18 bad_cron /schedule/cron"],
    ),
    (
        "do: [{a: {wait: PT1S}}]\nschedule: {cron: '0 0 * * *', timezone: Europe/Pariss}\n",
        &["3:41 bad_timezone /schedule/timezone"],
    ),
    (
        "do: [{a: {wait: PT1S}}]\nschedule: {every: PT1S, timezone: UTC}\n",
        &["3:35 no_effect /schedule/timezone"],
    ),
    (
        "do: [{a: {wait: PT1S}}]\nschedule: {every: PT1S, overlap: maybe}\n",
        &["3:34 bad_value /schedule/overlap"],
    ),
    (
        "do: [{a: {wait: PT1S}}]\nschedule: {every: PT1S, catchUp: {all: 0}}\n",
        &["3:34 bad_value /schedule/catchUp"],
    ),
    ("do: [{a: {wait: PT1S}}]\nschedule: {every: PT0S}\n", &["3:19 bad_duration /schedule/every"]),
    ("do: [{a: {wait: PT1S}}]\nschedule: {}\n", &["3:11 missing_key /schedule"]),
    ("do: [{a: {wait: PT1S}}]\nuse: {extensions: []}\n", &["3:7 unsupported /use/extensions"]),
    (
        "do: [{a: {call: f}}]\nuse: {functions: {f: {call: f}}}\n",
        &["3:19 function_cycle /use/functions/f"],
    ),
    ("do: [{a: {wait: PT1S}}\n", &["2:5 syntax "]),
    // All at once, in the order of the text.
    (
        "do:\n- a: {wait: soon}\n- b: {sett: 1}\n- c: {wait: PT1S, then: z}\nextra: 1\n",
        &[
            "3:13 bad_duration /do/0/a/wait",
            "4:7 no_task_kind /do/1/b",
            "5:25 unknown_target /do/2/c/then",
            "6:1 unknown_key /extra",
        ],
    ),
];

#[test]
fn each_broken_document_is_told_about_where_it_is_broken() {
    let mut wrong = Vec::new();
    for (text, expected) in TABLE {
        let found = told(text);
        if found != *expected {
            wrong.push(format!("{text}  expected {expected:?}\n  found    {found:?}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    assert!(TABLE.len() >= 60);
}

#[test]
fn heads_are_checked() {
    let rows = [
        ("dsl: '1.0.3', namespace: a, name: b, version: '1.0'", "1:59 bad_version"),
        ("dsl: '2.0.0', namespace: a, name: b, version: '1.0.0'", "1:18 bad_dsl"),
        ("dsl: '1.0.3', namespace: -a, name: b, version: '1.0.0'", "1:38 bad_name"),
        ("dsl: '1.0.3', namespace: a, name: b, version: 1", "1:59 wrong_type"),
        ("dsl: '1.0.3', namespace: a, name: b", "1:11 missing_key"),
    ];
    for (head, expected) in rows {
        let text = format!("document: {{ {head} }}\ndo: [{{a: {{wait: PT1S}}}}]\n");
        let problems = Definition::parse(&text).unwrap_err();
        let found: Vec<String> = problems
            .iter()
            .map(|p| format!("{}:{} {}", p.at.line, p.at.column, p.code.as_str()))
            .collect();
        assert_eq!(found, [expected], "{head}");
    }
}

#[test]
fn hints_name_the_nearest_word() {
    let rows = [
        ("do: [{a: {wait: PT1S}}]\noutptu: {}\n", "did you mean \"output\"?"),
        ("do: [{a: {wiat: PT1S}}]\n", "did you mean \"wait\"?"),
        ("do: [{a: {wait: PT1S, then: bb}}, {b: {wait: PT1S}}]\n", "did you mean \"b\"?"),
    ];
    for (text, hint) in rows {
        assert_eq!(problems(text)[0].hint, hint);
    }
}

#[test]
fn the_table_has_each_code() {
    let heads = [Code::BadVersion, Code::BadDsl, Code::TooLarge];
    for code in Code::ALL {
        let in_table = TABLE
            .iter()
            .any(|(_, told)| told.iter().any(|line| line.split(' ').nth(1) == Some(code.as_str())));
        assert!(in_table || heads.contains(code), "{}", code.as_str());
    }
}

#[test]
fn warnings_do_not_crowd_out_errors() {
    let warnings: String =
        (0..200).map(|n| format!("- t{n}: {{set: {{x: 'a ${{ .b }}'}}}}\n")).collect();
    let problems = problems(&format!("do:\n{warnings}- last: {{wait: soon}}\n"));
    assert!(problems.iter().any(|problem| problem.code == Code::BadDuration));
    assert!(problems.len() <= flow::limits::PROBLEMS_MAX);
}
