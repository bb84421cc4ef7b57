//! The real program, run as people run it.

#[cfg(test)]
mod browser;
#[cfg(test)]
mod config;
#[cfg(test)]
mod coordinate;
#[cfg(test)]
mod demo;
#[cfg(test)]
mod expressions;
#[cfg(test)]
mod import;
#[cfg(test)]
mod instances;
#[cfg(test)]
mod mail;
#[cfg(test)]
mod operating;
#[cfg(test)]
mod peers;
#[cfg(test)]
mod records;
#[cfg(test)]
mod reference;
#[cfg(test)]
mod rigs;
#[cfg(test)]
mod secrets;
#[cfg(test)]
mod serve;
#[cfg(test)]
mod support;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod token;
#[cfg(test)]
mod traces;
#[cfg(test)]
mod tutorial;
#[cfg(test)]
mod user;
#[cfg(test)]
mod worker;
#[cfg(test)]
mod workflow;
