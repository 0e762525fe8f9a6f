//! HTTP: the route table and the middleware of every request.
//!
//! A handler always reads: extract -> read -> ask the engine -> write -> respond. Failures of any kind
//! become a [`Problem`] and leave by one door, the outermost middleware.

mod about;
mod artifact;
mod auth;
mod body;
mod buffer;
mod caller;
mod choice;
mod clock;
mod compare;
mod config;
mod connection;
mod contract;
mod convert;
mod decode;
mod denoise;
mod encode;
mod error;
mod evaluate;
mod events;
mod extract;
mod feed;
mod fields;
mod fitted;
mod form;
mod health;
mod json;
mod map;
mod members;
mod metrics;
mod models;
mod nearest;
mod negotiate;
mod observe;
mod operation;
mod origin;
mod params;
mod path;
mod profiles;
mod rate;
mod reading;
mod serve;
mod state;
mod stream;
#[cfg(feature = "otel")]
mod trace;
mod train;
mod tree;
mod unread;
mod upload;
mod v2;
mod writing;

pub mod keys;

use std::time::{Duration, Instant};

use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, Method};
use axum::middleware::{Next, from_fn, from_fn_with_state};
use axum::response::Response;
use axum::{Router, http::header};
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::cors::{AllowOrigin, CorsLayer};
use utoipa::OpenApi as _;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

pub use config::Config;
pub use error::{Code, Problem};
pub use rate::{Config as RateConfig, Own as OwnRate};
pub use serve::{Error as ServeError, serve, serve_on};
pub use state::App;

use auth::Gate;
use clock::Deadline;
use keys::Scope;

/// The head of the contract.
#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Limpid",
        description = "A self-hosted denoising service: trainable denoising autoencoders on a plain CPU.\n\n\
            `Content-Type` decides how a request is read, `Accept` how the reply is written; without `Accept` \
            the reply has the kind of the request. Every failure is `application/problem+json` (RFC 9457), except on the \
            routes of the Open Inference Protocol, which have a form of their own.",
        license(name = "MIT OR Apache-2.0", identifier = "MIT OR Apache-2.0")
    ),
    servers((url = "http://127.0.0.1:8080", description = "a service on this machine")),
    security(("bearer" = []), ("key" = []), ()),
    tags(
        (name = "operations", description = "Operations of models on samples."),
        (name = "training", description = "New versions from your own samples."),
        (name = "models", description = "Models, their versions and their defaults."),
        (name = "inference", description = "The Open Inference Protocol, version 2."),
        (name = "about", description = "Facts about the service."),
        (name = "health", description = "Probes and metrics, for operators."),
    )
)]
struct Contract;

/// The routes that ask for no key: they say nothing about the service, its models or its users.
fn open() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(health::livez))
        .routes(routes!(health::readyz))
        .routes(routes!(health::startupz))
        .routes(routes!(about::index))
        .routes(routes!(about::docs))
        .merge(v2::open())
}

/// The routes that need a key with the scope `infer` or `train`; with the latter alone, of models those are seen that the key
/// trained.
fn catalog() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(models::list))
        .routes(routes!(models::get))
        .routes(routes!(models::card))
        .routes(routes!(map::map))
        .routes(routes!(about::limits))
        .routes(routes!(about::version))
        .routes(routes!(about::openapi_yaml))
        .routes(routes!(about::openapi_json))
}

/// The routes that need a key with the scope `infer`.
fn infer() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(denoise::denoise))
        .routes(routes!(encode::encode))
        .routes(routes!(decode::decode))
        .routes(routes!(evaluate::evaluate))
        .routes(routes!(compare::compare))
        .routes(routes!(nearest::nearest))
        .routes(routes!(artifact::export))
        .routes(routes!(metrics::metrics))
        .merge(v2::infer())
}

/// The routes that need a key with the scope `train`.
fn training() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(train::list, train::submit))
        .routes(routes!(train::get))
        .routes(routes!(train::cancel))
        .routes(routes!(train::pause))
        .routes(routes!(train::resume))
        .routes(routes!(events::watch))
        .routes(routes!(profiles::list, profiles::measure))
        .routes(routes!(profiles::get, profiles::remove))
        .routes(routes!(nearest::put, nearest::remove))
}

