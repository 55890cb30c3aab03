//! `whetstone quickstart`: the whole job on the sample corpus.

mod base;

use super::DeviceArgs;
use super::synth::{Job, STAGES};
use crate::cli::Talk;
use crate::device_memory;
use crate::failure::{Problem, Result};
use crate::output;
use crate::stages::Stages;
use crate::table::tables;
use serde::Serialize;
use std::path::{Path, PathBuf};
use whetstone_eval::{AssessConfig, Assessment};
use whetstone_export::{EXPORT, ExportJob};
use whetstone_model::Engine;
use whetstone_rank::{
    CALIBRATE, CalibrateJob, EVAL, EvalRequest, FUSE, Joining, RERANK, RerankJob, RunPaths,
    TextFiles, folder, fuse, fuse_scores, stage_name,
};
use whetstone_records::{DataSet, EvalDir, Manifest, ModelDir, Progress, RunDir, Silent, forget};
use whetstone_synth::SynthConfig;
use whetstone_train::TrainConfig;

/// Run the whole job on the sample corpus: pull, synth, train, export, rerank, eval; no key, no
/// server
#[derive(clap::Args)]
#[command(after_help = "Example:
  whetstone quickstart

Ends with a table of BM25, the bi-encoder, the untuned and the tuned reranker on the same candidate
lists, and says which order to serve. Run it again to resume; complete stages say that they
are up to date. --json prints the manifests and the measures.

The base is cross-encoder/ms-marco-MiniLM-L6-v2, from the hub. Where the hub is out of reach it is
minilm-l6 from a wheel, which becomes a late interaction. base.json in the folder records which.")]
pub struct Args {
    /// Folder for all results
    #[arg(long, value_name = "DIR", default_value = "out/quickstart")]
    out: PathBuf,
    #[command(flatten)]
    device: DeviceArgs,
    /// Run every stage again even where it is up to date
    #[arg(long)]
    force: bool,
    /// Base model of the cross-encoder: an id on the Hugging Face hub, or a folder
    #[arg(long, value_name = "ID|FOLDER")]
    base: Option<String>,
    /// Another corpus than the config's
    #[arg(long, value_name = "PATH", hide = true)]
    corpus: Option<PathBuf>,
    /// Another model than the configs', as bi-encoder and as base
    #[arg(long, value_name = "MODEL", hide = true)]
    model: Option<String>,
    /// Config of the data set
    #[arg(long, value_name = "FILE", default_value = "configs/quickstart.toml")]
    config: PathBuf,
    /// Config of the training from a base that has a head
    #[arg(long, value_name = "FILE", hide = true, default_value = "configs/quickstart-train.toml")]
    train_config: PathBuf,
    /// Config of the training from a base without one, and the base if the hub is out of reach
    #[arg(long, value_name = "FILE", hide = true, default_value = "configs/quickstart-fresh.toml")]
    fresh_config: PathBuf,
}

pub fn run(args: &Args, talk: &Talk) -> Result<()> {
    let quickstart = Quickstart::open(args, &*talk.progress())?;
    let mut stages = Stages::new(talk);
    let bi_encoder = quickstart.model(&mut stages, &quickstart.synth.model)?;
    let (base, train) = quickstart.base(&mut stages)?;
    quickstart.data(&mut stages, &bi_encoder)?;
    quickstart.models(&mut stages, &base, &train)?;
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

/// The search without a reranker, the tuned reranker, and both joined.
const FIRST_STAGES: &str = "fused: bm25 + bi-encoder";
const TUNED: &str = "tuned reranker";
const JOINED: &str = "joined: both + tuned";

/// The configs and folders of the job.
struct Quickstart<'a> {
    args: &'a Args,
    synth: SynthConfig,
    /// For a base that has a head.
    train: TrainConfig,
    /// For a base without one.
    fresh: TrainConfig,
    corpus: PathBuf,
}

