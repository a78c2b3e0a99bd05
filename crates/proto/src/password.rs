//! Passwords of accounts: plain text, or an Argon2id hash (RFC 9106) as a PHC string.

use std::{fmt, hint::black_box};

use argon2::{Algorithm, Argon2, Block, Params, PasswordHasher as _, Version, password_hash::phc};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The accepted lengths of a hash's output, in bytes. A shorter output could collide by chance, and
/// the PHC format allows no longer one.
const OUTPUT_BYTES: std::ops::RangeInclusive<usize> = 16..=phc::Output::MAX_LENGTH;

/// The password of an account, as written in the credentials file.
#[derive(Debug)]
pub enum Password {
    /// The plain password, for development only.
    Plain(Secret),
    /// The hash of the password.
    Hash(PasswordHash),
}

impl Password {
    /// Returns true if both entries are equal. Hashes of one password with different salts differ.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Plain(ours), Self::Plain(other)) => ours.matches(other),
            (Self::Hash(ours), Self::Hash(other)) => ours.phc == other.phc,
            (Self::Plain(_), Self::Hash(_)) | (Self::Hash(_), Self::Plain(_)) => false,
        }
    }
}

/// The Argon2id hash of a password. Its `Debug` shows only the cost.
#[derive(Clone)]
pub struct PasswordHash {
    phc: Box<phc::PasswordHash>,
    cost: HashCost,
}

impl PasswordHash {
    /// Hashes a password at [`HashCost::DEFAULT`]. It should be in NFC (see [`Secret::password`]), and
    /// the salt must be random.
    pub fn new(password: &Secret, salt: [u8; 16]) -> Self {
        Self::with_cost(password, salt, HashCost::DEFAULT)
    }

    fn with_cost(password: &Secret, salt: [u8; 16], cost: HashCost) -> Self {
        let phc = cost
            .argon2()
            .hash_password_with_salt(password.expose().as_bytes(), &salt)
            .expect("the cost was checked, and a salt of 16 bytes is long enough");
        Self {
            phc: Box::new(phc),
            cost,
        }
    }

    /// Parses a PHC string.
    ///
    /// # Errors
    ///
    /// Another algorithm than Argon2id, another version than 19 (1.3), invalid parameters, a cost
    /// above the maximum of [`HashCost`], a key ID or associated data, or a salt or an output that
    /// is missing or short.
    pub fn parse(text: &str) -> Result<Self, PasswordHashError> {
        let phc = phc::PasswordHash::new(text).map_err(|_| PasswordHashError::Form)?;
        if phc.algorithm != Algorithm::Argon2id.ident() {
            return Err(PasswordHashError::Algorithm);
        }
        if phc.version != Some(Version::V0x13.into()) {
            return Err(PasswordHashError::Version);
        }
        let params = Params::try_from(&phc).map_err(|_| PasswordHashError::Form)?;
        // A hash with a key ID or associated data needs values that the server does not have.
        let has_other_inputs = !params.keyid().is_empty() || !params.data().is_empty();
        let output = phc.hash.as_ref().map_or(0, phc::Output::len);
        if has_other_inputs || phc.salt.is_none() || !OUTPUT_BYTES.contains(&output) {
            return Err(PasswordHashError::Form);
        }
        let cost = HashCost::new(params.m_cost(), params.t_cost(), params.p_cost())?;
        Ok(Self {
            phc: Box::new(phc),
            cost,
        })
    }

    /// Returns the cost of one verification.
    pub fn cost(&self) -> HashCost {
        self.cost
    }

    /// Returns true if the guess is the password. Computes one hash, in `memory`.
    pub fn matches(&self, guess: &Secret, memory: &mut HashMemory) -> bool {
        let (Some(salt), Some(expected)) = (&self.phc.salt, &self.phc.hash) else {
            unreachable!("parsing requires a salt and an output")
        };
        let mut output = Zeroizing::new([0; phc::Output::MAX_LENGTH]);
        let output = &mut output[..expected.len()];
        self.cost.hash(guess, salt, output, memory);
        output.ct_eq(expected.as_bytes()).into()
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PasswordHash({})", self.cost)
    }
}

