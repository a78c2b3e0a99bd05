//! Both binaries with other WebSocket programs: Python's `websockets`, Node's `ws`, `websocat`,
//! `wscat`, `curl`, and nginx as a proxy.
//!
//! `.ci/peers` installs them. [`as_client`], [`as_server`] and [`as_upstream`] define the cases once; each library
//! runs all of them. `cargo test -p integration-tests --test peers -- --ignored python_newest::`
//! runs those of one library.

#[cfg(test)]
mod as_client;
#[cfg(test)]
mod as_server;
#[cfg(test)]
mod as_upstream;
#[cfg(test)]
mod curl;
#[cfg(test)]
mod nginx;
#[cfg(test)]
mod own_client;
#[cfg(test)]
mod scripted_peer;
#[cfg(test)]
mod websocat;
#[cfg(test)]
mod websocketd;
#[cfg(test)]
mod wscat;

/// Generates the tests of all cases for one library.
#[cfg(test)]
macro_rules! tests_of {
    ($library:expr, $cases:ident: $($case:ident)+) => {
        mod $cases {
            $(
                #[tokio::test]
                #[ignore = "needs the peers of .ci/peers"]
                async fn $case() {
                    crate::$cases::$case($library).await;
                }
            )+
        }
    };
}

/// Generates the tests of a library as a client of `ws-server`.
#[cfg(test)]
macro_rules! as_client {
    ($library:expr) => {
        tests_of! { $library, as_client:
            dialogue_of_the_tutorial_succeeds
            mebibyte_text_is_echoed_whole
            binary_message_is_echoed_unchanged
            pipelined_messages_are_echoed_in_order
            shutdown_closes_sessions_with_1001
            shutdown_closes_pending_logins_with_1001
            too_many_wrong_logins_close_with_3000
            oversized_message_closes_with_1009
            refused_handshake_reports_its_status
            credentials_in_the_url_log_in
            wrong_password_in_the_url_gets_401
            dialogue_and_mebibyte_work_over_tls
        }
    };
}

/// Generates the tests of a library as a server for `ws-client`.
#[cfg(test)]
macro_rules! as_server {
    ($library:expr) => {
        tests_of! { $library, as_server:
            dialogue_of_the_tutorial_succeeds
            mebibyte_line_is_sent_and_printed_whole
            binary_is_printed_as_raw_bytes
            pipelined_lines_are_printed_in_order
            replies_after_end_of_input_are_printed
            end_of_input_closes_with_1000
            server_error_prints_code_and_reason
            trusted_certificate_allows_the_dialogue
        }
    };
}

/// Generates the tests of a library as a server behind a relay of `ws-server`.
#[cfg(test)]
macro_rules! as_upstream {
    ($library:expr) => {
        tests_of! { $library, as_upstream:
            messages_pass_both_ways
            close_of_upstream_passes_through
        }
    };
}

/// Generates the tests of a library as a server that requires Basic authentication.
#[cfg(test)]
macro_rules! as_server_with_basic {
    ($library:expr) => {
        mod with_basic {
            tests_of! { $library, as_server:
                credentials_in_the_handshake_log_in
                missing_credentials_error_names_auth_basic
            }
        }
    };
}

/// Tests of a program of `crates/ws-server/docs/own-client.md`.
#[cfg(test)]
macro_rules! own_client {
    ($language:expr) => {
        tests_of! { $language, own_client:
            follows_the_close_codes
            stops_at_a_refused_login
            stops_at_a_refused_handshake
            waits_longer_than_a_full_server_says
            talks_without_a_login_on_a_public_route
            logs_in_with_the_url
        }
    };
}

#[cfg(test)]
mod python_newest {
    as_client! { crate::scripted_peer::Library::PythonNewest }
    as_server! { crate::scripted_peer::Library::PythonNewest }
    as_upstream! { crate::scripted_peer::Library::PythonNewest }
    as_server_with_basic! { crate::scripted_peer::Library::PythonNewest }
    own_client! { crate::own_client::Language::Python }
}

#[cfg(test)]
mod python_newest_sync {
    as_client! { crate::scripted_peer::Library::PythonNewestSync }
}

#[cfg(test)]
mod python_legacy {
    as_client! { crate::scripted_peer::Library::PythonLegacy }
    as_server! { crate::scripted_peer::Library::PythonLegacy }
    as_upstream! { crate::scripted_peer::Library::PythonLegacy }
    as_server_with_basic! { crate::scripted_peer::Library::PythonLegacy }
}

#[cfg(test)]
mod node_ws {
    as_client! { crate::scripted_peer::Library::NodeWs }
    as_server! { crate::scripted_peer::Library::NodeWs }
    as_upstream! { crate::scripted_peer::Library::NodeWs }
    own_client! { crate::own_client::Language::Node }
}
