//! What the LLM is told about a passage, and the JSON that it must return.

use super::examples::Examples;
use super::styles;
use crate::config::{AskConfig, Style};
use crate::error::Result;
use rand::Rng;
use serde_json::{Value, json};
use whetstone_llm::judging::object;
use whetstone_llm::{LlmConfig, Message, Request, Template, extra_body};
use whetstone_records::Passage;

const COMPILED_IN: &str = include_str!("../../../../configs/prompts/ask.md");
const VARIABLES: &[&str] = &[
    "title",
    "document-title",
    "headings",
    "document",
    "text",
    "min",
    "max",
    "kind",
    "style",
    "persona",
    "words",
    "language",
];

/// Makes the requests of `ask`.
pub struct Prompt<'a> {
    config: &'a AskConfig,
    llm: &'a LlmConfig,
    seed: u64,
    template: Template,
    examples: Examples,
    min: String,
    max: String,
    words: String,
    extra_body: Vec<(String, String)>,
}

/// Where a passage stands, for the template's variables.
pub struct Place<'a> {
    pub title: &'a str,
    pub document_title: &'a str,
    pub headings: &'a str,
}

impl<'a> Place<'a> {
    pub fn of(title: &'a str) -> Self {
        let (document_title, headings) = title.split_once(" > ").unwrap_or((title, ""));
        Self { title, document_title, headings }
    }
}

impl<'a> Prompt<'a> {
    /// Reads the prompt and the examples that the config names.
    pub fn open(config: &'a AskConfig, llm: &'a LlmConfig, seed: u64) -> Result<Self> {
        let template = Template::open(config.prompt.as_deref(), COMPILED_IN, VARIABLES, &["text"])?;
        let words = config.query_words.map(|(least, most)| format!("{least} to {most}"));
        Ok(Self {
            template,
            examples: Examples::read(config)?,
            min: config.min_queries.to_string(),
            max: config.max_queries.to_string(),
            words: words.unwrap_or_default(),
            extra_body: extra_body(llm),
            config,
            llm,
            seed,
        })
    }

    /// The style for a passage, drawn by seed and id: it does not change when other passages come
    /// or go.
    pub fn style(&self, passage: &Passage) -> Style {
        let weights = || self.config.styles.iter().filter(|(_, weight)| **weight > 0.0);
        let mut left = weights().map(|(_, weight)| weight).sum::<f64>();
        let mut styles = weights();
        let (first, _) = styles.next().expect("checked when the config was loaded");
        if weights().count() > 1 {
            left *=
                crate::random::rng(self.seed, "style", passage.id.as_str()).random_range(0.0..1.0);
            for (style, weight) in weights() {
                left -= weight;
                if left < 0.0 {
                    return *style;
                }
            }
        }
        *first
    }

