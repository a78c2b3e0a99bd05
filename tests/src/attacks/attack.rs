//! Rows of the tables of attacks, and the macro that builds a table.

/// One row of a table.
#[derive(Debug, Clone, Copy)]
pub struct Attack<E> {
    /// What is wrong with it; the id of its tests.
    pub name: &'static str,
    /// Where it is written that this is wrong.
    pub section: &'static str,
    /// What it is to get.
    pub expected: E,
    /// Makes the bytes.
    pub bytes: fn() -> Vec<u8>,
}

/// Makes a table of its rows, each written as `name(section, expected, bytes)`. It also makes a
/// macro of this name, which hands the names of all rows to another macro: that one makes the
/// tests, so that no row is without one.
macro_rules! attacks {
    (
        $Expected:ty,
        $names:ident,
        $($name:ident($section:expr, $expected:expr, $bytes:expr $(,)?)),* $(,)?
    ) => {
        /// All rows.
        pub const ALL: &[$crate::attacks::Attack<$Expected>] = &[$(
            $crate::attacks::Attack {
                name: stringify!($name),
                section: $section,
                expected: $expected,
                bytes: || $bytes,
            },
        )*];

        /// Hands the names of all rows of the table to a macro.
        #[macro_export]
        macro_rules! $names {
            ($to:ident) => { $to! { $($name)* } };
        }
    };
}

pub(super) use attacks;

/// The row of a table that has this name.
pub fn named<E>(table: &'static [Attack<E>], name: &str) -> &'static Attack<E> {
    let mut rows = table.iter();
    rows.find(|row| row.name == name)
        .unwrap_or_else(|| panic!("{name} is not in the table"))
}
