//! Caller: the key by which a request came in, for handlers that ask for more than their route does.

use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::extract::Request;
use futures_util::TryStreamExt as _;

use super::error::{Code, Problem};
use super::keys::{Entry, Scope};
use super::rate::{Account, Kind};
use super::state::App;
use crate::name::Name;
use crate::registry::Registry;
use crate::train::{Config, Promote};

/// Sender of a request.
#[derive(Debug, Clone, Default)]
pub(super) struct Caller {
    /// The key; none where the service has no keys, and everyone may do everything.
    pub(super) key: Option<Entry>,
    /// Remaining rate limits; none where nothing is limited.
    pub(super) account: Option<Arc<Account>>,
}

impl Caller {
    /// The caller of a request that passed the gate.
    pub(super) fn of(request: &Request) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    /// The request with its caller, the bytes of its body counted as they come.
    pub(super) fn enter(self, mut request: Request) -> Request {
        if let Some(account) = self.account.clone().filter(|account| account.limits().bytes_per_minute > 0) {
            request = request.map(|body| {
                let chunks = body.into_data_stream();
                Body::from_stream(chunks.inspect_ok(move |chunk| account.charge(Kind::Bytes, chunk.len())))
            });
        }
        request.extensions_mut().insert(self);
        request
    }

    /// Name of the key; empty where there is none.
    pub(super) fn name(&self) -> &str {
        self.key.as_ref().map_or("", |key| key.name.as_str())
    }

    /// Counts the numbers of samples.
    pub(super) fn charge_numbers(&self, numbers: usize) {
        if let Some(account) = &self.account {
            account.charge(Kind::Numbers, numbers);
        }
    }

    /// Checks that the jobs of the caller trained for less than they may in a day.
    ///
    /// # Errors
    /// 429 `rate_limited`, with the time until they did.
    pub(super) async fn check_training_time(&self, app: &App) -> Result<(), Problem> {
        let minutes = self.account.as_ref().map_or(0, |account| account.limits().training_minutes_per_day);
        if minutes == 0 {
            return Ok(());
        }
        let (owner, limit) = (self.name().to_owned(), Duration::from_secs(minutes.saturating_mul(60)));
        let Some(wait) = app.block(move |app| Ok(app.jobs().training_wait(&owner, limit)?)).await? else {
            return Ok(());
        };
        let detail = format!(
            "the {minutes} minutes of training a day of this key (server.rate.training_minutes_per_day) are used up; try \
             again in {} s",
            wait.as_secs() + 1
        );
        Err(Problem::new(Code::RateLimited, detail).retry_after(wait))
    }

    /// The models that the caller may see; none where those are all. A key with the scope `train` alone sees those that it trained.
    ///
    /// # Errors
    /// The database is out of reach.
    pub(super) fn models(&self, app: &App) -> Result<Option<Vec<Name>>, Problem> {
        if self.allows(Scope::Infer) {
            return Ok(None);
        }
        Ok(Some(app.jobs().models_of(self.name())?))
    }

    /// Checks that the caller may see a model.
    ///
    /// # Errors
    /// 404, as for a model that is not there.
    pub(super) fn check_model(&self, app: &App, name: &Name) -> Result<(), Problem> {
        match self.models(app)? {
            Some(own) if !own.contains(name) => {
                let detail =
                    format!("there is no model {name} that this key trained; others need the scope infer");
                Err(Problem::new(Code::ModelNotFound, detail))
            }
            _ => Ok(()),
        }
    }

    fn allows(&self, scope: Scope) -> bool {
        self.key.as_ref().is_none_or(|entry| entry.allows(scope))
    }

    /// Checks that the caller may train with this config. A key with the scope `train` may add models, and versions that
    /// serve only if they are better; replacing the default of everyone requires the scope `admin`, as `PUT /models/{name}/default` does.
    ///
    /// # Errors
    /// 403 for a bundled name, and for `"promote": "always"` where a version serves already.
    pub(super) fn check_training(&self, config: &Config, registry: &Registry) -> Result<(), Problem> {
        let Ok(there) = registry.get(&config.name) else { return Ok(()) };
        if self.allows(Scope::Admin) {
            return Ok(());
        }
        let refused = |member: &str, detail: String| {
            let pointer = format!("/config/{member}");
            Err(Problem::new(Code::Forbidden, format!("{pointer}: {detail}")).at(pointer, detail))
        };
        if there.is_bundled {
            let name = &config.name;
            return refused(
                "name",
                format!("{name} is a bundled model: choose another name, or use an admin key"),
            );
        }
        if config.promote == Promote::Always && there.default.is_some() {
            let detail = "a version serves already: use if_better or never, or an admin key".to_owned();
            return refused("promote", detail);
        }
        Ok(())
    }
}
