//! Reads the report of the testsuite and decides about conformance.

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;

/// The number of cases, without those of compression.
const CASES: usize = 301;

/// The cases in which invalid UTF-8 may be detected at the end of a frame. The WebSocket library
/// validates whole frames, and these cases send one in pieces.
const NON_STRICT_CASES: [&str; 2] = ["6.4.3", "6.4.4"];

/// The case that ends without a close code, because the Close frame that is answered has none. In
/// any other case a missing code means a missing Close frame.
const CASE_WITHOUT_CODE: &str = "7.3.1";

/// The results of one program, by case number.
#[derive(Debug, Clone, Deserialize)]
#[serde(transparent)]
pub(crate) struct SuiteReport(BTreeMap<String, CaseResult>);

/// The result of one case, in the testsuite's terms.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct CaseResult {
    /// The verdict on the messages.
    behavior: String,
    /// The verdict on the closing handshake.
    behavior_close: String,
    /// The code in the program's Close frame, if it sent one with a code.
    remote_close_code: Option<u16>,
}

impl SuiteReport {
    /// Reads the report, which must contain only this program.
    pub(crate) fn read(report: &str, subject: &str) -> Self {
        let mut subjects: BTreeMap<String, Self> =
            serde_json::from_str(report).expect("the report has the expected format");
        let verdict = subjects.remove(subject);
        assert!(
            subjects.is_empty(),
            "the report contains other programs: {subjects:?}"
        );
        verdict.expect("the report contains the program")
    }

    /// Returns the reasons why the program does not conform. The cases `non_strict` may have that verdict,
    /// besides [`NON_STRICT_CASES`].
    pub(crate) fn failures(&self, non_strict: &[&str]) -> Vec<String> {
        let Self(results) = self;
        let count = results.len();
        let incomplete =
            (count != CASES).then(|| format!("{count} cases were run instead of {CASES}"));
        let bad = results
            .iter()
            .filter(|(case, result)| !result.conforms(case, non_strict));
        let bad = bad.map(|(case, result)| format!("case {case}: {result}"));
        incomplete.into_iter().chain(bad).collect()
    }
}

impl CaseResult {
    fn conforms(&self, case: &str, non_strict: &[&str]) -> bool {
        let behaves = match self.behavior.as_str() {
            // Informational cases show behavior that the RFC leaves open.
            "OK" | "INFORMATIONAL" => true,
            "NON-STRICT" => NON_STRICT_CASES.contains(&case) || non_strict.contains(&case),
            _ => false,
        };
        behaves
            && matches!(self.behavior_close.as_str(), "OK" | "INFORMATIONAL")
            && (self.remote_close_code.is_some() || case == CASE_WITHOUT_CODE)
    }
}

impl fmt::Display for CaseResult {
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
    use super::{CASE_WITHOUT_CODE, CASES, CaseResult, NON_STRICT_CASES, SuiteReport};

    fn result(behavior: &str, behavior_close: &str, code: Option<u16>) -> CaseResult {
        CaseResult {
            behavior: behavior.into(),
            behavior_close: behavior_close.into(),
            remote_close_code: code,
        }
    }

    /// Returns a report with these results among successful ones.
    fn verdict(results: &[(&str, CaseResult)]) -> SuiteReport {
        let others = (1..).map(|number| (format!("1.{number}"), result("OK", "OK", Some(1000))));
        let these = results.iter().cloned();
        let these = these.map(|(case, result)| (case.to_owned(), result));
        SuiteReport(these.chain(others).take(CASES).collect())
    }

    #[test]
    fn tolerated_results_conform() {
        let late = NON_STRICT_CASES.map(|case| (case, result("NON-STRICT", "OK", Some(1007))));
        let found = [
            (CASE_WITHOUT_CODE, result("OK", "OK", None)),
            (
                "7.1.6",
                result("INFORMATIONAL", "INFORMATIONAL", Some(1000)),
            ),
        ];
        let verdict = verdict(&[&late[..], &found[..]].concat());
        assert_eq!(verdict.failures(&[]), [""; 0]);
    }

    #[test]
    fn other_results_are_failures() {
        for (case, found, objection) in [
            (
                "2.3",
                result("FAILED", "OK", Some(1000)),
                "case 2.3: FAILED, closed: OK, with code 1000",
            ),
            (
                "6.4.3",
                result("FAILED", "OK", Some(1007)),
                "case 6.4.3: FAILED, closed: OK, with code 1007",
            ),
            (
                "6.4.1",
                result("NON-STRICT", "OK", Some(1007)),
                "case 6.4.1: NON-STRICT, closed: OK, with code 1007",
            ),
            (
                "7.5.1",
                result("OK", "WRONG CODE", Some(1002)),
                "case 7.5.1: OK, closed: WRONG CODE, with code 1002",
            ),
            (
                "3.1",
                result("OK", "OK", None),
                "case 3.1: OK, closed: OK, without a code",
            ),
            (
                "7.3.1",
                result("OK", "UNCLEAN", None),
                "case 7.3.1: OK, closed: UNCLEAN, without a code",
            ),
        ] {
            assert_eq!(verdict(&[(case, found)]).failures(&[]), [objection]);
        }
    }

    #[test]
    fn missing_case_is_a_failure() {
        let mut verdict = verdict(&[]);
        verdict.0.pop_last();
        assert_eq!(verdict.failures(&[]), ["300 cases were run instead of 301"]);
    }

    #[test]
    fn report_of_the_testsuite_is_parsed() {
        let report = r#"{"us": {"1.1.1": {"behavior": "OK", "behaviorClose": "UNCLEAN",
            "duration": 2, "remoteCloseCode": null, "reportfile": "us_case_1_1_1.json"}}}"#;
        assert_eq!(
            SuiteReport::read(report, "us").failures(&[]),
            [
                "1 cases were run instead of 301",
                "case 1.1.1: OK, closed: UNCLEAN, without a code"
            ]
        );
    }
}