impl<'a> Quickstart<'a> {
    fn open(args: &'a Args, progress: &dyn Progress) -> Result<Self> {
        for path in [&args.config, &args.train_config, &args.fresh_config] {
            refuse_missing(path)?;
        }
        let mut synth = SynthConfig::load(&args.config)?;
        let train = TrainConfig::load(&args.train_config)?;
        let fresh = TrainConfig::load(&args.fresh_config)?;
        if let Some(model) = &args.model {
            synth.model.clone_from(model);
        }
        refuse_other_retrievers(&synth, &args.config)?;
        let corpus = super::corpus(args.corpus.as_deref(), &synth)?;
        refuse_missing(&corpus)?;
        super::mine::find_models(&mut synth, progress)?;
        Ok(Self { args, synth, train, fresh, corpus })
    }

    fn path(&self, name: &str) -> PathBuf {
        self.args.out.join(name)
    }

    fn forget(&self, out: &Path, stage: &str) -> Result<()> {
        if self.args.force { Ok(forget(out, stage)?) } else { Ok(()) }
    }

    /// Pulls a base model; a folder is taken as it is.
    fn model(&self, stages: &mut Stages, model: &str) -> Result<PathBuf> {
        if Path::new(model).is_dir() {
            return Ok(whetstone_hub::resolve(model, &Silent)?);
        }
        let folder = whetstone_hub::default_folder(model);
        if !stages.ran("pull", &folder) {
            stages.run("pull", &folder, |progress| {
                whetstone_hub::pull(model, &folder, false, progress)
            })?;
        }
        Ok(folder)
    }

    /// Runs chunk, ask, mine and pair.
    fn data(&self, stages: &mut Stages, model: &Path) -> Result<()> {
        let out = self.path("data");
        let job = Job {
            config: &self.synth,
            corpus: &self.corpus,
            out: &out,
            model,
            placement: self.args.device.device.into(),
        };
        for stage in STAGES {
            self.forget(&out, stage)?;
            stages.run(stage, &out, |progress| job.stage(stage, progress))?;
        }
        Ok(())
    }

    /// Trains, and exports the first and the best step.
    fn models(&self, stages: &mut Stages, base: &Path, config: &TrainConfig) -> Result<()> {
        let (data, run) = (self.path("data"), self.path("checkpoint"));
        if self.args.force {
            whetstone_train::forget_run(&run)?;
        }
        let devices = [Engine::open(self.args.device.device)?];
        device_memory::training_asks(base, &data, config, &devices[0]);
        stages.run("train", &run, |progress| {
            whetstone_train::train(&data, &run, base, config, &devices, progress)
        })?;
        let untuned = RunDir::new(&run).step(0);
        for (label, checkpoint, out) in [
            ("export untuned", untuned, self.path("untuned-model")),
            ("export tuned", run, self.path("model")),
        ] {
            self.forget(&out, EXPORT)?;
            let job = ExportJob::of(&checkpoint);
            stages.run(label, &out, |_| whetstone_export::export(&job, &out))?;
            whetstone_rank::write_card(&ModelDir::new(&out))?;
        }
        self.calibration(stages)
    }

    /// Learns from dev how to join the tuned model with the first stages, and what its logits mean.
    fn calibration(&self, stages: &mut Stages) -> Result<()> {
        let model = self.tuned();
        self.forget(model.root(), CALIBRATE)?;
        let job = CalibrateJob {
            model: &model,
            data: &self.data_set(),
            first_stages: &RunPaths::new(),
            precisions: &[0.9],
        };
        stages.run("calibrate", model.root(), |progress| {
            whetstone_rank::calibrate(&job, self.args.device.device.into(), progress)
        })
    }

    fn data_set(&self) -> DataSet {
        DataSet::new(self.path("data"))
    }

    fn tuned(&self) -> ModelDir {
        ModelDir::new(self.path("model"))
    }

    /// Puts the candidates in the order of both rerankers.
    fn runs(&self, stages: &mut Stages) -> Result<()> {
        let data = self.data_set();
        let (corpus, queries, candidates) = (data.corpus(), data.queries(), data.candidates());
        for (label, model, run) in [
            ("rerank untuned", self.path("untuned-model"), self.path("runs/untuned.run")),
            ("rerank tuned", self.path("model"), self.path("runs/tuned.run")),
        ] {
            let job = RerankJob {
                head_label: None,
                model: &model,
                texts: TextFiles { corpus: &corpus, queries: &queries },
                candidates: &candidates,
                joining: None,
            };
            self.forget(folder(&run), &stage_name(RERANK, &run))?;
            stages.run(label, folder(&run), |progress| {
                whetstone_rank::rerank(&job, &run, self.args.device.device.into(), progress)
            })?;
        }
        Ok(())
    }

