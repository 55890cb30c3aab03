//! How a model with fewer layers learns from the larger one that it was cut from.

use crate::config::{LossName, ModelKind, TrainConfig};
use crate::error::Result;
use std::path::Path;
use whetstone_model::{PairTokenizer, Precision};
use whetstone_records::DataSet;

impl TrainConfig {
    /// The config by which a model that lost layers learns its teacher's scores. Those of both have
    /// the same scale, so the squared error to them is the loss; of a late interaction, to their
    /// differences within a query, which alone decide its order. Nothing is dropped, as the teacher
    /// drops nothing.
    pub fn distillation(kind: ModelKind) -> Self {
        Self {
            kind,
            loss: match kind {
                ModelKind::CrossEncoder => LossName::Mse,
                ModelKind::LateInteraction => LossName::MarginMse,
            },
            epochs: 3,
            learning_rate: 1e-4,
            precision: Precision::Bf16,
            dropout: Some(0.0),
            ..Self::default()
        }
    }

    /// The same config with this teacher, of which the student kept `layers`. Those of a late
    /// interaction teach nothing. A data set that does
    /// not say how long its pairs are has those of the teacher.
    pub fn with_teacher(
        self,
        (student, layers): (&Path, Vec<usize>),
        teacher: &Path,
        data: &Path,
    ) -> Result<Self> {
        let stated = match DataSet::new(data).max_seq_tokens()? {
            Some(_) => self.max_seq_tokens,
            None => Some(match self.max_seq_tokens {
                Some(tokens) => tokens,
                None => PairTokenizer::stored_limit(teacher)?,
            }),
        };
        let teacher_layers = match self.kind {
            ModelKind::CrossEncoder => layers,
            ModelKind::LateInteraction => vec![],
        };
        let model = student.to_string_lossy().into_owned();
        let teacher = Some(teacher.into());
        Ok(Self { model, teacher, teacher_layers, max_seq_tokens: stated, ..self })
    }
}
