//! Late interaction: finds passages whose tokens match those of the query.

use crate::error::{Result, must};
use crate::products::dot_products;
use crate::registry::{Material, NamedModel, RetrieverConfig, Settings, check_name};
use crate::retriever::Retriever;
use crate::shards::Shards;
use crate::token_store::{TokenCache, TokenStore};
use crate::top::{Scored, Top, ranking_order};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use std::ops::Range;
use std::path::Path;
use whetstone_model::{Engine, LateInteraction as Model, max_similarity};
use whetstone_records::{Input, sha256_file};

const NAME: &str = "late-interaction";

/// Queries whose products are in memory at a time, per thread.
const QUERY_BLOCK: usize = 8;
/// Tokens of passages that they are compared with at a time; a passage may have more.
const TOKEN_BLOCK: usize = 2048;
/// The last bits of a product depend on its place in a block, which would decide ties at the end of
/// a ranking. So a search keeps this many extra passages and scores them again one by one.
const SPARE: usize = 32;

/// `kind = "late-interaction"`: a ColBERT model, and what it searches.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
pub struct LateInteractionSettings {
    /// The retriever's name in runs, counts and provenance.
    #[serde(default = "default_name")]
    pub name: String,
    /// A folder of colbert-ai's or PyLate's, or an id on the hub.
    pub model: NamedModel,
    /// Another retriever, whose findings this one puts into its own order; absent: it searches all
    /// passages.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub candidates: Option<Box<RetrieverConfig>>,
}

fn default_name() -> String {
    NAME.to_owned()
}

impl LateInteractionSettings {
    /// The settings of the retriever whose findings are reordered.
    fn first(&self) -> Option<&dyn Settings> {
        self.candidates.as_ref().map(|candidates| candidates.settings())
    }
}

impl Settings for LateInteractionSettings {
    fn name(&self) -> &str {
        &self.name
    }

    fn check(&self) -> Result<()> {
        check_name(&self.name)?;
        let is_late =
            matches!(self.candidates.as_deref(), Some(RetrieverConfig::LateInteraction(_)));
        must(!is_late, (&self.name, "candidates"), "a retriever of another kind", NAME)?;
        self.first().map_or(Ok(()), |first| first.check())
    }

    fn anchor(&mut self, folder: &Path) {
        if let Some(candidates) = &mut self.candidates {
            candidates.settings_mut().anchor(folder);
        }
    }

    fn needs_model(&self) -> bool {
        self.first().is_some_and(|first| first.needs_model())
    }

    fn reads_run(&self) -> bool {
        self.first().is_some_and(|first| first.reads_run())
    }

    fn own_model(&mut self) -> Option<&mut NamedModel> {
        Some(&mut self.model)
    }

    fn inputs(&self) -> Result<Vec<Input>> {
        let folder = self.model.folder();
        let digest = |file: &String| {
            Ok(Input::of_file(format!("{}/{file}", self.name), &folder.join(file))?)
        };
        let mut inputs = Model::files(folder)?.iter().map(digest).collect::<Result<Vec<_>>>()?;
        if let Some(first) = self.first() {
            inputs.extend(first.inputs()?);
        }
        Ok(inputs)
    }

    fn build(&self, material: &Material) -> Result<Box<dyn Retriever>> {
        let folder = self.model.folder();
        let first = self.first().map(|first| first.build(material)).transpose()?;
        let engine = Engine::placed(material.placement)?;
        let model = Model::load(folder, None, &engine)?;
        let mut digest = engine.mark();
        for file in Model::files(folder)? {
            digest += &sha256_file(&folder.join(file))?;
        }
        let progress = material.progress;
        let kept = material.kept.as_ref();
        let shards = kept.map(|kept| Shards { folder: kept.join(&self.name), model: digest });
        let cache = TokenCache { width: model.width(), shards, progress };
        let passages = cache.encode("passages", &material.passage_texts(), |texts| {
            Ok(model.encode_passages(texts, progress)?)
        })?;
        let queries = cache.encode("queries", &material.query_texts(), |texts| {
            Ok(model.encode_queries(texts, progress)?)
        })?;
        Ok(Box::new(LateInteraction { name: self.name.clone(), first, queries, passages }))
    }
}

/// Exact search by maximum similarity, over all passages or over what another retriever finds.
pub struct LateInteraction {
    name: String,
    first: Option<Box<dyn Retriever>>,
    queries: TokenStore,
    passages: TokenStore,
}

