//! What a credentials file says of a password: the password itself, or an Argon2id hash of it
//! (RFC 9106) as a PHC string.

use std::{fmt, hint::black_box};

use argon2::{Algorithm, Argon2, Block, Params, PasswordHasher as _, Version, password_hash::phc};
use subtle::ConstantTimeEq as _;
use zeroize::Zeroizing;

use crate::secret::Secret;

/// The least and the greatest length of a hash's output, in bytes. A shorter one could be hit by
/// chance, a longer one is not made by anybody.
const OUTPUT_BYTES: std::ops::RangeInclusive<usize> = 16..=phc::Output::MAX_LENGTH;

/// What is to prove an account, as the credentials file has it.
#[derive(Debug)]
pub enum Password {
    /// The password itself, which is for development.
    Plain(Secret),
    /// A hash of it.
    Hash(PasswordHash),
}

impl Password {
    /// Whether a file that says `other` says the same.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Plain(ours), Self::Plain(other)) => ours.matches(other),
            (Self::Hash(ours), Self::Hash(other)) => ours.phc == other.phc,
            (Self::Plain(_), Self::Hash(_)) | (Self::Hash(_), Self::Plain(_)) => false,
        }
    }
}

/// The Argon2id hash of a password. Its `Debug` shows what it costs and nothing else.
#[derive(Clone)]
pub struct PasswordHash {
    phc: Box<phc::PasswordHash>,
    cost: HashCost,
}

impl PasswordHash {
    /// Hashes a password at [`HashCost::DEFAULT`], which takes a while. The salt is random.
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

    /// Reads a PHC string.
    ///
    /// # Errors
    ///
    /// Another algorithm, another version than 19 (1.3), a cost beyond the ceilings of
    /// [`HashCost`], no salt, no output or a short one.
    pub fn parse(text: &str) -> Result<Self, PasswordHashError> {
        let phc = phc::PasswordHash::new(text).map_err(|_| PasswordHashError::Form)?;
        if phc.algorithm != Algorithm::Argon2id.ident() {
            return Err(PasswordHashError::Algorithm);
        }
        if phc.version != Some(Version::V0x13.into()) {
            return Err(PasswordHashError::Version);
        }
        let params = Params::try_from(&phc).map_err(|_| PasswordHashError::Form)?;
        // What else a PHC string may say, of keys and data, nobody could verify here.
        let has_more = !params.keyid().is_empty() || !params.data().is_empty();
        let output = phc.hash.as_ref().map_or(0, phc::Output::len);
        if has_more || phc.salt.is_none() || !OUTPUT_BYTES.contains(&output) {
            return Err(PasswordHashError::Form);
        }
        let cost = HashCost::new(params.m_cost(), params.t_cost(), params.p_cost())?;
        Ok(Self {
            phc: Box::new(phc),
            cost,
        })
    }

    /// What it costs to check a guess.
    pub fn cost(&self) -> HashCost {
        self.cost
    }

    /// Whether the guess is the password, at the price of one hash.
    pub fn matches(&self, guess: &Secret, memory: &mut HashMemory) -> bool {
        let (Some(salt), Some(expected)) = (&self.phc.salt, &self.phc.hash) else {
            unreachable!("a hash without them is not parsed")
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
    /// Writes the PHC string, which a thief can guess against: it belongs into the credentials
    /// file and nowhere else.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.phc.fmt(f)
    }
}

/// What it costs to check one guess against a hash.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct HashCost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl HashCost {
    /// The first choice of the OWASP Password Storage Cheat Sheet: 19 MiB, two passes, one lane.
    pub const DEFAULT: Self = Self {
        memory_kib: 19_456,
        passes: 2,
        lanes: 1,
    };

    /// The greatest memory that a hash may ask for, in KiB. Whoever logs in pays with the server's.
    pub const MAX_MEMORY_KIB: u32 = 256 * 1024;

    /// The greatest number of passes over the memory.
    pub const MAX_PASSES: u32 = 10;

    /// The greatest number of lanes, which are computed one after the other here.
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

    /// Whether it is less than the cheapest that OWASP recommends (7 MiB, five passes): the
    /// password should be hashed again.
    pub fn is_weak(self) -> bool {
        u64::from(self.memory_kib) * u64::from(self.passes) < 7168 * 5
    }

    /// The memory that one hash takes, in bytes.
    pub fn memory_bytes(self) -> usize {
        usize::try_from(self.memory_kib).map_or(usize::MAX, |kib| kib.saturating_mul(1024))
    }

