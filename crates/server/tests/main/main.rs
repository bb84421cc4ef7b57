//! The server over a real engine in memory, spoken to byte by byte.

#[cfg(test)]
mod access;
#[cfg(test)]
mod additions;
#[cfg(test)]
mod attempts;
#[cfg(test)]
mod audit;
#[cfg(test)]
mod blob;
#[cfg(test)]
mod door;
#[cfg(test)]
mod hostile;
#[cfg(test)]
mod negotiation;
#[cfg(test)]
mod oidc;
#[cfg(test)]
mod openapi;
#[cfg(test)]
mod operations;
#[cfg(test)]
mod pace;
#[cfg(test)]
mod rate;
#[cfg(test)]
mod resources;
#[cfg(test)]
mod rpc;
#[cfg(test)]
mod schema;
#[cfg(test)]
mod secret;
#[cfg(test)]
mod support;
#[cfg(test)]
mod ui;
#[cfg(test)]
mod units;
#[cfg(test)]
mod users;
#[cfg(test)]
mod workers;
