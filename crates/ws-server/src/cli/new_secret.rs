//! `new-secret`: a random secret for the file of the tickets.

use std::fmt::Write as _;

use zeroize::Zeroizing;

/// Returns a random secret of 64 hexadecimal digits.
///
/// # Errors
///
/// The system has no random source.
pub(super) fn new_secret() -> Result<Zeroizing<String>, getrandom::Error> {
    let mut random = Zeroizing::new([0_u8; 32]);
    getrandom::fill(&mut *random)?;
    let mut secret = Zeroizing::new(String::with_capacity(2 * random.len()));
    for byte in *random {
        // Writing to a String does not fail.
        let _ = write!(secret, "{byte:02x}");
    }
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use proto::credentials::TicketSecrets;

    use super::new_secret;

    #[test]
    fn new_secrets_differ_and_are_accepted() {
        let secrets = [new_secret().unwrap(), new_secret().unwrap()];
        let parsed = secrets
            .each_ref()
            .map(|secret| TicketSecrets::parse(secret).unwrap());
        assert!(secrets[0].len() == 64 && parsed[0] != parsed[1]);
    }
}
