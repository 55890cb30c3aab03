//! RoBERTa (Liu et al. 2019), and CamemBERT (Martin et al. 2020), which is the same network.

use super::encoder::{self, EncoderConfig};
use super::{Export, Family, Names, Piece, Template, refuse};
use crate::error::Result;
use crate::spec::{HeadKind, Positions, Spec};
use std::path::Path;

const BEGIN: Piece = Piece::Special("<s>");
const END: Piece = Piece::Special("</s>");
/// The row of `<pad>` in every published table, and transformers' default.
const PADDING: u32 = 1;

pub(super) static ROBERTA: Family =
    family("roberta", "RobertaForSequenceClassification", "RobertaTokenizer");

pub(super) static CAMEMBERT: Family =
    family("camembert", "CamembertForSequenceClassification", "CamembertTokenizer");

/// A family with this network, by its name in config.json and by its classes in transformers.
pub(super) const fn family(
    model_type: &'static str,
    architecture: &'static str,
    tokenizer_class: &'static str,
) -> Family {
    Family {
        model_type,
        spec,
        names: Names {
            word: "roberta.embeddings.word_embeddings",
            position: "roberta.embeddings.position_embeddings",
            token_type: "roberta.embeddings.token_type_embeddings",
            embedding_norm: "roberta.embeddings.LayerNorm",
            layers: "roberta.encoder.layer.",
            head_dense: "classifier.dense",
            head_output: "classifier.out_proj",
            ..encoder::LAYER
        },
        known_as,
        template: Template {
            pair: &[
                (BEGIN, 0),
                (Piece::Query, 0),
                (END, 0),
                (END, 0),
                (Piece::Passage, 0),
                (END, 0),
            ],
            text: &[(BEGIN, 0), (Piece::Query, 0), (END, 0)],
        },
        layer_count: &["num_hidden_layers"],
        per_layer: &[],
        export: Export {
            architecture,
            tokenizer_class,
            config_defaults: |_| encoder::config_defaults(PADDING),
            special_tokens: &[
                ("bos_token", "<s>"),
                ("eos_token", "</s>"),
                ("unk_token", "<unk>"),
                ("sep_token", "</s>"),
                ("pad_token", "<pad>"),
                ("cls_token", "<s>"),
                ("mask_token", "<mask>"),
            ],
        },
    }
}

/// Positions count from the row after the padding token's, as fairseq has them.
fn spec(path: &Path, bytes: &[u8]) -> Result<Spec> {
    let config = EncoderConfig::read(path, bytes)?;
    let padding = config.pad_token_id.unwrap_or(PADDING);
    if padding as usize >= config.vocab_size {
        return refuse(path, "pad_token_id", "below vocab_size", padding);
    }
    let (rows, first) = (config.max_position_embeddings, padding as usize + 1);
    Ok(Spec {
        positions: Positions::Absolute { rows, first, padding: Some(padding) },
        longest_input: rows.saturating_sub(first),
        ..config.spec(HeadKind::FirstTokenDropTanh)
    })
}

/// An encoder's file has no prefix. The classifier reads no pooler, and `lm_head.` marks the head
/// of pre-training.
fn known_as(name: &str) -> Option<String> {
    let name = encoder::modern(name)?;
    let inner = name.strip_prefix("roberta.").unwrap_or(&name);
    if inner.starts_with("pooler.") || name.starts_with("lm_head.") {
        return None;
    }
    Some(match name.starts_with("classifier.") {
        true => name,
        false => format!("roberta.{inner}"),
    })
}
