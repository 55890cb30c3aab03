use super::document::Outline;
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd};

/// Returns title, headings and units of a Markdown text. Front matter and comments are left out.
pub(crate) fn outline(text: &str) -> Outline {
    let options = Options::ENABLE_TABLES
        | Options::ENABLE_FOOTNOTES
        | Options::ENABLE_STRIKETHROUGH
        | Options::ENABLE_TASKLISTS
        | Options::ENABLE_HEADING_ATTRIBUTES
        | Options::ENABLE_YAML_STYLE_METADATA_BLOCKS;
    let mut outline = Outline::default();
    let mut path = Vec::new();
    let mut heading: Option<(u8, String)> = None;
    let mut depth = 0;
    for (event, span) in Parser::new_ext(text, options).into_offset_iter() {
        match event {
            Event::Start(tag) => {
                match (depth, tag) {
                    (0, Tag::Heading { level, .. }) => heading = Some((level as u8, String::new())),
                    (0, Tag::CodeBlock(_) | Tag::Table(_)) => outline.push_unit(text, span, true),
                    (0, Tag::List(_) | Tag::MetadataBlock(_)) => {}
                    (0, Tag::HtmlBlock) if text[span.clone()].starts_with("<!--") => {}
                    (0, _) => outline.push_prose(text, span),
                    (1, Tag::Item) => outline.push_unit(text, span, false),
                    _ => {}
                }
                depth += 1;
            }
            Event::End(tag) => {
                depth -= 1;
                if let (0, TagEnd::Heading(_), Some((level, title))) =
                    (depth, tag, heading.take_if(|_| depth == 0))
                {
                    outline.open_section(&mut path, level, title.trim().to_owned());
                }
            }
            Event::Text(words) | Event::Code(words) => {
                if let Some((_, title)) = &mut heading {
                    title.push_str(&words);
                }
            }
            Event::SoftBreak | Event::HardBreak => {
                if let Some((_, title)) = &mut heading {
                    title.push(' ');
                }
            }
            _ => {}
        }
    }
    outline
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "---\nauthor: x\n---\n# The `VX-40`\n\nFirst. Second.\n\n## Power\n\n- one\n- two\n  more\n\n\
        ```sh\n\n    a. B\n```\n\n<!-- not this -->\n### Fuse\n| a | b |\n|---|---|\n| 1 | 2 |\n\n## Water\nHot.\n";

    #[test]
    fn headings_make_a_path_and_blocks_stay_whole() {
        let outline = outline(TEXT);
        assert_eq!(outline.title.as_deref(), Some("The VX-40"));
        let found: Vec<(String, Vec<&str>)> = outline
            .sections
            .iter()
            .map(|section| {
                let units = section.units.iter().map(|unit| &TEXT[unit.span.clone()]).collect();
                (section.headings.join(" > "), units)
            })
            .collect();
        let expected = [
            ("", vec!["First.", "Second."]),
            ("Power", vec!["- one", "- two\n  more", "```sh\n\n    a. B\n```"]),
            ("Power > Fuse", vec!["| a | b |\n|---|---|\n| 1 | 2 |"]),
            ("Water", vec!["Hot."]),
        ];
        assert_eq!(found, expected.map(|(path, units)| (path.to_owned(), units)));
    }

    #[test]
    fn a_text_without_headings_is_one_section() {
        let outline = outline("One. Two.\n\nThree.");
        assert_eq!(
            (outline.title, outline.sections.len(), outline.sections[0].units.len()),
            (None, 1, 3)
        );
    }
}
