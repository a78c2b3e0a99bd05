//! Programs behind the login, with both binaries.

use std::{
    fs::{self, Permissions},
    os::unix::fs::PermissionsExt as _,
};

use integration_tests::{
    ADMIN, LoginMethod, ServerFiles, ServerProcess, TEST_TIMEOUT, accounts, authorization, client,
    fixture, handshake_with, run, server_binary, spawn,
};
use raw_peer::{RawPeer, frame};
use rustix::process::{Pid, Signal};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    net::TcpStream,
    process::Command,
    time::{Duration, sleep, timeout},
};

/// Returns the files of a server that runs a command at `/`. `keys` are further lines.
fn files(command: &[&str], keys: &str) -> ServerFiles {
    let route = format!(
        "[[route]]\npath = \"/**\"\nservice = \"program\"\ncommand = {command:?}\n{keys}{ADMIN}"
    );
    ServerFiles::new(&route, &accounts(&[("admin", "123456"), ("jane", "x")]))
}

/// Returns the files of a server that runs an example at `/`.
fn example(name: &str, keys: &str) -> ServerFiles {
    let program = fixture("programs").join(name);
    files(&[program.to_str().expect("the path is UTF-8")], keys)
}

/// Returns the files of a server that runs a shell script at `/`.
fn script(script: &str, keys: &str) -> ServerFiles {
    files(&["/bin/bash", "-c", script], keys)
}

/// Returns the texts until the Close frame, and the Close frame.
async fn rest(client: &mut RawPeer<TcpStream>) -> (Vec<String>, (u16, String)) {
    let mut texts = Vec::new();
    loop {
        let frame = client.frame().await;
        if frame.first == 0x88 {
            return (texts, frame.close());
        }
        texts.push(String::from_utf8(frame.payload).unwrap());
    }
}

/// Returns the children of a server.
fn children(server: &ServerProcess) -> Vec<String> {
    let tasks = format!("/proc/{}/task", server.pid().as_raw_nonzero());
    let tasks = fs::read_dir(tasks).expect("the server runs");
    let read = |task: fs::DirEntry| fs::read_to_string(task.path().join("children"));
    let lists = tasks.filter_map(|task| read(task.ok()?).ok());
    let lists: Vec<_> = lists.collect();
    let pids = lists.iter().flat_map(|list| list.split_whitespace());
    pids.map(ToOwned::to_owned).collect()
}

/// Returns true while a process exists and has not ended.
fn is_running(pid: i32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields = stat.rsplit_once(") ");
    fields.is_some_and(|(_, fields)| !fields.starts_with('Z'))
}

