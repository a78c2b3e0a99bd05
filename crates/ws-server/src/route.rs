//! Routes: the service at each path, and its access policy.

use std::sync::Arc;

use crate::{
    access::{Access, AllowedOrigin, PathPattern},
    limits::MessageSize,
    service::{BackedService, Echo, Service},
};

/// A `[[route]]` of the configuration: a path pattern, its service, and its access policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Route {
    /// The paths of the route.
    pub pattern: Arc<PathPattern>,
    /// The access policy.
    pub access: Access,
    /// The origins whose pages may connect, besides the server's own host. `None` applies the global
    /// list.
    pub allowed_origins: Option<Vec<AllowedOrigin>>,
    /// The supported subprotocols, in order of preference. `None` applies the global list.
    pub subprotocols: Option<Vec<String>>,
    /// The maximum length of a message. `None` applies the global limit.
    pub max_message_bytes: Option<MessageSize>,
    /// The service.
    pub service: Service,
}

/// Returns true if a text is a token (RFC 9110 section 5.6.2), as the name of a subprotocol is.
pub(crate) fn is_token(text: &str) -> bool {
    let is_of_token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(is_of_token)
}

/// The route that a request matches, with the path.
#[derive(Debug, Clone)]
pub struct RouteMatch {
    /// The route.
    pub route: Arc<Route>,
    /// The path of the request, which the pattern of the route matches.
    pub path: Arc<str>,
}

/// All routes. Each path matches at most one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Routes(Vec<Arc<Route>>);

/// A path matches two routes.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this route has a path in common with `{0}`; each path has one route")]
pub struct OverlapError(PathPattern);

impl Routes {
    /// Collects routes.
    ///
    /// # Errors
    ///
    /// A route that overlaps an earlier one, with its index.
    pub fn new(routes: Vec<Route>) -> Result<Self, (usize, OverlapError)> {
        for (index, route) in routes.iter().enumerate() {
            let earlier = &routes[..index];
            if let Some(other) = earlier
                .iter()
                .find(|it| it.pattern.overlaps(&route.pattern))
            {
                return Err((index, OverlapError(PathPattern::clone(&other.pattern))));
            }
        }
        Ok(Self(routes.into_iter().map(Arc::new).collect()))
    }

    /// Returns a single route: the echo at `/`, for all users.
    pub fn echo(prefix: &str) -> Self {
        Self(vec![Arc::new(Route {
            pattern: Arc::new(PathPattern::root()),
            access: Access::Users,
            allowed_origins: None,
            subprotocols: None,
            max_message_bytes: None,
            service: Service::Echo(Echo::new(prefix)),
        })])
    }

    /// Returns the route that matches a path.
    pub(crate) fn find(&self, path: &str) -> Option<&Arc<Route>> {
        self.0.iter().find(|route| route.pattern.matches(path))
    }

    /// Returns the route with exactly this pattern.
    pub(crate) fn get(&self, pattern: &PathPattern) -> Option<&Arc<Route>> {
        self.0.iter().find(|route| *route.pattern == *pattern)
    }

    /// Returns the services with a backend, to complete their options.
    pub(crate) fn backed_mut(&mut self) -> impl Iterator<Item = &mut BackedService> {
        self.0
            .iter_mut()
            .filter_map(|route| match &mut Arc::make_mut(route).service {
                Service::Echo(_) | Service::Room(_) => None,
                Service::Backed(service) => Some(Arc::make_mut(service)),
            })
    }

    /// Returns all routes, in the order of the configuration.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Route> {
        self.0.iter().map(AsRef::as_ref)
    }
}

impl Default for Routes {
    fn default() -> Self {
        Self::echo("")
    }
}

#[cfg(test)]
mod tests {
    use super::{Access, OverlapError, PathPattern, Route, Routes};
    use crate::{
        route::Arc,
        service::{Echo, Service},
    };

    fn route(pattern: &str) -> Route {
        Route {
            pattern: Arc::new(PathPattern::parse(pattern).unwrap()),
            access: Access::Users,
            allowed_origins: None,
            subprotocols: None,
            max_message_bytes: None,
            service: Service::Echo(Echo::new("")),
        }
    }

    fn routes(patterns: &[&str]) -> Result<Routes, (usize, OverlapError)> {
        Routes::new(patterns.iter().map(|pattern| route(pattern)).collect())
    }

    #[test]
    fn path_matches_at_most_one_route() {
        let routes = routes(&["/", "/room/*", "/room", "/echo", "/app/**"]).unwrap();
        for (path, found) in [
            ("/", Some("/")),
            ("/room", Some("/room")),
            ("/room/lobby", Some("/room/*")),
            ("/echo", Some("/echo")),
            ("/room/", None),
            ("/room/a/b", None),
            ("/other", None),
            ("//", None),
            ("/app/", Some("/app/**")),
            ("/app/a/b/", Some("/app/**")),
            ("/app", None),
            ("/application", None),
        ] {
            let route = routes.find(path).map(|route| route.pattern.to_string());
            assert_eq!(route.as_deref(), found, "{path}");
        }
    }

    #[test]
    fn overlapping_routes_refused() {
        for patterns in [
            &["/", "/"][..],
            &["/room/*", "/x", "/room/*"],
            &["/room/lobby", "/room/*"],
            &["/*", "/room"],
            &["/app/**", "/app/"],
            &["/app/**", "/app/a/b"],
            &["/app/**", "/app/*"],
            &["/app/a/*", "/app/**"],
            &["/app/**", "/app/a/**"],
            &["/app/a/**", "/**"],
        ] {
            let (index, OverlapError(other)) = routes(patterns).unwrap_err();
            assert_eq!(index, patterns.len() - 1);
            assert_eq!(other.to_string(), patterns[0], "{patterns:?}");
        }
        assert!(routes(&["/*", "/"]).is_ok());
        assert!(routes(&["/*", "/app/**", "/", "/application/**"]).is_ok());
    }
}
