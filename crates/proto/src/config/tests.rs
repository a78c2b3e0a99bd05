//! Accepted values, and the errors for all others.

use serde::{Deserialize, Serialize};

use super::{Count, Limit, Size, TimeSpan, TomlError, from_toml};

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    listen: Option<String>,
    limits: Option<Limits>,
}

#[derive(Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
struct Limits {
    deadline: Option<TimeSpan>,
    bytes: Option<Size>,
    count: Option<Count>,
    ping: Option<Limit<TimeSpan>>,
}

fn limits(source: &str) -> Limits {
    from_toml::<File>(&format!("[limits]\n{source}"))
        .unwrap()
        .limits
        .unwrap()
}

#[test]
fn printed_value_parses_back() {
    for (written, printed) in [
        ("deadline = \"10s\"", "deadline = \"10s\""),
        ("deadline = \"90s\"", "deadline = \"1m 30s\""),
        ("deadline = \"250ms\"", "deadline = \"250ms\""),
        ("bytes = \"64KiB\"", "bytes = \"64KiB\""),
        ("bytes = 1048576", "bytes = \"1MiB\""),
        ("bytes = \"1MB\"", "bytes = 1000000"),
        ("bytes = \"1.5 KiB\"", "bytes = 1536"),
        ("bytes = \"16EB\"", "bytes = \"15258789062500MiB\""),
        (
            "bytes = \"18446744073709551615\"",
            "bytes = \"18446744073709551615\"",
        ),
        ("count = 3", "count = 3"),
        ("ping = \"off\"", "ping = \"off\""),
        ("ping = \"20s\"", "ping = \"20s\""),
    ] {
        let again = toml::to_string(&limits(written)).unwrap();
        assert_eq!(again.trim_end(), printed, "{written}");
        assert_eq!(limits(&again), limits(written), "{written}");
    }
}

#[derive(Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Mode {
    On,
    Off,
}

/// Serde's error quotes the unknown variant in backticks, before the known ones.
#[test]
fn unknown_variant_with_backticks_lists_known_ones() {
    #[derive(Debug, PartialEq, Deserialize)]
    struct File {
        mode: Mode,
    }

    for (known, mode) in [("on", Mode::On), ("off", Mode::Off)] {
        let file: File = from_toml(&format!("mode = \"{known}\"")).unwrap();
        assert_eq!(file, File { mode });
    }
    for wrong in ["x`y", "`", "a`\u{1b}`b", "a`, expected `b"] {
        let source = format!("mode = {}", toml::Value::from(wrong));
        let error = from_toml::<File>(&source).unwrap_err();
        let message = "line 1: `mode`: write \"on\" or \"off\"";
        assert_eq!(error.to_string(), message, "{wrong:?}");
    }
}

#[test]
fn absent_key_leaves_option_empty() {
    let file: File = from_toml("listen = \"127.0.0.1:5678\"").unwrap();
    assert_eq!(file.listen.as_deref(), Some("127.0.0.1:5678"));
    assert!(file.limits.is_none());
}

#[test]
fn error_names_line_key_and_remedy() {
    for (source, message) in [
        (
            "# comment\nlisten = 5",
            "line 2: `listen`: write a text in quotes",
        ),
        (
            "lisen = \"x\"",
            "line 1: `lisen`: unknown key `lisen`; did you mean `listen`?",
        ),
        (
            "[limts]",
            "line 1: unknown key `limts`; did you mean `limits`?",
        ),
        (
            "something = 1",
            "line 1: `something`: unknown key `something`; known here: listen, limits",
        ),
        (
            "[limits]\ndeadline = 10",
            "line 2: `limits.deadline`: write a time span such as \"10s\" or \"1m 30s\"",
        ),
        (
            "[limits]\ndeadline = \"0s\"",
            "line 2: `limits.deadline`: a time span is never zero",
        ),
        (
            "[limits]\nbytes = 0",
            "line 2: `limits.bytes`: a size is never zero",
        ),
        (
            "[limits]\nbytes = \"much\"",
            "line 2: `limits.bytes`: write a size such as \"64KiB\" or \"1MiB\"",
        ),
        (
            "[limits]\ncount = -1",
            "line 2: `limits.count`: write a whole number above zero",
        ),
        (
            "[limits]\ncount = \"off\"",
            "line 2: `limits.count`: write a whole number above zero",
        ),
        (
            "[limits]\nping = \"of\"",
            "line 2: `limits.ping`: write a time span such as \"10s\" or \"1m 30s\", or \"off\"",
        ),
        // Row: words of the parser. A person who writes `false` wants `"off"`.
        (
            "[limits]\nping = false",
            "line 2: `limits.ping`: write a time span such as \"10s\" or \"1m 30s\", or \"off\"",
        ),
        (
            "[limits]\ndeadline = [1]",
            "line 2: `limits.deadline`: write a time span such as \"10s\" or \"1m 30s\"",
        ),
        (
            "[limits]\nbytes = 1.5",
            "line 2: `limits.bytes`: write a size such as \"64KiB\" or \"1MiB\"",
        ),
        (
            "[limits]\ncount = true",
            "line 2: `limits.count`: write a whole number above zero",
        ),
        (
            "limits = 1",
            "line 1: `limits`: write a table: its name in brackets on a line, and its keys below",
        ),
    ] {
        assert_eq!(from_toml::<File>(source).unwrap_err().to_string(), message);
    }
    let error = from_toml::<File>("listen = \"x\"\nlisten = \"y\"").unwrap_err();
    let expected = "line 2: this key is written twice; write it once";
    assert_eq!(error.to_string(), expected);
}

/// Former fault: an error in the words of the parser, without a remedy.
#[test]
fn syntax_error_names_line_and_remedy() {
    let quotes = "write a text in quotes; numbers, true and false have none";
    let unclosed = "close the text with the quote that begins it, on the same line";
    let no_toml = "this is not TOML: write key = value, with texts in quotes";
    for (line, remedy) in [
        ("listen = localhost", quotes),
        ("listen = 127.0.0.1:5678", no_toml),
        ("listen = \"x", unclosed),
        ("listen = 'x", unclosed),
        (
            "listen = \"C:\\x\"",
            "a backslash begins an escape: write two of them, or the text in single quotes",
        ),
        ("listen \"x\"", "write key = value"),
        ("listen: true", "write key = value"),
        ("listen = True", "write true or false, in lower case"),
        ("listen = [\"x\"", "close the list with `]`"),
        ("[limits", "close the name of the table with `]`"),
        ("[limits] count = 1", "write each key on a line of its own"),
        ("= 1", no_toml),
        ("{", no_toml),
    ] {
        let error = from_toml::<File>(&format!("\n{line}")).unwrap_err();
        assert_eq!(error.to_string(), format!("line 2: {remedy}"), "{line}");
    }
}

#[test]
fn key_found_in_its_own_section() {
    let source = "deadline = 1\n[limits]\n  deadline = 2\n[login]\ndeadline = 3\n";
    for (path, line) in [
        ("deadline", 1),
        ("limits.deadline", 3),
        ("login.deadline", 5),
    ] {
        assert_eq!(TomlError::at_key(source, path, "no").line(), Some(line));
    }
    let dotted = from_toml::<File>("limits.count = 0").unwrap_err();
    let expected = "line 1: `limits.count`: write a whole number above zero";
    assert_eq!(dotted.to_string(), expected);
    let absent = TomlError::at_key(source, "echo.prefix", "no");
    assert_eq!(absent.to_string(), "`echo.prefix`: no");
}
