//! Running it for long: moving a store, looking it over, backing it up, and what is refused.

mod audit;
mod deploy;
mod export;
mod helm;
mod observe;
mod refused;
mod traffic;
