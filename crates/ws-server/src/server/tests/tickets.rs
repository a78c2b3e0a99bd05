//! Tickets: each place for one, what ends them, and what they neither wait for nor count against.

use std::time::SystemTime;

use proto::{
    credentials::{IssuedTicket, TicketSecrets},
    ticket::Ticket,
    username::UserName,
};
use serde_json::Value;

use crate::{
    access::LoginFailure,
    server::tests::{harness::*, hashing},
};

/// The place of a ticket.
#[derive(Debug, Clone, Copy)]
enum Place {
    Message,
    Basic,
    Bearer,
}

const PLACES: [Place; 3] = [Place::Message, Place::Basic, Place::Bearer];

fn request(method: &str, fields: &str) -> String {
    format!("{method} /ticket HTTP/1.1\r\nHost: localhost\r\n{fields}\r\n")
}

/// Returns the `Authorization` field of credentials in the Basic scheme.
fn basic(line: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    format!("Authorization: Basic {}\r\n", STANDARD.encode(line))
}

fn bearer(ticket: &str) -> String {
    format!("Authorization: Bearer {ticket}\r\n")
}

impl TestServer {
    /// Sends a request, and returns the head and the body of the response.
    async fn exchange(&self, request: &str) -> (String, Vec<u8>) {
        let mut peer = self.connect();
        peer.send(request).await;
        (peer.head().await, peer.rest().await)
    }

    /// Returns the ticket in the response to `POST /ticket` with this field.
    async fn ticket(&self, authorization: &str) -> String {
        let (head, body) = self.exchange(&request("POST", authorization)).await;
        assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
        let body: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(body["user"], "admin");
        let expires = humantime::parse_rfc3339(body["expires"].as_str().unwrap()).unwrap();
        assert!(expires > SystemTime::now());
        body["ticket"].as_str().unwrap().to_owned()
    }

    /// Returns true if a ticket logs in at this place, and false if it is refused.
    async fn accepts(&self, ticket: &str, place: Place) -> bool {
        let mut peer = self.connect();
        let handshake = match place {
            Place::Message => HANDSHAKE.to_owned(),
            Place::Basic => handshake_with(basic(&format!(":{ticket}")).trim_end()),
            Place::Bearer => handshake_with(bearer(ticket).trim_end()),
        };
        peer.send(handshake).await;
        let head = peer.head().await;
        let is_accepted = match place {
            Place::Message => {
                assert!(head.starts_with("HTTP/1.1 101 "), "{head}");
                peer.send(frame::text(&format!(":{ticket}"))).await;
                match &*peer.text().await {
                    CONGRATULATION => true,
                    SORRY => false,
                    other => panic!("{other}"),
                }
            }
            Place::Basic | Place::Bearer if head.starts_with("HTTP/1.1 101 ") => true,
            Place::Basic | Place::Bearer => {
                assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
                assert_eq!(peer.rest().await, b"the username or password is wrong\n");
                false
            }
        };
        if is_accepted {
            peer.send(frame::text("hello")).await;
            assert_eq!(peer.text().await, "your submit context: hello");
        }
        is_accepted
    }

    /// Asserts that a ticket is accepted, or refused, at each place and for its renewal.
    async fn assert_accepts(&self, ticket: &str, is_accepted: bool) {
        for place in PLACES {
            assert_eq!(self.accepts(ticket, place).await, is_accepted, "{place:?}");
        }
        for field in [bearer(ticket), basic(&format!(":{ticket}"))] {
            let (head, body) = self.exchange(&request("POST", &field)).await;
            let status = if is_accepted { "200" } else { "401" };
            assert!(head.starts_with(&format!("HTTP/1.1 {status} ")), "{head}");
            if !is_accepted {
                assert_eq!(body, b"{\"error\":\"the username or password is wrong\"}\n");
            }
        }
    }

    /// Returns a ticket of `admin` that was issued at this time.
    fn ticket_of(&self, now: SystemTime) -> IssuedTicket {
        let settings = self.0.current.load();
        let admin = Credentials::parse(CREDENTIALS).unwrap();
        let identity =
            settings
                .accounts
                .verify(&admin, now, &mut proto::password::HashMemory::default());
        settings.issue_ticket(&identity.unwrap(), now).unwrap()
    }

