//! Checks that no document serves both training and measuring.

use crate::collection::Collection;
use crate::error::{Error, Result};
use crate::split::Split;
use std::collections::HashMap;
use whetstone_records::{DocumentId, Pair, PassageId, Qrels, QueryId};

/// Refuses a data set that uses one document twice: for training and for measuring, or for dev and
/// test.
///
/// The check goes by the files about to be written, not by the split. A document is used for
/// training if one of its passages is in a training pair. It is used for dev or test if it belongs
/// to that split or answers one of its queries.
pub fn verify(
    collection: &Collection,
    train: &[Vec<Pair>],
    dev: &Qrels,
    test: &Qrels,
) -> Result<()> {
    let mut uses: HashMap<DocumentId, Split> = HashMap::new();
    for (split, qrels) in [(Split::Dev, dev), (Split::Test, test)] {
        for (query, grades) in qrels.iter() {
            for (passage, _) in grades.iter().filter(|(_, grade)| **grade > 0) {
                claim(&mut uses, collection, split, query, passage)?;
            }
        }
    }
    for pair in train.iter().flatten() {
        claim(&mut uses, collection, Split::Train, &pair.query_id, &pair.passage_id)?;
    }
    Ok(())
}

fn claim(
    uses: &mut HashMap<DocumentId, Split>,
    collection: &Collection,
    split: Split,
    query: &QueryId,
    passage: &PassageId,
) -> Result<()> {
    let place = collection.passage(passage);
    let place = place.ok_or_else(|| Error::JudgedPassageMissing {
        query: query.clone(),
        passage: passage.clone(),
    })?;
    let drawn = collection.passage_split(place);
    for document in collection.passages[place as usize].documents() {
        let earlier = *uses.entry(document.clone()).or_insert(split);
        if let Some(other) = [earlier, drawn].into_iter().find(|other| *other != split) {
            return Err(Error::SharedDocument {
                document,
                one: split.name(),
                other: other.name(),
                passage: passage.clone(),
                query: query.clone(),
            });
        }
    }
    Ok(())
}
