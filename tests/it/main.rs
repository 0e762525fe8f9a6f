//! Integration tests: the program as its callers see it.

mod cli;
