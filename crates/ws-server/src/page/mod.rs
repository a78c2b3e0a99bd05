//! The page that a browser gets.

mod page;

pub(crate) use self::page::response;