impl fmt::Display for PasswordHash {
    /// Writes the PHC string. It allows offline guessing, so it belongs only in the credentials
    /// file.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.phc.fmt(f)
    }
}

/// The Argon2id parameters of a hash: memory, passes and lanes (RFC 9106 section 3.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashCost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl HashCost {
    /// The first recommendation of the OWASP Password Storage Cheat Sheet: 19 MiB, two passes, one
    /// lane.
    pub const DEFAULT: Self = Self {
        memory_kib: 19_456,
        passes: 2,
        lanes: 1,
    };

    /// The greatest memory cost, in KiB. Each hashing worker of the server may keep that much.
    pub const MAX_MEMORY_KIB: u32 = 256 * 1024;

    /// The greatest number of passes over the memory.
    pub const MAX_PASSES: u32 = 10;

    /// The greatest number of lanes. They are computed sequentially.
    pub const MAX_LANES: u32 = 16;

    fn new(memory_kib: u32, passes: u32, lanes: u32) -> Result<Self, PasswordHashError> {
        let cost = Self {
            memory_kib,
            passes,
            lanes,
        };
        let is_within = memory_kib <= Self::MAX_MEMORY_KIB
            && passes <= Self::MAX_PASSES
            && lanes <= Self::MAX_LANES;
        if is_within {
            Ok(cost)
        } else {
            Err(PasswordHashError::Cost(cost))
        }
    }

    /// Returns true if memory times passes is below the cheapest recommendation of OWASP (7 MiB, five
    /// passes). The password should then be hashed again.
    pub fn is_weak(self) -> bool {
        u64::from(self.memory_kib) * u64::from(self.passes) < 7168 * 5
    }

    /// Returns the memory of one hash, in bytes.
    pub fn memory_bytes(self) -> usize {
        usize::try_from(self.memory_kib).map_or(usize::MAX, |kib| kib.saturating_mul(1024))
    }

    /// Computes one hash of a guess and discards it, so that every login takes the same time.
    pub(crate) fn hash_and_discard(self, guess: &Secret, memory: &mut HashMemory) {
        let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
        self.hash(guess, b"the salt of no hash", &mut output, memory);
        black_box(output);
    }

    fn hash(self, guess: &Secret, salt: &[u8], output: &mut [u8], memory: &mut HashMemory) {
        #[cfg(test)]
        COMPUTED.with_borrow_mut(|computed| computed.push(self));
        let argon2 = self.argon2();
        let blocks = memory.blocks(argon2.params().block_count());
        argon2
            .hash_password_into_with_memory(guess.expose().as_bytes(), salt, output, blocks)
            .expect("cost, salt and output were checked");
    }

    fn argon2(self) -> Argon2<'static> {
        let params = Params::new(self.memory_kib, self.passes, self.lanes, None);
        let params = params.expect("the cost was checked");
        Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
    }
}

impl fmt::Display for HashCost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            memory_kib,
            passes,
            lanes,
        } = self;
        write!(f, "m={memory_kib},t={passes},p={lanes}")
    }
}

/// Reusable memory for hashing. It grows to the largest cost that was computed in it.
///
/// Allocating for each hash would use more memory: an allocator may keep freed memory for the
/// thread that freed it, and the next hash may run on another thread.
#[derive(Default)]
pub struct HashMemory(Vec<Block>);

impl HashMemory {
    /// Returns `count` blocks with arbitrary content.
    ///
    /// # Panics
    ///
    /// If the memory cannot be allocated.
    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.len() < count {
            // Freed before the allocation: the old blocks need not be copied.
            self.0 = Vec::new();
            self.0
                .try_reserve_exact(count)
                .expect("there is memory for a hash");
            self.0.resize(count, Block::new());
        }
        &mut self.0[..count]
    }
}

