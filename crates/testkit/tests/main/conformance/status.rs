//! Statuses as text.

use model::{AttemptStatus, UnitStatus};
use serde_json::json;
use testkit::{World, all, in_status};

use super::units::seven_states;

cases![unit_status_text, attempt_status_text];

/// 90. The statuses of units to and from text and JSON.
fn unit_status_text(w: &World) {
    let words = ["available", "pending", "finished", "failed", "delayed"];
    assert_eq!(UnitStatus::ALL.map(UnitStatus::as_str), words);
    for (status, word) in UnitStatus::ALL.into_iter().zip(words) {
        assert_eq!(UnitStatus::parse(word), Ok(status));
        assert_eq!(serde_json::to_value(status).unwrap(), json!(word));
        assert_eq!(serde_json::from_value::<UnitStatus>(json!(word)).unwrap(), status);
    }
    assert!(UnitStatus::parse("Available").is_err());
    assert!(UnitStatus::parse("").is_err());
    assert!(serde_json::from_value::<UnitStatus>(json!("expired")).is_err());
    assert!(serde_json::from_value::<UnitStatus>(json!(1)).is_err());
    seven_states(w);
    for unit in w.units("spec", all()) {
        assert!(w.units("spec", in_status([unit.status])).contains(&unit));
    }
}

/// 91. The statuses of attempts to and from text and JSON.
fn attempt_status_text(w: &World) {
    let words = ["pending", "expired", "finished", "failed", "retryable"];
    assert_eq!(AttemptStatus::ALL.map(AttemptStatus::as_str), words);
    for (status, word) in AttemptStatus::ALL.into_iter().zip(words) {
        assert_eq!(AttemptStatus::parse(word), Ok(status));
        assert_eq!(serde_json::to_value(status).unwrap(), json!(word));
        assert_eq!(serde_json::from_value::<AttemptStatus>(json!(word)).unwrap(), status);
    }
    assert!(AttemptStatus::parse("delayed").is_err());
    assert!(serde_json::from_value::<AttemptStatus>(json!(null)).is_err());
    seven_states(w);
    for word in words {
        let attempt = w.history("spec", word).pop().unwrap();
        assert_eq!(attempt.status.as_str(), word, "each is stored and shown as what it is");
    }
}