/// What a thread reuses.
#[derive(Default)]
struct Scratch {
    queries: Vec<f32>,
    passages: Vec<f32>,
    products: Vec<f32>,
}

impl LateInteraction {
    /// Searches all passages for some queries, one block of passages after the other.
    fn search_block(
        &self,
        queries: Range<usize>,
        limit: usize,
        scratch: &mut Scratch,
    ) -> Vec<Vec<Scored>> {
        let width = self.queries.width;
        let mut tops: Vec<Top> = queries.clone().map(|_| Top::new(limit + SPARE)).collect();
        self.queries.load(queries.clone(), &mut scratch.queries);
        let rows = self.queries.tokens(queries.clone());
        for passages in self.blocks() {
            self.passages.load(passages.clone(), &mut scratch.passages);
            let columns = self.passages.tokens(passages.clone());
            scratch.products.clear();
            scratch.products.resize(rows * columns, 0.0);
            dot_products(&scratch.queries, &scratch.passages, width, &mut scratch.products);
            let mut first = 0;
            for (query, top) in queries.clone().zip(&mut tops) {
                let own = self.queries.tokens(query..query + 1);
                let products = &scratch.products[first * columns..(first + own) * columns];
                self.push(products, columns, passages.clone(), top);
                first += own;
            }
        }
        let ranking = |(query, top): (usize, Top)| self.rank(query, top.into_ranking(), limit);
        queries.zip(tops).map(ranking).collect()
    }

    /// Scores the passages of a block by the products of a query's tokens with theirs.
    fn push(&self, products: &[f32], columns: usize, passages: Range<usize>, top: &mut Top) {
        let mut first = 0;
        for passage in passages {
            let last = first + self.passages.tokens(passage..passage + 1);
            let best =
                |row: &[f32]| row[first..last].iter().copied().fold(f32::NEG_INFINITY, f32::max);
            let score = products.chunks_exact(columns.max(1)).map(best).sum();
            top.push(Scored { passage: passage as u32, score });
            first = last;
        }
    }

    /// Splits the passages into blocks of about [`TOKEN_BLOCK`] tokens.
    fn blocks(&self) -> Vec<Range<usize>> {
        let mut blocks: Vec<Range<usize>> = Vec::new();
        for passage in 0..self.passages.texts() {
            match blocks.last_mut() {
                Some(block) if self.passages.tokens(block.start..passage + 1) <= TOKEN_BLOCK => {
                    block.end = passage + 1;
                }
                _ => blocks.push(passage..passage + 1),
            }
        }
        blocks
    }

    /// Returns the best of some passages by their own scores.
    fn rank(&self, query: usize, mut found: Vec<Scored>, limit: usize) -> Vec<Scored> {
        let mut scratch = Scratch::default();
        self.queries.load(query..query + 1, &mut scratch.queries);
        for hit in &mut found {
            hit.score = self.similarity(hit.passage, &mut scratch);
        }
        found.sort_unstable_by(ranking_order);
        found.truncate(limit);
        found
    }

    /// Compares the query in `scratch` with a passage.
    fn similarity(&self, passage: u32, scratch: &mut Scratch) -> f32 {
        let passage = passage as usize;
        self.passages.load(passage..passage + 1, &mut scratch.passages);
        max_similarity(&scratch.queries, &scratch.passages, self.queries.width)
    }
}

impl Retriever for LateInteraction {
    fn name(&self) -> &str {
        &self.name
    }

    fn search(&self, queries: Range<usize>, limit: usize) -> Vec<Vec<Scored>> {
        if let Some(first) = &self.first {
            let found = first.search(queries.clone(), limit);
            let found = queries.into_par_iter().zip(found);
            return found.map(|(query, found)| self.rank(query, found, limit)).collect();
        }
        let starts: Vec<usize> = queries.clone().step_by(QUERY_BLOCK).collect();
        starts
            .into_par_iter()
            .map_init(Scratch::default, |scratch, start| {
                self.search_block(start..(start + QUERY_BLOCK).min(queries.end), limit, scratch)
            })
            .flatten_iter()
            .collect()
    }

    fn score(&self, query: usize, passage: u32) -> Option<f32> {
        let mut scratch = Scratch::default();
        self.queries.load(query..query + 1, &mut scratch.queries);
        Some(self.similarity(passage, &mut scratch))
    }
}

#[cfg(test)]
mod tests;
