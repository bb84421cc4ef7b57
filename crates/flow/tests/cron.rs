//! Cron expressions: which are read, and when they come true.

use flow::Cron;

#[test]
fn expressions_come_true_when_they_say() {
    // Expression, and (month, day, weekday, hour, minute) at which it is true or not.
    let rows = [
        ("0 9 * * mon-fri", (5, 4, 1, 9, 0), true),
        ("0 9 * * mon-fri", (5, 9, 6, 9, 0), false),
        ("*/15 * * * *", (1, 1, 0, 3, 45), true),
        ("*/15 * * * *", (1, 1, 0, 3, 46), false),
        ("5/20 * * * *", (1, 1, 0, 3, 45), true),
        ("0 0 13 * 5", (2, 13, 1, 0, 0), true),
        ("0 0 13 * 5", (2, 12, 5, 0, 0), true),
        ("0 0 */2 * 5", (2, 2, 5, 0, 0), false),
        ("0 0 * * 7", (2, 1, 0, 0, 0), true),
        ("0 0 * * 5-7", (2, 1, 0, 0, 0), true),
        ("0 0 29 feb *", (2, 29, 3, 0, 0), true),
        ("@hourly", (2, 1, 0, 7, 0), true),
        ("1,3,5-9/2 * * * *", (2, 1, 0, 7, 7), true),
        ("1,3,5-9/2 * * * *", (2, 1, 0, 7, 8), false),
    ];
    for (text, (month, day, weekday, hour, minute), expected) in rows {
        let cron = Cron::parse(text).unwrap();
        assert_eq!(cron.matches(month, day, weekday, hour, minute), expected, "{text}");
    }
}

#[test]
fn what_is_no_expression_is_refused() {
    let rows = [
        "",
        "* * * *",
        "* * * * * *",
        "60 * * * *",
        "* 24 * * *",
        "* * 0 * *",
        "* * 32 * *",
        "* * * 13 *",
        "* * * * 8",
        "*/0 * * * *",
        "5-1 * * * *",
        "a * * * *",
        "1- * * * *",
        "-1 * * * *",
        "1,,2 * * * *",
        "@often",
        "0 0 31 feb *",
        "0 0 30 2 *",
        "* * * * mo",
        "+1 * * * *",
        "99999999999 * * * *",
    ];
    for text in rows {
        assert!(Cron::parse(text).is_err(), "{text:?}");
    }
}
