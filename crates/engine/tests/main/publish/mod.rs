//! Publishing: crashes at every step, every hole of the ancestor, several nodes, and the model.

mod crash;
mod extensions;
mod faulty;
mod holes;
mod model;
mod nodes;
