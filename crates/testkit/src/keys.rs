//! Keys for secrets that tests know.

use std::sync::Arc;

use engine::{Engine, KEY_BYTES, Keys};

/// Gives keys, each of which consists of one byte over and over.
#[track_caller]
pub fn keys(of: &[u8]) -> Arc<Keys> {
    let keys: Vec<_> = of.iter().map(|byte| [*byte; KEY_BYTES].into()).collect();
    Arc::new(Keys::new(&keys).expect("keys"))
}

/// Gives an engine a key for secrets.
pub(crate) async fn sealing(engine: Arc<Engine>) -> Arc<Engine> {
    engine.take_keys(Some(keys(&[7]))).await.expect("the key of its secrets");
    engine
}
