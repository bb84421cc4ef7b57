//! Mail in directories: one file per message, whose name says its flags.
//!
//! Nothing is believed of a name but what it says of flags, and nothing is written outside the
//! root. Folder names are taken as they are.

mod body;
mod change;
mod deliver;
mod disk;
mod folders;
mod keywords;
mod layout;
mod mark;
pub mod name;
mod operations;
mod scan;
mod store;
mod watch;

pub use layout::Layout;
pub use store::{MaildirDriver, MaildirSettings, MaildirStore};
