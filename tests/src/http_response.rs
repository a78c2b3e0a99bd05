//! Responses of a server.

use std::collections::BTreeMap;

/// A response without its `Date` field.
#[derive(Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// The status line.
    pub status_line: String,
    /// The header fields, by lower-case name.
    pub fields: BTreeMap<String, String>,
    /// The body.
    pub body: String,
}

impl HttpResponse {
    /// Parses a complete response.
    pub fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("the head is complete");
        let mut lines = head.split("\r\n");
        let status_line = lines
            .next()
            .expect("the response has a status line")
            .to_owned();
        let mut fields = BTreeMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").expect("each line is a header field");
            let other = fields.insert(name.to_lowercase(), value.to_owned());
            assert_eq!(other, None, "duplicate field {name}");
        }
        fields.remove("date");
        Self {
            status_line,
            fields,
            body: body.to_owned(),
        }
    }

    /// Returns a refusal of `ws-server` with this text, and these header fields besides the common
    /// ones.
    pub fn refusal(status: &str, text: &str, fields: &[(&str, &str)]) -> Self {
        let body = format!("{text}\n");
        let length = body.len().to_string();
        let all = [
            ("connection", "close"),
            ("content-length", &length),
            ("content-type", "text/plain; charset=utf-8"),
        ];
        let fields = all.iter().chain(fields);
        let fields = fields.map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        Self {
            status_line: format!("HTTP/1.1 {status}"),
            fields: fields.collect(),
            body,
        }
    }

    /// Returns the value of a header field, which must exist.
    pub fn field(&self, name: &str) -> &str {
        let value = self.fields.get(name);
        value.unwrap_or_else(|| panic!("no field {name}: {self:?}"))
    }
}
