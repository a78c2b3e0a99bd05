//! The keys that end a line and that the line editor would handle otherwise.
//!
//! reedline drops the events behind an accepted line if they arrive together. For a line feed these
//! are the other lines of a paste. Its Ctrl-C
//! drops the text before it tells whether there was any. So both keys only set a flag here, and
//! break the editor once all events are handled.

use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};

use crossterm::event::{Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use reedline::{EditCommand, EditMode, Emacs, PromptEditMode, ReedlineEvent, ReedlineRawEvent};

/// A key that ends a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EndKey {
    /// Ctrl-C.
    Interrupt,
    /// Ctrl-J, the byte of a line feed.
    LineFeed,
}

/// The keys that were pressed since the last look.
#[derive(Debug, Default, Clone)]
pub(super) struct EndKeys {
    interrupt: Arc<AtomicBool>,
    line_feed: Arc<AtomicBool>,
}

impl EndKeys {
    fn press(&self, key: EndKey) {
        let flag = match key {
            EndKey::Interrupt => &self.interrupt,
            EndKey::LineFeed => &self.line_feed,
        };
        flag.store(true, Ordering::Relaxed);
    }

    /// Takes the key that was pressed, if any. Ctrl-C takes precedence.
    pub(super) fn take(&self) -> Option<EndKey> {
        let line_feed = self.line_feed.swap(false, Ordering::Relaxed);
        if self.interrupt.swap(false, Ordering::Relaxed) {
            Some(EndKey::Interrupt)
        } else {
            line_feed.then_some(EndKey::LineFeed)
        }
    }
}

/// The Emacs mode without Ctrl-C and Ctrl-J, which it reports and breaks for.
pub(super) struct EndKeyMode {
    emacs: Emacs,
    keys: EndKeys,
    wake: Arc<AtomicBool>,
}

impl EndKeyMode {
    pub(super) fn new(emacs: Emacs, keys: EndKeys, wake: Arc<AtomicBool>) -> Self {
        Self { emacs, keys, wake }
    }

    fn press(&self, key: EndKey) {
        self.keys.press(key);
        self.wake.store(true, Ordering::Relaxed);
    }
}

/// Returns the letter of a pressed control key.
fn control_key(event: &Event) -> Option<char> {
    match event {
        Event::Key(KeyEvent {
            code: KeyCode::Char(letter),
            modifiers: KeyModifiers::CONTROL,
            kind: KeyEventKind::Press,
            ..
        }) => Some(*letter),
        _ => None,
    }
}

impl EditMode for EndKeyMode {
    fn parse_event(&mut self, event: ReedlineRawEvent) -> ReedlineEvent {
        let event = Event::from(event);
        match control_key(&event) {
            Some('c') => {
                self.press(EndKey::Interrupt);
                ReedlineEvent::None
            }
            Some('j') => {
                self.press(EndKey::LineFeed);
                // The key accepts the whole line, wherever the cursor is.
                ReedlineEvent::Edit(vec![
                    EditCommand::MoveToEnd { select: false },
                    EditCommand::InsertNewline,
                ])
            }
            Some(_) | None => match ReedlineRawEvent::try_from(event) {
                Ok(event) => self.emacs.parse_event(event),
                Err(()) => ReedlineEvent::None,
            },
        }
    }

    fn edit_mode(&self) -> PromptEditMode {
        self.emacs.edit_mode()
    }
}

#[cfg(test)]
mod tests {
    use super::{
        Arc, AtomicBool, EditMode as _, Emacs, EndKey, EndKeyMode, EndKeys, Event, KeyCode,
        KeyEvent, KeyModifiers, Ordering, ReedlineEvent, ReedlineRawEvent,
    };

    #[test]
    fn end_keys_set_a_flag_and_break() {
        let (keys, wake) = (EndKeys::default(), Arc::new(AtomicBool::new(false)));
        let mut mode = EndKeyMode::new(Emacs::default(), keys.clone(), Arc::clone(&wake));
        let mut press = |letter, modifiers| {
            let event = Event::Key(KeyEvent::new(KeyCode::Char(letter), modifiers));
            mode.parse_event(ReedlineRawEvent::try_from(event).unwrap())
        };
        press('c', KeyModifiers::NONE);
        assert_eq!(keys.take(), None);
        assert!(!wake.load(Ordering::Relaxed));
        assert_eq!(press('c', KeyModifiers::CONTROL), ReedlineEvent::None);
        press('j', KeyModifiers::CONTROL);
        assert!(wake.load(Ordering::Relaxed));
        assert_eq!(keys.take(), Some(EndKey::Interrupt));
        assert_eq!(keys.take(), None);
        press('j', KeyModifiers::CONTROL);
        assert_eq!(keys.take(), Some(EndKey::LineFeed));
    }
}
