//! Caller: the key by which a request came in, for handlers that ask for more than their route does.

use axum::extract::Request;

use super::error::{Code, Problem};
use super::keys::{Entry, Scope};
use crate::registry::Registry;
use crate::train::{Config, Promote};

/// The key of a request; none where the service has no keys, and everyone may do everything.
#[derive(Debug, Clone, Default)]
pub(super) struct Caller(pub(super) Option<Entry>);

impl Caller {
    /// The caller of a request that passed the gate.
    pub(super) fn of(request: &Request) -> Self {
        request.extensions().get::<Self>().cloned().unwrap_or_default()
    }

    fn allows(&self, scope: Scope) -> bool {
        self.0.as_ref().is_none_or(|entry| entry.allows(scope))
    }

    /// Checks that the caller may train with this config. A key for training may add models, and versions that have to earn
    /// their place; what serves everyone is for the scope `admin`, as moving a default is.
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
