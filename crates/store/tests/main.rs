//! The store's tests: one suite for every store, and what only one of them has.

#[cfg(test)]
#[path = "../../testkit/src/cluster.rs"]
mod cluster;

#[cfg(test)]
mod alike;
#[cfg(test)]
mod cases;
#[cfg(test)]
mod copy;
#[cfg(test)]
mod postgres;
#[cfg(test)]
mod sqlite;
#[cfg(test)]
mod support;
