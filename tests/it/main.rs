//! Integration tests: the service as its callers see it, through a real port.
//!
//! `api` mirrors `src/api`; `cli` runs the commands as processes of their own; `contract` holds
//! `openapi.yaml` and the Postman collection to the routes; `process` starts and stops the service as a
//! process; `architecture` holds the source to its floors.

mod api;
mod architecture;
mod cli;
mod contract;
mod process;
mod support;
