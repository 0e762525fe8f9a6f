//! Access: which key a request carries and whether it may go on.

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::Response;

use super::body::discard_request;
use super::error::{Code, Problem};
use super::keys::Scope;
use super::state::App;

/// A scope with the state, as the middleware of one group of routes.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) app: App,
    pub(super) scope: Scope,
}

/// Lets a request through if its key may do what needs the gate's scope, or if the service has no keys, and if there is room
/// for the work it asks for.
///
/// A refusal costs little: the future of a handler, some kilobytes, is not yet made, and nothing of the body is kept.
pub(super) async fn check(
    State(gate): State<Gate>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    if let Err(problem) = gate.admit(&request) {
        discard_request(request).await;
        return Err(problem);
    }
    Ok(next.run(request).await)
}

impl Gate {
    fn admit(&self, request: &Request) -> Result<(), Problem> {
        self.check_key(request.headers())?;
        // The routes of this scope that take POST are the operations.
        if self.scope == Scope::Infer && request.method() == Method::POST {
            self.app.engine().peek()?;
        }
        Ok(())
    }

    fn check_key(&self, headers: &HeaderMap) -> Result<(), Problem> {
        let keys = self.app.keys();
        if keys.is_open() {
            return Ok(());
        }
        let unauthorized = |detail: &'static str| Problem::new(Code::Unauthorized, detail);
        let key = presented(headers)
            .ok_or_else(|| unauthorized("send a key as Authorization: Bearer or X-Api-Key"))?;
        let entry = keys.find(key).ok_or_else(|| unauthorized("this key is not known"))?;
        if !entry.allows(self.scope) {
            let detail = format!("key {} lacks the scope {}", entry.name, name(self.scope));
            return Err(Problem::new(Code::Forbidden, detail));
        }
        tracing::Span::current().record("key", entry.name.as_str());
        Ok(())
    }
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
