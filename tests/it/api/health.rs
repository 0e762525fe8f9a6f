//! Health: alive, started, ready.

use crate::support::*;

#[test]
fn not_ready_before_the_models_are_loaded() {
    let service = Service::with(Setup { is_preloaded: false, ..Setup::default() });
    assert_eq!(service.get("/livez").status().as_u16(), 204);
    refused(service.get("/readyz"), "not_ready");
    refused(service.get("/startupz"), "not_ready");
}

#[test]
fn ready_once_they_are() {
    let service = Service::start();
    for path in ["/livez", "/readyz", "/startupz"] {
        assert_eq!(service.get(path).status().as_u16(), 204, "{path}");
    }
}
