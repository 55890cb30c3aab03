use crate::config::BertConfig;
use crate::tokenizer::Packed;
use burn::module::Module;
use burn::nn::{Embedding, EmbeddingConfig, LayerNorm, LayerNormConfig};
use burn::tensor::{Device, Int, Tensor, TensorData};
use whetstone_kernels::{self as kernels, Dropout, EmbeddingSpec};

/// Word, position and token type, added and normalised.
#[derive(Module, Debug)]
pub struct Embeddings {
    pub(crate) word: Embedding,
    pub(crate) position: Embedding,
    pub(crate) token_type: Embedding,
    pub(crate) norm: LayerNorm,
}

impl Embeddings {
    pub(crate) fn init(config: &BertConfig, device: &Device) -> Self {
        let table = |rows| EmbeddingConfig::new(rows, config.hidden_size).init(device);
        Self {
            word: table(config.vocab_size),
            position: table(config.max_position_embeddings),
            token_type: table(config.type_vocab_size),
            norm: norm(config, device),
        }
    }

    /// Returns `[tokens, hidden]` in one fused operation; burn-flex only.
    pub(crate) fn forward_fused(&self, batch: &Packed, dropout: Dropout, eps: f32) -> Tensor<2> {
        let positions = batch.starts.windows(2).flat_map(|pair| 0..(pair[1] - pair[0]) as u32);
        let ids = batch.ids.iter().zip(&batch.types).zip(positions);
        let rows = ids.map(|((&id, &kind), position)| [id, kind, position]).collect();
        let tables = [&self.word, &self.token_type, &self.position].map(|table| table.weight.val());
        let beta = self.norm.beta.as_ref().expect("BERT's LayerNorms have a bias").val();
        kernels::embeddings(
            tables,
            self.norm.gamma.val(),
            beta,
            EmbeddingSpec { rows, eps, dropout },
        )
    }

    /// Returns `[tokens, hidden]` for a batch without padding, in plain burn operations.
    pub(crate) fn forward(
        &self,
        batch: &Packed,
        dropout: Option<Dropout>,
        device: &Device,
    ) -> Tensor<2> {
        let positions =
            batch.starts.windows(2).flat_map(|pair| 0..(pair[1] - pair[0]) as i64).collect();
        let ids = |values: Vec<i64>| {
            Tensor::<1, Int>::from_data(TensorData::new(values, [batch.tokens()]), device)
        };
        let wide = |values: &[u32]| values.iter().map(|&id| i64::from(id)).collect();
        let x = self.word.weight.val().select(0, ids(wide(&batch.ids)))
            + self.position.weight.val().select(0, ids(positions))
            + self.token_type.weight.val().select(0, ids(wide(&batch.types)));
        let x = self.norm.forward(x); // [tokens, hidden]
        match dropout {
            Some(dropout) => x.clone() * mask(dropout, x.dims(), device),
            None => x,
        }
    }
}

pub(crate) fn norm(config: &BertConfig, device: &Device) -> LayerNorm {
    // eps 1e-12: BERT's; burn's default is 1e-5.
    LayerNormConfig::new(config.hidden_size).with_epsilon(config.layer_norm_eps).init(device)
}

/// The factors of a dropout as a tensor.
pub(crate) fn mask(dropout: Dropout, dims: [usize; 2], device: &Device) -> Tensor<2> {
    Tensor::from_data(TensorData::new(dropout.factors(dims[0] * dims[1]), dims), device)
}
