//! A raw value of a text that was read already.
//!
//! The parser makes one of a text by reading it, which was most of what an exchange across dialects took: each level of a body was read
//! once for itself, and once for every level around it. What [`crate::skim`] has passed is JSON, and is handed over as it is.

use serde::Deserialize as _;
use serde::de::value::{BorrowedStrDeserializer, Error, StrDeserializer};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::value::RawValue;

/// A text as the raw value that it is: one JSON value without white space around it. `None` should the parser's type want to be made in
/// another way than it asks for today.
pub(crate) fn raw(text: &str) -> Option<&RawValue> {
    <&RawValue>::deserialize(Written(text)).ok()
}

/// Answers the type, which asks for a structure of a name of its own, with a map of one entry: that name, and the text.
struct Written<'t>(&'t str);

impl<'de> Deserializer<'de> for Written<'de> {
    type Error = Error;

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Error> {
        let Self(text) = self;
        visitor.visit_map(Entry {
            name: Some(name),
            text,
        })
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_borrowed_str(self.0)
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct seq tuple tuple_struct
        map struct enum identifier ignored_any
    }
}

struct Entry<'t> {
    /// Until it is asked for.
    name: Option<&'static str>,
    text: &'t str,
}

impl<'t> MapAccess<'t> for Entry<'t> {
    type Error = Error;

    fn next_key_seed<K: DeserializeSeed<'t>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Error> {
        let name = self.name.take().map(StrDeserializer::new);
        name.map(|name| seed.deserialize(name)).transpose()
    }

    fn next_value_seed<V: DeserializeSeed<'t>>(&mut self, seed: V) -> Result<V::Value, Error> {
        seed.deserialize(BorrowedStrDeserializer::new(self.text))
    }
}
