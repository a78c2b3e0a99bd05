//! The log of a run (`--log`): all events and the sent messages, as JSON objects with a time.

use std::{
    fs::{File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::Path,
};

use chrono::{SecondsFormat, Utc};

use super::{event::Event, json};

/// An open log file.
#[derive(Debug)]
pub(crate) struct MessageLog {
    /// `None` after a write has failed.
    file: Option<File>,
}

impl MessageLog {
    /// Opens a file to append to. A new file can be read by its owner only.
    ///
    /// # Errors
    ///
    /// The file cannot be opened.
    pub(crate) fn open(path: &Path) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        let file = options.append(true).create(true).mode(0o600).open(path)?;
        Ok(Self { file: Some(file) })
    }

    /// Appends an event. After a failure, nothing more is written.
    ///
    /// # Errors
    ///
    /// The file cannot be written. The error is returned once.
    pub(super) fn append(&mut self, event: &Event<'_>) -> io::Result<()> {
        let Some(file) = &mut self.file else {
            return Ok(());
        };
        let at = Utc::now().to_rfc3339_opts(SecondsFormat::Millis, true);
        let Some(line) = json::log_line(event, &at) else {
            return Ok(());
        };
        // One write, so that lines of several programs do not mix.
        let written = file.write_all(line.as_bytes());
        if written.is_err() {
            self.file = None;
        }
        written
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt as _, path::Path};

    use super::MessageLog;
    use crate::{
        console::{Event, Notice},
        websocket::Payload,
    };

    #[test]
    fn log_is_appended_and_private() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        for text in ["one", "two"] {
            let mut log = MessageLog::open(&path).unwrap();
            log.append(&Event::Message(Payload::Text(text))).unwrap();
            let login = Notice::LoginMessage(Payload::Text("secret"));
            log.append(&Event::Notice(login)).unwrap();
        }
        let lines = fs::read_to_string(&path).unwrap();
        let texts = lines.lines().map(|line| {
            let (text, at) = line
                .split_once(",\"direction\":\"received\",\"at\":\"20")
                .unwrap();
            assert!(at.ends_with("Z\"}"), "{line}");
            text
        });
        assert_eq!(
            texts.collect::<Vec<_>>(),
            [
                r#"{"event":"message","text":"one""#,
                r#"{"event":"message","text":"two""#
            ]
        );
        let mode = fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }

    #[test]
    fn failed_write_is_reported_once() {
        let mut log = MessageLog::open(Path::new("/dev/full")).unwrap();
        let event = Event::Message(Payload::Text("one"));
        assert!(log.append(&event).is_err());
        assert!(log.append(&event).is_ok());
    }
}
