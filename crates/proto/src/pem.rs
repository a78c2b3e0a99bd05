//! PEM files (RFC 7468), prepared for a parser that skips what it does not understand.

use zeroize::Zeroizing;

use crate::text::{self, EncodingError, without_byte_order_mark};

const BEGIN: &[u8] = b"-----BEGIN ";
const END: &[u8] = b"-----END ";
const DASHES: &[u8] = b"-----";

/// The label of a certificate's block.
const CERTIFICATE: &str = "CERTIFICATE";

/// The labels of private keys: PKCS#8, PKCS#1 and SEC1.
const PRIVATE_KEYS: [&str; 3] = ["PRIVATE KEY", "RSA PRIVATE KEY", "EC PRIVATE KEY"];

/// The content of a PEM file, in which each block begins a line. Zeroed on drop.
pub struct Pem(Zeroizing<Vec<u8>>);

/// Blocks that were skipped.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UnreadBlocks {
    /// The file is not in an encoding that contains ASCII.
    #[error(transparent)]
    Encoding(#[from] EncodingError),
    /// Blocks do not begin and end on lines of their own.
    #[error(
        "{read} of {found} blocks {label} in it can be read: write each `-----BEGIN {label}-----` \
         and `-----END {label}-----` on a line of its own, without indentation"
    )]
    Position {
        /// The label of the blocks.
        label: &'static str,
        /// The number of blocks that begin.
        found: usize,
        /// The number of blocks that were read.
        read: usize,
    },
    /// A block has a label of OpenSSL's own for certificates.
    #[error(
        "a block {0} in it is not read: write it as a block CERTIFICATE with \
         `openssl x509 -in FILE -out NEW`"
    )]
    Label(&'static str),
}

impl Pem {
    /// Takes the content of a file. It removes a leading byte order mark, and adds the line break that
    /// is missing where files without a last line break were joined.
    pub fn new(bytes: &[u8]) -> Self {
        let bytes = without_byte_order_mark(bytes);
        // Twice the length is enough: growth would leave a copy of a key in memory.
        let mut separated = Zeroizing::new(Vec::with_capacity(2 * bytes.len()));
        for line in bytes.split_inclusive(|byte| matches!(byte, b'\n' | b'\r')) {
            let joint = line
                .starts_with(END)
                .then(|| position(line, b"----------BEGIN "));
            match joint.flatten() {
                Some(joint) => {
                    let (end, begin) = line.split_at(joint + DASHES.len());
                    separated.extend_from_slice(end);
                    separated.push(b'\n');
                    separated.extend_from_slice(begin);
                }
                None => separated.extend_from_slice(line),
            }
        }
        Self(separated)
    }

    /// Returns the content for a PEM parser.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Checks that a parser which read this many certificates has skipped none.
    ///
    /// # Errors
    ///
    /// The blocks that it skipped, with the reason.
    pub fn check_certificates(&self, read: usize) -> Result<(), UnreadBlocks> {
        self.check_encoding()?;
        for label in ["TRUSTED CERTIFICATE", "X509 CERTIFICATE"] {
            if self.count(label) > 0 {
                return Err(UnreadBlocks::Label(label));
            }
        }
        self.check(CERTIFICATE, read)
    }

    /// Checks that a parser which found no private key has skipped none.
    ///
    /// # Errors
    ///
    /// The blocks that it skipped, with the reason.
    pub fn check_no_private_key(&self) -> Result<(), UnreadBlocks> {
        self.check_encoding()?;
        PRIVATE_KEYS
            .into_iter()
            .try_for_each(|label| self.check(label, 0))
    }

    fn check_encoding(&self) -> Result<(), UnreadBlocks> {
        Ok(text::check_not_utf16(self.as_bytes())?)
    }

    fn check(&self, label: &'static str, read: usize) -> Result<(), UnreadBlocks> {
        let found = self.count(label);
        if found <= read {
            return Ok(());
        }
        Err(UnreadBlocks::Position { label, found, read })
    }

    /// Returns the number of blocks with this label that seem to begin. Lines with a leading `#` are
    /// comments.
    fn count(&self, label: &str) -> usize {
        let begin = [BEGIN, label.as_bytes(), DASHES].concat();
        let lines = self.0.split(|byte| matches!(byte, b'\n' | b'\r'));
        lines
            .filter(|line| !line.trim_ascii_start().starts_with(b"#"))
            .map(|line| line.windows(begin.len()).filter(|at| *at == begin).count())
            .sum()
    }
}

impl std::fmt::Debug for Pem {
    /// Shows nothing of the content, which may be a key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pem({} bytes)", self.0.len())
    }
}

fn position(line: &[u8], wanted: &[u8]) -> Option<usize> {
    line.windows(wanted.len()).position(|at| at == wanted)
}

#[cfg(test)]
mod tests {
    use super::{Pem, UnreadBlocks};
    use crate::text::EncodingError;

    fn block(label: &str) -> String {
        format!("-----BEGIN {label}-----\nAAAA\n-----END {label}-----")
    }

    /// Former fault: a byte order mark hid the first block, and a missing line break the second.
    #[test]
    fn joined_blocks_and_byte_order_mark_separated() {
        let certificate = block("CERTIFICATE");
        let key = block("PRIVATE KEY");
        for (written, prepared) in [
            (format!("\u{feff}{certificate}"), certificate.clone()),
            (
                format!("{certificate}{certificate}{key}\n"),
                format!("{certificate}\n{certificate}\n{key}\n"),
            ),
            (
                format!("a----------BEGIN b\n{certificate}\r\n"),
                format!("a----------BEGIN b\n{certificate}\r\n"),
            ),
        ] {
            let pem = Pem::new(written.as_bytes());
            assert_eq!(pem.as_bytes(), prepared.as_bytes(), "{written}");
        }
    }

    /// A block that is not understood is not dropped in silence.
    #[test]
    fn skipped_block_reported_with_reason() {
        let certificate = block("CERTIFICATE");
        let position = |found, read| {
            Err(UnreadBlocks::Position {
                label: "CERTIFICATE",
                found,
                read,
            })
        };
        for (text, read, result) in [
            (certificate.clone(), 1, Ok(())),
            (certificate.replace('-', " -"), 0, Ok(())),
            (format!("# {certificate}"), 0, Ok(())),
            (format!("  {certificate}"), 0, position(1, 0)),
            (
                format!("{certificate}\n\u{feff}{certificate}"),
                1,
                position(2, 1),
            ),
            (block("PRIVATE KEY"), 0, Ok(())),
            (
                block("TRUSTED CERTIFICATE"),
                0,
                Err(UnreadBlocks::Label("TRUSTED CERTIFICATE")),
            ),
        ] {
            let pem = Pem::new(text.as_bytes());
            assert_eq!(pem.check_certificates(read), result, "{text}");
        }
        let utf16 = Pem::new(b"\xff\xfe-\0-\0");
        let expected = Err(UnreadBlocks::Encoding(EncodingError::Utf16));
        assert_eq!(utf16.check_certificates(0), expected);
        assert_eq!(utf16.check_no_private_key(), expected);
        let indented = format!(" {}", block("EC PRIVATE KEY"));
        assert!(
            Pem::new(indented.as_bytes())
                .check_no_private_key()
                .is_err()
        );
    }
}
