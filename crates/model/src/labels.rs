//! Which label of a classifier is the score, and what a base model's head is to training.

use crate::error::{Error, Result};
use crate::families::{Architecture, Names};
use crate::header;
use crate::weights::{self, Tensors};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::Path;
use whetstone_records::{ModelDir, read_json};

/// What a base model's head is to training.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HeadStart {
    /// It gives one score, of itself or by the label that was chosen.
    Taken,
    /// There is none, so it is made anew.
    Missing,
    /// It gives several labels, and none was chosen, so it is made anew.
    Several { labels: Vec<String> },
}

/// Returns what the head of a model folder is to training, `label` being the one to take.
///
/// # Errors
/// A label that the head does not have.
pub fn head_start(model_dir: &Path, label: Option<&str>) -> Result<HeadStart> {
    let names = &Architecture::read(model_dir)?.family.names;
    let shape = header::shape(model_dir, &output(names, "weight"))?;
    let Some(rows) = shape.and_then(|shape| shape.first().copied()) else {
        return match label {
            None => Ok(HeadStart::Missing),
            Some(_) => Err(Error::NoHead { path: model_dir.into() }),
        };
    };
    match label {
        Some(label) => choose(model_dir, label, rows).map(|_| HeadStart::Taken),
        None if rows == 1 => Ok(HeadStart::Taken),
        None => Ok(HeadStart::Several { labels: of_config(model_dir, rows)? }),
    }
}

/// Leaves the rows of `label` in the tensors of a head, as one row. Without a label, it refuses
/// several rows.
pub(crate) fn reduce(
    tensors: &mut Tensors,
    names: &Names,
    model_dir: &Path,
    label: Option<&str>,
) -> Result<()> {
    let weight = tensors.get(&output(names, "weight"));
    let Some(&[rows, _]) = weight.map(|weight| &weight.shape[..]) else { return Ok(()) };
    let Some(label) = label else {
        return match rows {
            1 => Ok(()),
            _ => {
                let labels = of_config(model_dir, rows)?;
                Err(Error::Labels { path: weights::place(model_dir), labels })
            }
        };
    };
    let chosen = choose(model_dir, label, rows)?;
    for kind in ["weight", "bias"] {
        let Some(tensor) = tensors.get_mut(&output(names, kind)) else { continue };
        let width = tensor.values.len() / rows;
        let mut row = vec![0f32; width];
        for &(place, sign) in &chosen {
            let values = tensor.values[place * width..].iter().take(width);
            row.iter_mut().zip(values).for_each(|(sum, value)| *sum += sign * value);
        }
        tensor.values = row;
        tensor.shape[0] = 1;
    }
    Ok(())
}

/// Removes the last layer of a head with several labels.
pub(crate) fn drop_several(tensors: &mut Tensors, names: &Names) {
    let weight = tensors.get(&output(names, "weight"));
    if weight.is_some_and(|weight| weight.shape.first() != Some(&1)) {
        ["weight", "bias"].iter().for_each(|kind| {
            tensors.remove(&output(names, kind));
        });
    }
}

/// The name of a parameter of the head's last layer.
pub(crate) fn output(names: &Names, kind: &str) -> String {
    format!("{}.{kind}", names.head_output)
}

/// Returns the rows that a label stands for, with their signs.
fn choose(model_dir: &Path, label: &str, rows: usize) -> Result<Vec<(usize, f32)>> {
    let labels = of_config(model_dir, rows)?;
    let place = |name: &str| {
        let name = name.trim();
        let named = labels.iter().position(|label| label == name);
        let alike = || labels.iter().position(|label| label.eq_ignore_ascii_case(name));
        let number = || name.parse().ok().filter(|&number| number < rows);
        named.or_else(alike).or_else(number)
    };
    if let Some(place) = place(label) {
        return Ok(vec![(place, 1.0)]);
    }
    let differences = label.match_indices('-').filter_map(|(at, _)| {
        let (first, second) = (place(&label[..at])?, place(&label[at + 1..])?);
        (first != second).then(|| vec![(first, 1.0), (second, -1.0)])
    });
    let path = ModelDir::new(model_dir).config();
    let none = || Error::NoLabel { path, label: label.to_owned(), labels: labels.clone() };
    { differences }.next().ok_or_else(none)
}

/// Returns the names of a head's rows: from config.json, else as transformers makes them up.
pub(crate) fn of_config(model_dir: &Path, rows: usize) -> Result<Vec<String>> {
    #[derive(Default, Deserialize)]
    struct Config {
        id2label: Option<BTreeMap<String, String>>,
    }
    let config: Option<Config> = read_json(&ModelDir::new(model_dir).config())?;
    let mut names = config.unwrap_or_default().id2label.unwrap_or_default();
    let name = |row: usize| names.remove(&row.to_string());
    Ok((0..rows)
        .map(name)
        .enumerate()
        .map(|(row, name)| name.unwrap_or_else(|| format!("LABEL_{row}")))
        .collect())
}
