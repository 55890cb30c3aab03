//! The base model of quickstart: a cross-encoder of the hub, else an encoder that becomes a late
//! interaction.

use super::Quickstart;
use crate::failure::{Failure, Problem, Result};
use crate::output;
use crate::stages::Stages;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use whetstone_model::{HeadStart, head_start};
use whetstone_records::{QuickstartDir, one_line, read_json, write_json};
use whetstone_synth::Teacher;
use whetstone_train::{ModelKind, TrainConfig};

/// `base.json`: from which model the folder was begun. It stays the same when quickstart is run
/// again, so that a hub that comes into reach later changes nothing.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Base {
    /// The id or the folder of the model.
    base: String,
    /// The base that the hub did not give.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    instead_of: Option<String>,
}

/// What the fallback is.
const FALLBACK: &str = "To use a base that has seen questions of people from a folder, name it with \
    --base and another --out";

impl Quickstart<'_> {
    /// Gets the base model and records which it is. Returns its folder and the config of its
    /// training.
    pub(super) fn base(&self, stages: &mut Stages) -> Result<(PathBuf, TrainConfig)> {
        let record = QuickstartDir::new(&self.args.out).base();
        let (base, folder) = match self.named_base(&record)? {
            Some(base) => {
                let folder = self.model(stages, &base.base)?;
                (base, folder)
            }
            None => self.default_base(stages)?,
        };
        write_json(&record, &base)?;
        if let Some(better) = &base.instead_of {
            let base = &base.base;
            let becomes = match self.fresh.kind {
                ModelKind::CrossEncoder => "with a fresh head",
                ModelKind::LateInteraction => "as late interaction",
            };
            output::warning(&format!(
                "the base is `{base}` {becomes} in place of `{better}`. {FALLBACK}"
            ));
        }
        let has_head = matches!(head_start(&folder, None)?, HeadStart::Taken);
        let config = if has_head { &self.train } else { &self.fresh };
        if config.loss.needs_teacher() && self.synth.pair.teacher == Teacher::None {
            return Err(Problem::new(
                format!("`{}` has no `teacher` in [pair]", self.args.config.display()),
                "set `teacher = \"bi-encoder\"` there: training from a base with a head learns from it",
            )
            .into());
        }
        Ok((folder, TrainConfig { model: base.base, ..config.clone() }))
    }

    /// Returns the base of the command line, else the recorded one.
    fn named_base(&self, record: &Path) -> Result<Option<Base>> {
        let recorded: Option<Base> = read_json(record)?;
        let Some(asked) = self.args.base.as_ref().or(self.args.model.as_ref()) else {
            return Ok(recorded);
        };
        match recorded {
            Some(other) if other.base != *asked && !self.args.force => Err(Problem::new(
                format!(
                    "`{}` was begun from the base `{}`, not `{asked}`",
                    self.args.out.display(),
                    other.base
                ),
                "name another folder with --out, or begin anew with --force",
            )
            .into()),
            _ => Ok(Some(Base { base: asked.clone(), instead_of: None })),
        }
    }

    /// Gets the base of the config, or the fallback if the hub does not give it.
    fn default_base(&self, stages: &mut Stages) -> Result<(Base, PathBuf)> {
        let wanted = &self.train.model;
        if Path::new(wanted).is_dir() {
            let folder = self.model(stages, wanted)?;
            return Ok((Base { base: wanted.clone(), instead_of: None }, folder));
        }
        let folder = whetstone_hub::default_folder(wanted);
        match whetstone_hub::pull(wanted, &folder, false, stages.progress()) {
            Ok(manifest) => {
                stages.run("pull", &folder, |_| Ok::<_, Failure>(manifest))?;
                Ok((Base { base: wanted.clone(), instead_of: None }, folder))
            }
            Err(error) if error.is_of_the_hub() => {
                output::warning(&one_line(&error));
                let fallback = &self.fresh.model;
                let folder = self.model(stages, fallback)?;
                let instead_of = Some(wanted.clone());
                Ok((Base { base: fallback.clone(), instead_of }, folder))
            }
            Err(error) => Err(error.into()),
        }
    }
}
