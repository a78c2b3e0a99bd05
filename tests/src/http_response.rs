//! What a server answers over HTTP.

use std::collections::BTreeMap;

/// An answer, with its date left out.
#[derive(Debug, PartialEq, Eq)]
pub struct HttpResponse {
    /// The first line.
    pub status_line: String,
    /// The fields, by their names in lower case.
    pub fields: BTreeMap<String, String>,
    /// What stands behind the head.
    pub body: String,
}

impl HttpResponse {
    /// Reads an answer that is whole.
    pub fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("the head is whole");
        let mut lines = head.split("\r\n");
        let status_line = lines.next().expect("there is a first line").to_owned();
        let mut fields = BTreeMap::new();
        for line in lines {
            let (name, value) = line.split_once(": ").expect("each line is a field");
            let other = fields.insert(name.to_lowercase(), value.to_owned());
            assert_eq!(other, None, "{name} is there twice");
        }
        fields.remove("date");
        Self {
            status_line,
            fields,
            body: body.to_owned(),
        }
    }

    /// A refusal of ours, as it should be: with this line of text, and these fields besides those
    /// that all refusals have.
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

    /// The value of a field, which is there.
    pub fn field(&self, name: &str) -> &str {
        let value = self.fields.get(name);
        value.unwrap_or_else(|| panic!("there is no {name}: {self:?}"))
    }
}