/// The routes that need a key with the scope `admin`.
fn admin() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(models::set_default))
        .routes(routes!(models::remove))
        .routes(routes!(artifact::import))
        .merge(v2::admin())
}

/// All routes with the contract that was collected from them; `guard` is laid over each group.
fn routes(guard: impl Fn(OpenApiRouter<App>, &'static [Scope]) -> OpenApiRouter<App>) -> OpenApiRouter<App> {
    OpenApiRouter::with_openapi(Contract::openapi())
        .merge(open())
        .merge(guard(catalog(), &[Scope::Infer, Scope::Train]))
        .merge(guard(infer(), &[Scope::Infer]))
        .merge(guard(training(), &[Scope::Train]))
        .merge(guard(admin(), &[Scope::Admin]))
}

/// The contract, as it is served and checked in.
pub fn openapi() -> utoipa::openapi::OpenApi {
    contract::complete(routes(|group, _| group).into_openapi())
}

/// The contract as YAML, byte for byte what `openapi.yaml` holds.
pub fn openapi_yaml() -> String {
    let text = openapi().to_yaml().expect("the contract holds only text, numbers and lists");
    text.lines().map(portable).map(|line| line + "\n").collect()
}

/// Returns a line as readers of YAML 1.1 understand it, too: they take `1e-8` and `3.4e38` for text, so that a number with an exponent
/// needs a point and a sign; and they take `4:2:0` for a number of base 60, so that it needs quotes.
fn portable(line: &str) -> String {
    let value = line.rsplit(' ').next().unwrap_or_default();
    let before = &line[..line.len() - value.len()];
    if value.contains(':')
        && value.split(':').all(|part| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit()))
    {
        return format!("{before}'{value}'");
    }
    let is_digits =
        |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.');
    let Some((digits, exponent)) = value.split_once('e') else { return line.to_owned() };
    let power = exponent.trim_start_matches(['-', '+']);
    if !is_digits(digits.trim_start_matches('-'))
        || !power.bytes().all(|byte| byte.is_ascii_digit())
        || power.is_empty()
    {
        return line.to_owned();
    }
    let point = if digits.contains('.') { "" } else { ".0" };
    let sign = if exponent.starts_with('-') { "-" } else { "+" };
    format!("{before}{digits}{point}e{sign}{power}")
}

/// The service: routes inside the middleware, outermost first.
pub fn router(app: App) -> Router {
    let guard = |group: OpenApiRouter<App>, scopes| {
        let gate = Gate { app: app.clone(), scopes };
        group.route_layer(from_fn_with_state(gate, auth::check))
    };
    let (router, _) = routes(guard).split_for_parts();
    let router = router.fallback(unknown_route).method_not_allowed_fallback(unknown_method);
    let (observe, catch) = (from_fn(observe::observe), CatchPanicLayer::custom(panicked));
    let deadline = from_fn_with_state(app.clone(), deadline);
    let (connection, origin) = (from_fn(connection::check), from_fn_with_state(app.clone(), origin::check));
    // As one layer: each call of `layer` boxes the whole stack below it, and every request clones that.
    let router = match cors(app.config()) {
        Some(cors) => router.layer((observe, catch, connection, cors, origin, deadline)),
        None => router.layer((observe, catch, connection, origin, deadline)),
    };
    router.with_state(app)
}

async fn unknown_route(request: Request) -> Problem {
    let path: String = request.uri().path().chars().take(200).collect();
    Problem::new(Code::NotFound, format!("there is no route {path}; GET /openapi.yaml lists those there are"))
}

async fn unknown_method(request: Request) -> Problem {
    let method = request.method();
    Problem::new(Code::MethodNotAllowed, format!("this route does not take {method}; see the header Allow"))
}