    /// Fuses the ranks of the two first stages, and of all three with the tuned reranker, and
    /// joins the scores of all three: the difference is what the model adds to a search that fuses
    /// anyway.
    fn fusions(&self) -> Result<()> {
        let data = self.data_set();
        let first = |name: &str| data.path(DataSet::run_name(name));
        let tuned = self.path("runs/tuned.run");
        let runs = [first("bm25"), first("dense"), tuned.clone()];
        for (name, count) in [("first-stages", 2), ("fused", 3)] {
            let out = self.path(&format!("runs/{name}.run"));
            self.forget(folder(&out), &stage_name(FUSE, &out))?;
            fuse(&runs[..count], &out)?;
        }
        let out = self.path("runs/joined.run");
        let joining = Joining::of_model(&self.tuned(), &data.candidates(), &RunPaths::new())?;
        self.forget(folder(&out), &stage_name(FUSE, &out))?;
        fuse_scores(&joining, &tuned, &out)?;
        Ok(())
    }

    /// Compares all systems on the same candidates. The verdict is about what training adds to a
    /// search that already fuses its first stages.
    fn measures(&self, stages: &mut Stages) -> Result<Assessment> {
        self.fusions()?;
        let data = self.data_set();
        let runs = [
            ("bm25", data.path(DataSet::run_name("bm25"))),
            ("bi-encoder", data.path(DataSet::run_name("dense"))),
            (FIRST_STAGES, self.path("runs/first-stages.run")),
            ("untuned reranker", self.path("runs/untuned.run")),
            (TUNED, self.path("runs/tuned.run")),
            ("fused: both + tuned", self.path("runs/fused.run")),
            (JOINED, self.path("runs/joined.run")),
        ];
        let request = EvalRequest {
            qrels: data.test_qrels(),
            runs: runs.map(|(name, path)| (name.to_owned(), path)).into(),
            candidates: Some(data.candidates()),
            data: Some(data),
            model: Some(self.tuned()),
            logits: Some(TUNED.into()),
            config: AssessConfig {
                baseline: Some(FIRST_STAGES.into()),
                system: Some(JOINED.into()),
                ..Default::default()
            },
        };
        // The tables are cheap to make, and wanted even where the files are up to date.
        let evaluated = request.evaluate()?;
        self.forget(&self.args.out, EVAL)?;
        stages.run("eval", &self.args.out, |progress| evaluated.write(&self.args.out, progress))?;
        Ok(evaluated.assessment)
    }

    fn where_it_is(&self) -> String {
        let place = |name: &str| self.path(name).display().to_string();
        format!(
            "\nEvery system orders the same candidate lists. The untuned reranker is the base model before the
first training step. A base without a relevance head, such as minilm-l6, is a late interaction: it
compares the tokens of query and passage. Fused systems add ranks, the joined one adds scores.

tuned model       {}   (whetstone.json: the join; results.json: the recommendation)
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
            place(EvalDir::MEASURES),
            place(EvalDir::PAGE),
            place("model"),
        )
    }
}

/// Refuses a config without one of the two searches that the table is about.
fn refuse_other_retrievers(synth: &SynthConfig, config: &Path) -> Result<()> {
    match ["bm25", "dense"].iter().find(|name| !synth.mine.names().any(|listed| listed == **name)) {
        None => Ok(()),
        Some(name) => Err(Problem::new(
            format!("`{}` does not list the retriever `{name}`", config.display()),
            "quickstart compares with BM25 and the bi-encoder; list both in [[mine.from]], with \
             `fraction = 0.0` where one is to bring no negatives",
        )
        .into()),
    }
}

fn refuse_missing(path: &Path) -> Result<()> {
    if !path.exists() {
        return Err(Problem::new(
            format!("`{}` is not there", path.display()),
            "run quickstart in the folder of Whetstone's source; for documents of your own use \
             `whetstone synth`",
        )
        .into());
    }
    Ok(())
}