impl fmt::Debug for HashMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // The content derives from a password.
        write!(f, "HashMemory({} blocks)", self.0.len())
    }
}

#[cfg(test)]
thread_local! {
    /// The costs of the hashes that this thread computed, including those that were discarded.
    static COMPUTED: std::cell::RefCell<Vec<HashCost>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// Returns the costs of the hashes that `work` computes on this thread, in order.
#[cfg(test)]
pub(crate) fn costs_of(work: impl FnOnce()) -> Vec<HashCost> {
    COMPUTED.take();
    work();
    COMPUTED.take()
}

/// The reason why a text is not an acceptable password hash. It never quotes the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordHashError {
    /// Not a PHC string with a salt, an output of 16 to 64 bytes and no other input.
    #[error(
        "a hash is written as $argon2id$v=19$m=19456,t=2,p=1$...$..., which `ws-server \
         hash-password` prints"
    )]
    Form,
    /// Another algorithm.
    #[error("only argon2id hashes are accepted; `ws-server hash-password` makes one")]
    Algorithm,
    /// Another version of the algorithm.
    #[error("only version 19 of argon2id is accepted; `ws-server hash-password` makes such a hash")]
    Version,
    /// A cost above the maximum.
    #[error(
        "this hash costs too much ({0}): the maximum is m={max_m},t={max_t},p={max_p}",
        max_m = HashCost::MAX_MEMORY_KIB,
        max_t = HashCost::MAX_PASSES,
        max_p = HashCost::MAX_LANES
    )]
    Cost(HashCost),
}

#[cfg(test)]
mod tests {
    use super::{HashCost, HashMemory, Password, PasswordHash, PasswordHashError};
    use crate::secret::Secret;

    /// A PHC string without its output.
    const CHEAP: &str = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$";

    fn cheap(password: &str) -> PasswordHash {
        let cost = HashCost::new(8, 1, 1).unwrap();
        PasswordHash::with_cost(&Secret::new(password), [7; 16], cost)
    }

    #[test]
    fn parsed_hash_matches_only_its_password() {
        let printed = cheap("correct horse").to_string();
        assert!(
            printed.starts_with("$argon2id$v=19$m=8,t=1,p=1$BwcHBwcHBwcHBwcHBwcHBw$"),
            "{printed}"
        );
        let read = PasswordHash::parse(&printed).unwrap();
        assert_eq!(read.to_string(), printed);
        let mut memory = HashMemory::default();
        assert!(read.matches(&Secret::new("correct horse"), &mut memory));
        for guess in ["", "correct horsf", "correct horse\0", "correct horse "] {
            assert!(!read.matches(&Secret::new(guess), &mut memory), "{guess:?}");
        }
    }

    #[test]
    fn reused_memory_does_not_affect_hash() {
        let guess = Secret::new("x");
        let mut memory = HashMemory::default();
        for (memory_kib, blocks) in [(64, 64), (8, 64), (128, 128), (64, 128)] {
            let cost = HashCost::new(memory_kib, 2, 1).unwrap();
            let hash = PasswordHash::with_cost(&guess, [7; 16], cost);
            assert!(hash.matches(&guess, &mut memory));
            assert!(!hash.matches(&Secret::new("y"), &mut memory));
            assert_eq!(memory.0.len(), blocks);
        }
    }

    #[test]
    fn default_cost_yields_reference_value() {
        let hash = PasswordHash::new(&Secret::new("123456"), *b"0123456789abcdef");
        let printed = hash.to_string();
        let rest = printed.strip_prefix("$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$");
        // Computed with argon2-cffi, a binding of the reference implementation.
        assert_eq!(rest, Some("f3d12C0EQIKpnZYH5jzcMOPeUh0nbjDEC5U1ah89jX0"));
        assert!(!hash.cost().is_weak());
    }

