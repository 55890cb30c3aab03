use super::document::Outline;

/// Longest first line that is taken for a title, in characters.
const MAX_TITLE_CHARS: usize = 100;

/// Returns the paragraphs of a plain text, sentence by sentence. A short first line with an empty
/// one below it is the title.
pub(crate) fn outline(text: &str) -> Outline {
    let mut outline = Outline::default();
    let mut rest = text;
    if let Some(first) = paragraphs(text).next() {
        let below = &text[end_of(text, first)..];
        let title = first.trim();
        let short = title.chars().count() <= MAX_TITLE_CHARS && !title.contains('\n');
        if short && !title.ends_with(['.', '!', '?', ':', ';']) && !below.trim().is_empty() {
            outline.title = Some(title.to_owned());
            rest = below;
        }
    }
    push_paragraphs(&mut outline, text, rest);
    outline
}

/// Returns the paragraphs of a text whose title is known.
pub(crate) fn paragraphs_only(text: &str) -> Outline {
    let mut outline = Outline::default();
    push_paragraphs(&mut outline, text, text);
    outline
}

fn push_paragraphs(outline: &mut Outline, text: &str, rest: &str) {
    for paragraph in paragraphs(rest) {
        let end = end_of(text, paragraph);
        outline.push_prose(text, end - paragraph.len()..end);
    }
}

/// Where `part`, a slice of `text`, ends in it.
fn end_of(text: &str, part: &str) -> usize {
    part.as_ptr() as usize - text.as_ptr() as usize + part.len()
}

fn paragraphs(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        rest = rest.trim_start();
        if rest.is_empty() {
            return None;
        }
        let mut end = 0;
        for line in rest.split_inclusive('\n') {
            if line.trim().is_empty() {
                break;
            }
            end += line.len();
        }
        let (paragraph, after) = rest.split_at(end);
        rest = after;
        Some(paragraph.trim_end())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_short_first_line_is_the_title() {
        let text = "Winter rules\n\nClose the valve. Wait.\n \nThen open it.";
        let outline = outline(text);
        assert_eq!(outline.title.as_deref(), Some("Winter rules"));
        let units: Vec<&str> =
            outline.sections[0].units.iter().map(|unit| &text[unit.span.clone()]).collect();
        assert_eq!(units, ["Close the valve.", "Wait.", "Then open it."]);
    }

    #[test]
    fn a_sentence_alone_is_text_and_no_title() {
        let outline = outline("Close the valve");
        assert_eq!((outline.title, outline.sections[0].units.len()), (None, 1));
    }
}
