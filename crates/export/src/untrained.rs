//! Weights that training has not touched.

use crate::error::{Error, Result};
use std::path::Path;
use whetstone_records::{Best, RunDir, read_json};

/// Returns what to say about a run whose best step is step 0, None where it is a later one or
/// where the folder is no run but a step that somebody chose.
///
/// # Errors
/// [`Error::Untrained`] where the head is random on top of that: nobody can mean that.
pub fn note(checkpoint: &Path) -> Result<Option<String>> {
    let best: Option<Best> = read_json(&RunDir::new(checkpoint).best())?;
    let Some(best) = best.filter(|best| best.step == 0) else { return Ok(None) };
    if best.fresh_head {
        return Err(Error::Untrained { path: checkpoint.into() });
    }
    Ok(Some("training brought nothing: these are the weights of the base model".into()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use whetstone_records::{Hint, write_json};

    #[test]
    fn step_0_is_exported_with_a_word_and_a_random_head_only_by_its_own_name() {
        let run = tempfile::tempdir().unwrap();
        let best = |step, fresh_head| {
            let best = Best { step, ndcg_at_10: Some(0.5), fresh_head, blended: None };
            write_json(&RunDir::new(run.path()).best(), &best).unwrap();
            note(run.path())
        };
        assert_eq!(best(500, false).unwrap(), None);
        assert!(best(0, false).unwrap().unwrap().starts_with("training brought nothing"));
        let error = best(0, true).unwrap_err();
        assert!(error.hint().unwrap().contains("step-000000"), "{error}");
        assert_eq!(note(&RunDir::new(run.path()).step(0)).unwrap(), None);
    }
}
