//! Which of two snapshots is the later one, where the controller numbers them.

use std::fmt;
use std::str::FromStr;

/// The number of a snapshot: `17`, or `2.17` with an epoch in front. A controller that was restored from a backup, and counts
/// from an earlier number again, raises the epoch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Version {
    epoch: u64,
    number: u64,
}

/// It is none: not one or two numbers with a point between them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no version of a snapshot: it is `17`, or `2.17`")]
pub struct NoVersion;

impl FromStr for Version {
    type Err = NoVersion;

    fn from_str(text: &str) -> Result<Self, NoVersion> {
        let number = |text: &str| {
            let digits = text.bytes().all(|byte| byte.is_ascii_digit());
            text.parse().ok().filter(|_| digits).ok_or(NoVersion)
        };
        let (epoch, rest) = text.split_once('.').unwrap_or(("0", text));
        Ok(Self {
            epoch: number(epoch)?,
            number: number(rest)?,
        })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.epoch {
            0 => write!(f, "{}", self.number),
            epoch => write!(f, "{epoch}.{}", self.number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_epoch_counts_before_the_number() {
        let version = |text: &str| text.parse::<Version>();
        assert!(version("2.1").unwrap() > version("1.9").unwrap());
        assert!(version("9").unwrap() > version("8").unwrap());
        assert!(version("1.0").unwrap() > version("9").unwrap());
        for text in [
            "",
            "x",
            "1.",
            ".1",
            "1.2.3",
            "-1",
            "+1",
            "1e3",
            "18446744073709551616",
        ] {
            assert_eq!(version(text), Err(NoVersion), "{text}");
        }
        for text in ["0", "17", "2.17"] {
            assert_eq!(version(text).unwrap().to_string(), text);
        }
    }
}
