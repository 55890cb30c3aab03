//! The generator that asks an LLM.

use super::generator::{Answer, Generator, Proposal};
use super::prompt::Prompt;
use crate::config::AskConfig;
use crate::error::Result;
use crate::language::{language_of, named};
use std::collections::HashSet;
use whatlang::Lang;
use whetstone_llm::{Assessment, Entry, Llm, Outcome, REFUSED, Work, parse};
use whetstone_records::{Passage, Progress};

/// Asks an LLM for the queries of passages.
pub struct Questions<'a> {
    pub llm: &'a Llm<'a>,
    pub prompt: Prompt<'a>,
    pub name: &'a str,
    pub asked: Asked<'a>,
}

/// What an answer is checked against.
pub struct Asked<'a> {
    pub config: &'a AskConfig,
    /// The language that most passages are in.
    pub main_language: Option<Lang>,
}

impl Questions<'_> {
    /// Hands the questions about these passages to `use_it`.
    pub fn with_work<R>(&self, passages: &[&Passage], use_it: impl FnOnce(&Work) -> R) -> R {
        use_it(&Work {
            part: "ask",
            unit: "passages",
            count: passages.len(),
            request: &|index, attempt| self.prompt.request(passages[index], attempt),
            assess: &|index, entry| assess(entry, passages[index], &self.asked),
            limit_key: "ask.max-answer-tokens",
            typical_answer: None,
        })
    }
}

impl Generator for Questions<'_> {
    fn name(&self) -> &str {
        self.name
    }

    fn generate(&self, passages: &[&Passage], progress: &dyn Progress) -> Result<Vec<Answer>> {
        let run = |work: &Work| -> Result<Vec<Outcome>> {
            let outcomes = self.llm.run(work, progress)?;
            // The filters report the other reasons why nothing is usable.
            if outcomes.iter().any(Outcome::is_cut_off) {
                self.llm.require_readable(work, &outcomes)?;
            }
            Ok(outcomes)
        };
        let outcomes = self.with_work(passages, run)?;
        let answer = |(passage, outcome): (&&Passage, Outcome)| {
            let entry = self.llm.answer_of(&outcome)?;
            let style = self.prompt.style(passage).name();
            let texts = entry.and_then(|entry| parse::questions(&entry.said()));
            let says_none = texts.as_ref().is_some_and(Vec::is_empty);
            let persona = self.prompt.persona(passage);
            Ok(Answer {
                proposals: texts
                    .unwrap_or_default()
                    .into_iter()
                    .map(|text| Proposal { text, style: style.into() })
                    .collect(),
                flaws: outcome.flaws.into_iter().flatten().collect(),
                says_none,
                open: outcome.open,
                persona: (!persona.is_empty()).then(|| persona.to_owned()),
                tokens_in: outcome.tokens_in,
                tokens_out: outcome.tokens_out,
            })
        };
        passages.iter().zip(outcomes).map(answer).collect()
    }
}

/// Checks an answer as a whole; the filters check single queries.
fn assess(entry: &Entry, passage: &Passage, asked: &Asked) -> Assessment {
    let read = parse::questions(&entry.said());
    let is_refused = entry.flaw() == Some(REFUSED);
    if read.as_ref().is_some_and(Vec::is_empty) && !is_refused {
        return Assessment::default();
    }
    let questions = read.unwrap_or_default();
    let different: HashSet<String> =
        questions.iter().map(|question| question.to_lowercase()).collect();
    let flaw = entry.flaw().or_else(|| {
        if questions.is_empty() {
            return Some("answers-unreadable");
        }
        if asked.config.check_language && is_foreign(&questions, passage, asked) {
            return Some("answers-in-another-language");
        }
        let count = asked.config.min_queries..=asked.config.max_queries;
        (!count.contains(&different.len())).then_some("answers-of-wrong-count")
    });
    let usable = if flaw == Some("answers-in-another-language") {
        0
    } else {
        different.len().min(asked.config.max_queries)
    };
    Assessment { flaw, usable }
}

/// Whether the queries are clearly in another language than the wanted one. If the config names no
/// language, either the passage's or the most common one will do: the detector easily takes code
/// for Spanish.
fn is_foreign(questions: &[String], passage: &Passage, asked: &Asked) -> bool {
    let Some(found) = language_of(&questions.join(" ")) else { return false };
    match &asked.config.language {
        Some(language) => named(language).is_some_and(|wanted| wanted != found),
        None => {
            Some(found) != asked.main_language
                && language_of(&passage.text).is_some_and(|own| own != found)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use whetstone_llm::Flaw;

    fn flaw(content: &str, finish_reason: &str, config: &AskConfig) -> Option<Flaw> {
        let entry = Entry {
            key: String::new(),
            subject: String::new(),
            llm: String::new(),
            content: content.into(),
            thought: false,
            finish_reason: Some(finish_reason.into()),
            prompt_tokens: None,
            completion_tokens: None,
            wall_ms: None,
            batch: false,
        };
        let text = "The garden pumps run from April to October. Watering by hose is allowed before nine in the \
                    morning, and who wants to set up a larger tank has to ask the board of the garden first.";
        let passage = Passage {
            id: "p".into(),
            title: String::new(),
            text: text.into(),
            metadata: Default::default(),
        };
        assess(&entry, &passage, &Asked { config, main_language: named("English") }).flaw
    }

    #[test]
    fn every_flaw_has_its_name() {
        let config = AskConfig::default();
        let of = |content: &str| flaw(content, "stop", &config);
        assert_eq!(of(r#"{"questions": ["When?", "Where?", "How?"]}"#), None);
        assert_eq!(
            flaw(r#"{"questions": ["When?", "Wh"#, "length", &config),
            Some("answers-cut-off")
        );
        assert_eq!(flaw("", "content_filter", &config), Some("answers-refused"));
        assert_eq!(of("  "), Some("answers-empty"));
        assert_eq!(of("I am sorry, Dave."), Some("answers-unreadable"));
        assert_eq!(of(r#"["When?", "when?", "WHEN?"]"#), Some("answers-of-wrong-count"));
        assert_eq!(of(r#"["a?","b?","c?","d?","e?","f?"]"#), Some("answers-of-wrong-count"));
        let german = r#"["Wann darf ich meinen Garten gießen?", "Wie lange laufen die Pumpen im Garten?", "Ab wann ist das Gießen mit dem Schlauch verboten?"]"#;
        assert_eq!(of(german), Some("answers-in-another-language"));
        assert_eq!(
            flaw(german, "stop", &AskConfig { language: Some("German".into()), ..config.clone() }),
            None
        );
        assert_eq!(flaw(german, "stop", &AskConfig { check_language: false, ..config }), None);
    }
}
