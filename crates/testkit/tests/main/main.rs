//! Everything that the queue promises, tried on every backend.

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod cost;
#[cfg(test)]
mod covered;
#[cfg(test)]
mod oracle;
#[cfg(test)]
mod rpc;
