//! Runs the two fuzzers of the Autobahn testsuite.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use integration_tests::root;
use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt as _, BufReader},
    process::{Child, Command},
    time::timeout,
};

use crate::suite_report::SuiteReport;

/// The time limit for all cases.
pub(crate) const TEST_TIMEOUT: Duration = Duration::from_mins(10);

/// A run of the testsuite.
#[derive(Debug)]
pub(crate) struct Suite {
    /// The name of the program under test.
    subject: &'static str,
    /// The directory of the reports, the specification and the log.
    directory: PathBuf,
}

/// A fuzzing server of the testsuite. Dropping it kills the process.
#[derive(Debug)]
pub(crate) struct FuzzingServer {
    /// The URL of the server.
    pub(crate) url: String,
    _process: Child,
}

impl Suite {
    /// Creates a run for this program. Deletes the reports of earlier runs.
    pub(crate) fn for_subject(subject: &'static str) -> Self {
        let directory = suite_directory().join("reports").join(subject);
        if directory.exists() {
            fs::remove_dir_all(&directory).expect("old reports can be deleted");
        }
        fs::create_dir_all(&directory).expect("a directory can be made");
        Self { subject, directory }
    }

    /// Runs all cases against a server, one after the other.
    pub(crate) async fn fuzz_server(&self, url: &str) {
        let servers = json!([{ "agent": self.subject, "url": url }]);
        let mut process = self
            .python(&suite_directory().join("suite/bin/wstest"))
            .args(["--mode", "fuzzingclient", "--spec"])
            .arg(self.specification(&servers))
            .stdout(self.log())
            .spawn()
            .expect("the testsuite starts");
        let end = timeout(TEST_TIMEOUT, process.wait()).await;
        let end = end
            .expect("the cases end in time")
            .expect("the testsuite can be waited for");
        let directory = self.directory.display();
        assert!(end.success(), "the testsuite failed: see {directory}");
    }

    /// Starts a server that runs each case with the client that requests it.
    pub(crate) async fn fuzz_clients(&self) -> FuzzingServer {
        let mut process = self
            .python(&root().join("tests/conformance/fuzzing_server.py"))
            .arg(self.specification(&json!([])))
            .stdout(Stdio::piped())
            .spawn()
            .expect("the testsuite starts");
        let stdout = process.stdout.take().expect("the stream is piped");
        let line = timeout(TEST_TIMEOUT, BufReader::new(stdout).lines().next_line()).await;
        let line = line
            .expect("the testsuite listens in time")
            .expect("stdout can be read");
        let directory = self.directory.display();
        let url = line.unwrap_or_else(|| panic!("the testsuite failed: see {directory}"));
        FuzzingServer {
            url,
            _process: process,
        }
    }

    /// Checks the report. In the cases `non_strict`, the program may also end before it has answered what
    /// came before a violation.
    ///
    /// # Panics
    ///
    /// If the program does not conform.
    pub(crate) fn check(&self, non_strict: &[&str]) {
        let json = fs::read_to_string(self.directory.join("index.json"));
        let report = SuiteReport::read(&json.expect("the report exists"), self.subject);
        let failures = report.failures(non_strict);
        assert!(
            failures.is_empty(),
            "{} does not conform to RFC 6455, see {}:\n{}",
            self.subject,
            self.directory.join("index.html").display(),
            failures.join("\n")
        );
    }

    /// Returns the command that runs a program with the testsuite's Python.
    fn python(&self, program: &Path) -> Command {
        let python = suite_directory().join("suite/bin/python");
        assert!(
            python.exists(),
            "the Autobahn testsuite is missing: .ci/autobahn installs it"
        );
        let mut command = Command::new(python);
        command
            .arg(program)
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stderr(self.log())
            .kill_on_drop(true);
        command
    }

    /// Writes the specification: all cases but those of message compression, which neither side
    /// offers.
    fn specification(&self, servers: &Value) -> PathBuf {
        let path = self.directory.join("specification.json");
        let specification = json!({
            "outdir": self.directory,
            "servers": servers,
            "cases": ["*"],
            "exclude-cases": ["12.*", "13.*"],
        });
        fs::write(&path, specification.to_string()).expect("a file can be written");
        path
    }

    /// Opens the log file of the run.
    fn log(&self) -> File {
        let path = self.directory.join("log");
        let log = File::options().create(true).append(true).open(path);
        log.expect("a file can be written")
    }
}

/// Returns the directory in which `.ci/autobahn` installs the suite.
fn suite_directory() -> PathBuf {
    root().join("target/autobahn")
}
