//! The client's tests: handles, the worker and its clock, programs per unit, and the remote
//! backend against a real server.

#[cfg(test)]
mod examples;
#[cfg(test)]
mod exec;
#[cfg(test)]
mod handle;
#[cfg(test)]
mod remote;
#[cfg(test)]
mod support;
#[cfg(test)]
mod worker;
#[cfg(test)]
mod worker_clock;
#[cfg(test)]
mod worker_faults;
