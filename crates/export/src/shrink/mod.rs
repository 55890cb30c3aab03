//! Makes a model folder smaller: fewer layers, and no words that a corpus does not have.

mod layers;
mod model_json;
mod vocabulary;
mod weights;

use crate::error::{Error, Result};
use crate::golden;
use crate::hf::read_object;
use model_json::ModelJson;
use serde_json::{Map, Value, json};
use std::collections::{BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use tokenizers::Tokenizer;
use vocabulary::Source;
use weights::Kept;
use whetstone_model::{
    Architecture, DeviceName, Engine, Family, HeadStart, LateInteraction, PairTokenizer, Positions,
    Scorer, head_start, read_tokenizer,
};
use whetstone_records::{
    AtomicFile, AtomicFolder, Input, Manifest, ModelDir, Origin, Outcome, Shrunk, Stage,
    read_bytes, read_json, write_json,
};

/// The name of the stage.
pub const SHRINK: &str = "shrink";

/// What is made smaller, and how.
#[derive(Clone, Copy, Debug)]
pub struct ShrinkJob<'a> {
    pub model: &'a Path,
    /// How many layers stay; all without it.
    pub layers: Option<usize>,
    /// Files of passages or queries whose tokens stay; all tokens stay without them.
    pub vocabulary: &'a [PathBuf],
}

/// Files that say nothing of layers and words.
const AS_THEY_ARE: [&str; 4] = [
    ModelDir::SENTENCE_CONFIG,
    ModelDir::SENTENCE_TRANSFORMERS,
    ModelDir::MODULES,
    ModelDir::POOLING,
];

/// Writes the smaller model as the folder `out`.
///
/// # Errors
/// More layers than there are, a vocabulary of a kind that cannot lose tokens, an incomplete model,
/// or `out` exists and no `shrink` made it.
pub fn shrink(job: &ShrinkJob, out: &Path) -> Result<Manifest> {
    if job.model.canonicalize().is_ok_and(|model| out.canonicalize().is_ok_and(|out| out == model))
    {
        return Err(Error::ShrinksItself { path: out.into() });
    }
    let model = ModelDir::new(job.model);
    let config = json!({ "layers": job.layers, "vocabulary": !job.vocabulary.is_empty() });
    let inputs = inputs(job, &model)?;
    let stage = |folder: &Path| Stage::new(SHRINK, folder, &config, inputs.clone());
    if let Some(manifest) = stage(out).up_to_date() {
        AtomicFolder::tidy(out)?;
        return Ok(manifest);
    }
    let architecture = Architecture::read(job.model)?;
    let layers = job.layers.map(|wanted| kept_layers(job.model, wanted)).transpose()?;
    let folder = AtomicFolder::create(out, SHRINK)?;
    let started = stage(folder.path());
    let shrinking = Shrinking {
        model: &model,
        architecture,
        layers,
        out: ModelDir::new(folder.path()),
        shrunk: Shrunk { from: job.model.display().to_string(), ..Shrunk::default() },
        outcome: Outcome::default(),
    };
    let (files, outcome) = shrinking.run(job.vocabulary)?;
    let files: Vec<&str> = files.iter().map(String::as_str).collect();
    let manifest = started.finish(&files, outcome)?;
    folder.commit()?;
    Ok(manifest)
}

/// Digests every file of the model that is read, and the texts.
fn inputs(job: &ShrinkJob, model: &ModelDir) -> Result<Vec<Input>> {
    let mut files = model.parts()?;
    let others = ModelDir::TOKENIZER_PARTS.iter().chain(&AS_THEY_ARE).chain(&[ModelDir::ORIGIN]);
    for name in others {
        let path = model.path(name);
        if path.is_file() && !files.iter().any(|(_, known)| *known == path) {
            files.push((format!("model {name}"), path));
        }
    }
    let texts = job.vocabulary.iter().enumerate();
    files.extend(texts.map(|(place, path)| (format!("vocabulary {place}"), path.clone())));
    files.into_iter().map(|(role, path)| Ok(Input::of_file(role, &path)?)).collect()
}

/// Returns the layers of a model, counted from 0, that stay if `wanted` of them do.
///
/// # Errors
/// [`Error::Layers`] where it has fewer, or none are wanted.
pub fn kept_layers(model: &Path, wanted: usize) -> Result<Vec<usize>> {
    let spec = Architecture::read(model)?.spec;
    match (1..=spec.layers).contains(&wanted) {
        true => Ok(layers::kept(&spec, wanted)),
        false => {
            let path = ModelDir::new(model).config();
            Err(Error::Layers { path, layers: spec.layers, wanted })
        }
    }
}

