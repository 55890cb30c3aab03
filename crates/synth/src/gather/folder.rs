//! A BEIR folder that is gathered.

use crate::collection::read_unique;
use crate::config::GatherConfig;
use crate::error::{Error, Result};
use rand::seq::SliceRandom;
use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use whetstone_records::{
    DataSet, DocumentId, GivenSplit, Input, Passage, PassageId, Qrels, Query, QueryId,
};

/// Judgements with what their file keeps them for, the most protected first: a query that stands in
/// two of them belongs to the first. A data set of Whetstone before `pair` has only the last.
const QRELS: [(&str, Option<GivenSplit>); 4] = [
    (DataSet::TEST_QRELS, Some(GivenSplit::Test)),
    (DataSet::DEV_QRELS, Some(GivenSplit::Dev)),
    (DataSet::TRAIN_QRELS, Some(GivenSplit::Train)),
    (DataSet::ALL_QRELS, None),
];

/// A BEIR folder, and the name that goes before its ids.
pub struct Folder {
    name: String,
    data: DataSet,
    qrels: Vec<(&'static str, Option<GivenSplit>)>,
}

/// What a folder gives, under its new ids.
pub struct Gathered {
    pub passages: Vec<Passage>,
    pub queries: Vec<Query>,
    pub qrels: Qrels,
    pub without_text: usize,
    pub without_answer: usize,
    /// Judgements of passages or queries that the folder lacks.
    pub unknown: usize,
}

impl Folder {
    /// Finds the files of all folders.
    pub fn all(paths: &[PathBuf], out: &Path) -> Result<Vec<Self>> {
        if paths.is_empty() {
            return Err(Error::NothingToGather);
        }
        let mut seen = BTreeMap::new();
        let mut folders = Vec::new();
        for path in paths {
            let folder = Self::find(path, out)?;
            if let Some(other) = seen.insert(folder.name.clone(), path) {
                let (one, other) = (other.clone(), path.clone());
                return Err(Error::SameFolderName { name: folder.name, one, other });
            }
            folders.push(folder);
        }
        Ok(folders)
    }

    fn find(path: &Path, out: &Path) -> Result<Self> {
        // `.` and `data/..` have names too.
        let whole = path.canonicalize().map_err(Error::io("read", path))?;
        if out.canonicalize().is_ok_and(|out| out == whole) {
            return Err(Error::GatheredIntoItself { path: path.into() });
        }
        let name = whole.file_name().and_then(|name| name.to_str()).unwrap_or_default().to_owned();
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(Error::FolderName { path: path.into(), name });
        }
        let data = DataSet::new(path);
        let mut qrels: Vec<_> =
            QRELS.into_iter().filter(|(file, _)| data.path(file).is_file()).collect();
        if qrels.iter().any(|(_, split)| split.is_some()) {
            qrels.retain(|(_, split)| split.is_some());
        }
        if qrels.is_empty() {
            return Err(Error::NoQrels { path: path.into() });
        }
        Ok(Self { name, data, qrels })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// The files of its judgements, in words.
    pub fn qrels_names(&self) -> String {
        self.qrels.iter().map(|(file, _)| *file).collect::<Vec<_>>().join(", ")
    }

    /// Digests everything that is read.
    pub fn inputs(&self) -> Result<Vec<Input>> {
        let qrels = self.qrels.iter().map(|(file, _)| *file);
        let files = [DataSet::CORPUS, DataSet::QUERIES].into_iter().chain(qrels);
        let digest = |file: &str| Ok(Input::of_file(self.id(file), &self.data.path(file))?);
        files.map(digest).collect()
    }

    /// An id under the folder's name.
    fn id(&self, id: &str) -> String {
        format!("{}/{id}", self.name)
    }

