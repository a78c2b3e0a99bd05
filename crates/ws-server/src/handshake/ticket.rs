//! The decision on a request for a ticket (`POST /ticket`), and its responses.
//!
//! A page cannot read the status of a refused WebSocket handshake, and cannot send `Authorization` with
//! one. So it logs in by this request, and opens the WebSocket with the ticket. The response says in
//! JSON what a page needs. Pages of allowed origins can read it (CORS, Fetch Standard section 3.2), but
//! never with the browser's own credentials.
//!
//! The checks are those of a handshake, in the same order. [`decide_ticket`] is pure.

use http::{
    HeaderName, HeaderValue, Method, Response, StatusCode,
    header::{
        ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS, ACCESS_CONTROL_ALLOW_ORIGIN,
        ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE, ALLOW, CACHE_CONTROL, CONNECTION,
        CONTENT_TYPE, ORIGIN, VARY, X_CONTENT_TYPE_OPTIONS,
    },
    request::Parts,
};
use proto::{login::Attempt, secret::Secret};
use serde::Serialize;

use crate::{
    access::{Access, AllowedOrigin, normalize_path},
    admission::{Availability, BudgetExhausted},
    handshake::{
        decision::{announces_body, attempt, check_budget, check_form, find_origin},
        policy::{BasicAuthMode, HandshakePolicy},
        refusal::Refusal,
    },
};

/// The path of requests for tickets. No route has it.
pub(crate) const TICKET_PATH: &str = "/ticket";

/// The fields of each response.
const FIELDS: [(HeaderName, &str); 4] = [
    (X_CONTENT_TYPE_OPTIONS, "nosniff"),
    (CACHE_CONTROL, "no-store"),
    (VARY, "Origin"),
    (CONNECTION, "close"),
];

/// The fields of a response to a preflight (Fetch Standard section 3.2.3).
const PREFLIGHT_FIELDS: [(HeaderName, &str); 4] = [
    (ALLOW, "POST, OPTIONS"),
    (ACCESS_CONTROL_ALLOW_METHODS, "POST"),
    (ACCESS_CONTROL_ALLOW_HEADERS, "authorization"),
    (ACCESS_CONTROL_MAX_AGE, "600"),
];

/// The writer of the response to one request for a ticket.
#[derive(Debug)]
pub(crate) struct TicketReply {
    /// The origin whose pages may read the response.
    origin: Option<AllowedOrigin>,
}

/// An accepted request to [`TICKET_PATH`].
#[derive(Debug)]
pub(crate) enum TicketRequest {
    /// A preflight: a browser asks if a page may send the request.
    Preflight,
    /// A request for a ticket, which is issued if this attempt succeeds.
    LogIn(Attempt),
}

/// The body of a response with a ticket.
#[derive(Serialize)]
struct TicketBody<'a> {
    user: &'a str,
    ticket: &'a str,
    expires: String,
}

/// The body of a refusal.
#[derive(Serialize)]
struct RefusalBody {
    error: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    retry_after: Option<u64>,
}

/// Returns true if a request is for a ticket.
pub(crate) fn is_ticket_request(head: &Parts) -> bool {
    normalize_path(head.uri.path()).is_ok_and(|path| path == TICKET_PATH)
}

/// Decides on a request for a ticket. The first check that fails decides. `budget` is the state of the
/// client address's failure budget. The response is written by the reply that is returned too.
pub(crate) fn decide_ticket(
    head: &Parts,
    policy: &HandshakePolicy,
    availability: Availability,
    budget: Result<(), BudgetExhausted>,
) -> (TicketReply, Result<TicketRequest, Refusal>) {
    let host = match check_form(head) {
        Ok(host) => host,
        Err(refusal) => return (TicketReply { origin: None }, Err(refusal)),
    };
    let origin = head.headers.get(ORIGIN);
    let origin = origin.map(|origin| find_origin(origin, &host, origins(policy)));
    // Found before the other checks, so that a page can read their refusals too.
    let (origin, refusal) = match origin.transpose() {
        Ok(origin) => (origin, None),
        Err(refusal) => (None, Some(refusal)),
    };
    let request = check(head, policy, availability, refusal, budget);
    (TicketReply { origin }, request)
}