/// Waits until a condition holds.
async fn until(what: &str, condition: impl Fn() -> bool) {
    let holds = async {
        while !condition() {
            sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(TEST_TIMEOUT, holds).await.expect(what);
}

#[tokio::test]
async fn counters_of_websocketd_run_unchanged() {
    let expected: Vec<_> = (1..=10).map(|count| count.to_string()).collect();
    for name in ["count.sh", "count.pl", "count.py"] {
        let server = example(name, "pass_env = [\"HOME\"]\n").serve().await;
        let mut child = spawn(client([server.url()]));
        let mut stdin = child.stdin.take().unwrap();
        stdin.write_all(b"jane:x\n").await.unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        let mut received = Vec::new();
        while let Some(line) = timeout(TEST_TIMEOUT, lines.next_line())
            .await
            .unwrap()
            .unwrap()
        {
            received.push(line);
        }
        assert_eq!(received, expected, "{name}");
    }
}

#[tokio::test]
async fn greeters_of_websocketd_run_unchanged() {
    let server = example("greeter.sh", "").serve().await;
    let output = run(client([server.url()]), "jane:x\nWorld\nMoon\n").await;
    let found = (output.code, output.stdout());
    assert_eq!(
        found,
        (Some(0), "Hello World!\nHello Moon!\n"),
        "{}",
        output.stderr
    );
    for name in ["greeter.pl", "greeter.py"] {
        let server = example(name, "pass_env = [\"HOME\"]\n").serve().await;
        let mut client = LoginMethod::Basic.log_in(&server, "jane:x").await;
        for name in ["World", "Moon"] {
            client.send(frame::text(name)).await;
            assert_eq!(client.text().await, format!("Hello {name}!"));
        }
    }
}

#[tokio::test]
async fn send_receive_of_websocketd_runs_unchanged() {
    let server = example("send-receive.sh", "").serve().await;
    let mut client = LoginMethod::Basic.log_in(&server, "jane:x").await;
    assert_eq!(client.text().await, "(0 line(s) received)");
    for _ in 0..3 {
        client.send(frame::text("line")).await;
    }
    let mut received = 0;
    while received < 3 {
        let text = client.text().await;
        let count = text.trim_start_matches('(').split(' ').next().unwrap();
        received += count.parse::<usize>().unwrap();
    }
    assert_eq!(received, 3);
}

#[tokio::test]
async fn chat_of_websocketd_runs_unchanged() {
    let log = tempfile::NamedTempFile::new().unwrap();
    let files = example("chat.sh", "pass_env = [\"CHAT_LOG\"]\ngrace = \"100ms\"\n");
    let mut command = files.command();
    command.env("CHAT_LOG", log.path());
    let server = ServerProcess::spawn(command).await;
    let mut users = Vec::new();
    for name in ["admin", "jane"] {
        let password = if name == "jane" { "x" } else { "123456" };
        let login = format!("{name}:{password}");
        let mut user = LoginMethod::Basic.log_in(&server, &login).await;
        assert_eq!(user.text().await, "Please enter your name:");
        user.send(frame::text(name)).await;
        assert_eq!(user.text().await, format!("Welcome to the chat {name}!"));
        users.push(user);
    }
    // The second user follows the file once it sees what the first one says.
    let [admin, jane] = &mut users[..] else {
        unreachable!("there are two users");
    };
    let heard = async { while jane.text().await != "admin> hello" {} };
    let said = async {
        loop {
            admin.send(frame::text("hello")).await;
            sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = heard => {}
        () = said => {}
    }
    // `tail` and `grep` run in the background.
    drop(users);
    until("no process is left", || children(&server).is_empty()).await;
}

#[tokio::test]
async fn environment_describes_request() {
    let server = example("dump-env.sh", "").serve().await;
    let mut client = server.connect().await;
    let fields = [
        &*authorization("jane:x"),
        "User-Agent: test",
        "Proxy: http://evil.example",
        "Cookie: a=b",
        "X-Forwarded-For: 192.0.2.7",
    ];
    let request = handshake_with(&fields).replace("GET / ", "GET /a%20b?c=d ");
    client.send(request).await;
    assert!(client.head().await.starts_with("HTTP/1.1 101 "));
    let (lines, close) = rest(&mut client).await;
    assert_eq!(close, (1000, "program ended".to_owned()));
    for line in [
        "AUTH_TYPE=Basic",
        "REMOTE_USER=jane",
        "REMOTE_ADDR=127.0.0.1",
        "PATH_INFO=/a b",
        "QUERY_STRING=c=d",
        "REQUEST_URI=/a%20b?c=d",
        "SCRIPT_NAME=/",
        "HTTPS=<unset>",
        "HTTP_USER_AGENT=test",
        "UNIQUE_ID=1",
    ] {
        assert!(lines.iter().any(|it| it == line), "{line}: {lines:#?}");
    }
    for name in [
        "HTTP_PROXY",
        "HTTP_AUTHORIZATION",
        "HTTP_COOKIE",
        "HTTP_X_FORWARDED_FOR",
    ] {
        assert!(
            !lines.iter().any(|line| line.starts_with(name)),
            "{lines:#?}"
        );
    }
}

/// A program that held a socket of the server kept its connections open.
#[tokio::test]
async fn program_inherits_no_socket() {
    let server = script("for fd in /proc/$$/fd/*; do readlink $fd; done", "")
        .serve()
        .await;
    let _other = server.connect().await;
    let mut client = LoginMethod::Basic.log_in(&server, "jane:x").await;
    let (links, _) = rest(&mut client).await;
    assert!(
        links
            .iter()
            .filter(|link| link.starts_with("pipe:"))
            .count()
            >= 3
    );
    assert!(
        !links.iter().any(|link| link.starts_with("socket:")),
        "{links:#?}"
    );
}

#[tokio::test]
async fn stderr_is_logged_escaped_and_shortened() {
    let long = "printf '%05000d\\n' 0 >&2";
    let files = script(&format!("printf 'a\\033[2J\\n' >&2; {long}; cat"), "");
    let mut server = files.serve().await;
    let _client = LoginMethod::Basic.log_in(&server, "jane:x").await;
    let line = server.log_line("stderr of the program").await;
    assert!(line.contains("connection=1 line=a\\u{1b}[2J"), "{line}");
    let line = server.log_line("stderr of the program").await;
    assert!(line.contains("cut=904") && line.len() < 4300, "{line}");
}

/// Some programs end first, some with the session, and some leave processes behind.
#[tokio::test]
async fn nothing_is_left_after_200_sessions() {
    let keys = "grace = \"100ms\"\n";
    let server = script(
        "read -r a; case $a in left) (setsid sleep 0.05 &);; killed) kill -9 $$;; \
         behind) sleep 1000 & ;; waits) sleep 1000;; esac; echo done",
        keys,
    )
    .serve()
    .await;
    let before = server.descriptors();
    let session = async |message: &str| {
        let mut client = LoginMethod::Basic.log_in(&server, "jane:x").await;
        client.send(frame::text(message)).await;
        if message == "waits" {
            client.send(frame::close(1000, "")).await;
        }
        rest(&mut client).await.1.0
    };
    for _ in 0..40 {
        let codes = tokio::join!(
            session("quick"),
            session("left"),
            session("killed"),
            session("behind"),
            session("waits"),
        );
        assert_eq!(codes, (1000, 1000, 1011, 1000, 1000));
    }
    until("no process is left", || children(&server).is_empty()).await;
    // The channel to the thread that starts programs, and SIGCHLD, need no descriptor for each session.
    until("no descriptor is left", || server.descriptors() <= before).await;
}

/// The end of its input ends a program whose server was killed.
#[tokio::test]
async fn killed_server_ends_input_of_program() {
    let server = script("echo $$; exec cat", "").serve().await;
    let mut client = LoginMethod::Basic.log_in(&server, "jane:x").await;
    let pid: i32 = client.text().await.parse().unwrap();
    let exists = || is_running(pid);
    assert!(Pid::from_raw(pid).is_some() && exists());
    server.signal(Signal::KILL);
    until("the program ends", || !exists()).await;
}

#[tokio::test]
async fn path_selects_example_of_directory() {
    let programs = tempfile::tempdir().unwrap();
    let program = programs.path().join("greeter.sh");
    fs::copy(fixture("programs").join("greeter.sh"), &program).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    let route = format!(
        "[[route]]\npath = \"/bin/*\"\nservice = \"program\"\ndirectory = {:?}\n{ADMIN}",
        programs.path()
    );
    let files = ServerFiles::new(&route, &accounts(&[("admin", "123456")]));
    let server = files.serve().await;
    let url = |name: &str| format!("{}/bin/{name}", server.url());
    let greeted = run(client([&*url("greeter.sh")]), "admin:123456\nWorld\n").await;
    assert_eq!(greeted.stdout(), "Hello World!\n", "{greeted:?}");
    let absent = client([&*url("absent"), "--auth", "basic"]);
    let refused = run(absent, "admin:123456\n").await;
    assert!(refused.stderr.contains("404"), "{refused:?}");
}

/// Returns the only message of a script, which ends then.
async fn message_of(program: &str, keys: &str) -> String {
    let server = script(program, keys).serve().await;
    let mut client = LoginMethod::Basic.log_in(&server, "jane:x").await;
    let (mut texts, close) = rest(&mut client).await;
    assert_eq!(close, (1000, "program ended".to_owned()), "{texts:?}");
    assert_eq!(texts.len(), 1, "{texts:?}");
    texts.remove(0)
}

/// Shows the limits, soft and hard, and what the program is.
const SHOW_LIMITS: &str = "echo $(for limit in n v t; do ulimit -S$limit; ulimit -H$limit; done) \
                           $(grep NoNewPrivs /proc/self/status) $0 $REMOTE_USER";

#[tokio::test]
async fn limits_of_program_are_in_force() {
    let keys = "max_open_files = 64\nmax_memory_bytes = \"512MiB\"\nmax_cpu_time = \"1500ms\"\n\
                no_new_privileges = true\n";
    let limits = message_of(SHOW_LIMITS, keys).await;
    let numbers: Vec<_> = limits
        .split_whitespace()
        .filter(|word| word.bytes().all(|byte| byte.is_ascii_digit()))
        .collect();
    assert_eq!(
        numbers,
        ["64", "64", "524288", "524288", "2", "3", "1"],
        "{limits}"
    );
    assert!(limits.ends_with(" /bin/bash jane"), "{limits}");

    // Each key alone sets only its own limit.
    let unlimited = message_of(SHOW_LIMITS, "").await;
    let with_server = message_of(SHOW_LIMITS, "end_with_server = true\n").await;
    assert_eq!(with_server, unlimited);
    assert!(unlimited.contains("NoNewPrivs: 0"), "{unlimited}");
}

#[tokio::test]
async fn identity_of_program_is_in_force() {
    let show = "echo $(grep -E '^(Uid|Gid|Groups|CapEff|NoNewPrivs):' /proc/self/status)";
    if !rustix::process::geteuid().is_root() {
        let files = script(show, "uid = 65534\ngid = 65533\n");
        let refused = run(files.command(), "").await;
        assert_eq!(refused.code, Some(2), "{refused:?}");
        assert!(refused.stderr.contains("CAP_SETUID"), "{refused:?}");
        return;
    }
    let identity = message_of(show, "uid = 65534\ngid = 65533\nend_with_server = true\n").await;
    assert_eq!(
        identity,
        "Uid: 65534 65534 65534 65534 Gid: 65533 65533 65533 65533 Groups: 65533 \
         CapEff: 0000000000000000 NoNewPrivs: 0"
    );
}

#[tokio::test]
async fn processor_time_of_program_ends_it() {
    let server = script("while :; do :; done", "max_cpu_time = \"1s\"\n")
        .serve()
        .await;
    let mut client = LoginMethod::Basic.log_in(&server, "jane:x").await;
    let close = (1011, "program ended by signal 24".to_owned());
    assert_eq!(rest(&mut client).await, (Vec::new(), close));
}

#[tokio::test]
async fn helper_that_fails_ends_session_and_is_logged() {
    let programs = tempfile::tempdir().unwrap();
    let text = programs.path().join("text");
    fs::write(&text, "no program").unwrap();
    fs::set_permissions(&text, Permissions::from_mode(0o644)).unwrap();
    let route = format!(
        "[[route]]\npath = \"/*\"\nservice = \"program\"\ndirectory = {:?}\n\
         no_new_privileges = true\n{ADMIN}",
        programs.path()
    );
    let files = ServerFiles::new(&route, &accounts(&[("admin", "123456")]));
    let mut server = files.serve().await;
    let url = format!("{}/text", server.url());
    let ended = run(client([&*url]), "admin:123456\nhello\n").await;
    assert!(ended.stderr.contains("program ended with 126"), "{ended:?}");
    server.log_line("cannot execute").await;
}

#[tokio::test]
async fn killed_server_ends_program_that_reads_nothing() {
    let server = script("echo $$; exec sleep 1000", "end_with_server = true\n");
    let server = server.serve().await;
    let mut client = LoginMethod::Basic.log_in(&server, "jane:x").await;
    let pid: i32 = client.text().await.parse().unwrap();
    let exists = || is_running(pid);
    assert!(exists());
    server.signal(Signal::KILL);
    until("the program ends", || !exists()).await;
}

/// The server may end before its helper asks for the signal of its death.
#[tokio::test]
async fn helper_without_its_server_starts_nothing() {
    let unlimited = ["-"; 7];
    for (parent, code, output) in [
        (std::process::id().to_string(), 0, "started\n"),
        ("1".to_owned(), 126, ""),
        ("x".to_owned(), 126, ""),
    ] {
        let mut command = Command::new(server_binary());
        command.arg("run-program").arg(&parent).args(unlimited);
        command.args(["/bin/echo", "started"]);
        let finished = run(command, "").await;
        assert_eq!(
            (finished.code, finished.stdout()),
            (Some(code), output),
            "{parent}: {finished:?}"
        );
    }
}
