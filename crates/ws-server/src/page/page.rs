//! The page for browsers: one response that contains the whole page.
//!
//! Its parts are in `page/`. There is no build step, and the page loads nothing else. The Content
//! Security Policy allows only the page's own script and style, by their hashes, so that a text of a
//! peer can never run as a script.

use std::sync::LazyLock;

use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use http::{
    HeaderName, HeaderValue, Response,
    header::{
        CACHE_CONTROL, CONNECTION, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, VARY,
        X_CONTENT_TYPE_OPTIONS,
    },
};
use sha2::{Digest as _, Sha256};

const DOCUMENT: &str = include_str!("index.html");
const STYLE: &str = include_str!("page.css");
const SCRIPT: &str = concat!(
    include_str!("values.js"),
    include_str!("description.js"),
    include_str!("conversation.js"),
    include_str!("wire.js"),
    include_str!("session.js"),
    include_str!("page.js"),
);

/// The placeholders of the style and the script in the document.
const STYLE_PLACEHOLDER: &str = "{style}";
const SCRIPT_PLACEHOLDER: &str = "{script}";

/// The header fields of the page, except the Content Security Policy.
const FIELDS: [(HeaderName, &str); 6] = [
    (CONTENT_TYPE, "text/html; charset=utf-8"),
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (REFERRER_POLICY, "no-referrer"),
    // A cached page may not fit a newer server.
    (CACHE_CONTROL, "no-cache"),
    (VARY, "Accept, Upgrade"),
    (CONNECTION, "close"),
];

/// Returns the response with the page. All responses share its bytes.
pub(crate) fn response() -> Response<Bytes> {
    static RESPONSE: LazyLock<Response<Bytes>> = LazyLock::new(build);
    RESPONSE.clone()
}

fn build() -> Response<Bytes> {
    let page = DOCUMENT
        .replace(STYLE_PLACEHOLDER, STYLE)
        .replace(SCRIPT_PLACEHOLDER, SCRIPT);
    let mut response = Response::new(page.into());
    let headers = response.headers_mut();
    for (name, value) in FIELDS {
        headers.insert(name, HeaderValue::from_static(value));
    }
    let policy = HeaderValue::try_from(policy()).expect("sources and hashes are a field value");
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    response
}

/// Returns the Content Security Policy of the page: its own script and style, its inline icon, and
/// connections to its own origin. Trusted Types make the browser refuse any use of text as markup.
fn policy() -> String {
    format!(
        "default-src 'none'; script-src {}; style-src {}; img-src data:; connect-src 'self'; \
         base-uri 'none'; form-action 'none'; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'",
        source(SCRIPT),
        source(STYLE)
    )
}

/// Returns the hash source of a script or a style (CSP 3 section 2.3.1).
fn source(text: &str) -> String {
    format!("'sha256-{}'", BASE64_STANDARD.encode(Sha256::digest(text)))
}

#[cfg(test)]
mod tests {
    use proto::close::{CloseCode, Retry};

    use super::{DOCUMENT, SCRIPT, SCRIPT_PLACEHOLDER, STYLE, STYLE_PLACEHOLDER, response, source};

    fn body() -> String {
        String::from_utf8(response().into_body().to_vec()).unwrap()
    }

    /// Returns the text between two delimiters, each of which must occur once.
    fn between<'t>(text: &'t str, start: &str, end: &str) -> &'t str {
        assert_eq!(text.matches(start).count(), 1, "{start}");
        assert_eq!(text.matches(end).count(), 1, "{end}");
        let (_, rest) = text.split_once(start).unwrap();
        rest.split_once(end).unwrap().0
    }

    #[test]
    fn policy_hashes_match_served_style_and_script() {
        assert_eq!(DOCUMENT.matches(STYLE_PLACEHOLDER).count(), 1);
        assert_eq!(DOCUMENT.matches(SCRIPT_PLACEHOLDER).count(), 1);
        let body = body();
        let (style, script) = (
            between(&body, "<style>", "</style>"),
            between(&body, "<script>", "</script>"),
        );
        assert_eq!((style, script), (STYLE, SCRIPT));
        let response = response();
        let policy = response.headers()["content-security-policy"]
            .to_str()
            .unwrap();
        assert_eq!(
            policy,
            format!(
                "default-src 'none'; script-src {}; style-src {}; img-src data:; \
                 connect-src 'self'; base-uri 'none'; form-action 'none'; \
                 frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'",
                source(script),
                source(style)
            )
        );
    }

    #[test]
    fn hash_source_matches_csp_example() {
        // The example of CSP 3, section 6.7.2.
        assert_eq!(
            source("alert('Hello, world.');"),
            "'sha256-qznLcsROx4GACP2dm0UCKCzCG+HiZ1guq6ZZDob/Tng='"
        );
    }

    #[test]
    fn page_response_has_security_fields() {
        let response = response();
        assert_eq!(response.status(), 200);
        for (name, value) in [
            ("content-type", "text/html; charset=utf-8"),
            ("x-content-type-options", "nosniff"),
            ("referrer-policy", "no-referrer"),
            ("cache-control", "no-cache"),
            ("vary", "Accept, Upgrade"),
            ("connection", "close"),
        ] {
            assert_eq!(response.headers()[name], value);
        }
    }

    #[test]
    fn page_has_no_external_loads_storage_or_markup() {
        for (part, absent) in [
            (
                DOCUMENT,
                &[" src=", "<link rel=\"stylesheet", " style=", " onclick="][..],
            ),
            (STYLE, &["@import", "url("]),
            (
                SCRIPT,
                &[
                    "innerHTML",
                    "outerHTML",
                    "insertAdjacentHTML",
                    "document.write",
                    "eval(",
                    "Storage",
                    "indexedDB",
                    "cookie",
                    "import(",
                ],
            ),
        ] {
            for text in absent {
                assert!(!part.contains(text), "{text}");
            }
        }
    }

    /// The page has its own copy of the table. It must equal the client's.
    #[test]
    fn page_close_codes_match_protocol_table() {
        let table = between(SCRIPT, "const CLOSES = [\n", "\n];");
        let known = (0..=u16::MAX).map(CloseCode);
        let known = known.filter(|code| code.is_in_table());
        let rows = known.map(|code| {
            let retry = match code.retry() {
                Retry::No => "no",
                Retry::Now => "now",
                Retry::Jitter => "jitter",
                Retry::BackOff => "back-off",
            };
            format!("  [{code}, \"{}\", \"{retry}\"],", code.description())
        });
        assert_eq!(table.lines().collect::<Vec<_>>(), rows.collect::<Vec<_>>());
        for code in [17, 3500, 4242] {
            let words = format!(
                "words: \"{}\", retry: \"no\"",
                CloseCode(code).description()
            );
            assert!(SCRIPT.contains(&words), "{words}");
        }
    }
}
