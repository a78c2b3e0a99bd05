//! Both binaries with WebSocket programs that others wrote: Python's `websockets`, Node's `ws`,
//! `websocat`, `wscat`, `curl`, and nginx between client and server.
//!
//! `.ci/peers` installs them. What is done with a library stands once, in [`as_client`] and
//! [`as_server`], and is a test for each library; all tests of one are run by
//! `cargo test -p integration-tests --test peers -- --ignored python_newest::`.

#[cfg(test)]
mod as_client;
#[cfg(test)]
mod as_server;
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
mod wscat;

/// Makes a test of each case, for one library.
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

/// Tests of a library as client of `ws-server`.
#[cfg(test)]
macro_rules! as_client {
    ($library:expr) => {
        tests_of! { $library, as_client:
            the_dialogue_of_the_tutorial
            a_text_of_one_mebibyte_comes_back_whole
            binary_comes_back_as_it_went
            five_hundred_messages_in_flight_are_answered_in_order
            a_server_that_stops_says_so_to_whoever_talks
            a_server_that_stops_says_so_to_whoever_is_not_logged_in
            too_many_wrong_logins_are_seen_as_the_cause
            a_message_that_is_too_big_is_seen_as_the_cause
            a_refused_handshake_is_seen_with_its_status
            a_name_and_a_password_in_the_url_log_in
            a_wrong_password_in_the_url_is_seen_as_401
            the_dialogue_and_a_mebibyte_go_over_tls
        }
    };
}

/// Tests of a library as server for `ws-client`.
#[cfg(test)]
macro_rules! as_server {
    ($library:expr) => {
        tests_of! { $library, as_server:
            the_dialogue_of_the_tutorial
            a_line_of_one_mebibyte_is_sent_and_printed_whole
            binary_is_printed_as_raw_bytes
            five_hundred_lines_in_flight_are_printed_in_order
            answers_in_flight_at_the_end_of_the_input_are_all_printed
            the_end_of_the_input_is_seen_as_a_normal_end
            a_server_that_fails_is_reported_with_its_code_and_reason
            a_certificate_that_is_trusted_lets_both_talk
        }
    };
}

/// Tests of a library as server for `ws-client`, where it wants credentials with the handshake.
#[cfg(test)]
macro_rules! as_server_with_basic {
    ($library:expr) => {
        mod with_basic {
            tests_of! { $library, as_server:
                credentials_in_the_handshake_log_in
                credentials_that_are_missing_are_said_to_be_wanted
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
            waits_as_long_as_a_full_server_says
            talks_without_a_login_on_a_public_route
            logs_in_with_the_url
        }
    };
}

#[cfg(test)]
mod python_newest {
    as_client! { crate::scripted_peer::Library::PythonNewest }
    as_server! { crate::scripted_peer::Library::PythonNewest }
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
    as_server_with_basic! { crate::scripted_peer::Library::PythonLegacy }
}

#[cfg(test)]
mod node_ws {
    as_client! { crate::scripted_peer::Library::NodeWs }
    as_server! { crate::scripted_peer::Library::NodeWs }
    own_client! { crate::own_client::Language::Node }
}
