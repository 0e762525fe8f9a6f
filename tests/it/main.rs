//! Integration tests: the service as its callers see it, through a real port.
//!
//! `api` mirrors `src/api`; `cli` runs the commands as processes of their own; `contract` holds
//! `openapi.yaml` and the Postman collection to the routes; `process` starts and stops the service as a
//! process; `kills` and `swaps` end its processes and change its models at every moment; `workers`
//! has it train elsewhere; `media` sends files of every kind through service and command; `traces` is sent its spans, with the feature `otel`; `architecture` holds the source to its floors.

mod api;
mod architecture;
mod cli;
mod contract;
mod docs;
mod kills;
mod media;
mod process;
mod ranges;
mod support;
mod swaps;
#[cfg(feature = "otel")]
mod traces;
mod workers;
