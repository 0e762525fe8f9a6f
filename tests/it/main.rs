//! Integration tests: the service as its callers see it, through a real port.
//!
//! `api` mirrors `src/api`; `contract` holds `openapi.yaml` and the Postman collection to the routes.

mod api;
mod architecture;
mod contract;
mod process;
mod support;
