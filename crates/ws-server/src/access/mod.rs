//! Users, guests, grants, route policies and origins, as plain data.

mod grant;
mod login_context;
mod login_failure;
mod origin;
mod path;
mod pattern;
mod policy;
mod principal;
mod revocations;
mod server_name;

pub(crate) use self::{
    grant::Grant,
    login_context::LoginContext,
    login_failure::LoginFailure,
    origin::{FILE_ORIGIN, parse_host},
    revocations::{Revocation, Revocations},
    server_name::{Reach, ServerNames},
};
pub use self::{
    login_context::LoginMethod,
    origin::{AllowedOrigin, AllowedOriginError, Origin, OriginError},
    path::{PathError, normalize_path},
    pattern::{PathPattern, PathPatternError},
    policy::Access,
    principal::Principal,
    server_name::{ServerName, ServerNameError},
};
