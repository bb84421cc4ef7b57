//! The dashboard in a real browser, against the real program.

mod axe;
mod chromium;
mod hostile;
mod journeys;
mod sign_in;
mod stage;
