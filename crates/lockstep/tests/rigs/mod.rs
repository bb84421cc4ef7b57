//! The rigs of the test kit, let loose on the real program and the real server.

mod backup;
mod broken;
mod crash;
mod frozen;
mod histories;
pub(crate) mod mail;
mod nodes;
mod publishing;
mod publishing_histories;
mod slow;
