//! The server over a real engine in memory, spoken to byte by byte.

mod access;
mod additions;
mod attempts;
mod door;
mod hostile;
mod negotiation;
mod openapi;
mod operations;
mod pace;
mod resources;
mod support;
mod units;
mod workers;
