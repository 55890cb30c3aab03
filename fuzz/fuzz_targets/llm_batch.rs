//! What an endpoint sent, as a line of a batch file has it; what was taken stands in the journal.

#![no_main]

use libfuzzer_sys::fuzz_target;
use std::path::PathBuf;
use std::sync::LazyLock;
use whetstone_fuzz::{file, scratch, told};
use whetstone_llm::{Assessment, Llm, LlmConfig, Work};

static FOLDER: LazyLock<PathBuf> = LazyLock::new(scratch);

/// No questions: every answer is one to another request, and kept as well.
fn nothing<'a>() -> Work<'a> {
    Work {
        part: "fuzz",
        unit: "lines",
        count: 0,
        request: &|_, _| unreachable!("there are no questions"),
        assess: &|_, _| Assessment::default(),
        limit_key: "",
        typical_answer: None,
    }
}

fuzz_target!(|bytes: &[u8]| {
    let results = file(&FOLDER, "results.jsonl", bytes);
    let journal = FOLDER.join("batch.journal.jsonl");
    // A journal that cannot be removed is not there yet.
    let _ = std::fs::remove_file(&journal);
    let config = LlmConfig::default();
    let taken = {
        let llm = Llm::open(&config, &journal).expect("a new journal");
        told(llm.batch_in(&nothing(), &results))
    };
    let Some(taken) = taken else { return };
    let llm = Llm::open(&config, &journal).expect("our own journal");
    let again = llm.batch_in(&nothing(), &results).expect("it was read before");
    assert_eq!((again.answers, again.known), (0, taken.answers + taken.known));
});
