//! Running it for long: moving a store, looking it over, backing it up, and what is refused.

mod deploy;
mod export;
mod refused;
mod traffic;
