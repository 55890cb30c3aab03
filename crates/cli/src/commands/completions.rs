//! `whetstone completions`: a script for the shell.

use crate::cli::Cli;
use crate::failure::Result;
use crate::output;
use clap::CommandFactory;

/// Print a completion script for your shell
#[derive(clap::Args)]
#[command(after_help = "Example:
  whetstone completions bash > ~/.local/share/bash-completion/completions/whetstone")]
pub struct Args {
    #[arg(value_name = "SHELL")]
    shell: clap_complete::Shell,
}

pub fn run(args: &Args) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "whetstone", &mut script);
    output::data(&String::from_utf8_lossy(&script))
}