fn check(
    head: &Parts,
    policy: &HandshakePolicy,
    availability: Availability,
    origin: Option<Refusal>,
    budget: Result<(), BudgetExhausted>,
) -> Result<TicketRequest, Refusal> {
    let is_preflight = head.method == Method::OPTIONS;
    if announces_body(&head.headers) {
        return Err(Refusal::UnexpectedBody);
    }
    match availability {
        // A page can read the response to its request only after a preflight that succeeds.
        Availability::Full | Availability::Draining if is_preflight => {}
        Availability::Open => {}
        Availability::Full => return Err(Refusal::Full),
        Availability::Draining => return Err(Refusal::Draining),
    }
    if policy.basic == BasicAuthMode::Off {
        return Err(Refusal::UnknownPath);
    }
    if !is_preflight && head.method != Method::POST {
        return Err(Refusal::MethodNotAllowedPost);
    }
    if let Some(refusal) = origin {
        return Err(refusal);
    }
    if is_preflight {
        return Ok(TicketRequest::Preflight);
    }
    let attempt = attempt(&head.headers);
    // A ticket cannot be guessed, so the budget does not stop it.
    if !matches!(attempt, Some(Attempt::Ticket(_))) {
        check_budget(budget)?;
    }
    attempt
        .map(TicketRequest::LogIn)
        .ok_or(Refusal::NoCredentials)
}

/// Returns the origins whose pages may connect to a route with a login.
fn origins(policy: &HandshakePolicy) -> impl Iterator<Item = &AllowedOrigin> {
    let routes = policy.routes.iter();
    let routes = routes.filter(|route| route.access != Access::Public);
    routes.flat_map(|route| {
        let allowed = route.allowed_origins.as_ref();
        allowed.unwrap_or(&policy.allowed_origins)
    })
}

impl TicketReply {
    /// Returns the response with a ticket, which expires at this time (RFC 3339).
    pub(crate) fn ticket(&self, user: &str, ticket: &Secret, expires: String) -> Response<String> {
        let ticket = ticket.expose();
        let body = TicketBody {
            user,
            ticket,
            expires,
        };
        self.complete(json(Response::default(), &body))
    }

    /// Returns the response to a preflight.
    pub(crate) fn preflight(&self) -> Response<String> {
        let mut response = Response::new(String::new());
        *response.status_mut() = StatusCode::NO_CONTENT;
        for (name, value) in PREFLIGHT_FIELDS {
            let value = HeaderValue::from_static(value);
            response.headers_mut().insert(name, value);
        }
        self.complete(response)
    }

    /// Returns the response to a refused request. `back_in` is the random time for `Retry-After`, in
    /// seconds.
    pub(crate) fn refusal(&self, refusal: Refusal, back_in: u16) -> Response<String> {
        let body = RefusalBody {
            error: refusal.text(),
            retry_after: refusal.retry_after(back_in),
        };
        self.complete(json(refusal.response(back_in), &body))
    }

    /// Adds the fields of each response.
    fn complete(&self, mut response: Response<String>) -> Response<String> {
        let headers = response.headers_mut();
        for (name, value) in FIELDS {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if let Some(origin) = &self.origin {
            let origin = HeaderValue::from_str(&origin.to_string());
            let origin = origin.expect("an origin is ASCII without control characters");
            headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
            // The clock of the server, and the time to wait.
            let exposed = HeaderValue::from_static("Date, Retry-After");
            headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, exposed);
        }
        response
    }
}

/// Replaces the body by an object and a line break.
fn json(response: Response<String>, body: &impl Serialize) -> Response<String> {
    let json = serde_json::to_string(body).expect("texts and numbers are JSON");
    let mut response = response.map(|_| format!("{json}\n"));
    let kind = HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

#[cfg(test)]
#[path = "tests/ticket.rs"]
mod tests;
