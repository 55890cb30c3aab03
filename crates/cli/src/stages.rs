//! The stages of a longer job, and what each cost.

use crate::cli::Talk;
use crate::failure::{Failure, Result};
use crate::table::aligned;
use crate::{memory, output};
use std::path::{Path, PathBuf};
use whetstone_records::{Manifest, Progress};

/// What a stage did, and its cost.
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

    /// Runs a stage that writes into `out`, and reports what it did.
    pub fn run<E: Into<Failure>>(
        &mut self,
        label: &str,
        out: &Path,
        stage: impl FnOnce(&dyn Progress) -> Result<Manifest, E>,
    ) -> Result<()> {
        memory::reset_peak();
        let manifest = stage(&*self.progress).map_err(Into::into)?;
        let peak_mib = memory::peak_mib().filter(|_| !manifest.up_to_date);
        self.talk.tell(out, &manifest);
        self.done.push(Done { label: label.into(), out: out.into(), manifest, peak_mib });
        Ok(())
    }

    /// Where a stage reports its progress.
    pub fn progress(&self) -> &dyn Progress {
        &*self.progress
    }

    /// Whether a stage has run on that folder already.
    pub fn ran(&self, label: &str, out: &Path) -> bool {
        self.done.iter().any(|done| done.label == label && done.out == out)
    }

    pub fn manifests(&self) -> impl Iterator<Item = &Manifest> {
        self.done.iter().map(|done| &done.manifest)
    }

    /// Prints how long each stage took and how much memory it held.
    pub fn tell_costs(&self) {
        if self.talk.quiet() {
            return;
        }
        let rows = self.done.iter().map(|done| {
            let wall = match done.manifest.up_to_date {
                true => "up to date".to_owned(),
                false => format!("{:.1}", done.manifest.wall_s),
            };
            vec![
                done.label.clone(),
                wall,
                done.peak_mib.map_or(String::new(), |mib| mib.to_string()),
            ]
        });
        let header = ["stage", "wall s", "peak MiB"].map(str::to_owned).into();
        output::talk(&format!("\n{}", aligned(header, rows)));
    }
}
