//! The settings in force, as connections use them.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::SystemTime,
};

use proto::{
    close::CloseReason,
    credentials::{Accounts, Identity, IssuedTicket, TicketIssuer, VerifiedTicket},
    login::LoginPolicy,
    ticket::Ticket,
    username::UserName,
};

use crate::{
    access::{Access, Grant, LoginFailure, Principal, Revocations, ServerNames},
    handshake::HandshakePolicy,
    limits::{Limits, MessageSize},
    peer::TrustedProxies,
    route::Route,
};

/// The maximum length of a message on a public route that sets none. A guest needs no account, and each
/// address may have many guests.
const PUBLIC_MESSAGE_BYTES: usize = 64 * 1024;

/// The settings in force. A reload replaces them. Open sessions keep their limits and service, but
/// their access is checked again.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The handshake policy.
    pub(crate) handshake: HandshakePolicy,
    /// The trusted proxies.
    pub(crate) proxies: TrustedProxies,
    /// The names that the server answers to.
    pub(crate) server_names: ServerNames,
    /// The limits of a login.
    pub(crate) login: LoginPolicy,
    /// The limits of a connection.
    pub(crate) limits: Arc<Limits>,
    /// The accounts.
    pub(crate) accounts: Arc<Accounts>,
    /// The users whose logins an operator has revoked.
    pub(crate) revocations: Arc<Revocations>,
    /// The issuer of tickets.
    pub(crate) tickets: Arc<TicketIssuer>,
}

impl Settings {
    /// Combines the parts. No login is revoked.
    pub(crate) fn new(
        handshake: HandshakePolicy,
        proxies: TrustedProxies,
        server_names: ServerNames,
        login: LoginPolicy,
        limits: Limits,
        accounts: Accounts,
        tickets: TicketIssuer,
    ) -> Self {
        Self {
            handshake,
            proxies,
            server_names,
            login,
            limits: Arc::new(limits),
            accounts: Arc::new(accounts),
            revocations: Arc::default(),
            tickets: Arc::new(tickets),
        }
    }

    /// Returns a copy with these revocations, and the users whose revocation has lapsed because their
    /// credential differs from the revoked one. Their tickets up to `now` stay dead.
    pub(crate) fn with_revocations(
        &self,
        mut revocations: Revocations,
        now: SystemTime,
    ) -> (Self, Vec<UserName>) {
        let lapsed = revocations.end_changed(&self.accounts, now);
        let settings = Self {
            revocations: Arc::new(revocations),
            ..self.clone()
        };
        (settings, lapsed)
    }

    /// Returns true if an operator has revoked the logins of this user.
    pub(crate) fn is_revoked(&self, user: &UserName) -> bool {
        self.revocations.contains(user)
    }

    /// Verifies a ticket against the accounts and the revocations.
    ///
    /// # Errors
    ///
    /// The reason for the rejection.
    pub(crate) fn verify_ticket(
        &self,
        ticket: &Ticket,
        now: SystemTime,
    ) -> Result<Identity, LoginFailure> {
        let verified = self.tickets.verify(ticket, &self.accounts, now)?;
        let VerifiedTicket { identity, issued } = verified;
        if self.revocations.ends_ticket(identity.user(), issued) {
            return Err(LoginFailure::Revoked);
        }
        Ok(identity)
    }

    /// Issues a ticket for a user who is logged in. Returns `None` if the login is no longer valid.
    pub(crate) fn issue_ticket(
        &self,
        identity: &Identity,
        now: SystemTime,
    ) -> Option<IssuedTicket> {
        let user = identity.user();
        self.accounts.check(identity, now).ok()?;
        if self.is_revoked(user) {
            return None;
        }
        let ended = self.revocations.tickets_ended(user);
        self.tickets.issue(identity, ended, now)
    }

    /// Returns the maximum length of a message on a route, in bytes.
    pub(crate) fn max_message_bytes(&self, route: &Route) -> usize {
        let global = self.limits.max_message_bytes.get();
        route.max_message_bytes.map_or_else(
            || match route.access {
                Access::Public => global.min(PUBLIC_MESSAGE_BYTES),
                Access::Users | Access::Only(_) => global,
            },
            MessageSize::get,
        )
    }

    /// Checks that a grant is still valid.
    ///
    /// # Errors
    ///
    /// The reason for the revocation.
    pub(crate) fn check(&self, grant: &Grant, now: SystemTime) -> Result<(), CloseReason> {
        let Grant { principal, pattern } = grant;
        if let Principal::User(identity) = principal {
            self.accounts.check(identity, now)?;
            if self.is_revoked(identity.user()) {
                return Err(CloseReason::LoginRevoked);
            }
        }
        let route = self.handshake.routes.get(pattern);
        if route.is_some_and(|route| route.access.admits(principal)) {
            Ok(())
        } else {
            Err(CloseReason::AccessRevoked)
        }
    }
}

/// The settings in force, which a reload replaces.
#[derive(Debug)]
pub(crate) struct CurrentSettings(RwLock<Arc<Settings>>);

impl CurrentSettings {
    /// Puts these settings in force until they are replaced.
    pub(crate) fn new(settings: Settings) -> Self {
        Self(RwLock::new(Arc::new(settings)))
    }

    /// Returns the settings in force at this moment.
    pub(crate) fn load(&self) -> Arc<Settings> {
        let settings = self.0.read().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(&settings)
    }

    /// Checks a grant against the settings and the time of this moment.
    pub(crate) fn check(&self, grant: &Grant) -> Result<(), CloseReason> {
        self.load().check(grant, SystemTime::now())
    }

    /// Replaces the settings. A later load returns these, and sees all writes made before.
    pub(crate) fn replace(&self, settings: Settings) {
        let settings = Arc::new(settings);
        let mut current = self.0.write().unwrap_or_else(PoisonError::into_inner);
        *current = settings;
    }
}
