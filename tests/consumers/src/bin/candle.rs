//! candle: its BertModel, with the pooler and the classifier on top.

use candle_core::{DType, Device, Tensor};
use candle_nn::{Linear, Module, VarBuilder, linear};
use candle_transformers::models::bert::{BertModel, Config};
use std::process::ExitCode;
use tokenizers::Encoding;
use whetstone_consumers::{Folder, Result};

struct CrossEncoder {
    bert: BertModel,
    pooler: Linear,
    classifier: Linear,
}

impl CrossEncoder {
    fn open(folder: &Folder) -> Result<Self> {
        let config: Config = serde_json::from_slice(&folder.file("config.json")?)?;
        let weights = folder.file("model.safetensors")?;
        let vb = VarBuilder::from_buffered_safetensors(weights, DType::F32, &Device::Cpu)?;
        let hidden = config.hidden_size;
        Ok(Self {
            pooler: linear(hidden, hidden, vb.pp("bert.pooler.dense"))?,
            classifier: linear(hidden, 1, vb.pp("classifier"))?,
            bert: BertModel::load(vb, &config)?,
        })
    }

    fn logits(&self, batch: &[Encoding]) -> Result<Vec<f32>> {
        let tensor = |of: fn(&Encoding) -> &[u32]| {
            let rows: Vec<Tensor> = batch
                .iter()
                .map(|encoding| Tensor::new(of(encoding), &Device::Cpu))
                .collect::<candle_core::Result<_>>()?;
            Tensor::stack(&rows, 0)
        };
        let ids = tensor(Encoding::get_ids)?;
        let types = tensor(Encoding::get_type_ids)?;
        let mask = tensor(Encoding::get_attention_mask)?;
        let tokens = self.bert.forward(&ids, &types, Some(&mask))?; // [batch, seq, hidden]
        let first = tokens.narrow(1, 0, 1)?.squeeze(1)?.contiguous()?; // [batch, hidden]
        let pooled = self.pooler.forward(&first)?.tanh()?;
        Ok(self.classifier.forward(&pooled)?.flatten_all()?.to_vec1()?)
    }
}

fn main() -> Result<ExitCode> {
    let folder = Folder::of_command_line()?;
    let model = CrossEncoder::open(&folder)?;
    let mut logits = vec![];
    for pairs in folder.golden.pairs.chunks(8) {
        logits.extend(model.logits(&folder.encode(pairs)?)?);
    }
    Ok(folder.compare("candle-transformers", &logits))
}