    /// Who asks about a passage; empty where the config names nobody.
    pub fn persona(&self, passage: &Passage) -> &'a str {
        let personas = &self.config.personas;
        if personas.is_empty() {
            return "";
        }
        let drawn = crate::random::rng(self.seed, "persona", passage.id.as_str())
            .random_range(0..personas.len());
        &personas[drawn]
    }

    /// Returns the request for a passage.
    pub fn request(&self, passage: &Passage, attempt: u32) -> Request {
        let (style, persona) = (self.style(passage), self.persona(passage));
        let document = passage.document();
        let [system, user] = self.render(
            style,
            persona,
            &Place::of(&passage.title),
            document.as_str(),
            &passage.text,
        );
        let mut messages = vec![Message::system(system)];
        for example in self.examples.of(style, self.config.max_examples) {
            let [_, asked] =
                self.render(style, persona, &Place::of(&example.title), "", &example.text);
            messages.push(Message::user(asked));
            messages.push(Message::assistant(json!({"questions": example.queries}).to_string()));
        }
        messages.push(Message::user(user));
        Request {
            subject: passage.id.as_str().to_owned(),
            llm: self.llm.name.clone(),
            messages,
            form: ("questions", self.schema(style)),
            temperature: self.config.temperature,
            max_answer_tokens: self.config.max_answer_tokens,
            attempt,
            extra_body: self.extra_body.clone(),
        }
    }

    fn render(
        &self,
        style: Style,
        persona: &str,
        place: &Place,
        document: &str,
        text: &str,
    ) -> [String; 2] {
        let words = styles::words(style);
        self.template.render(&[
            ("title", place.title),
            ("document-title", place.document_title),
            ("headings", place.headings),
            ("document", document),
            ("text", text),
            ("min", &self.min),
            ("max", &self.max),
            ("kind", words.kind),
            ("style", words.rule),
            ("persona", persona),
            ("words", &self.words),
            ("language", self.config.language.as_deref().unwrap_or_default()),
        ])
    }

    fn schema(&self, style: Style) -> Value {
        let mut item = json!({"type": "string"});
        let whole = !matches!(style, Style::Mixed | Style::Keyword | Style::Troubleshooting);
        if whole && !self.config.question_pattern.is_empty() {
            item["pattern"] = json!(self.config.question_pattern);
        }
        let most = self.config.max_queries;
        // This style may say that a passage answers nothing.
        let fewest = if style == Style::Mixed { 0 } else { self.config.min_queries };
        object([(
            "questions",
            json!({"type": "array", "items": item, "minItems": fewest, "maxItems": most}),
        )])
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn passage(id: &str, text: &str) -> Passage {
        Passage {
            id: id.into(),
            title: "Book > Water".into(),
            text: text.into(),
            metadata: Default::default(),
        }
    }

    fn request(config: &AskConfig, passage: &Passage) -> Request {
        Prompt::open(config, &LlmConfig::default(), 1).unwrap().request(passage, 0)
    }

    #[test]
    fn title_text_persona_length_and_language_reach_the_llm() {
        let config = AskConfig {
            personas: vec!["a gardener".into()],
            query_words: Some((4, 9)),
            language: Some("German".into()),
            ..AskConfig::default()
        };
        let request = request(&config, &passage("p", "Some text."));
        let system = &request.messages[0].content;
        for part in
            ["Write queries that", "is a gardener.", "Each has 4 to 9 words.", "Write in German."]
        {
            assert!(system.contains(part), "{system}");
        }
        let user = &request.messages.last().unwrap().content;
        assert!(
            user.starts_with("Title: Book > Water\nPassage: Some text.\n\nWrite 3 to 5 queries as"),
            "{user}"
        );
        let nobody = AskConfig { personas: Vec::new(), ..AskConfig::default() };
        let plain = self::request(&nobody, &passage("p", "x"));
        assert!(!plain.messages[0].content.contains("The person"));
    }

    #[test]
    fn styles_come_in_their_shares_and_by_the_passage_alone() {
        let styles =
            BTreeMap::from([(Style::Natural, 3.0), (Style::Keyword, 1.0), (Style::HowTo, 0.0)]);
        let config = AskConfig { styles, ..AskConfig::default() };
        let llm = LlmConfig::default();
        let prompt = Prompt::open(&config, &llm, 7).unwrap();
        let drawn: Vec<Style> =
            (0..1000).map(|id| prompt.style(&passage(&format!("p{id}"), "x"))).collect();
        let keyword = drawn.iter().filter(|style| **style == Style::Keyword).count();
        assert!((200..300).contains(&keyword) && !drawn.contains(&Style::HowTo), "{keyword}");
        assert_eq!(prompt.style(&passage("p5", "other text")), drawn[5]);
        let at = drawn.iter().position(|style| *style == Style::Keyword).unwrap();
        let request = prompt.request(&passage(&format!("p{at}"), "x"), 0);
        assert!(
            request.messages[0].content.contains("Write keyword queries that"),
            "{}",
            request.messages[0].content
        );
        assert_eq!(request.form.1["properties"]["questions"]["items"].get("pattern"), None);
    }

    #[test]
    fn a_prompt_of_ones_own_changes_the_key_only_where_it_changes_the_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("own.md");
        std::fs::write(&path, COMPILED_IN).unwrap();
        let own = AskConfig { prompt: Some(path.clone()), ..AskConfig::default() };
        let key = |config: &AskConfig| request(config, &passage("p", "x")).key();
        assert_eq!(key(&own), key(&AskConfig::default()));
        std::fs::write(&path, COMPILED_IN.replace("Answer with", "Reply in")).unwrap();
        assert_ne!(key(&own), key(&AskConfig::default()));
    }
}
