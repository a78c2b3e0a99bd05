//! The exchange for a ticket (`POST /ticket`).

use std::{net::IpAddr, time::SystemTime};

use http::{Response, request::Parts};
use proto::credentials::Identity;

use crate::{
    admission::{Availability, BudgetExhausted},
    handshake::{Refusal, TicketReply, TicketRequest, decide_ticket},
    log::audit,
    server::{accepted::AcceptedConnection, request_login::log_in, state::ServerState},
};

/// The outcome of a request for a ticket.
#[derive(Debug)]
pub(super) enum TicketOutcome {
    /// A ticket was issued for this user.
    Issued(Identity),
    /// The request was a preflight of a browser.
    Preflight,
    /// The request was refused.
    Refused(Refusal),
}

/// Responds to a request for a ticket from this client address.
pub(super) async fn respond(
    head: &Parts,
    client: IpAddr,
    availability: Availability,
    budget: Result<(), BudgetExhausted>,
    accepted: &AcceptedConnection,
    state: &ServerState,
) -> (TicketOutcome, Response<String>) {
    let policy = &accepted.settings.handshake;
    let (reply, decision) = decide_ticket(head, policy, availability, budget);
    let answered = match decision {
        Ok(_) if !accepted.admits_host(head, state) => Err(Refusal::UnknownHost),
        Ok(TicketRequest::Preflight) => Ok((TicketOutcome::Preflight, reply.preflight())),
        Ok(TicketRequest::LogIn(attempt)) => {
            match log_in(attempt, client, accepted, None, state).await {
                Ok(identity) => issue(identity, &reply, accepted, state),
                Err(refusal) => Err(refusal),
            }
        }
        Err(refusal) => Err(refusal),
    };
    answered.unwrap_or_else(|refusal| {
        let response = reply.refusal(refusal, state.back_in(refusal));
        (TicketOutcome::Refused(refusal), response)
    })
}

fn issue(
    identity: Identity,
    reply: &TicketReply,
    accepted: &AcceptedConnection,
    state: &ServerState,
) -> Result<(TicketOutcome, Response<String>), Refusal> {
    // The login was valid a moment ago, and is no longer.
    let issued = state.verifier.issue_ticket(&identity, SystemTime::now());
    let issued = issued.ok_or(Refusal::WrongCredentials)?;
    let user = identity.user();
    audit::ticket_issued(accepted.id, user, issued.expires);
    state.metrics.ticket_issued();
    let expires = humantime::format_rfc3339_seconds(issued.expires).to_string();
    let response = reply.ticket(user.as_str(), &issued.ticket.text(), expires);
    Ok((TicketOutcome::Issued(identity), response))
}
