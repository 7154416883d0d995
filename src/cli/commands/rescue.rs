//! stub
use super::super::args::{self, Global};
use super::super::exit::Exit;
use super::super::failure::Failure;
use crate::config::Settings;
pub(in crate::cli) async fn rescue(
    _args: &args::Rescue,
    _global: &Global,
    _settings: &Settings,
) -> Result<Exit, Failure> {
    Ok(Exit::Done)
}
