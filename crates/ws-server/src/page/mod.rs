//! The page for browsers.

mod page;

pub(crate) use self::page::response;
