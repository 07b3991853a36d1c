//! Field types that read what they know and take anything else for absent.

use super::{Content, Thinking};
use serde::de::value::{MapAccessDeserializer, SeqAccessDeserializer};
use serde::de::{Deserialize, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::marker::PhantomData;

/// A string, or absent.
#[derive(Debug, Default, Clone)]
pub(in super::super) struct Text<'a>(pub Option<Cow<'a, str>>);

impl Text<'_> {
    /// The text; empty where absent.
    pub fn get(&self) -> &str {
        self.0.as_deref().unwrap_or_default()
    }

    /// The text where it is not empty.
    pub fn filled(&self) -> Option<&str> {
        self.0.as_deref().filter(|t| !t.is_empty())
    }
}

/// A whole number that is not negative, or absent. Floats without fraction count.
#[derive(Debug, Default, Clone, Copy)]
pub(in super::super) struct Integer(pub Option<u64>);

/// An object that reads as `T`, or absent.
#[derive(Debug, Clone)]
pub(in super::super) struct Maybe<T>(pub Option<T>);

impl<T> Default for Maybe<T> {
    fn default() -> Self {
        Self(None)
    }
}

/// A list; items that are not objects are passed over.
#[derive(Debug, Clone)]
pub(in super::super) struct List<T>(pub Vec<T>);

impl<T> Default for List<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

/// Any value as text; `null` is absent.
#[derive(Debug, Default, Clone, Copy)]
pub(in super::super) struct Raw<'a>(pub Option<&'a RawValue>);

/// What a lenient visitor makes of each type; the default for all is absence.
macro_rules! absent_for {
    ($($method:ident: $type:ty),*) => {$(
        fn $method<E: Error>(self, _: $type) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    )*};
}

macro_rules! absent_scalars {
    () => {
        absent_for!(visit_bool: bool);
        fn visit_unit<E: Error>(self) -> Result<Self::Value, E> {
            Ok(Self::Value::default())
        }
    };
}

macro_rules! absent_numbers {
    () => {
        absent_for!(visit_u64: u64, visit_i64: i64, visit_f64: f64);
    };
}

macro_rules! absent_strings {
    () => {
        absent_for!(visit_str: &str);
    };
}

macro_rules! absent_map {
    () => {
        fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
            while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

macro_rules! absent_seq {
    () => {
        fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            Ok(Self::Value::default())
        }
    };
}

macro_rules! expecting {
    ($text:literal) => {
        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str($text)
        }
    };
}

impl<'de: 'a, 'a> Deserialize<'de> for Text<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V<'a>(PhantomData<&'a ()>);
        impl<'de: 'a, 'a> Visitor<'de> for V<'a> {
            type Value = Text<'a>;
            expecting!("a string");
            fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<Text<'a>, E> {
                Ok(Text(Some(Cow::Borrowed(v))))
            }
            fn visit_str<E: Error>(self, v: &str) -> Result<Text<'a>, E> {
                Ok(Text(Some(Cow::Owned(v.to_owned()))))
            }
            absent_scalars!();
            absent_numbers!();
            absent_map!();
            absent_seq!();
        }
        deserializer.deserialize_any(V(PhantomData))
    }
}

impl<'de> Deserialize<'de> for Integer {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V;
        impl<'de> Visitor<'de> for V {
            type Value = Integer;
            expecting!("a whole number");
            fn visit_u64<E: Error>(self, v: u64) -> Result<Integer, E> {
                Ok(Integer(Some(v)))
            }
            fn visit_f64<E: Error>(self, v: f64) -> Result<Integer, E> {
                // 2^53: up to here a float is exact.
                const EXACT: f64 = 9_007_199_254_740_992.0;
                let whole = v.fract() == 0.0 && (0.0..=EXACT).contains(&v);
                #[expect(
                    clippy::cast_possible_truncation,
                    clippy::cast_sign_loss,
                    reason = "checked to be whole and in range"
                )]
                Ok(Integer(whole.then_some(v as u64)))
            }
            absent_for!(visit_i64: i64);
            absent_scalars!();
            absent_strings!();
            absent_map!();
            absent_seq!();
        }
        deserializer.deserialize_any(V)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Maybe<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for V<T> {
            type Value = Maybe<T>;
            expecting!("an object");
            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Maybe<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(|v| Maybe(Some(v)))
            }
            absent_scalars!();
            absent_numbers!();
            absent_strings!();
            absent_seq!();
        }
        deserializer.deserialize_any(V(PhantomData))
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct V<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for V<T> {
            type Value = List<T>;
            expecting!("a list");
            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
                let mut items = Vec::new();
                while let Some(Maybe(item)) = seq.next_element::<Maybe<T>>()? {
                    if let Some(item) = item {
                        // One is what there is, nearly always.
                        if items.is_empty() {
                            items.reserve_exact(1);
                        }
                        items.push(item);
                    }
                }
                Ok(List(items))
            }
            absent_scalars!();
            absent_numbers!();
            absent_strings!();
            absent_map!();
        }
        deserializer.deserialize_any(V(PhantomData))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Raw<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = <&'de RawValue>::deserialize(deserializer)?;
        Ok(Raw(Some(raw).filter(|r| r.get() != "null")))
    }
}

/// A string or a list of `$part`, as the enum `$name` has it.
macro_rules! text_or_parts {
    ($name:ident) => {
        impl<'de: 'a, 'a> Deserialize<'de> for $name<'a> {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                struct V<'a>(PhantomData<&'a ()>);
                impl<'de: 'a, 'a> Visitor<'de> for V<'a> {
                    type Value = $name<'a>;
                    expecting!("a string or a list of parts");
                    fn visit_borrowed_str<E: Error>(self, v: &'de str) -> Result<$name<'a>, E> {
                        Ok($name::Text(Cow::Borrowed(v)))
                    }
                    fn visit_str<E: Error>(self, v: &str) -> Result<$name<'a>, E> {
                        Ok($name::Text(Cow::Owned(v.to_owned())))
                    }
                    fn visit_seq<A: SeqAccess<'de>>(self, seq: A) -> Result<$name<'a>, A::Error> {
                        List::deserialize(SeqAccessDeserializer::new(seq)).map($name::Parts)
                    }
                    absent_scalars!();
                    absent_numbers!();
                    absent_map!();
                }
                deserializer.deserialize_any(V(PhantomData))
            }
        }
    };
}

text_or_parts!(Content);
text_or_parts!(Thinking);
