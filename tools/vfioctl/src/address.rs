// SPDX-License-Identifier: GPL-2.0-only

//! The name of a device, as the command line and sysfs have it.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A device's name on its bus.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(into = "String", from = "String")]
pub enum Address {
    /// Domain, bus, device, function.
    Pci(u32, u8, u8, u8),
    /// A mediated device, by its UUID.
    Mediated(String),
    /// A device of another bus, which only sysfs names.
    Other(String),
}

/// A word that is no address.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("neither a PCI address (00:03.0 or 0000:00:03.0) nor a UUID")]
pub struct NotAnAddress;

fn hex(text: &str, digits: std::ops::RangeInclusive<usize>, max: u32) -> Option<u32> {
    let well_formed = digits.contains(&text.len()) && text.bytes().all(|b| b.is_ascii_hexdigit());
    u32::from_str_radix(text, 16)
        .ok()
        .filter(|&n| well_formed && n <= max)
}

fn pci(text: &str) -> Option<Address> {
    let (rest, function) = text.rsplit_once('.')?;
    let (rest, device) = rest.rsplit_once(':')?;
    let (domain, bus) = rest.rsplit_once(':').unwrap_or(("0000", rest));
    Some(Address::Pci(
        hex(domain, 4..=8, u32::MAX)?,
        hex(bus, 2..=2, 0xff)?.try_into().ok()?,
        hex(device, 2..=2, 0x1f)?.try_into().ok()?,
        hex(function, 1..=1, 7)?.try_into().ok()?,
    ))
}

fn uuid(text: &str) -> Option<Address> {
    let parts: Vec<&str> = text.split('-').collect();
    let lengths: Vec<usize> = parts.iter().map(|p| p.len()).collect();
    let digits = text.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit());
    // The kernel writes them in small letters.
    (lengths == [8, 4, 4, 4, 12] && digits).then(|| Address::Mediated(text.to_ascii_lowercase()))
}

impl FromStr for Address {
    type Err = NotAnAddress;

    fn from_str(text: &str) -> Result<Self, NotAnAddress> {
        pci(text).or_else(|| uuid(text)).ok_or(NotAnAddress)
    }
}

impl From<String> for Address {
    /// The name of a device in sysfs.
    fn from(name: String) -> Self {
        name.parse().unwrap_or(Self::Other(name))
    }
}

impl From<Address> for String {
    fn from(address: Address) -> Self {
        address.to_string()
    }
}

impl Address {
    /// Where sysfs has a link to the device, if the name says on which bus it is.
    pub fn link(&self) -> Option<String> {
        match self {
            Self::Pci(..) => Some(format!("/sys/bus/pci/devices/{self}")),
            Self::Mediated(_) => Some(format!("/sys/bus/mdev/devices/{self}")),
            Self::Other(_) => None,
        }
    }

    /// Is it a PCI device?
    pub fn is_pci(&self) -> bool {
        matches!(self, Self::Pci(..))
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Pci(domain, bus, device, function) => {
                write!(f, "{domain:04x}:{bus:02x}:{device:02x}.{function:x}")
            }
            Self::Mediated(name) | Self::Other(name) => f.write_str(name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn short_and_long() {
        let address = Address::Pci(0, 0, 3, 0);
        assert_eq!("00:03.0".parse(), Ok(address.clone()));
        assert_eq!("0000:00:03.0".parse(), Ok(address.clone()));
        assert_eq!(address.to_string(), "0000:00:03.0");
        assert_eq!("FF:1f.7".parse(), Ok(Address::Pci(0, 255, 31, 7)));
        // Behind a VMD the domains have five digits.
        assert_eq!(
            "10000:e1:00.0".parse::<Address>().map(|a| a.to_string()),
            Ok("10000:e1:00.0".into())
        );
    }

    #[test]
    fn mediated() {
        let name = "83b8f4f2-509f-382f-3c1e-e6bfe0fa1001";
        assert_eq!(
            name.to_uppercase().parse(),
            Ok(Address::Mediated(name.into()))
        );
    }

    #[test]
    fn malformed() {
        for word in [
            "",
            ".",
            ":",
            "00:03",
            "00:03.8",
            "00:20.0",
            "0:03.0",
            "00:3.0",
            "000:00:03.0",
            "00:03.0 ",
            "00:+3.0",
            "123456789:00:00.0",
            "00:03.00",
            "é:03.0",
            "../..",
            "83b8f4f2-509f-382f-3c1e-e6bfe0fa100",
            "83b8f4f2509f-382f-3c1e-e6bfe0fa1001-",
            "nvme0",
            "0000:00:03.0:1",
        ] {
            assert_eq!(word.parse::<Address>(), Err(NotAnAddress), "{word}");
        }
    }

    #[test]
    fn names_of_sysfs() {
        assert_eq!(
            Address::from("PNP0103:00".to_owned()),
            Address::Other("PNP0103:00".into())
        );
    }
}