    /// Does the work of one hash of a guess, and forgets the result.
    pub(crate) fn spend(self, guess: &Secret, memory: &mut HashMemory) {
        let mut output = [0; Params::DEFAULT_OUTPUT_LEN];
        self.hash(guess, b"nobody's own salt", &mut output, memory);
        black_box(output);
    }

    fn hash(self, guess: &Secret, salt: &[u8], output: &mut [u8], memory: &mut HashMemory) {
        #[cfg(test)]
        SPENT.with_borrow_mut(|spent| spent.push(self));
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

/// Memory in which hashes are computed, one after the other. It is as large as the most costly of
/// them wanted it.
///
/// Memory that is allocated for each hash anew comes to more: what one thread gives back, the
/// allocator may keep for that thread, and the next hash is computed by another one.
#[derive(Default)]
pub struct HashMemory(Vec<Block>);

impl HashMemory {
    /// So many blocks, with anything in them.
    ///
    /// # Panics
    ///
    /// If there is no memory for them.
    fn blocks(&mut self, count: usize) -> &mut [Block] {
        if self.0.len() < count {
            // Those that are there are given back first, instead of being copied.
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
        // What is in it follows from a password.
        write!(f, "HashMemory({} blocks)", self.0.len())
    }
}

#[cfg(test)]
thread_local! {
    /// What was hashed by this thread, so that tests can see work whose result is forgotten.
    static SPENT: std::cell::RefCell<Vec<HashCost>> = const { std::cell::RefCell::new(Vec::new()) };
}

/// What something costs, in the order of the hashes that it does.
#[cfg(test)]
pub(crate) fn spent_by(work: impl FnOnce()) -> Vec<HashCost> {
    SPENT.take();
    work();
    SPENT.take()
}

/// Why a text is not a hash that guesses can be checked against. It repeats nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PasswordHashError {
    /// It is not a PHC string with a salt and an output of 16 to 64 bytes.
    #[error(
        "a hash is written as $argon2id$v=19$m=19456,t=2,p=1$...$..., which `ws-server \
         hash-password` prints"
    )]
    Form,
    /// It is of another algorithm.
    #[error("only argon2id hashes are taken; `ws-server hash-password` makes one")]
    Algorithm,
    /// It is of another version of the algorithm.
    #[error("only version 19 of argon2id is taken; `ws-server hash-password` makes such a hash")]
    Version,
    /// It asks for more than each login may cost.
    #[error(
        "this hash costs too much ({0}): at most m={max_m},t={max_t},p={max_p} are taken",
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

    /// A hash but for its output.
    const CHEAP: &str = "$argon2id$v=19$m=8,t=1,p=1$c29tZXNhbHQ$";

    fn cheap(password: &str) -> PasswordHash {
        let cost = HashCost::new(8, 1, 1).unwrap();
        PasswordHash::with_cost(&Secret::new(password), [7; 16], cost)
    }

    #[test]
    fn what_was_hashed_is_read_again_and_matches_that_password_alone() {
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
    fn what_was_computed_in_a_memory_before_changes_nothing() {
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
    fn the_default_is_what_owasp_recommends_and_has_its_known_value() {
        let hash = PasswordHash::new(&Secret::new("123456"), *b"0123456789abcdef");
        let printed = hash.to_string();
        let rest = printed.strip_prefix("$argon2id$v=19$m=19456,t=2,p=1$MDEyMzQ1Njc4OWFiY2RlZg$");
        // Computed by argon2-cffi, which wraps the reference implementation.
        assert_eq!(rest, Some("f3d12C0EQIKpnZYH5jzcMOPeUh0nbjDEC5U1ah89jX0"));
        assert!(!hash.cost().is_weak());
    }

    #[test]
    fn refuses_what_it_could_not_or_should_not_verify() {
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
            // A salt of seven bytes, which could not be hashed with.
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
    fn says_which_costs_are_weak() {
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
    fn knows_whether_two_files_say_the_same() {
        let plain = |text: &str| Password::Plain(Secret::new(text));
        assert!(plain("x").is_same(&plain("x")));
        assert!(!plain("x").is_same(&plain("y")));
        assert!(Password::Hash(cheap("x")).is_same(&Password::Hash(cheap("x"))));
        assert!(!Password::Hash(cheap("x")).is_same(&Password::Hash(cheap("y"))));
        assert!(!Password::Hash(cheap("x")).is_same(&plain("x")));
    }
}
