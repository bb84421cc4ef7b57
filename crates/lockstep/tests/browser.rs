//! The dashboard in a real browser, against the real program.

mod axe;
mod chromium;
mod filled;
mod hostile;
mod journeys;
mod people;
mod post;
mod sign_in;
mod stage;
