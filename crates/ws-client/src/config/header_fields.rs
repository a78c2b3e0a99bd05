//! The header fields that the command line adds to a request.

use std::path::Path;

use super::{error::ConfigError, secret_file::SecretFile};
use crate::handshake::{FieldSource, HeaderField, HeaderFields};

/// Reads the values of `--header`: each is a field, or `@` and a file with one field on each line. Empty
/// lines are skipped. A file that everybody may read adds a warning to the notices.
///
/// # Errors
///
/// A file cannot be read, or a field cannot be sent.
pub(crate) fn header_fields(
    arguments: &[String],
    notices: &mut Vec<String>,
) -> Result<HeaderFields, ConfigError> {
    let mut fields = Vec::new();
    for argument in arguments {
        match argument.strip_prefix('@') {
            Some(path) => read_fields(Path::new(path), &mut fields, notices)?,
            None => fields.push(
                HeaderField::parse(argument, FieldSource::Argument).map_err(ConfigError::Header)?,
            ),
        }
    }
    HeaderFields::new(fields).map_err(ConfigError::Header)
}

fn read_fields(
    path: &Path,
    fields: &mut Vec<HeaderField>,
    notices: &mut Vec<String>,
) -> Result<(), ConfigError> {
    let text = SecretFile::Header.read(path, notices)?;
    for (index, line) in text
        .lines()
        .enumerate()
        .filter(|(_, line)| !line.is_empty())
    {
        let field = HeaderField::parse(line, FieldSource::File);
        fields.push(field.map_err(|problem| ConfigError::HeaderLine {
            path: path.to_owned(),
            line: index + 1,
            problem,
        })?);
    }
    Ok(())
}