/// Ends requests that take longer than `request_seconds`, or than the client waits; their work is cancelled. An upload
/// has its own time for its body.
async fn deadline(State(app): State<App>, mut request: Request, next: Next) -> Response {
    use axum::response::IntoResponse as _;
    let is_upload = request.method() == Method::POST && request.uri().path() == "/train";
    let upload = if is_upload { app.config().upload_seconds } else { 0 };
    let most = Duration::from_secs(app.config().request_seconds.saturating_add(upload));
    let wanted = match fields::read_headers::<params::Timeout>(request.headers()) {
        Err(problem) => {
            body::discard_request(request).await;
            return problem.into_response();
        }
        Ok(params::Timeout { time }) => time.map(|time| Duration::from_millis(time.0)),
    };
    let time = wanted.map_or(most, |wanted| wanted.min(most));
    request.extensions_mut().insert(Deadline(Instant::now() + time));
    tokio::time::timeout(time, next.run(request)).await.unwrap_or_else(|_| {
        let whose = if time == most { "this service" } else { "X-Request-Timeout-Ms" };
        let ms = time.as_millis();
        let detail =
            format!("the request took longer than the {ms} ms that {whose} gives it; its work was given up");
        Problem::new(Code::DeadlineExceeded, detail).into_response()
    })
}

/// Cross-origin access for the pages of the configured origins; without any, browsers keep to our own, and nothing answers
/// preflights.
fn cors(config: &Config) -> Option<CorsLayer> {
    let origins: Vec<HeaderValue> = config.cors_origins.iter().filter_map(|o| o.parse().ok()).collect();
    if origins.is_empty() {
        return None;
    }
    let names =
        |names: &[&'static str]| names.iter().map(|name| HeaderName::from_static(name)).collect::<Vec<_>>();
    let own = ["x-api-key", "x-request-timeout-ms", "x-request-id", "x-tensor-shape", "x-tensor-dtype"];
    let mut allowed = names(&own);
    allowed.extend(names(&["idempotency-key", "last-event-id", v2::HEADER_LENGTH]));
    allowed.extend([header::AUTHORIZATION, header::CONTENT_TYPE, header::ACCEPT, header::IF_MATCH]);
    let of_samples = writing::HEADERS.iter().map(|header| header.name);
    let written = contract::HEADERS_OF_ALL.iter().map(|(name, _)| *name).chain(of_samples);
    let mut exposed: Vec<HeaderName> = written.filter_map(|name| name.parse().ok()).collect();
    exposed.extend(names(&["x-tensor-shape", "x-tensor-dtype", v2::HEADER_LENGTH]));
    exposed.extend(names(&["ratelimit", "ratelimit-policy"]));
    exposed.extend([header::ETAG, header::LOCATION, header::RETRY_AFTER, header::CONTENT_DISPOSITION]);
    let layer = CorsLayer::new()
        .allow_origin(AllowOrigin::list(origins))
        .allow_methods([Method::GET, Method::POST, Method::PUT, Method::DELETE])
        .allow_headers(allowed)
        .expose_headers(exposed)
        .max_age(Duration::from_secs(600));
    Some(layer)
}

/// Reply to a request whose handler panicked.
fn panicked(cause: Box<dyn std::any::Any + Send>) -> Response {
    use axum::response::IntoResponse as _;
    let text = cause.downcast_ref::<&str>().copied().map(str::to_owned);
    let text = text.or_else(|| cause.downcast_ref::<String>().cloned());
    Problem::internal(text.unwrap_or_else(|| "a panic without words".to_owned())).into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_contract_means_the_same_in_yaml_1_1() {
        for (line, text) in [
            ("  minimum: 1e-8", "  minimum: 1.0e-8"),
            ("  maximum: 3.4e38", "  maximum: 3.4e+38"),
            ("  minimum: -3.4e38", "  minimum: -3.4e+38"),
            ("  maximum: 55.0", "  maximum: 55.0"),
            ("  title: 9e8f", "  title: 9e8f"),
            ("  description: e", "  description: e"),
            ("name: 1e", "name: 1e"),
            ("  - 4:2:0", "  - '4:2:0'"),
            ("  description: at 4:", "  description: at 4:"),
        ] {
            assert_eq!(portable(line), text);
        }
    }
}
