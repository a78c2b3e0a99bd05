//! The subprotocols that a request offers (RFC 6455 section 1.9).

use std::{fmt, str::FromStr};

use super::header_field::is_token;

/// The name of a subprotocol. Names are case-sensitive.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subprotocol(String);

impl FromStr for Subprotocol {
    type Err = SubprotocolError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if is_token(text) {
            Ok(Self(text.to_owned()))
        } else {
            Err(SubprotocolError::Name)
        }
    }
}

/// The subprotocols that a request offers, the preferred one first. No name is there twice.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subprotocols(Vec<Subprotocol>);

impl Subprotocols {
    /// Creates an offer.
    ///
    /// # Errors
    ///
    /// A name is there twice (RFC 6455 section 4.1, request item 10).
    pub fn new(names: Vec<Subprotocol>) -> Result<Self, SubprotocolError> {
        let is_repeated = |(index, name): (usize, &Subprotocol)| names[..index].contains(name);
        match names.iter().enumerate().find(|pair| is_repeated(*pair)) {
            Some((_, name)) => Err(SubprotocolError::Twice(name.0.clone())),
            None => Ok(Self(names)),
        }
    }

    /// Returns true if nothing is offered.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns true if this name is offered.
    pub(super) fn offer(&self, name: &str) -> bool {
        self.0.iter().any(|offered| offered.0 == name)
    }
}

impl fmt::Display for Subprotocols {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Subprotocol(name)) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { ", " };
            write!(f, "{gap}{name}")?;
        }
        Ok(())
    }
}

/// The reason why a subprotocol cannot be offered.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SubprotocolError {
    /// The name is no token.
    #[error("a subprotocol has letters, digits and punctuation such as - and . only")]
    Name,
    /// The name is given twice.
    #[error("{0} is given twice; offer each subprotocol once")]
    Twice(String),
}

#[cfg(test)]
mod tests {
    use super::{Subprotocol, SubprotocolError, Subprotocols};

    fn offer(names: &[&str]) -> Result<Subprotocols, SubprotocolError> {
        Subprotocols::new(names.iter().map(|name| name.parse().unwrap()).collect())
    }

    #[test]
    fn names_are_offered_in_order_and_once() {
        let offered = offer(&["v2.example.org", "chat", "Chat"]).unwrap();
        assert_eq!(offered.to_string(), "v2.example.org, chat, Chat");
        assert!(offered.offer("chat") && !offered.offer("CHAT"));
        let twice = SubprotocolError::Twice("a".to_owned());
        assert_eq!(offer(&["a", "b", "a"]), Err(twice));
        assert!(offer(&[]).unwrap().is_empty());
    }

    #[test]
    fn name_not_token_is_rejected() {
        for text in ["", "a b", "a,b", "a\r\nb", "ü", "a/b"] {
            assert_eq!(text.parse::<Subprotocol>(), Err(SubprotocolError::Name));
        }
    }
}