    fn verify(&self, ticket: &Ticket, now: SystemTime) -> Result<String, LoginFailure> {
        let verified = self.0.current.load().verify_ticket(ticket, now)?;
        Ok(verified.user().to_string())
    }
}

fn admin() -> UserName {
    UserName::parse("admin").unwrap()
}

#[tokio::test(start_paused = true)]
async fn ticket_logs_in_at_each_place() {
    let server = TestServer::new();
    let ticket = server.ticket(&basic(CREDENTIALS)).await;
    server.assert_accepts(&ticket, true).await;
    let renewed = server.ticket(&bearer(&ticket)).await;
    server.assert_accepts(&renewed, true).await;
    // Not in the query.
    let mut peer = server.connect();
    let target = format!("GET /?ticket={ticket} ");
    peer.send(HANDSHAKE.replacen("GET / ", &target, 1)).await;
    assert!(peer.head().await.starts_with("HTTP/1.1 101 "));
    peer.send(frame::text("hello")).await;
    assert_eq!(peer.text().await, SORRY);
}

#[tokio::test(start_paused = true)]
async fn forged_ticket_gets_the_exact_refusals() {
    let server = TestServer::new();
    let ticket = server.ticket(&basic(CREDENTIALS)).await;
    let last = if ticket.ends_with('A') { "B" } else { "A" };
    let middle = ticket.len() / 2;
    let forged = [&ticket[..middle], last, &ticket[middle + 1..]].concat();
    assert_ne!(forged, ticket);
    server.assert_accepts(&forged, false).await;
    server
        .assert_accepts(&TestServer::new().ticket(&basic(CREDENTIALS)).await, false)
        .await;
}

#[tokio::test(start_paused = true)]
async fn revoked_tickets_stay_dead_after_allow() {
    let server = TestServer::new();
    let ticket = server.ticket(&basic(CREDENTIALS)).await;
    let mut session = server.connect();
    session
        .send(handshake_with(bearer(&ticket).trim_end()))
        .await;
    assert!(session.head().await.starts_with("HTTP/1.1 101 "));
    assert_eq!(server.0.revoke(&admin(), "uid:0", [7; 16]), Some(1));
    let expected = (3000, "login revoked: by an operator".to_owned());
    assert_eq!(session.close().await, expected);
    server.assert_accepts(&ticket, false).await;
    assert!(server.0.allow(&admin()));
    server.assert_accepts(&ticket, false).await;
    // A new one is accepted, even in the second of the revocation.
    let ticket = server.ticket(&basic(CREDENTIALS)).await;
    server.assert_accepts(&ticket, true).await;
}

