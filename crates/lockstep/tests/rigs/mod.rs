//! The rigs of the test kit, let loose on the real program and the real server.

mod broken;
mod crash;
mod frozen;
mod slow;
