//! The reasons why a login attempt fails.

use std::{fmt, time::Duration};

use proto::{
    credentials::{Revoked, TicketError, VerifyError},
    login::LoginVerdict,
};

/// The reason why a login attempt failed, for the log and the metrics. The client learns only the
/// [`LoginVerdict`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoginFailure {
    /// The message or field holds no name and password.
    Malformed,
    /// No account has this user name.
    UnknownUser,
    /// The user exists, and the password is wrong.
    WrongPassword,
    /// The account has expired.
    Expired,
    /// The ticket is not one of this server, or its secret is no longer in use.
    ForgedTicket,
    /// The ticket has expired, or the clock was set back since its issue.
    ExpiredTicket,
    /// The credential of the user has changed since the issue of the ticket.
    CredentialChanged,
    /// The credentials are right, but an operator has revoked the login.
    Revoked,
    /// The credentials are right, but the route does not admit this user.
    Forbidden,
    /// Not verified: the failure budget of the address is exhausted.
    BudgetExhausted {
        /// The time until the next attempt is verified.
        retry_after: Duration,
    },
    /// Not verified: the hashing queue is full.
    QueueFull {
        /// The time after which the client should try again, in seconds.
        back_in: u16,
    },
    /// The verification failed on this side: the hashing panicked.
    Internal {
        /// The time after which the client should try again, in seconds.
        back_in: u16,
    },
}

impl LoginFailure {
    /// All failures, for tables.
    pub(crate) const ALL: [Self; 12] = [
        Self::Malformed,
        Self::UnknownUser,
        Self::WrongPassword,
        Self::Expired,
        Self::ForgedTicket,
        Self::ExpiredTicket,
        Self::CredentialChanged,
        Self::Revoked,
        Self::Forbidden,
        Self::BudgetExhausted {
            retry_after: Duration::ZERO,
        },
        Self::QueueFull { back_in: 1 },
        Self::Internal { back_in: 1 },
    ];

    /// Returns the name for logs and metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownUser => "unknown_user",
            Self::WrongPassword => "wrong_password",
            Self::Expired => "expired",
            Self::ForgedTicket => "ticket_invalid",
            Self::ExpiredTicket => "ticket_expired",
            Self::CredentialChanged => "password_changed",
            Self::Revoked => "revoked",
            Self::Forbidden => "no_right",
            Self::BudgetExhausted { .. } => "budget_spent",
            Self::QueueFull { .. } => "queue_full",
            Self::Internal { .. } => "internal",
        }
    }

    /// Returns the verdict that the client learns.
    pub(crate) const fn verdict(self) -> LoginVerdict {
        match self {
            Self::Malformed
            | Self::UnknownUser
            | Self::WrongPassword
            | Self::Expired
            | Self::ForgedTicket
            | Self::ExpiredTicket
            | Self::CredentialChanged
            | Self::Revoked => LoginVerdict::Rejected,
            Self::Forbidden => LoginVerdict::Forbidden,
            Self::BudgetExhausted { retry_after } => LoginVerdict::Throttled { retry_after },
            Self::QueueFull { back_in } | Self::Internal { back_in } => {
                LoginVerdict::Busy { back_in }
            }
        }
    }
}

impl fmt::Display for LoginFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl From<VerifyError> for LoginFailure {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::UnknownUser => Self::UnknownUser,
            VerifyError::WrongPassword => Self::WrongPassword,
            VerifyError::Expired => Self::Expired,
        }
    }
}

impl From<TicketError> for LoginFailure {
    fn from(error: TicketError) -> Self {
        match error {
            TicketError::Forged => Self::ForgedTicket,
            TicketError::NotYetValid | TicketError::Expired => Self::ExpiredTicket,
            TicketError::Account(Revoked::Removed) => Self::UnknownUser,
            TicketError::Account(Revoked::Changed) => Self::CredentialChanged,
            TicketError::Account(Revoked::Expired) => Self::Expired,
        }
    }
}
