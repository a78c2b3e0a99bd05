//! The page for browsers, in Chromium.
//!
//! Each test has a server and a browser of its own. `.ci/browser` installs Chromium.

#[cfg(test)]
mod dialogue;
#[cfg(test)]
mod own_client;
#[cfg(test)]
mod recovery;
#[cfg(test)]
mod room;
#[cfg(test)]
mod safety;
#[cfg(test)]
mod screenshots;
#[cfg(test)]
mod tls;
#[cfg(test)]
mod user_actions;
