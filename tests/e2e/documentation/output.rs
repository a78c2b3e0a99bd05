//! Comparison of the output that a page shows with the output of its command.

/// Characters that separate the words of an output.
const SEPARATORS: [char; 8] = [' ', '"', ',', '{', '}', '[', ']', '|'];

/// The units of a duration in a table of sessions.
const UNITS: [&str; 6] = ["s", "m", "h", "day", "days", "ms"];

/// The lines of a handshake report that a new key or the time changes, up to their variable part.
const VARIABLE: [&str; 7] = [
    "Key:",
    "Accept:",
    "Date:",
    "key ",
    "one string ",
    "SHA-1 ",
    "base64 ",
];

/// Replaces the parts of an output that differ from run to run: times, ports of clients, numbers of
/// guests, hashes, tickets. Runs of spaces become one, because the width of a column depends on its values.
pub(super) fn without_chance(output: &str) -> String {
    let lines = output.lines().map(|line| {
        let line = match line.split_once("$argon2id$") {
            Some((start, _)) => format!("{start}HASH"),
            None => line.to_owned(),
        };
        let words = line.split_inclusive(SEPARATORS).filter(|word| *word != " ");
        let mut masked: Vec<String> = words.map(masked).collect();
        masked.dedup_by(|next, last| next == "SPAN " && next == last);
        masked.concat().trim_end().to_owned() + "\n"
    });
    lines.collect()
}

/// Masks the random key and the date in a report of the command `handshake`.
pub(super) fn without_key_and_date(report: &str) -> String {
    let lines = report.lines().map(|line| {
        let name = VARIABLE
            .iter()
            .find_map(|name| Some(line.find(name)? + name.len()));
        match name {
            Some(end) => format!("{}...\n", line[..end].trim_end()),
            None => format!("{line}\n"),
        }
    });
    lines.collect()
}

fn masked(word: &str) -> String {
    let end = word.trim_end_matches(SEPARATORS).len();
    let (word, separator) = word.split_at(end);
    let value = word.strip_prefix(':').unwrap_or(word);
    let mask = if is_time(value) {
        "TIME"
    } else if is_span(value) {
        "SPAN"
    } else if value.contains('.') && value.parse::<f64>().is_ok() {
        "NUMBER"
    } else if let Some(port) = value.strip_prefix("127.0.0.1:")
        && !["1", "5678", "9180"].contains(&port)
    {
        "127.0.0.1:PORT"
    } else if value.starts_with("wst1.") {
        "TICKET"
    } else if value.starts_with("guest:") {
        "guest:N"
    } else {
        return format!("{word}{separator}");
    };
    format!("{mask}{separator}")
}

fn is_time(value: &str) -> bool {
    value.len() >= "2030-01-01T00:00:00Z".len()
        && value.ends_with('Z')
        && value.starts_with(|c: char| c.is_ascii_digit())
        && value.contains('T')
}

fn is_span(value: &str) -> bool {
    let unit = value.trim_start_matches(|c: char| c.is_ascii_digit());
    unit.len() < value.len() && UNITS.contains(&unit)
}

#[test]
fn chance_is_removed_and_the_rest_is_kept() {
    for (output, expected) in [
        (
            r#"{"from":"jane","text":"7 s","at":"2026-11-28T10:15:30.123Z"}"#,
            r#"{"from":"jane","text":"7 s","at":"TIME"}"#,
        ),
        (
            " 1  jane  127.0.0.1:40414  /   2h 5m  1",
            "1 jane 127.0.0.1:PORT / SPAN 1",
        ),
        (
            " 1  jane  127.0.0.1:4  /   7s  1",
            "1 jane 127.0.0.1:PORT / SPAN 1",
        ),
        ("ws://127.0.0.1:5678", "ws://127.0.0.1:5678"),
        (r#"{"ticket":"wst1.Tz9p..."}"#, r#"{"ticket":"TICKET"}"#),
        (
            "password_hash = \"$argon2id$v=19$m=1,t=2,p=1$a$b\"",
            "password_hash = \"HASH",
        ),
    ] {
        assert_eq!(without_chance(output).trim_end(), expected);
    }
}
