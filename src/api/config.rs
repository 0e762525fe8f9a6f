//! Settings of the HTTP server: address, time limits, access.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::rate;
use crate::infer::fit::Usual;
use crate::name::Name;

/// Settings of the HTTP server. Every member has a default.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(default, deny_unknown_fields)]
#[schema(as = ServerSettings)]
pub struct Config {
    /// Address and port; port 0 lets the system choose one.
    #[schema(value_type = String)]
    pub bind: SocketAddr,
    /// Serve without keys on an address that others can reach.
    pub allow_anonymous: bool,
    /// File of API keys. If it is set, the service starts only if the file exists and holds a key; otherwise keys are in
    /// `keys.jsonl` of the data folder, which may be missing until the first key is made.
    #[schema(value_type = Option<String>)]
    pub keys_file: Option<PathBuf>,
    /// Host names that are answered while there are no keys, beside `localhost` and addresses; `*` answers all.
    pub allowed_hosts: Vec<String>,
    /// Origins whose pages may call the service, such as `https://lab.example`; none by default.
    pub cors_origins: Vec<String>,
    /// The model for gray images that name none.
    pub gray_model: Name,
    /// The model for colour images that name none.
    pub color_model: Name,
    /// The model for gray images that name none, where their noise is not white: cameras, JPEG files. `gray_model` where it is
    /// not installed.
    pub camera_gray_model: Name,
    /// The model for colour images that name none, likewise.
    pub camera_color_model: Name,
    /// The model for images that name none, gray or colour, that were JPEG files and have no other noise. `gray_model` and
    /// `color_model` where it is not installed.
    pub jpeg_model: Name,
    /// The model for pages that name none: scans and photographs of ink on paper. `gray_model` and `color_model` where it is not
    /// installed.
    pub page_model: Name,
    /// Open connections at a time. Some more are taken for probes (`/livez`, `/readyz`, `/startupz`) alone; the rest are closed
    /// at once.
    pub max_connections: usize,
    /// Open connections of one address at a time, 0 for no limit of its own. Of IPv6, the first 64 bits count. Behind a proxy,
    /// all connections come from its address.
    pub connections_per_address: usize,
    /// Open event streams (`GET /train/{id}/events`) at a time; further ones are answered with 429.
    pub event_streams: usize,
    /// Rate limits of each API key.
    pub rate: rate::Config,
    /// Seconds for the head of a request, counted from its first byte or the end of the one before it.
    pub header_seconds: u64,
    /// Seconds from the opening of a connection to the end of its first request's head.
    pub first_request_seconds: u64,
    /// Seconds for the whole body of a request; a byte that arrives does not extend them.
    pub body_seconds: u64,
    /// Seconds for the whole body of an upload to `/train`.
    pub upload_seconds: u64,
    /// Seconds for a request from its head to the head of its reply; uploads are counted from the end
    /// of their body.
    pub request_seconds: u64,
    /// Seconds for which new connections are still accepted after SIGTERM, while `/readyz` answers 503: the time that load
    /// balancers need to notice.
    pub drain_delay_seconds: u64,
    /// Seconds that requests in flight have to finish after that.
    pub drain_seconds: u64,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            bind: SocketAddr::from(([127, 0, 0, 1], 8080)),
            allow_anonymous: false,
            keys_file: None,
            allowed_hosts: Vec::new(),
            cors_origins: Vec::new(),
            gray_model: "photo-gray".parse().expect("the name is well formed"),
            color_model: "photo-color".parse().expect("the name is well formed"),
            camera_gray_model: "camera-gray".parse().expect("the name is well formed"),
            camera_color_model: "camera-color".parse().expect("the name is well formed"),
            jpeg_model: "jpeg-gray".parse().expect("the name is well formed"),
            page_model: "document".parse().expect("the name is well formed"),
            max_connections: 1024,
            connections_per_address: 512,
            event_streams: 256,
            rate: rate::Config::default(),
            header_seconds: 10,
            first_request_seconds: 15,
            body_seconds: 60,
            upload_seconds: 3600,
            request_seconds: 300,
            drain_delay_seconds: 0,
            // Below the 30 seconds that orchestrators commonly wait before they kill.
            drain_seconds: 25,
        }
    }
}

impl Config {
    /// The models that serve where none is named.
    pub fn usual(&self) -> Usual {
        Usual {
            gray: self.gray_model.clone(),
            color: self.color_model.clone(),
            camera_gray: self.camera_gray_model.clone(),
            camera_color: self.camera_color_model.clone(),
            jpeg: self.jpeg_model.clone(),
            page: self.page_model.clone(),
        }
    }

    /// Time limit of the body of a request, or of an upload to `/train`.
    pub(super) fn body_time(&self, is_upload: bool) -> Duration {
        Duration::from_secs(if is_upload { self.upload_seconds } else { self.body_seconds })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_config_is_the_default() {
        assert_eq!(serde_json::from_str::<Config>("{}").unwrap(), Config::default());
    }

    #[test]
    fn an_unknown_member_is_an_error() {
        let error = serde_json::from_str::<Config>(r#"{"port": 80}"#).unwrap_err();
        assert!(error.to_string().contains("port"), "{error}");
    }
}
