use super::synth::{Job, STAGES};
use super::{DeviceArgs, forget, forget_run};
use crate::calibrate;
use crate::cli::Talk;
use crate::evaluation::{Request, tables};
use crate::failure::Problem;
use crate::rerank::{self, Inputs};
use crate::stages::Stages;
use crate::{models, output};
use anyhow::{Result, bail};
use serde::Serialize;
use std::path::{Path, PathBuf};
use whetstone_eval::{AssessConfig, Assessment, RRF_K};
use whetstone_model::Engine;
use whetstone_records::{Manifest, Run};
use whetstone_synth::SynthConfig;
use whetstone_train::TrainConfig;

/// Run the whole job on the sample corpus: pull, synth, train, export, rerank, eval; no key, no
/// server
#[derive(clap::Args)]
#[command(after_help = "Example:
  whetstone quickstart
Ends with a table of BM25, the bi-encoder, the untuned and the tuned cross-encoder on the same candidate lists. Given
again, every stage that is complete says that it is up to date. --json prints the manifests and the measures.")]
pub struct Args {
    /// Folder for everything that is made
    #[arg(long, value_name = "DIR", default_value = "out/quickstart")]
    out: PathBuf,
    #[command(flatten)]
    device: DeviceArgs,
    /// Do everything again even where it is up to date
    #[arg(long)]
    force: bool,
    /// Another corpus than the config's
    #[arg(long, value_name = "PATH", hide = true)]
    corpus: Option<PathBuf>,
    /// Another base model than the configs'
    #[arg(long, value_name = "MODEL", hide = true)]
    model: Option<String>,
    /// Config of the data set
    #[arg(long, value_name = "FILE", hide = true, default_value = "configs/quickstart.toml")]
    config: PathBuf,
    /// Config of the training
    #[arg(long, value_name = "FILE", hide = true, default_value = "configs/quickstart-train.toml")]
    train_config: PathBuf,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let quickstart = Quickstart::open(args)?;
    let mut stages = Stages::new(talk);
    let base = quickstart.model(&mut stages, &quickstart.synth.model)?;
    quickstart.data(&mut stages, &base)?;
    let base = quickstart.model(&mut stages, &quickstart.train.model)?;
    quickstart.models(&mut stages, &base)?;
    quickstart.runs(&mut stages)?;
    let assessment = quickstart.measures(&mut stages)?;
    if talk.json() {
        #[derive(Serialize)]
        struct Result<'a> {
            stages: Vec<&'a Manifest>,
            #[serde(flatten)]
            assessment: &'a Assessment,
        }
        return output::json(&Result {
            stages: stages.manifests().collect(),
            assessment: &assessment,
        });
    }
    stages.tell_costs();
    output::data(&format!("\n{}", tables(&assessment)))?;
    if !talk.quiet() {
        output::talk(&quickstart.where_it_is());
    }
    Ok(())
}

/// The search without a cross-encoder, and with the tuned one.
const FIRST_STAGES: &str = "fused: bm25 + bi-encoder";
const FUSED: &str = "fused: both + tuned";

/// The configs and folders of the job.
struct Quickstart<'a> {
    args: &'a Args,
    synth: SynthConfig,
    train: TrainConfig,
    corpus: PathBuf,
}

impl<'a> Quickstart<'a> {
    fn open(args: &'a Args) -> Result<Self> {
        for path in [&args.config, &args.train_config] {
            refuse_missing(path)?;
        }
        let mut synth = SynthConfig::load(&args.config)?;
        let mut train = TrainConfig::load(&args.train_config)?;
        if let Some(model) = &args.model {
            synth.model.clone_from(model);
            train.model.clone_from(model);
        }
        let corpus = super::corpus(args.corpus.as_deref(), &synth)?;
        refuse_missing(&corpus)?;
        Ok(Self { args, synth, train, corpus })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.args.out.join(name)
    }

    fn forget(&self, out: &Path, stage: &str) -> Result<()> {
        if self.args.force { forget(out, stage) } else { Ok(()) }
    }

    /// Pulls a base model; a folder is taken as it is.
    fn model(&self, stages: &mut Stages, model: &str) -> Result<PathBuf> {
        if Path::new(model).is_dir() {
            return models::resolve(model, &whetstone_records::Silent);
        }
        let folder = models::default_folder(model);
        if !stages.ran("pull", &folder) {
            stages
                .run("pull", &folder, |progress| models::pull(model, &folder, false, progress))?;
        }
        Ok(folder)
    }

    /// chunk, ask, mine, pair
    fn data(&self, stages: &mut Stages, model: &Path) -> Result<()> {
        let out = self.path("data");
        let job = Job {
            config: &self.synth,
            corpus: &self.corpus,
            out: &out,
            model,
            device: self.args.device.device,
        };
        for stage in STAGES {
            self.forget(&out, stage)?;
            stages.run(stage, &out, |progress| job.stage(stage, progress))?;
        }
        Ok(())
    }

    /// train, and export of the first and the best step
    fn models(&self, stages: &mut Stages, base: &Path) -> Result<()> {
        let (data, run) = (self.path("data"), self.path("checkpoint"));
        if self.args.force {
            forget_run(&run)?;
        }
        stages.run("train", &run, |progress| {
            let device = Engine::open(self.args.device.device)?;
            Ok(whetstone_train::train(
                &data,
                &run,
                base,
                &self.train,
                std::slice::from_ref(&device),
                progress,
            )?)
        })?;
        for (label, checkpoint, out) in [
            ("export untuned", run.join("step-000000"), self.path("untuned-model")),
            ("export tuned", run.clone(), self.path("model")),
        ] {
            self.forget(&out, "export")?;
            stages.run(label, &out, |_| Ok(whetstone_export::export(&checkpoint, &out)?))?;
        }
        self.calibration(stages, &data)
    }

