//! What targets take of JSON Schema, as data.

/// What a target takes.
#[derive(Debug)]
pub struct Profile {
    /// Forms it takes.
    pub takes: &'static [Form],
    /// Keywords it takes; `None` for all.
    pub keywords: Option<&'static [&'static str]>,
    /// It holds an answer to the schema, and takes objects only that say to have no other fields.
    pub closed: bool,
}

/// A form that some targets take and others refuse.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// `$ref` to `#/$defs/…`, alone in its schema.
    References,
    /// `oneOf`.
    OneOf,
    /// `allOf`.
    AllOf,
    /// `const`.
    Constants,
    /// A list of types.
    TypeLists,
    /// `type` and its keywords beside `anyOf`.
    TypeBesideUnion,
    /// `prefixItems`.
    Tuples,
    /// `anyOf`, `oneOf`, `allOf`, `enum` or `not` at the root.
    RootUnions,
    /// A schema that names no type though its keywords tell it.
    Untyped,
}

use Form::{
    AllOf, Constants, OneOf, References, RootUnions, Tuples, TypeBesideUnion, TypeLists, Untyped,
};

const ALL_BUT_ROOT: &[Form] = &[
    References,
    OneOf,
    AllOf,
    Constants,
    TypeLists,
    TypeBesideUnion,
    Tuples,
    Untyped,
];

impl Profile {
    /// Draft 2020-12 without alternatives at the root: "input_schema does not support oneOf, allOf, or anyOf at the top
    /// level", github.com/anomalyco/opencode issue 38616, 2026.
    pub const ANTHROPIC: Self = Self {
        takes: ALL_BUT_ROOT,
        keywords: None,
        closed: false,
    };

    /// Schemas that calls and answers are held to: "JSON Schema limitations" of "Structured outputs", docs.claude.com, 2026-11. Nothing
    /// that holds itself, no bounds of numbers, texts and lists, every object closed; else 400.
    pub const ANTHROPIC_STRICT: Self = Self {
        takes: &[Constants, TypeLists, TypeBesideUnion, Untyped],
        keywords: Some(&[
            "type",
            "format",
            "title",
            "description",
            "default",
            "enum",
            "const",
            "items",
            "minItems",
            "pattern",
            "anyOf",
            "properties",
            "additionalProperties",
            "required",
        ]),
        closed: true,
    };

    /// The same for answers: any root.
    pub const ANTHROPIC_ANSWER: Self = Self {
        takes: &[Constants, TypeLists, TypeBesideUnion, RootUnions, Untyped],
        ..Self::ANTHROPIC_STRICT
    };

    /// "schema must have type 'object' and not have 'oneOf'/'anyOf'/'allOf'/'enum'/'not' at the top level": the service's
    /// own message for functions, strict or not.
    pub const OPENAI: Self = Self {
        takes: ALL_BUT_ROOT,
        keywords: None,
        closed: false,
    };

    /// Schemas of answers on those two wires: any root.
    pub const FULL: Self = Self {
        takes: &[
            References,
            OneOf,
            AllOf,
            Constants,
            TypeLists,
            TypeBesideUnion,
            Tuples,
            RootUnions,
            Untyped,
        ],
        keywords: None,
        closed: false,
    };

    /// The keywords of `responseJsonSchema` in Google's reference of GenerationConfig (v1beta, 2026-08), which
    /// `parametersJsonSchema` shares. References are written out: of those that hold themselves it takes few.
    pub const GEMINI: Self = Self {
        takes: &[TypeLists, TypeBesideUnion, Tuples, Untyped],
        keywords: Some(&[
            "type",
            "format",
            "title",
            "description",
            "enum",
            "items",
            "prefixItems",
            "minItems",
            "maxItems",
            "minimum",
            "maximum",
            "anyOf",
            "properties",
            "additionalProperties",
            "required",
            "propertyOrdering",
        ]),
        closed: false,
    };

    /// The same for answers: any root.
    pub const GEMINI_ANSWER: Self = Self {
        takes: &[TypeLists, TypeBesideUnion, Tuples, RootUnions, Untyped],
        ..Self::GEMINI
    };

    /// The "moonshot flavored json schema" that its validator names in errors: no type beside `anyOf`, references to
    /// `#/$defs/` only, a type with every list of values (github.com/MoonshotAI/kimi-cli issue 1595,
    /// github.com/HaseebKhalid1507/SynapsCLI pull 66, 2026).
    pub const MOONSHOT: Self = Self {
        takes: &[References],
        keywords: Some(&[
            "$defs",
            "$ref",
            "type",
            "format",
            "title",
            "description",
            "default",
            "enum",
            "items",
            "minItems",
            "maxItems",
            "minLength",
            "maxLength",
            "pattern",
            "minimum",
            "maximum",
            "anyOf",
            "properties",
            "additionalProperties",
            "required",
        ]),
        closed: false,
    };

    /// The same for answers: any root.
    pub const MOONSHOT_ANSWER: Self = Self {
        takes: &[References, RootUnions],
        ..Self::MOONSHOT
    };

    /// "Structured outputs", docs.cohere.com, 2026-11: no `allOf`, `oneOf`, `not`, ranges, lengths or patterns.
    pub const COHERE: Self = Self {
        takes: &[References, Untyped],
        keywords: Some(&[
            "$defs",
            "$ref",
            "type",
            "format",
            "title",
            "description",
            "default",
            "enum",
            "items",
            "anyOf",
            "properties",
            "required",
        ]),
        closed: false,
    };

    pub(super) fn takes(&self, form: Form) -> bool {
        self.takes.contains(&form)
    }

    pub(super) fn knows(&self, keyword: &str) -> bool {
        self.keywords.is_none_or(|known| known.contains(&keyword))
    }
}

/// Keywords that only tell about a schema, and let nothing more or less through.
pub(super) const NOTES: &[&str] = &[
    "$schema",
    "$id",
    "$comment",
    "$anchor",
    "$vocabulary",
    "id",
    "title",
    "description",
    "default",
    "example",
    "examples",
    "deprecated",
    "readOnly",
    "writeOnly",
    "contentMediaType",
    "contentEncoding",
];

/// Those of them that no model reads.
pub(super) const SILENT: &[&str] = &[
    "$schema",
    "$id",
    "$comment",
    "$anchor",
    "$vocabulary",
    "id",
    "$defs",
    "definitions",
];
