//! What is to be had at which path, and for whom.

use std::sync::Arc;

use crate::{
    access::{Access, AllowedOrigin, PathPattern},
    service::{Echo, Service},
};

/// One row of the configuration: a path, what runs there, and who may come.
#[derive(Debug, Clone)]
pub struct Route {
    /// Which paths it is for.
    pub pattern: Arc<PathPattern>,
    /// Who may come.
    pub access: Access,
    /// Whose pages may connect, besides our own host's; where it is not given, those that may
    /// connect anywhere.
    pub allowed_origins: Option<Vec<AllowedOrigin>>,
    /// The subprotocols that are spoken here, the best first; where it is not given, those that are
    /// spoken everywhere.
    pub subprotocols: Option<Vec<String>>,
    /// The longest message, where it is another one than everywhere.
    pub max_message_bytes: Option<usize>,
    /// What runs here.
    pub service: Service,
}

/// The route that a request matches, with the path.
#[derive(Debug, Clone)]
pub struct RouteMatch {
    /// The route.
    pub route: Arc<Route>,
    /// The path of the request, which the pattern of the route matches.
    pub path: Arc<str>,
}

/// All routes, no two of which are for the same path.
#[derive(Debug, Clone)]
pub struct Routes(Vec<Arc<Route>>);

/// Two routes are for the same path.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("this route has a path in common with `{0}`; each path has one route")]
pub struct OverlapError(PathPattern);

impl Routes {
    /// Takes routes together. An error comes with the index of the route that is too much.
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

    /// The echo of the tutorial, at `/`, for everybody who has logged in.
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

    /// The route that a path belongs to.
    pub(crate) fn find(&self, path: &str) -> Option<&Arc<Route>> {
        self.0.iter().find(|route| route.pattern.matches(path))
    }

    /// The route that has this very pattern.
    pub(crate) fn get(&self, pattern: &PathPattern) -> Option<&Arc<Route>> {
        self.0.iter().find(|route| *route.pattern == *pattern)
    }

    /// All of them, in the order of the configuration.
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
    fn each_path_has_one_route_or_none() {
        let routes = routes(&["/", "/room/*", "/room", "/echo"]).unwrap();
        for (path, found) in [
            ("/", Some("/")),
            ("/room", Some("/room")),
            ("/room/lobby", Some("/room/*")),
            ("/echo", Some("/echo")),
            ("/room/", None),
            ("/room/a/b", None),
            ("/other", None),
            ("//", None),
        ] {
            let route = routes.find(path).map(|route| route.pattern.to_string());
            assert_eq!(route.as_deref(), found, "{path}");
        }
    }

    #[test]
    fn no_two_routes_are_for_the_same_path() {
        for patterns in [
            &["/", "/"][..],
            &["/room/*", "/x", "/room/*"],
            &["/room/lobby", "/room/*"],
            &["/*", "/room"],
        ] {
            let (index, OverlapError(other)) = routes(patterns).unwrap_err();
            assert_eq!(index, patterns.len() - 1);
            assert_eq!(other.to_string(), patterns[0], "{patterns:?}");
        }
        assert!(routes(&["/*", "/"]).is_ok());
    }
}
