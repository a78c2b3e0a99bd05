//! Routes and rooms, with clients and POST requests.

use futures::future::{join, join_all};
use integration_tests::{
    ACCOUNTS, ADMIN, LOGIN_FAILED_EVENT, LoginMethod, SESSION_OPENED, ServerFiles, ServerProcess,
    TEST_TIMEOUT, accounts, admin_account, authorization, client, echoed_lines, metric_over_socket,
    run, send_request, spawn,
};
use tokio::{
    io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader},
    task::yield_now,
    time::timeout,
};

const ROUTES: &str = "[[route]]\npath = \"/\"\nservice = \"echo\"\nprefix = \">\"\n\
                      [[route]]\npath = \"/room/*\"\nservice = \"room\"\n\
                      [[route]]\npath = \"/only\"\nservice = \"echo\"\nusers = [\"jane\"]\n\
                      [[route]]\npath = \"/public\"\nservice = \"room\"\nformat = \"plain\"\n\
                      public = true\n";

fn files() -> ServerFiles {
    ServerFiles::new(ROUTES, &accounts(&[("admin", "123456"), ("jane", "x")]))
}

fn url(server: &ServerProcess, path: &str) -> String {
    server.url().trim_end_matches('/').to_owned() + path
}

/// Publishes a text by a POST request, and returns the status line.
async fn post(server: &ServerProcess, path: &str, line: &str, text: &str) -> String {
    let (authorization, length) = (authorization(line), text.len());
    let request = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\n{authorization}\r\n\
         Content-Length: {length}\r\n\r\n{text}"
    );
    send_request(server.connect().await, &request)
        .await
        .status_line
}

#[tokio::test]
async fn room_delivers_messages_and_post_bodies() {
    let mut server = files().serve().await;
    let mut jane = spawn(client([url(&server, "/room/lobby")]));
    let mut stdin = jane.stdin.take().unwrap();
    stdin.write_all(b"jane:x\n").await.unwrap();
    let opened = server.log_line(SESSION_OPENED).await;
    assert!(opened.contains("user=jane path=/room/lobby"), "{opened}");
    // Its own message shows that the client has joined.
    stdin.write_all(b"I am here\n").await.unwrap();
    let mut received = BufReader::new(jane.stdout.take().unwrap()).lines();
    let mut next = async || {
        let line = timeout(integration_tests::TEST_TIMEOUT, received.next_line()).await;
        line.expect("a line is received in time").unwrap().unwrap()
    };
    assert!(
        next()
            .await
            .starts_with(r#"{"from":"jane","text":"I am here","at":""#)
    );
    let status = post(&server, "/room/lobby", "admin:123456", "the build is done").await;
    assert_eq!(status, "HTTP/1.1 204 No Content");
    let published = server.log_line("published").await;
    assert!(
        published.contains("user=admin path=/room/lobby bytes=17"),
        "{published}"
    );
    let line = next().await;
    assert!(
        line.starts_with(r#"{"from":"admin","text":"the build is done","at":""#),
        "{line}"
    );
    assert_eq!(
        post(&server, "/room/lobby", "admin:wrong", "x").await,
        "HTTP/1.1 401 Unauthorized"
    );
    server.log_line(LOGIN_FAILED_EVENT).await;
}

#[tokio::test]
async fn piped_client_receives_its_own_room_messages() {
    let server = files().serve().await;
    let output = run(client([url(&server, "/room/a")]), "jane:x\none\ntwo\n").await;
    assert_eq!(output.code, Some(0), "{}", output.stderr);
    let received: Vec<_> = output.stdout().lines().collect();
    assert_eq!(received.len(), 2, "{received:?}");
    assert!(received[0].starts_with(r#"{"from":"jane","text":"one","at":""#));
    assert!(received[1].starts_with(r#"{"from":"jane","text":"two","at":""#));
}

/// Former fault: a room closed members that read all the time, because nothing slowed the publisher.
#[tokio::test]
async fn piped_burst_reaches_all_members_in_order() {
    const LINES: usize = 5000;
    for workers in [2, 4] {
        let room = "[[route]]\npath = \"/\"\nservice = \"room\"\n";
        let files = ServerFiles::with_admin(&format!("worker_threads = {workers}\n{room}{ADMIN}"));
        let server = files.serve().await;
        let mut members = Vec::new();
        for _ in 0..20 {
            let mut member = server.connect().await;
            member.log_in().await;
            members.push(member);
        }
        let joined = async {
            while metric_over_socket(&files, "ws_server_room_members").await != 20 {
                yield_now().await;
            }
        };
        timeout(TEST_TIMEOUT, joined).await.expect("all join");
        let readers = members.into_iter().map(async |mut member| {
            for number in 0..LINES {
                let text = member.text().await;
                let expected = format!(r#"{{"from":"admin","text":"{number}","at":""#);
                assert!(text.starts_with(&expected), "{number}: {text}");
            }
        });
        let lines: Vec<String> = (0..LINES).map(|number| number.to_string()).collect();
        let input = format!("admin:123456\n{}\n", lines.join("\n"));
        let publish = run(client([server.url()]), &input);
        let (published, _) = join(publish, join_all(readers)).await;
        assert_eq!(published.code, Some(0), "{}", published.stderr);
        assert_eq!(published.stdout().lines().count(), LINES);
    }
}

#[tokio::test]
async fn public_room_accepts_guests() {
    let server = files().serve().await;
    let guest = client([&url(&server, "/public"), "--auth", "none"]);
    let output = run(guest, "hello\n").await;
    assert_eq!(
        (output.code, output.stdout()),
        (Some(0), "guest:1: hello\n")
    );
}

#[tokio::test]
async fn route_rejects_users_not_listed() {
    let server = files().serve().await;
    let only = url(&server, "/only");
    let output = run(client([&only]), "admin:123456\nhello\n").await;
    assert_eq!((output.code, output.stdout()), (Some(3), ""));
    let reason = "saying \"this user has no access to this route\"";
    assert!(output.stderr.contains(reason), "{}", output.stderr);
    let output = run(client([&only, "--auth", "basic"]), "admin:123456\nhello\n").await;
    assert_eq!((output.code, output.stdout()), (Some(6), ""));
    assert!(output.stderr.contains("403"), "{}", output.stderr);
    let output = run(client([&only]), "jane:x\nhello\n").await;
    assert_eq!(
        (output.code, output.stdout()),
        (Some(0), &*echoed_lines(["hello"]))
    );
}

/// Removing an account ends its sessions, even if a route still names the user.
#[tokio::test]
async fn route_users_must_exist_only_at_start() {
    let files = files();
    let mut server = files.serve().await;
    let mut jane = LoginMethod::Message.log_in(&server, "jane:x").await;
    server.log_line(SESSION_OPENED).await;
    files.replace(ACCOUNTS, &admin_account());
    let warning = server.log_line("WARN").await;
    let unknown_user = "the route `/only` names the user `jane`, who has no account in ";
    assert!(warning.contains(unknown_user), "{warning}");
    assert_eq!(jane.close().await.0, 3000);

    let started = run(files.command(), "").await;
    assert_eq!(started.code, Some(2));
    assert!(started.stderr.contains(unknown_user), "{}", started.stderr);
}
