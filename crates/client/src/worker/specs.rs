//! Which task runs a unit: the spec's dictionary says, and is kept for a moment.

use std::{collections::HashMap, time::Duration};

use model::{Data, Datum, Error, Result, SpecName};
use tokio::{sync::Mutex, time::Instant};

use super::calls;
use crate::Lockstep;

/// How old a dictionary may be.
const KEPT: Duration = Duration::from_secs(15);

/// The dictionaries of specs that units came from lately.
#[derive(Default)]
pub(crate) struct Specs(Mutex<HashMap<SpecName, (Instant, Data)>>);

impl Specs {
    /// Gives the dictionary of a spec. Tasks that ask at the same time wait for one query.
    pub(crate) async fn data(&self, lockstep: &Lockstep, name: &SpecName) -> Result<Data> {
        let mut specs = self.0.lock().await;
        specs.retain(|_, (read, _)| read.elapsed() < KEPT);
        if let Some((_, data)) = specs.get(name) {
            return Ok(data.clone());
        }
        let handle = lockstep.spec(name.clone());
        let data = calls::until_answered(|| handle.get()).await?.data;
        specs.insert(name.clone(), (Instant::now(), data.clone()));
        Ok(data)
    }
}

/// Takes the task name out of a spec's dictionary.
pub(crate) fn task_name(name: &SpecName, data: &Data) -> Result<String, Error> {
    Ok(match data.dict()?.remove("task") {
        Some(Datum::Text(task)) => task,
        _ => name.as_str().to_owned(),
    })
}
