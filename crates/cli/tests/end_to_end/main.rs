//! The binary as scripts see it: exit codes, stdout, stderr, and the files that it leaves.

mod bad_input;
mod comparing;
mod data_set;
mod evaluation;
mod pulling;
mod quickstart;
mod reranking;
mod stopping;
mod terminal;
mod whetstone;
