//! The labeller's terminal: keys in, lines out.

use super::screen::{Line, Style, draw};
use crate::failure::{Problem, Result, during};
use crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use crossterm::style::{Attribute, Print, SetAttribute};
use crossterm::terminal::{self, Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen};
use crossterm::{cursor, execute, queue};
use std::io::{IsTerminal, Stderr, Write, stderr, stdin};
use whetstone_rank::{Key, Session};

/// Asks for grades until all items are judged or skipped, or the user quits. It draws on stderr,
/// because stdout is for data.
///
/// # Errors
/// Where there is no terminal to ask at; where a grade cannot be kept.
pub fn label(session: &mut Session) -> Result<()> {
    if session.item().is_none() {
        return Ok(());
    }
    let mut terminal = Terminal::open().map_err(during("cannot set up the terminal"))?;
    let (mut scroll, mut help) = (0, false);
    while session.item().is_some() {
        let (width, height) = terminal::size().unwrap_or((80, 24));
        terminal.show(&draw(session, width.into(), height.into(), &mut scroll, help))?;
        let Event::Key(key) = event::read().map_err(during("cannot read keys"))? else { continue };
        if key.kind == KeyEventKind::Release {
            continue;
        }
        match meaning(key, usize::from(height)) {
            Some(Meaning::Quit) => break,
            Some(Meaning::Help) => (scroll, help) = (0, !help),
            Some(Meaning::Scroll(lines)) => scroll = scroll.saturating_add_signed(lines),
            Some(Meaning::Session(_)) if help => help = false,
            Some(Meaning::Session(key)) => {
                scroll = 0;
                session.press(key)?;
            }
            None => {
                session.message = "that key does nothing here; press ? for the list of keys".into()
            }
        }
    }
    Ok(())
}

/// Refuses to begin without a terminal.
pub fn refuse_without_terminal() -> Result<()> {
    if stdin().is_terminal() && stderr().is_terminal() {
        return Ok(());
    }
    Err(Problem::new(
        "labelling needs a terminal for its input and its screen",
        "run it in a terminal, without redirecting standard input or standard error",
    )
    .into())
}

enum Meaning {
    Session(Key),
    Scroll(isize),
    Help,
    Quit,
}

fn meaning(key: KeyEvent, height: usize) -> Option<Meaning> {
    let page = height.saturating_sub(8).max(1) as isize;
    Some(match key.code {
        KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => Meaning::Quit,
        KeyCode::Char(digit @ '0'..='3') => Meaning::Session(Key::Grade(digit as i32 - '0' as i32)),
        KeyCode::Char('u') => Meaning::Session(Key::Undo),
        KeyCode::Char('s') => Meaning::Session(Key::Skip),
        KeyCode::Char('b') => Meaning::Session(Key::Back),
        KeyCode::Char('q') => Meaning::Quit,
        KeyCode::Char('?') => Meaning::Help,
        KeyCode::Down => Meaning::Scroll(1),
        KeyCode::Up => Meaning::Scroll(-1),
        KeyCode::PageDown | KeyCode::Char(' ') => Meaning::Scroll(page),
        KeyCode::PageUp => Meaning::Scroll(-page),
        _ => return None,
    })
}

/// The screen while we use it. Dropping it restores the terminal, even after an error or a panic.
struct Terminal(Stderr);

impl Terminal {
    fn open() -> std::io::Result<Self> {
        terminal::enable_raw_mode()?;
        let mut terminal = Self(stderr());
        execute!(terminal.0, EnterAlternateScreen, cursor::Hide)?;
        Ok(terminal)
    }

    fn show(&mut self, lines: &[Line]) -> Result<()> {
        Ok(self.draw(lines).map_err(during("cannot write to the terminal"))?)
    }

    fn draw(&mut self, lines: &[Line]) -> std::io::Result<()> {
        queue!(self.0, Clear(ClearType::All))?;
        for (row, line) in (0u16..).zip(lines) {
            queue!(self.0, cursor::MoveTo(0, row))?;
            for (text, style) in line {
                for attribute in attributes(*style) {
                    queue!(self.0, SetAttribute(*attribute))?;
                }
                queue!(self.0, Print(text), SetAttribute(Attribute::Reset))?;
            }
        }
        self.0.flush()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = execute!(self.0, LeaveAlternateScreen, cursor::Show);
        let _ = terminal::disable_raw_mode();
    }
}

/// No colours: they would have to suit every background.
fn attributes(style: Style) -> &'static [Attribute] {
    match style {
        Style::Plain => &[],
        Style::Bold => &[Attribute::Bold],
        Style::Marked => &[Attribute::Bold, Attribute::Underlined],
        Style::Dim => &[Attribute::Dim],
    }
}
