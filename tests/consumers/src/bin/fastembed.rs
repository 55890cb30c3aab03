//! fastembed: a reranker that the user defines. The environment variable ORT_DYLIB_PATH names the
//! library of ONNX Runtime.

use fastembed::{
    OnnxSource, RerankInitOptionsUserDefined, TextRerank, TokenizerFiles, UserDefinedRerankingModel,
};
use std::process::ExitCode;
use whetstone_consumers::{Folder, Result};

fn main() -> Result<ExitCode> {
    let folder = Folder::of_command_line()?;
    let files = TokenizerFiles {
        tokenizer_file: folder.file("tokenizer.json")?,
        config_file: folder.file("config.json")?,
        special_tokens_map_file: folder.file("special_tokens_map.json")?,
        tokenizer_config_file: folder.file("tokenizer_config.json")?,
    };
    let model = UserDefinedRerankingModel::new(
        OnnxSource::File(folder.path.join("onnx/model.onnx")),
        files,
    );
    let options =
        RerankInitOptionsUserDefined::new().with_max_length(folder.golden.max_seq_tokens);
    let mut reranker = TextRerank::try_new_from_user_defined(model, options)?;
    let mut logits = vec![];
    for group in folder.golden.pairs.chunk_by(|one, other| one.query == other.query) {
        let passages: Vec<&str> = group.iter().map(|pair| pair.passage.as_str()).collect();
        let mut ranked = reranker.rerank(group[0].query.as_str(), passages, false, None)?;
        ranked.sort_by_key(|result| result.index);
        logits.extend(ranked.iter().map(|result| result.score));
    }
    Ok(folder.compare("fastembed-rs", &logits))
}