/// A folder that is being written.
struct Shrinking<'a> {
    model: &'a ModelDir,
    architecture: Architecture,
    /// The layers that stay; None for all.
    layers: Option<Vec<usize>>,
    out: ModelDir,
    shrunk: Shrunk,
    outcome: Outcome,
}

impl Shrinking<'_> {
    /// Writes every file. Returns their names, and what to say of them.
    fn run(mut self, texts: &[PathBuf]) -> Result<(Vec<String>, Outcome)> {
        let mut config = read_object(&self.model.config())?.unwrap_or_default();
        if let Some(kept) = self.layers.clone() {
            self.note_layers(&kept);
            fewer_layers(&mut config, &kept, self.architecture.family);
        }
        let words = match texts {
            [] => {
                self.copy(&ModelDir::TOKENIZER_PARTS)?;
                None
            }
            _ => Some(self.fewer_words(texts, &mut config)?),
        };
        write_json(&self.out.config(), &config)?;
        self.copy(&AS_THEY_ARE)?;
        let mut late = self.model.late_interaction_files();
        late.retain(|file| !AS_THEY_ARE.contains(file));
        self.copy(&late)?;
        let kept = Kept {
            family: self.architecture.family,
            layers: self.layers.as_deref(),
            words: words.as_deref(),
        };
        let bytes = kept.copy(self.model, &self.out.weights())?;
        self.count("bytes", bytes);
        self.golden()?;
        self.origin()?;
        Ok((self.out.files_with(&[ModelDir::GOLDEN, ModelDir::ORIGIN])?, self.outcome))
    }

    fn count(&mut self, name: &str, count: u64) {
        self.outcome.counts.insert(name.to_owned(), count);
    }

    fn note_layers(&mut self, kept: &[usize]) {
        let all = self.architecture.spec.layers;
        self.count("layers", kept.len() as u64);
        self.count("layers-before", all as u64);
        let numbers: Vec<String> = kept.iter().map(usize::to_string).collect();
        self.outcome.notes.push(format!(
            "kept layers {} of 0 to {}, spread evenly",
            numbers.join(", "),
            all - 1
        ));
        self.shrunk.layers = Some(kept.to_vec());
        self.shrunk.of_layers = Some(all);
    }

    /// Copies those of some files that the model has.
    fn copy(&self, names: &[&str]) -> Result<()> {
        for name in names {
            let from = self.model.path(name);
            if from.is_file() {
                AtomicFile::write_all_to(&self.out.path(name), &read_bytes(&from)?)?;
            }
        }
        Ok(())
    }

    /// Writes the tokenizer with the tokens of the texts alone, and corrects the config. Returns
    /// the old id of every token that stays, in order.
    fn fewer_words(
        &mut self,
        texts: &[PathBuf],
        config: &mut Map<String, Value>,
    ) -> Result<Vec<u32>> {
        let path = self.model.path(self.model.tokenizer_files()[0]);
        let unusable = |source| Error::Tokenizer { path: path.clone(), source };
        let tokenizer = read_tokenizer(self.model.root())?;
        let text = tokenizer.to_string(false).map_err(unusable)?;
        let value: Value = serde_json::from_str(&text)
            .map_err(|source| Error::Json { path: path.clone(), source })?;
        let json = ModelJson::read(value, &path)?;
        let source = Source { tokenizer: &tokenizer, path: &path, texts };
        let mut ids = BTreeSet::new();
        let passages = source.add_ids(&json, &mut ids)?;
        if let Positions::Absolute { padding: Some(padding), .. } = self.architecture.spec.positions
        {
            // Positions are counted from this id on, so it must stay what it is.
            ids.extend(0..=padding);
        }
        ids.extend(config.iter().filter_map(|(key, value)| {
            u32::try_from(value.as_u64()?).ok().filter(|_| key.ends_with("_token_id"))
        }));
        if LateInteraction::is_in(self.model.root())? {
            ids.extend(LateInteraction::needed_ids(self.model.root())?);
        }
        json.add_needed(&mut ids);
        let ids: Vec<u32> = ids.into_iter().collect();
        let new: HashMap<u32, u32> = ids.iter().copied().zip(0..).collect();
        let text = json.with(&new).to_string();
        let smaller = Tokenizer::from_bytes(&text).map_err(unusable)?;
        same_tokens(&tokenizer, &smaller, &ids, &path)?;
        source.check(&smaller, &ids)?;

        let text = smaller.to_string(true).map_err(unusable)?;
        AtomicFile::write_all_to(&self.out.tokenizer(), text.as_bytes())?;
        if let Some(lines) = json.lines(&ids).filter(|_| self.model.vocabulary().is_file()) {
            AtomicFile::write_all_to(&self.out.vocabulary(), lines.as_bytes())?;
        }
        if let Some(settings) = read_object(&self.model.tokenizer_config())? {
            write_json(&self.out.tokenizer_config(), &model_json::settings(settings, &new))?;
        }
        self.copy(&[ModelDir::SPECIAL_TOKENS])?;
        *config = model_json::renumbered(std::mem::take(config), &new);
        config.insert("vocab_size".into(), json!(ids.len()));
        self.note_words(&ids, json.tokens(), passages);
        Ok(ids)
    }

    fn note_words(&mut self, ids: &[u32], before: usize, texts: u64) {
        self.count("tokens", ids.len() as u64);
        self.count("tokens-before", before as u64);
        self.count("texts", texts);
        self.outcome.notes.push(format!(
            "kept {} of {before} tokens: those of {texts} texts, single characters and special \
             tokens; the texts have the same tokens as before",
            ids.len()
        ));
        self.shrunk.tokens = Some(ids.len());
        self.shrunk.of_tokens = Some(before);
    }

    /// Writes pairs with their logits, which also shows that the folder loads. A model without a
    /// head has none.
    fn golden(&self) -> Result<()> {
        let out = self.out.root();
        let limit = PairTokenizer::stored_limit(out)?;
        PairTokenizer::open(out, limit)?;
        if !LateInteraction::is_in(out)? && head_start(out, None)? != HeadStart::Taken {
            return Ok(());
        }
        let scorer = Scorer::load(out, None, Some(limit), &Engine::open(DeviceName::Cpu)?)?;
        Ok(write_json(&self.out.golden(), &golden::golden(None, &scorer, limit)?)?)
    }

    /// Says of an exported model that it was made smaller, this time or before. A model from
    /// elsewhere has a card of its own, which names its licence.
    fn origin(&self) -> Result<()> {
        let Some(origin) = read_json::<Origin>(&self.model.origin())? else {
            return self.copy(&[ModelDir::CARD]);
        };
        let (now, before) = (self.shrunk.clone(), origin.shrunk.clone().unwrap_or_default());
        // Layers are numbered as in the first network, however often it was cut.
        let layers = match (now.layers, before.layers) {
            (Some(now), Some(before)) => {
                Some(now.iter().filter_map(|&layer| before.get(layer).copied()).collect())
            }
            (now, before) => now.or(before),
        };
        let shrunk = Shrunk {
            layers,
            from: if before.from.is_empty() { now.from } else { before.from },
            of_layers: before.of_layers.or(now.of_layers),
            tokens: now.tokens.or(before.tokens),
            of_tokens: before.of_tokens.or(now.of_tokens),
        };
        // Measures are those of the larger network. Fewer words change no logit of the texts.
        let measured = origin.dev_ndcg_at_10.filter(|_| self.shrunk.layers.is_none());
        let origin = Origin { shrunk: Some(shrunk), dev_ndcg_at_10: measured, ..origin };
        Ok(write_json(&self.out.origin(), &origin)?)
    }
}

/// Changes a config to that of a network with these layers alone.
fn fewer_layers(config: &mut Map<String, Value>, kept: &[usize], family: &Family) {
    let spelled = family.layer_count.iter().filter(|key| config.contains_key(**key));
    let spelled: Vec<&str> = spelled.copied().collect();
    let keys = if spelled.is_empty() { &family.layer_count[..1] } else { &spelled };
    for key in keys {
        config.insert((*key).into(), json!(kept.len()));
    }
    for key in family.per_layer {
        if let Some(Value::Array(entries)) = config.get_mut(*key) {
            *entries = kept.iter().filter_map(|&layer| entries.get(layer).cloned()).collect();
        }
    }
}

/// Refuses a tokenizer that gives a token another number than its row in the table.
fn same_tokens(old: &Tokenizer, new: &Tokenizer, ids: &[u32], path: &Path) -> Result<()> {
    for (place, &id) in (0..).zip(ids) {
        let token = old.id_to_token(id).unwrap_or_default();
        if new.token_to_id(&token) != Some(place) {
            return Err(Error::Renumber { path: path.into(), token });
        }
    }
    Ok(())
}