/// The clock was set back by a minute between the ticket and the revocation.
#[tokio::test(start_paused = true)]
async fn revocation_ends_tickets_of_later_clock() {
    let server = TestServer::new();
    let now = SystemTime::now();
    let first = server.ticket_of(now);
    let settings = server.0.current.load();
    let identity = settings.verify_ticket(&first.ticket, now).unwrap();
    let later = server.0.verifier.issue_ticket(&identity, now + seconds(60));
    let later = later.unwrap();
    assert_eq!(server.verify(&later.ticket, now).as_deref(), Ok("admin"));
    server.0.revoke(&admin(), "uid:0", [7; 16]);
    server.0.allow(&admin());
    for ticket in [&first.ticket, &later.ticket] {
        for at in [now, now + seconds(61)] {
            assert_eq!(server.verify(ticket, at), Err(LoginFailure::Revoked));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn changed_password_ends_tickets_for_good() {
    let server = TestServer::new();
    let ticket = server.ticket(&basic(CREDENTIALS)).await;
    server.reload(&ADMIN.replace("123456", "other"));
    server.assert_accepts(&ticket, false).await;
    server.reload("[[user]]\nname = \"jane\"\npassword = \"123456\"");
    server.assert_accepts(&ticket, false).await;
    server.reload(&format!("{ADMIN}\nexpires = 1970-01-02T00:00:00Z"));
    server.assert_accepts(&ticket, false).await;
    // The same credential again: only a revocation ends its tickets.
    server.reload(ADMIN);
    server.assert_accepts(&ticket, true).await;
    server.0.revoke(&admin(), "uid:0", [7; 16]);
    server.reload(&ADMIN.replace("123456", "other"));
    server.reload(ADMIN);
    server.assert_accepts(&ticket, false).await;
}

/// The times are those of the system's clock, which may be set back and forward.
#[tokio::test(start_paused = true)]
async fn clock_decides_about_tickets_in_both_directions() {
    let server = TestServer::new();
    let now = SystemTime::now();
    let ticket = server.ticket_of(now).ticket;
    for (at, verified) in [
        (now, Ok("admin".to_owned())),
        (now + seconds(3500), Ok("admin".to_owned())),
        (now + seconds(3601), Err(LoginFailure::ExpiredTicket)),
        (now + seconds(7 * 86_400), Err(LoginFailure::ExpiredTicket)),
        (now - seconds(100), Ok("admin".to_owned())),
        (now - seconds(200), Err(LoginFailure::ExpiredTicket)),
        (now - seconds(7 * 86_400), Err(LoginFailure::ExpiredTicket)),
        // Back to the right time.
        (now, Ok("admin".to_owned())),
    ] {
        assert_eq!(server.verify(&ticket, at), verified, "{at:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn expiry_of_ticket_ends_no_session() {
    let mut config = Config::default();
    config.login.ticket_ttl = seconds(1);
    let server = TestServer::with(config);
    let expired = server
        .ticket_of(SystemTime::now() - seconds(2))
        .ticket
        .text();
    server.assert_accepts(expired.expose(), false).await;
    let ticket = server.ticket(&basic(CREDENTIALS)).await;
    let mut session = server.connect();
    session
        .send(handshake_with(bearer(&ticket).trim_end()))
        .await;
    assert!(session.head().await.starts_with("HTTP/1.1 101 "));
    let end = SystemTime::now() + seconds(3600);
    server.0.end_expired_between(SystemTime::now(), end);
    session.send(frame::text("hello")).await;
    assert_eq!(session.text().await, "your submit context: hello");
}

#[tokio::test(start_paused = true)]
async fn renewal_never_exceeds_greatest_age() {
    let mut config = Config::default();
    config.login.ticket_max_age = seconds(600);
    let server = TestServer::with(config);
    let start = SystemTime::now();
    let first = server.ticket_of(start);
    let settings = server.0.current.load();
    let at = start + seconds(500);
    let identity = settings.verify_ticket(&first.ticket, at).unwrap();
    let renewed = settings.issue_ticket(&identity, at).unwrap();
    assert_eq!(renewed.expires, first.expires);
    assert!(
        settings
            .issue_ticket(&identity, start + seconds(601))
            .is_none()
    );
}

#[tokio::test(start_paused = true)]
async fn rotation_of_secret_ends_tickets_in_two_steps() {
    let secrets = |bytes: &[u8]| {
        let line = |byte: &u8| format!("{byte:02x}").repeat(32);
        let lines: Vec<_> = bytes.iter().map(line).collect();
        Arc::new(TicketSecrets::parse(&lines.join("\n")).unwrap())
    };
    let config = |bytes: &[u8]| {
        let mut config = Config::default();
        config.login.ticket_secret_file = Some("tickets.secret".into());
        config.ticket_secrets = Some(secrets(bytes));
        config
    };
    let reload = |server: &TestServer, config| {
        server.0.reload(config, Accounts::from_toml(ADMIN).unwrap());
    };
    let server = TestServer::with(config(&[1]));
    let old = server.ticket(&basic(CREDENTIALS)).await;
    reload(&server, config(&[2, 1]));
    let new = server.ticket(&basic(CREDENTIALS)).await;
    server.assert_accepts(&old, true).await;
    server.assert_accepts(&new, true).await;
    reload(&server, config(&[2]));
    server.assert_accepts(&old, false).await;
    server.assert_accepts(&new, true).await;
    // Another file takes effect at the next start.
    let mut other = config(&[3]);
    other.login.ticket_secret_file = Some("other.secret".into());
    reload(&server, other);
    server.assert_accepts(&new, true).await;
    reload(&server, Config::default());
    server.assert_accepts(&new, true).await;
    // Another process with the same secret.
    TestServer::with(config(&[2]))
        .assert_accepts(&new, true)
        .await;
    TestServer::new().assert_accepts(&new, false).await;
    let mut renamed = config(&[2]);
    renamed.login.ticket_name = "other".to_owned();
    TestServer::with(renamed).assert_accepts(&new, false).await;
}

#[tokio::test(start_paused = true)]
async fn reload_without_file_keeps_tickets() {
    let server = TestServer::new();
    let ticket = server.ticket(&basic(CREDENTIALS)).await;
    server.reload(ADMIN);
    server.assert_accepts(&ticket, true).await;
}

#[tokio::test(start_paused = true)]
async fn sixth_wrong_ticket_closes_connection() {
    let server = TestServer::new();
    let forged = TestServer::new().ticket(&basic(CREDENTIALS)).await;
    let mut peer = server.connect();
    peer.upgrade().await;
    for _ in 0..6 {
        peer.send(frame::text(&format!(":{forged}"))).await;
        assert_eq!(peer.text().await, SORRY);
    }
    let expected = (3000, "too many wrong logins".to_owned());
    assert_eq!(peer.close().await, expected);
}

/// After a restart, the tickets of all clients behind one address look forged.
#[tokio::test(start_paused = true)]
async fn wrong_tickets_leave_failure_budget_alone() {
    let server = TestServer::new();
    let forged = TestServer::new().ticket(&basic(CREDENTIALS)).await;
    for _ in 0..10 {
        server.assert_accepts(&forged, false).await;
    }
    server.session().await;
}

#[tokio::test(start_paused = true)]
async fn exhausted_budget_does_not_stop_tickets() {
    let server = TestServer::new();
    let ticket = server.ticket(&basic(CREDENTIALS)).await;
    let mut waiting = server.connect();
    waiting.upgrade().await;
    for _ in 0..20 {
        let (head, _) = server
            .exchange(&request("POST", &basic("admin:wrong")))
            .await;
        assert!(head.starts_with("HTTP/1.1 401 "), "{head}");
    }
    let (head, body) = server.exchange(&request("POST", &basic(CREDENTIALS))).await;
    assert!(head.starts_with("HTTP/1.1 429 "), "{head}");
    let body: Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(
        body["error"],
        "too many wrong logins from this address, try again later"
    );
    assert!((1..=3).contains(&body["retry_after"].as_u64().unwrap()));
    assert!(server.accepts(&ticket, Place::Basic).await);
    assert!(server.accepts(&ticket, Place::Bearer).await);
    server.ticket(&bearer(&ticket)).await;
    // On a connection that was open before.
    waiting.send(frame::text(&format!(":{ticket}"))).await;
    assert_eq!(waiting.text().await, CONGRATULATION);
}

#[tokio::test(start_paused = true)]
async fn ticket_does_not_wait_for_hashing() {
    let server = TestServer::of(hashing::one_worker(), hashing::HASHED);
    let ticket = server.ticket(&basic(CREDENTIALS)).await;
    let _busy = server.0.verifier.acquire_worker().await;
    let start = Instant::now();
    server.assert_accepts(&ticket, true).await;
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn ticket_request_to_draining_server_gets_503() {
    let server = TestServer::new();
    let mut peer = server.connect();
    server.0.drain.cancel();
    peer.send(request("POST", &basic(CREDENTIALS))).await;
    let head = peer.head().await;
    assert!(head.starts_with("HTTP/1.1 503 "), "{head}");
    assert!(
        head.to_ascii_lowercase().contains("\r\nretry-after: "),
        "{head}"
    );
}

/// A page whose own name resolves to the machine of the server (DNS rebinding).
#[tokio::test(start_paused = true)]
async fn ticket_request_of_foreign_host_gets_421() {
    let server = TestServer::new();
    let request = request("POST", &basic(CREDENTIALS)).replace("localhost", "evil.example");
    let (head, _) = server.exchange(&request).await;
    assert!(head.starts_with("HTTP/1.1 421 "), "{head}");
}

#[tokio::test(start_paused = true)]
async fn preflight_of_own_page_allowed() {
    let server = TestServer::new();
    let own = request("OPTIONS", "Origin: http://localhost\r\n");
    let (head, body) = server.exchange(&own).await;
    assert!(head.starts_with("HTTP/1.1 204 "), "{head}");
    assert!(body.is_empty());
    let foreign = own.replace("http://localhost", "http://evil.example");
    let (head, _) = server.exchange(&foreign).await;
    assert!(head.starts_with("HTTP/1.1 403 "), "{head}");
}
