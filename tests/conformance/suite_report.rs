//! What the testsuite found, and whether that is conformance.

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;

/// How many cases there are, but for those about compression.
const CASES: usize = 301;

/// The cases in which a text is found not to be UTF-8 at its end instead of at once: the WebSocket
/// library looks at whole frames, and here a frame comes in pieces.
const MAY_BE_LATE: [&str; 2] = ["6.4.3", "6.4.4"];

/// The case in which no code comes in the Close frame, because none is in the one that it answers.
/// Anywhere else that would mean a connection that ended without a Close frame.
const CLOSES_WITHOUT_CODE: &str = "7.3.1";

/// What was found about one subject, by the number of the case.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct Verdict(BTreeMap<String, Finding>);

/// What was found in one case, in the words of the testsuite.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Finding {
    /// How the messages were dealt with.
    behavior: String,
    /// How the connection ended.
    behavior_close: String,
    /// The code in the subject's Close frame, if there were both.
    remote_close_code: Option<u16>,
}

impl Verdict {
    /// Reads the report on a subject, who is the only one in it.
    pub(crate) fn read(report: &str, subject: &str) -> Self {
        let mut subjects: BTreeMap<String, Self> =
            serde_json::from_str(report).expect("the report has the form that is known");
        let verdict = subjects.remove(subject);
        assert!(subjects.is_empty(), "nobody else is judged: {subjects:?}");
        verdict.expect("the subject is judged")
    }

    /// All that speaks against conformance.
    pub(crate) fn objections(&self) -> Vec<String> {
        let Self(findings) = self;
        let count = findings.len();
        let incomplete =
            (count != CASES).then(|| format!("{count} cases were judged instead of {CASES}"));
        let bad = findings
            .iter()
            .filter(|(case, finding)| !finding.is_good(case));
        let bad = bad.map(|(case, finding)| format!("case {case}: {finding}"));
        incomplete.into_iter().chain(bad).collect()
    }
}

impl Finding {
    fn is_good(&self, case: &str) -> bool {
        let behaves = match self.behavior.as_str() {
            // Some cases only show what an endpoint does where it may choose.
            "OK" | "INFORMATIONAL" => true,
            "NON-STRICT" => MAY_BE_LATE.contains(&case),
            _ => false,
        };
        behaves
            && matches!(self.behavior_close.as_str(), "OK" | "INFORMATIONAL")
            && (self.remote_close_code.is_some() || case == CLOSES_WITHOUT_CODE)
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            behavior,
            behavior_close,
            remote_close_code,
        } = self;
        write!(f, "{behavior}, closed: {behavior_close}, ")?;
        match remote_close_code {
            Some(code) => write!(f, "with code {code}"),
            None => f.write_str("without a code"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{CASES, CLOSES_WITHOUT_CODE, Finding, MAY_BE_LATE, Verdict};

    fn finding(behavior: &str, behavior_close: &str, code: Option<u16>) -> Finding {
        Finding {
            behavior: behavior.into(),
            behavior_close: behavior_close.into(),
            remote_close_code: code,
        }
    }

    /// A verdict in which these cases stand among others that are well.
    fn verdict(findings: &[(&str, Finding)]) -> Verdict {
        let others = (1..).map(|number| (format!("1.{number}"), finding("OK", "OK", Some(1000))));
        let these = findings.iter().cloned();
        let these = these.map(|(case, finding)| (case.to_owned(), finding));
        Verdict(these.chain(others).take(CASES).collect())
    }

    #[test]
    fn what_is_tolerated_is_conformance() {
        let late = MAY_BE_LATE.map(|case| (case, finding("NON-STRICT", "OK", Some(1007))));
        let found = [
            (CLOSES_WITHOUT_CODE, finding("OK", "OK", None)),
            (
                "7.1.6",
                finding("INFORMATIONAL", "INFORMATIONAL", Some(1000)),
            ),
        ];
        let verdict = verdict(&[&late[..], &found[..]].concat());
        assert_eq!(verdict.objections(), [""; 0]);
    }

    #[test]
    fn everything_else_is_an_objection() {
        for (case, found, objection) in [
            (
                "2.3",
                finding("FAILED", "OK", Some(1000)),
                "case 2.3: FAILED, closed: OK, with code 1000",
            ),
            (
                "6.4.3",
                finding("FAILED", "OK", Some(1007)),
                "case 6.4.3: FAILED, closed: OK, with code 1007",
            ),
            (
                "6.4.1",
                finding("NON-STRICT", "OK", Some(1007)),
                "case 6.4.1: NON-STRICT, closed: OK, with code 1007",
            ),
            (
                "7.5.1",
                finding("OK", "WRONG CODE", Some(1002)),
                "case 7.5.1: OK, closed: WRONG CODE, with code 1002",
            ),
            (
                "3.1",
                finding("OK", "OK", None),
                "case 3.1: OK, closed: OK, without a code",
            ),
            (
                "7.3.1",
                finding("OK", "UNCLEAN", None),
                "case 7.3.1: OK, closed: UNCLEAN, without a code",
            ),
        ] {
            assert_eq!(verdict(&[(case, found)]).objections(), [objection]);
        }
    }

    #[test]
    fn a_case_that_was_not_judged_is_an_objection() {
        let mut verdict = verdict(&[]);
        verdict.0.pop_last();
        assert_eq!(
            verdict.objections(),
            ["300 cases were judged instead of 301"]
        );
    }

    #[test]
    fn reads_the_testsuites_report() {
        let report = r#"{"us": {"1.1.1": {"behavior": "OK", "behaviorClose": "UNCLEAN",
            "duration": 2, "remoteCloseCode": null, "reportfile": "us_case_1_1_1.json"}}}"#;
        assert_eq!(
            Verdict::read(report, "us").objections(),
            [
                "1 cases were judged instead of 301",
                "case 1.1.1: OK, closed: UNCLEAN, without a code"
            ]
        );
    }
}
