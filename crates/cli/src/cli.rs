//! The command line: what all commands share, and which command runs.

use crate::commands;
use crate::failure::Result;
use crate::output;
use crate::progress::{Bars, Lines, Quiet};
use clap::{Parser, Subcommand};
use std::io::IsTerminal;
use std::path::Path;
use whetstone_records::{EvalDir, Manifest, Progress};

/// Fine-tunes a cross-encoder reranker on your documents, and measures the gain.
#[derive(Parser)]
#[command(name = "whetstone", version, max_term_width = 100, after_help = EXAMPLE)]
pub struct Cli {
    #[command(flatten)]
    talk: Talk,
    #[command(subcommand)]
    command: Command,
}

const EXAMPLE: &str = "\
Examples:
  whetstone quickstart                       the whole job on the sample corpus, no key, no server
  whetstone synth --config configs/synth.toml --corpus my-docs --out data/mine
  whetstone train --config configs/reference.toml --data data/mine --out checkpoints/mine
  whetstone export --checkpoint checkpoints/mine --out models/mine
  whetstone rerank --model models/mine --query \"how long is the warranty\" passages.txt

Exit codes: 0 done, 1 a check did not pass, 2 error.";

#[derive(Subcommand)]
enum Command {
    Pull(commands::pull::Args),
    Synth(commands::synth::Args),
    Chunk(commands::chunk::Args),
    Ask(commands::ask::Args),
    Gather(commands::gather::Args),
    Mine(commands::mine::Args),
    Grade(commands::grade::Args),
    Pair(commands::pair::Args),
    Train(commands::train::Args),
    Export(commands::export::Args),
    Shrink(commands::shrink::Args),
    Verify(commands::verify::Args),
    Calibrate(commands::calibrate::Args),
    Rerank(commands::rerank::Args),
    Serve(commands::serve::Args),
    Fuse(commands::fuse::Args),
    Eval(commands::eval::Args),
    Runs(commands::runs::Args),
    Diff(commands::diff::Args),
    Label(commands::label::Args),
    Forgetting(commands::forgetting::Args),
    Answers(commands::answers::Args),
    Quickstart(commands::quickstart::Args),
    Models(commands::models::Args),
    Devices(commands::devices::Args),
    Completions(commands::completions::Args),
}

impl Cli {
    /// Runs the command; data goes to stdout, talk to stderr.
    pub fn run(self) -> Result<()> {
        let talk = &self.talk;
        match self.command {
            Command::Pull(args) => commands::pull::run(&args, talk),
            Command::Synth(args) => commands::synth::run(&args, talk),
            Command::Chunk(args) => commands::chunk::run(&args, talk),
            Command::Ask(args) => commands::ask::run(&args, talk),
            Command::Gather(args) => commands::gather::run(&args, talk),
            Command::Mine(args) => commands::mine::run(&args, talk),
            Command::Grade(args) => commands::grade::run(&args, talk),
            Command::Pair(args) => commands::pair::run(&args, talk),
            Command::Train(args) => commands::train::run(&args, talk),
            Command::Export(args) => commands::export::run(&args, talk),
            Command::Shrink(args) => commands::shrink::run(&args, talk),
            Command::Verify(args) => commands::verify::run(&args, talk),
            Command::Calibrate(args) => commands::calibrate::run(&args, talk),
            Command::Rerank(args) => commands::rerank::run(&args, talk),
            Command::Serve(args) => commands::serve::run(&args, talk),
            Command::Fuse(args) => commands::fuse::run(&args, talk),
            Command::Eval(args) => commands::eval::run(&args, talk),
            Command::Runs(args) => commands::runs::run(&args, talk),
            Command::Diff(args) => commands::diff::run(&args, talk),
            Command::Label(args) => commands::label::run(&args, talk),
            Command::Forgetting(args) => commands::forgetting::run(&args, talk),
            Command::Answers(args) => commands::answers::run(&args, talk),
            Command::Quickstart(args) => commands::quickstart::run(&args, talk),
            Command::Models(args) => commands::models::run(&args, talk),
            Command::Devices(args) => commands::devices::run(&args, talk),
            Command::Completions(args) => commands::completions::run(&args),
        }
    }
}

/// How a command talks to the user.
#[derive(clap::Args)]
pub struct Talk {
    /// Print the result as JSON on stdout
    #[arg(long, global = true)]
    json: bool,
    /// Print only warnings and errors on stderr
    #[arg(long, short, global = true)]
    quiet: bool,
}

impl Talk {
    pub fn json(&self) -> bool {
        self.json
    }

    pub fn quiet(&self) -> bool {
        self.quiet
    }

    /// Returns where a stage reports its progress.
    pub fn progress(&self) -> Box<dyn Progress> {
        if self.quiet {
            Box::new(Quiet)
        } else if std::io::stderr().is_terminal() {
            Box::new(Bars::default())
        } else {
            Box::new(Lines::default())
        }
    }

    /// Prints what a command's only stage did: as JSON on stdout, else in words on stderr.
    pub fn report(&self, out: &Path, manifest: &Manifest) -> Result<()> {
        if self.json {
            return output::json(manifest);
        }
        self.tell(out, manifest);
        Ok(())
    }

    /// Says where the report of an evaluation is.
    pub fn tell_report(&self, out: &Path) {
        if !self.quiet {
            output::talk(&format!("report: {}", EvalDir::new(out).page().display()));
        }
    }

    /// Tells the user on stderr what a stage did.
    pub fn tell(&self, out: &Path, manifest: &Manifest) {
        if self.quiet {
            return;
        }
        let done = match manifest.up_to_date {
            true => "up to date".to_owned(),
            false => format!("done in {:.1} s", manifest.wall_s),
        };
        output::talk(&format!("{}: {done}, in `{}`", manifest.stage, out.display()));
        // Counts of zero are in the manifest; here they would be noise.
        let counts = manifest.counts.iter().filter(|(_, count)| **count > 0);
        for line in wrapped(counts.map(|(name, count)| format!("{name} {count}"))) {
            output::talk(&format!("  {line}"));
        }
        for note in &manifest.notes {
            output::talk(&format!("  note: {note}"));
        }
    }
}

/// Joins the words by commas, in lines of at most 100 characters where the words allow it.
fn wrapped(words: impl Iterator<Item = String>) -> Vec<String> {
    let mut lines: Vec<String> = vec![];
    for word in words {
        match lines.last_mut() {
            Some(line) if line.len() + word.len() < 98 => *line = format!("{line}, {word}"),
            _ => lines.push(word),
        }
    }
    lines
}
