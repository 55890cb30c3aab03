//! ort: the bindings of ONNX Runtime. The environment variable ORT_DYLIB_PATH names the library.

use ort::session::Session;
use ort::value::Tensor;
use std::process::ExitCode;
use tokenizers::Encoding;
use whetstone_consumers::{Folder, Result};

fn logits(session: &mut Session, batch: &[Encoding]) -> Result<Vec<f32>> {
    let shape = [batch.len(), batch[0].len()];
    let tensor = |of: fn(&Encoding) -> &[u32]| {
        let values = batch.iter().flat_map(|encoding| of(encoding).iter().map(|&id| i64::from(id)));
        Tensor::from_array((shape, values.collect::<Vec<i64>>()))
    };
    let outputs = session.run(ort::inputs![
        "input_ids" => tensor(Encoding::get_ids)?,
        "attention_mask" => tensor(Encoding::get_attention_mask)?,
        "token_type_ids" => tensor(Encoding::get_type_ids)?,
    ])?;
    Ok(outputs["logits"].try_extract_tensor::<f32>()?.1.to_vec())
}

fn main() -> Result<ExitCode> {
    let folder = Folder::of_command_line()?;
    let library = std::env::var("ORT_DYLIB_PATH")?;
    let environment = ort::init_from(library)?.build()?;
    let mut session =
        Session::builder(&environment)?.commit_from_file(folder.path.join("onnx/model.onnx"))?;
    let mut found = vec![];
    for pairs in folder.golden.pairs.chunks(8) {
        found.extend(logits(&mut session, &folder.encode(pairs)?)?);
    }
    Ok(folder.compare("ort", &found))
}
