//! What pages load: named by what is in it, so that browsers may keep it for ever.

use std::sync::LazyLock;

use http::{HeaderValue, header};
use model::{Error, Result};
use sha2::{Digest, Sha256};

use crate::{call::Call, outcome::Outcome};

/// A file that is part of the program.
pub(crate) struct Asset {
    /// The last part of its URL.
    pub(crate) name: String,
    media: &'static str,
    text: &'static str,
}

impl Asset {
    fn new(stem: &str, ending: &str, media: &'static str, text: &'static str) -> Self {
        let hash = Sha256::digest(text);
        let hash: String = hash.iter().take(6).map(|byte| format!("{byte:02x}")).collect();
        Self { name: format!("{stem}-{hash}.{ending}"), media, text }
    }
}

pub(crate) static STYLE: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("../../assets/dashboard.css");
    Asset::new("dashboard", "css", "text/css; charset=utf-8", text)
});
pub(crate) static SCRIPT: LazyLock<Asset> = LazyLock::new(|| {
    let text = include_str!("../../assets/dashboard.js");
    Asset::new("dashboard", "js", "text/javascript; charset=utf-8", text)
});
pub(crate) static ICON: LazyLock<Asset> = LazyLock::new(|| {
    Asset::new("icon", "svg", "image/svg+xml", include_str!("../../assets/icon.svg"))
});

pub(crate) async fn serve(call: Call) -> Result<Outcome> {
    let name = call.part("{file}")?;
    let asset = [&STYLE, &SCRIPT, &ICON].into_iter().find(|asset| asset.name == name);
    let Some(asset) = asset else {
        return Err(Error::bad_input(format!("there is no asset {name:?}: load the page again")));
    };
    let for_ever = HeaderValue::from_static("public, max-age=31536000, immutable");
    let outcome = Outcome::whole(asset.text).with_media(asset.media);
    Ok(outcome.with_header(header::CACHE_CONTROL, for_ever))
}
