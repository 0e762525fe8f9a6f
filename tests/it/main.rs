//! Integration tests: the service as its callers see it, through a real port.
//!
//! `api` mirrors `src/api`; `cli` runs the commands as processes of their own; `contract` holds
//! `openapi.yaml` and the Postman collection to the routes; `process` starts and stops the service as a
//! process; `disk` keeps its files from growing; `backup` moves its data; `kills` and `swaps` end its processes and change its
//! models at every moment; `workers` has it train elsewhere; `outages` takes its database away; `media` sends files of every kind through service and command;
//! `traces` is sent its spans, with the feature `otel`; `v2` speaks the Open Inference Protocol; `fuzz` sends mutated files to each reader; `docs` compares reference pages with the program; `handbook` runs the commands of the documentation; `dashboards` checks the names of metrics; `architecture` holds the
//! source to its layers.

mod api;
mod architecture;
mod backup;
mod cli;
mod contract;
mod dashboards;
mod disk;
mod docs;
mod fuzz;
mod handbook;
mod kills;
mod media;
mod outages;
mod process;
mod ranges;
mod support;
mod swaps;
#[cfg(feature = "otel")]
mod traces;
mod v2;
mod workers;