    /// How to fuse the tuned model with the first stage, and what its logits mean: from dev
    fn calibration(&self, stages: &mut Stages, data: &Path) -> Result<()> {
        let model = self.path("model");
        self.forget(&model, calibrate::STAGE)?;
        let inputs =
            calibrate::Inputs { model: &model, data, first_stage: None, precisions: &[0.9] };
        let device = self.args.device.device;
        stages.run("calibrate", &model, |progress| calibrate::calibrate(&inputs, device, progress))
    }

    /// The candidates in the order of both cross-encoders
    fn runs(&self, stages: &mut Stages) -> Result<()> {
        let [corpus, queries, candidates] = ["corpus.jsonl", "queries.jsonl", "candidates.run"]
            .map(|name| self.path("data").join(name));
        for (label, model, run) in [
            ("rerank untuned", self.path("untuned-model"), self.path("runs/untuned.run")),
            ("rerank tuned", self.path("model"), self.path("runs/tuned.run")),
        ] {
            let inputs = Inputs {
                model: &model,
                corpus: &corpus,
                queries: &queries,
                candidates: &candidates,
                fusion: None,
            };
            self.forget(rerank::folder(&run), &rerank::stage_name(rerank::RERANK, &run))?;
            let device = self.args.device.device;
            stages.run(label, rerank::folder(&run), |progress| {
                rerank::rerank(&inputs, &run, device, progress)
            })?;
        }
        Ok(())
    }

    /// Reciprocal rank fusion of the two first stages, and of them with the tuned cross-encoder:
    /// what the model adds to a search that fuses anyway.
    fn fusions(&self) -> Result<()> {
        let parts = ["data/runs/bm25.run", "data/runs/dense.run", "runs/tuned.run"];
        let runs: Vec<Run> =
            parts.iter().map(|part| Run::read(&self.path(part))).collect::<Result<_, _>>()?;
        for (name, count) in [("first-stages", 2), ("fused", 3)] {
            let fused = whetstone_eval::rrf(&runs.iter().take(count).collect::<Vec<_>>(), RRF_K);
            fused.write(&self.path(&format!("runs/{name}.run")), "rrf")?;
        }
        let fusion = calibrate::notes_of(&self.path("model"))?.fusion.fusion;
        let weighted = fusion.fuse(&Run::read(&self.path("data/candidates.run"))?, &runs[2]);
        Ok(weighted.write(&self.path("runs/weighted.run"), "whetstone-fused")?)
    }

    /// All systems on the same candidates. What training adds to a search that fuses its first
    /// stages anyway is what the verdict is about.
    fn measures(&self, stages: &mut Stages) -> Result<Assessment> {
        self.fusions()?;
        let runs = [
            ("bm25", "data/runs/bm25.run"),
            ("bi-encoder", "data/runs/dense.run"),
            (FIRST_STAGES, "runs/first-stages.run"),
            ("untuned cross-encoder", "runs/untuned.run"),
            ("tuned cross-encoder", "runs/tuned.run"),
            (FUSED, "runs/fused.run"),
            ("fused: weight from dev", "runs/weighted.run"),
        ];
        let request = Request {
            qrels: self.path("data/qrels/test.tsv"),
            runs: runs.map(|(name, path)| (name.to_owned(), self.path(path))).into(),
            candidates: Some(self.path("data/candidates.run")),
            data: Some(self.path("data")),
            model: Some(self.path("model")),
            config: AssessConfig {
                baseline: Some(FIRST_STAGES.into()),
                system: Some(FUSED.into()),
                ..Default::default()
            },
        };
        // Cheap, and the tables are wanted even where the files are up to date.
        let evaluated = request.evaluate()?;
        let (out, force) = (&self.args.out, self.args.force);
        stages.run("eval", out, |progress| evaluated.write(out, force, progress))?;
        Ok(evaluated.assessment)
    }

    fn where_it_is(&self) -> String {
        let place = |name: &str| self.path(name).display().to_string();
        format!(
            "\nAll order the same candidate lists. Untuned is the base model before the first training step; a base
model without a relevance head, such as minilm-l6, has a fresh random one.

tuned model       {}
untuned model     {}
training run      {}   (config.toml, log.jsonl, a folder for each kept step)
data set          {}   (BEIR: corpus.jsonl, queries.jsonl, qrels; train, dev and test.jsonl)
runs, measures    {}, {}
report            {}   (open it in a browser; report.md is the short one)

Try it:  whetstone rerank --model {} --query \"…\" FILE",
            place("model"),
            place("untuned-model"),
            place("checkpoint"),
            place("data"),
            place("runs"),
            place("measures.json"),
            place("report.html"),
            place("model"),
        )
    }
}

fn refuse_missing(path: &Path) -> Result<()> {
    if !path.exists() {
        bail!(Problem::new(
            format!("`{}` is not there", path.display()),
            "run quickstart in the folder of Whetstone's source; for documents of your own use `whetstone synth`"
        ));
    }
    Ok(())
}
