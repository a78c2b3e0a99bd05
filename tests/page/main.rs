//! The page, in Chromium.
//!
//! Each test has its own server and browser. `.ci/browser` installs Chromium.

#[cfg(test)]
mod description;
#[cfg(test)]
mod dialogue;
#[cfg(test)]
mod handshake;
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
