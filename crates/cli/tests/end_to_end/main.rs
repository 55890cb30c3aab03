//! The binary as scripts see it: exit codes, stdout, stderr, and the files that it leaves.

mod answering;
mod asking;
mod bad_input;
mod calibrating;
mod comparing;
mod data_set;
mod documented;
mod evaluation;
mod forgetting;
mod guarding;
mod labelling;
mod languages;
mod models;
mod pulling;
mod quickstart;
mod reranking;
mod serving;
mod shrinking;
mod stopping;
mod terminal;
mod verifying;
mod whetstone;
