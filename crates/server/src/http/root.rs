//! `/`: where everything starts.

use model::Result;

use crate::{call::Call, outcome::Outcome, wire::Root};

pub(crate) async fn show(_call: Call) -> Result<Outcome> {
    Outcome::json(&Root {
        url: "",
        summary_url: "/summary",
        namespaces_url: "/namespace",
        namespace_url: "/namespace/{namespace}",
    })
}
