//! Why a try to log in failed.

use std::{fmt, time::Duration};

use proto::{credentials::VerifyError, login::LoginVerdict};

/// Why a try to log in failed. It is for those who keep the server: whoever tried is told less.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LoginFailure {
    /// What was sent holds no name and password.
    Malformed,
    /// There is no such user.
    UnknownUser,
    /// There is, and the password is another one.
    WrongPassword,
    /// The account was limited in time, and the time is over.
    Expired,
    /// The credentials are right, and an operator has taken the login back.
    Revoked,
    /// The credentials are right, and do not open this route.
    Forbidden,
    /// Nothing was verified: the address has failed too often.
    BudgetExhausted {
        /// How long it takes until something would be.
        retry_after: Duration,
    },
    /// Nothing was verified: too many tries wait for that already.
    QueueFull,
    /// It was not verified to the end, by a fault of ours.
    Internal,
}

impl LoginFailure {
    /// All failures, for tables.
    pub(crate) const ALL: [Self; 9] = [
        Self::Malformed,
        Self::UnknownUser,
        Self::WrongPassword,
        Self::Expired,
        Self::Revoked,
        Self::Forbidden,
        Self::BudgetExhausted {
            retry_after: Duration::ZERO,
        },
        Self::QueueFull,
        Self::Internal,
    ];

    /// Its name, for logs and metrics.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownUser => "unknown_user",
            Self::WrongPassword => "wrong_password",
            Self::Expired => "expired",
            Self::Revoked => "revoked",
            Self::Forbidden => "no_right",
            Self::BudgetExhausted { .. } => "budget_spent",
            Self::QueueFull => "queue_full",
            Self::Internal => "internal",
        }
    }

    /// What whoever tried is told.
    pub(crate) const fn verdict(self) -> LoginVerdict {
        match self {
            Self::Malformed
            | Self::UnknownUser
            | Self::WrongPassword
            | Self::Expired
            | Self::Revoked => LoginVerdict::Rejected,
            Self::Forbidden => LoginVerdict::Forbidden,
            Self::BudgetExhausted { retry_after } => LoginVerdict::Throttled { retry_after },
            Self::QueueFull | Self::Internal => LoginVerdict::Busy,
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
