//! Devices that hold tensors.

use clap::ValueEnum;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Device;

/// Name of a device.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, ValueEnum, ToSchema)]
#[serde(rename_all = "lowercase")]
#[value(rename_all = "lower")]
pub enum DeviceName {
    /// CPU.
    #[default]
    Cpu,
    /// First CUDA device.
    Cuda,
}

impl DeviceName {
    /// Opens the device.
    ///
    /// # Errors
    /// One line: the program was built without support for it, or the machine has none.
    pub fn open(self) -> Result<Device, String> {
        match self {
            DeviceName::Cpu => Ok(Device::Cpu),
            DeviceName::Cuda => cuda(),
        }
    }
}

#[cfg(feature = "cuda")]
fn cuda() -> Result<Device, String> {
    let first_line = |e: super::Error| e.to_string().lines().next().unwrap_or_default().to_owned();
    Device::new_cuda(0).map_err(|e| format!("no CUDA device can be used: {}; use cpu", first_line(e)))
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Result<Device, String> {
    Err("this program was built without the cargo feature `cuda`; build it with --features cuda, or use cpu"
        .into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_processor_is_always_there() {
        assert!(DeviceName::Cpu.open().unwrap().is_cpu());
    }

    #[cfg(not(feature = "cuda"))]
    #[test]
    fn a_device_that_was_not_built_in_is_refused_by_the_name_of_its_feature() {
        assert!(DeviceName::Cuda.open().unwrap_err().contains("cargo feature `cuda`"));
    }
}