    /// Reads the folder. Only judged queries are taken that a passage with text answers.
    pub fn read(&self, config: &GatherConfig, seed: u64) -> Result<Gathered> {
        let mut passages =
            read_unique(&self.data.corpus(), |passage: &Passage| passage.id.as_str())?;
        let mut queries = read_unique(&self.data.queries(), |query: &Query| query.id.as_str())?;
        let all = passages.len();
        passages.retain(|passage| !passage.full_text().trim().is_empty());
        let without_text = all - passages.len();
        let (qrels, splits, unknown) = self.judgements(&passages, &queries)?;
        let judged = splits.len();
        queries.retain(|query| qrels.get(query.id.as_str()).is_some());
        let without_answer = judged - queries.len();
        for query in &mut queries {
            query.metadata.given_split = splits[&query.id].map(|split| {
                if config.train_on.contains(&split) { GivenSplit::Train } else { split }
            });
        }
        self.sample(&mut queries, config.max_queries, seed);
        let kept: HashSet<&QueryId> = queries.iter().map(|query| &query.id).collect();
        let mut renamed = Qrels::default();
        for (query, grades) in qrels.iter().filter(|(query, _)| kept.contains(query)) {
            for (passage, grade) in grades {
                renamed.insert(self.query_id(query), self.passage_id(passage), *grade);
            }
        }
        passages.iter_mut().for_each(|passage| self.rename_passage(passage));
        queries.iter_mut().for_each(|query| self.rename_query(query));
        Ok(Gathered { passages, queries, qrels: renamed, without_text, without_answer, unknown })
    }

    /// Returns the judgements of queries that have an answer, what each known query is kept for,
    /// and how many judgements name something that is not there.
    fn judgements(
        &self,
        passages: &[Passage],
        queries: &[Query],
    ) -> Result<(Qrels, BTreeMap<QueryId, Option<GivenSplit>>, usize)> {
        let passages: HashSet<&PassageId> = passages.iter().map(|passage| &passage.id).collect();
        let queries: HashSet<&QueryId> = queries.iter().map(|query| &query.id).collect();
        let (mut all, mut splits, mut unknown) = (Qrels::default(), BTreeMap::new(), 0);
        for (file, split) in &self.qrels {
            let read = match Qrels::read(&self.data.path(file)) {
                // A data set without dev or test has such a file.
                Err(whetstone_records::Error::Empty { .. }) => continue,
                read => read?,
            };
            for (query, grades) in read.iter() {
                let is_known = queries.contains(query);
                if is_known {
                    splits.entry(query.clone()).or_insert(*split);
                }
                for (passage, grade) in grades {
                    if is_known && passages.contains(passage) {
                        all.insert(query.clone(), passage.clone(), *grade);
                    } else {
                        unknown += 1;
                    }
                }
            }
        }
        let mut answered = Qrels::default();
        for (query, grades) in all.iter().filter(|(_, grades)| grades.values().any(|g| *g > 0)) {
            for (passage, grade) in grades {
                answered.insert(query.clone(), passage.clone(), *grade);
            }
        }
        Ok((answered, splits, unknown))
    }

    /// Keeps a seeded sample of the training queries, and all others.
    fn sample(&self, queries: &mut Vec<Query>, most: usize, seed: u64) {
        let trains = |query: &&Query| query.metadata.given_split == Some(GivenSplit::Train);
        let mut train: Vec<&QueryId> =
            queries.iter().filter(trains).map(|query| &query.id).collect();
        if most == 0 || train.len() <= most {
            return;
        }
        train.sort_unstable();
        train.shuffle(&mut crate::random::rng(seed, "gather", &self.name));
        let left_out: BTreeSet<QueryId> = train[most..].iter().map(|id| (*id).clone()).collect();
        queries.retain(|query| !left_out.contains(&query.id));
    }

    fn passage_id(&self, id: &PassageId) -> PassageId {
        PassageId::new(self.id(id.as_str()))
    }

    fn query_id(&self, id: &QueryId) -> QueryId {
        QueryId::new(self.id(id.as_str()))
    }

    fn rename_passage(&self, passage: &mut Passage) {
        passage.id = self.passage_id(&passage.id);
        let metadata = &mut passage.metadata;
        let places = metadata.places.iter_mut().map(|place| &mut place.document);
        for document in metadata.document.iter_mut().chain(places) {
            *document = DocumentId::new(self.id(document.as_str()));
        }
        metadata.gathered_from = Some(self.name.clone());
    }

    fn rename_query(&self, query: &mut Query) {
        query.id = self.query_id(&query.id);
        let metadata = &mut query.metadata;
        metadata.passage = metadata.passage.as_ref().map(|passage| self.passage_id(passage));
        metadata.gathered_from = Some(self.name.clone());
    }
}