    #[test]
    fn unsupported_hash_refused() {
        let output = "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        let cost = |memory_kib, passes, lanes| {
            PasswordHashError::Cost(HashCost {
                memory_kib,
                passes,
                lanes,
            })
        };
        for (text, error) in [
            (String::new(), PasswordHashError::Form),
            ("123456".to_owned(), PasswordHashError::Form),
            (CHEAP.to_owned(), PasswordHashError::Form),
            (format!("{CHEAP}AAAAAAAAAAAAAAAA"), PasswordHashError::Form),
            (format!("{CHEAP}{output}$x"), PasswordHashError::Form),
            // A salt of seven bytes; Argon2 needs eight.
            (
                format!("$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbA${output}"),
                PasswordHashError::Form,
            ),
            (
                format!("$argon2id$v=19$m=1,t=1,p=1$c29tZXNhbHQ${output}"),
                PasswordHashError::Form,
            ),
            (
                format!("$argon2id$v=19$m=8,t=1,p=1,keyid=AAAA$c29tZXNhbHQ${output}"),
                PasswordHashError::Form,
            ),
            (
                format!("$argon2i$v=19$m=8,t=1,p=1$c29tZXNhbHQ${output}"),
                PasswordHashError::Algorithm,
            ),
            (
                "$2b$12$R9h/cIPz0gi.URNNX3kh2OPST9/PgBkqquzi.Ss7KIUgO2t0jWMUW".to_owned(),
                PasswordHashError::Form,
            ),
            (
                format!("$argon2id$v=16$m=8,t=1,p=1$c29tZXNhbHQ${output}"),
                PasswordHashError::Version,
            ),
            (
                format!("$argon2id$m=8,t=1,p=1$c29tZXNhbHQ${output}"),
                PasswordHashError::Version,
            ),
            (
                format!("$argon2id$v=19$m=262145,t=1,p=1$c29tZXNhbHQ${output}"),
                cost(262_145, 1, 1),
            ),
            (
                format!("$argon2id$v=19$m=8,t=11,p=1$c29tZXNhbHQ${output}"),
                cost(8, 11, 1),
            ),
            (
                format!("$argon2id$v=19$m=256,t=1,p=17$c29tZXNhbHQ${output}"),
                cost(256, 1, 17),
            ),
        ] {
            let parsed = PasswordHash::parse(&text).map(|hash| hash.to_string());
            assert_eq!(parsed, Err(error), "{text}");
        }
        let greatest = format!("$argon2id$v=19$m=262144,t=10,p=16$c29tZXNhbHQ${output}");
        assert!(PasswordHash::parse(&greatest).is_ok());
    }

    #[test]
    fn cost_below_owasp_minimum_is_weak() {
        for (memory_kib, passes, is_weak) in [
            (19_456, 2, false),
            (47_104, 1, false),
            (7168, 5, false),
            (7168, 4, true),
            (4096, 3, true),
        ] {
            let cost = HashCost::new(memory_kib, passes, 1).unwrap();
            assert_eq!(cost.is_weak(), is_weak, "{cost}");
        }
    }

    #[test]
    fn debug_shows_no_hash() {
        let shown = format!("{:?}", Password::Hash(cheap("x")));
        assert_eq!(shown, "Hash(PasswordHash(m=8,t=1,p=1))");
        let mut memory = HashMemory::default();
        cheap("x").matches(&Secret::new("x"), &mut memory);
        assert_eq!(format!("{memory:?}"), "HashMemory(8 blocks)");
    }

    #[test]
    fn passwords_same_only_if_entries_equal() {
        let plain = |text: &str| Password::Plain(Secret::new(text));
        assert!(plain("x").is_same(&plain("x")));
        assert!(!plain("x").is_same(&plain("y")));
        assert!(Password::Hash(cheap("x")).is_same(&Password::Hash(cheap("x"))));
        assert!(!Password::Hash(cheap("x")).is_same(&Password::Hash(cheap("y"))));
        assert!(!Password::Hash(cheap("x")).is_same(&plain("x")));
    }
}
