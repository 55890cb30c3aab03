//! The server as its clients see it, over real connections on the tiny model.

mod answers;
mod bad_input;
mod client;
mod limits;
mod reloading;
mod rounding;
mod running;
