//! Value types of the configuration: time spans, sizes, counts and limits.

use std::{fmt, num::NonZeroUsize, time::Duration};

use bytesize::ByteSize;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{Error, Visitor},
};

/// A time span such as `"10s"`, `"1m 30s"` or `"250ms"`. It is never zero, and at most a year, so
/// that adding it to a point in time cannot overflow.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeSpan(pub Duration);

impl TimeSpan {
    const MAX: Duration = Duration::from_hours(365 * 24);
}

impl Serialize for TimeSpan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_duration(self.0))
    }
}

impl std::str::FromStr for TimeSpan {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match humantime::parse_duration(text) {
            Ok(Duration::ZERO) => Err("a time span is never zero"),
            Ok(span) if span > Self::MAX => Err("write at most one year"),
            Ok(span) => Ok(Self(span)),
            Err(_) => Err(Self::EXPECTED),
        }
    }
}

/// A number of bytes such as `"64KiB"`, `"1MB"` or `4096`. It is never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Size(pub NonZeroUsize);

impl Serialize for Size {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let bytes = self.0.get();
        let units = [(1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        let unit = units
            .into_iter()
            .find(|(unit, _)| bytes.is_multiple_of(*unit));
        match (unit, i64::try_from(bytes)) {
            (Some((unit, name)), _) => {
                serializer.collect_str(&format_args!("{}{name}", bytes / unit))
            }
            (None, Ok(bytes)) => serializer.serialize_i64(bytes),
            // TOML integers are 64-bit signed.
            (None, Err(_)) => serializer.collect_str(&bytes),
        }
    }
}

impl std::str::FromStr for Size {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let size: ByteSize = text.parse().map_err(|_| Self::EXPECTED)?;
        usize::try_from(size.as_u64())
            .ok()
            .and_then(NonZeroUsize::new)
            .map(Self)
            .ok_or("a size is never zero")
    }
}

/// A count. It is never zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Count(pub NonZeroUsize);

/// A limit that `"off"` disables.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Limit<T> {
    /// No limit.
    Off,
    /// This limit.
    At(T),
}

impl<T> Limit<T> {
    /// Returns the limit, if any.
    pub fn value(self) -> Option<T> {
        match self {
            Self::Off => None,
            Self::At(value) => Some(value),
        }
    }
}

impl<T> From<Option<T>> for Limit<T> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Off, Self::At)
    }
}

impl<T: Serialize> Serialize for Limit<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Off => serializer.serialize_str("off"),
            Self::At(value) => value.serialize(serializer),
        }
    }
}

/// A value that TOML writes as a string, an integer, or either.
trait Setting: Sized {
    const EXPECTED: &'static str;

    fn from_text(text: &str) -> Result<Self, &'static str>;

    fn from_number(number: u64) -> Result<Self, &'static str>;
}

impl Setting for TimeSpan {
    const EXPECTED: &'static str = "write a time span such as \"10s\" or \"1m 30s\"";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        text.parse()
    }

    fn from_number(_: u64) -> Result<Self, &'static str> {
        Err(Self::EXPECTED)
    }
}

impl Setting for Size {
    const EXPECTED: &'static str = "write a size such as \"64KiB\" or \"1MiB\"";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        text.parse()
    }

    fn from_number(number: u64) -> Result<Self, &'static str> {
        let size = usize::try_from(number).ok().and_then(NonZeroUsize::new);
        size.map(Self).ok_or("a size is never zero")
    }
}

impl Setting for Count {
    const EXPECTED: &'static str = "write a whole number above zero";

    fn from_text(_: &str) -> Result<Self, &'static str> {
        Err(Self::EXPECTED)
    }

    fn from_number(number: u64) -> Result<Self, &'static str> {
        let count = usize::try_from(number).ok().and_then(NonZeroUsize::new);
        count.map(Self).ok_or(Self::EXPECTED)
    }
}

impl<T: Setting> Setting for Limit<T> {
    const EXPECTED: &'static str = T::EXPECTED;

    fn from_text(text: &str) -> Result<Self, &'static str> {
        if text == "off" {
            Ok(Self::Off)
        } else {
            T::from_text(text).map(Self::At)
        }
    }

    fn from_number(number: u64) -> Result<Self, &'static str> {
        T::from_number(number).map(Self::At)
    }
}

struct SettingVisitor<T>(std::marker::PhantomData<T>);

impl<T: Setting> Visitor<'_> for SettingVisitor<T> {
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(T::EXPECTED)
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<T, E> {
        T::from_text(text).map_err(E::custom)
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<T, E> {
        T::from_number(number).map_err(E::custom)
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<T, E> {
        let number = u64::try_from(number).map_err(|_| E::custom(T::EXPECTED))?;
        self.visit_u64(number)
    }
}

macro_rules! deserialize_setting {
    ($($setting:ty),*) => {$(
        impl<'de> Deserialize<'de> for $setting {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(SettingVisitor(std::marker::PhantomData))
            }
        }
    )*};
}

deserialize_setting!(
    TimeSpan,
    Size,
    Count,
    Limit<TimeSpan>,
    Limit<Size>,
    Limit<Count>
);
