//! The stages of a longer job, with what each has cost.

use crate::cli::Talk;
use crate::{memory, output};
use anyhow::Result;
use comfy_table::{CellAlignment, Table, presets};
use std::path::{Path, PathBuf};
use whetstone_records::{Manifest, Progress};

/// What a stage did and cost.
struct Done {
    label: String,
    out: PathBuf,
    manifest: Manifest,
    peak_mib: Option<u64>,
}

/// The stages that ran, in order.
pub struct Stages<'a> {
    talk: &'a Talk,
    progress: Box<dyn Progress>,
    done: Vec<Done>,
}

impl<'a> Stages<'a> {
    pub fn new(talk: &'a Talk) -> Self {
        Self { talk, progress: talk.progress(), done: vec![] }
    }

    /// Runs a stage that writes into `out`, and says what it did.
    pub fn run(
        &mut self,
        label: &str,
        out: &Path,
        stage: impl FnOnce(&dyn Progress) -> Result<Manifest>,
    ) -> Result<()> {
        memory::reset_peak();
        let manifest = stage(&*self.progress)?;
        let peak_mib = memory::peak_mib().filter(|_| !manifest.up_to_date);
        self.talk.tell(out, &manifest);
        self.done.push(Done { label: label.into(), out: out.into(), manifest, peak_mib });
        Ok(())
    }

    /// Whether a stage has run on that folder already.
    pub fn ran(&self, label: &str, out: &Path) -> bool {
        self.done.iter().any(|done| done.label == label && done.out == out)
    }

    pub fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.done.iter().map(|done| &done.manifest)
    }

    /// Says how long each stage took and how much memory it held.
    pub fn tell_costs(&self) {
        if self.talk.quiet() {
            return;
        }
        let mut table = Table::new();
        table.load_style(presets::ASCII_MARKDOWN);
        table.set_header(["stage", "wall s", "peak MiB"]);
        for done in &self.done {
            let (wall, peak) = match (done.manifest.up_to_date, done.peak_mib) {
                (true, _) => ("up to date".to_owned(), String::new()),
                (false, peak) => {
                    (format!("{:.1}", done.manifest.wall_s), peak.map_or(String::new(), |mib| mib.to_string()))
                }
            };
            table.add_row([done.label.clone(), wall, peak]);
        }
        for column in table.column_iter_mut().skip(1) {
            column.set_cell_alignment(CellAlignment::Right);
        }
        output::talk(&format!("\n{table}"));
    }
}
