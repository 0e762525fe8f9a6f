//! Access: which key a request carries and whether it may go on.

use axum::extract::{Request, State};
use axum::http::header::AUTHORIZATION;
use axum::http::{HeaderMap, Method};
use axum::middleware::Next;
use axum::response::{IntoResponse as _, Response};

use super::body::discard_request;
use super::caller::Caller;
use super::error::{Code, Problem};
use super::keys::{Entry, Scope};
use super::state::App;

/// The scopes of which a key needs one, with the state, as the middleware of one group of routes.
#[derive(Clone)]
pub(super) struct Gate {
    pub(super) app: App,
    pub(super) scopes: &'static [Scope],
}

/// Lets a request through if its key has one of the gate's scopes, or if the service has no keys, if the key has not used
/// up what it may ask for, and if there is room for the work.
///
/// A refusal costs little: the future of a handler, some kilobytes, is not yet made, and nothing of the body is kept.
pub(super) async fn check(
    State(gate): State<Gate>,
    request: Request,
    next: Next,
) -> Result<Response, Problem> {
    let key = match gate.check_key(request.headers()) {
        Ok(key) => key,
        Err(problem) => {
            discard_request(request).await;
            return Err(problem);
        }
    };
    let caller = Caller { account: gate.app.account(key.as_ref()), key };
    let mut response = match gate.admit(&caller, request.method()) {
        Ok(()) => next.run(caller.clone().enter(request)).await,
        Err(problem) => {
            discard_request(request).await;
            problem.into_response()
        }
    };
    if let Some(account) = &caller.account {
        account.tell(response.headers_mut());
    }
    Ok(response)
}

impl Gate {
    fn admit(&self, caller: &Caller, method: &Method) -> Result<(), Problem> {
        if let Some(account) = &caller.account {
            account.admit()?;
        }
        // The routes of this scope that take POST are the operations.
        if self.scopes == [Scope::Infer] && method == Method::POST {
            self.app.engine().peek()?;
        }
        Ok(())
    }

    /// The key that a request carries; none where none is needed.
    fn check_key(&self, headers: &HeaderMap) -> Result<Option<Entry>, Problem> {
        let keys = self.app.keys();
        if keys.is_open() {
            return Ok(None);
        }
        let unauthorized = |detail: &'static str| Problem::new(Code::Unauthorized, detail);
        let key = presented(headers)
            .ok_or_else(|| unauthorized("send a key as Authorization: Bearer or X-Api-Key"))?;
        let entry = keys.find(key).ok_or_else(|| unauthorized("this key is not known"))?;
        if !self.scopes.iter().any(|scope| entry.allows(*scope)) {
            let names: Vec<_> = self.scopes.iter().map(|scope| name(*scope)).collect();
            let detail = format!("key {} lacks the scope {}", entry.name, names.join(" or "));
            return Err(Problem::new(Code::Forbidden, detail));
        }
        tracing::Span::current().record("key", entry.name.as_str());
        Ok(Some(entry))
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
