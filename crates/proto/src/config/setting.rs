//! Value types of the configuration: time spans, sizes, counts and limits.

use std::{fmt, marker::PhantomData, num::NonZeroUsize, time::Duration};

use bytesize::ByteSize;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{DeserializeOwned, Error, IntoDeserializer as _, Visitor},
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
pub struct Limit<T>(Option<T>);

impl<T: Serialize> Serialize for Limit<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match &self.0 {
            None => serializer.serialize_str("off"),
            Some(value) => value.serialize(serializer),
        }
    }
}

/// A value that TOML writes as a string, an integer, or either.
trait Setting: Sized {
    const EXPECTED: &'static str;

    /// [`Self::EXPECTED`] for a [`Limit`] of this.
    const EXPECTED_OR_OFF: &'static str;

    fn from_text(_: &str) -> Result<Self, &'static str> {
        Err(Self::EXPECTED)
    }

    fn from_number(_: u64) -> Result<Self, &'static str> {
        Err(Self::EXPECTED)
    }
}

impl Setting for TimeSpan {
    const EXPECTED: &'static str = "write a time span such as \"10s\" or \"1m 30s\"";
    const EXPECTED_OR_OFF: &'static str =
        "write a time span such as \"10s\" or \"1m 30s\", or \"off\"";

    fn from_text(text: &str) -> Result<Self, &'static str> {
        text.parse()
    }
}

impl Setting for Size {
    const EXPECTED: &'static str = "write a size such as \"64KiB\" or \"1MiB\"";
    const EXPECTED_OR_OFF: &'static str = "write a size such as \"64KiB\" or \"1MiB\", or \"off\"";

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
    const EXPECTED_OR_OFF: &'static str = "write a whole number above zero, or \"off\"";

    fn from_number(number: u64) -> Result<Self, &'static str> {
        let count = usize::try_from(number).ok().and_then(NonZeroUsize::new);
        count.map(Self).ok_or(Self::EXPECTED)
    }
}

impl<T: Setting> Setting for Limit<T> {
    const EXPECTED: &'static str = T::EXPECTED_OR_OFF;
    const EXPECTED_OR_OFF: &'static str = T::EXPECTED_OR_OFF;

    fn from_text(text: &str) -> Result<Self, &'static str> {
        if text == "off" {
            Ok(Self(None))
        } else {
            limit(T::from_text(text))
        }
    }

    fn from_number(number: u64) -> Result<Self, &'static str> {
        limit(T::from_number(number))
    }
}

fn limit<T: Setting>(value: Result<T, &'static str>) -> Result<Limit<T>, &'static str> {
    match value {
        Ok(value) => Ok(Limit(Some(value))),
        Err(problem) if problem == T::EXPECTED => Err(T::EXPECTED_OR_OFF),
        Err(problem) => Err(problem),
    }
}

struct SettingVisitor<T>(PhantomData<T>);

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

/// Implements reading a setting, with and without `"off"`, and the conversions that [`As`] needs.
macro_rules! settings {
    ($($setting:ident($value:ty)),*) => {$(
        impl<'de> Deserialize<'de> for $setting {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(SettingVisitor(PhantomData))
            }
        }

        impl<'de> Deserialize<'de> for Limit<$setting> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_any(SettingVisitor(PhantomData))
            }
        }

        impl From<$value> for $setting {
            fn from(value: $value) -> Self {
                Self(value)
            }
        }

        impl From<$setting> for $value {
            fn from(setting: $setting) -> Self {
                setting.0
            }
        }

        impl From<Option<$value>> for Limit<$setting> {
            fn from(value: Option<$value>) -> Self {
                Self(value.map($setting))
            }
        }

        impl From<Limit<$setting>> for Option<$value> {
            fn from(limit: Limit<$setting>) -> Self {
                limit.0.map(|setting| setting.0)
            }
        }
    )*};
}

settings!(TimeSpan(Duration), Size(NonZeroUsize), Count(NonZeroUsize));

/// The `with` of a serde field that is written as a setting: `#[serde(with = "As::<TimeSpan>")]` for a
/// [`Duration`], `As::<Limit<TimeSpan>>` for an `Option<Duration>`.
#[derive(Debug)]
pub struct As<T>(PhantomData<T>);

impl<T> As<T> {
    /// Writes a value as the setting.
    pub fn serialize<V, S>(value: &V, serializer: S) -> Result<S::Ok, S::Error>
    where
        V: Copy + Into<T>,
        T: Serialize,
        S: Serializer,
    {
        (*value).into().serialize(serializer)
    }

    /// Reads the setting, and returns its value.
    pub fn deserialize<'de, V, D>(deserializer: D) -> Result<V, D::Error>
    where
        T: Deserialize<'de> + Into<V>,
        D: Deserializer<'de>,
    {
        T::deserialize(deserializer).map(Into::into)
    }
}

/// Reads a value of an enum, which is written as a string. Without this, TOML takes a table with the
/// string as its key as well. The error lists the known values, also for a value of another type.
pub fn word<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: DeserializeOwned,
{
    let text = String::deserialize(deserializer).unwrap_or_default();
    T::deserialize(text.into_deserializer())
}
