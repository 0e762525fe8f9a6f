//! Integration tests: the service as its callers see it, through a real port.
//!
//! `process` starts and stops it from outside; `api` mirrors `src/api`; `cli` runs the commands as
//! processes of their own; `contract` holds `openapi.yaml` and the Postman collection to the routes.

mod api;
mod architecture;
mod cli;
mod contract;
mod process;
mod support;
