//! Access: which key a request carries and whether it may go on.

use axum::extract::{Request, State};
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::middleware::Next;
use axum::response::Response;

use super::error::{Code, Problem};
use super::keys::Scope;
use super::state::App;

/// A scope with the state, as the middleware of one group of routes.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) app: App,
    pub(super) scope: Scope,
}

/// Lets a request through if its key may do what needs the gate's scope, or if the service has no keys.
pub(super) async fn check(
    State(gate): State<Gate>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let Gate { app, scope } = gate;
    if !app.keys().is_open() {
        let key = presented(request.headers()).ok_or_else(|| {
            Problem::new(Code::Unauthorized, "send a key as Authorization: Bearer or X-Api-Key")
        })?;
        let entry = app.keys().find(key);
        let entry = entry.ok_or_else(|| Problem::new(Code::Unauthorized, "this key is not known"))?;
        if !entry.allows(scope) {
            let detail = format!("key {} lacks the scope {}", entry.name, name(scope));
            return Err(Problem::new(Code::Forbidden, detail));
        }
        tracing::Span::current().record("key", entry.name.as_str());
    }
    Ok(next.run(request).await)
}

fn presented(headers: &HeaderMap) -> Option<&str> {
    let text = |name: &str| headers.get(name).and_then(|value| value.to_str().ok());
    let bearer = text(AUTHORIZATION.as_str()).and_then(|value| {
        let (scheme, key) = value.split_once(' ')?;
        scheme.eq_ignore_ascii_case("bearer").then_some(key.trim())
    });
    bearer.or_else(|| text("x-api-key").map(str::trim))
}

fn name(scope: Scope) -> &'static str {
    match scope {
        Scope::Infer => "infer",
        Scope::Train => "train",
        Scope::Admin => "admin",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_comes_in_either_header() {
        let with = |name: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(name, value.parse().unwrap());
            presented(&headers).map(str::to_owned)
        };
        assert_eq!(with("authorization", "Bearer k").as_deref(), Some("k"));
        assert_eq!(with("authorization", "bearer  k").as_deref(), Some("k"));
        assert_eq!(with("x-api-key", "k").as_deref(), Some("k"));
        assert_eq!(with("authorization", "Basic k"), None);
    }
}
