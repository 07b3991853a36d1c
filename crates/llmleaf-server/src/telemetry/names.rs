//! What every number is called, and what it means: the one place that says so.
//!
//! Own names begin with `llmleaf_`. Those of `gen_ai_` are OpenTelemetry's for clients of models, as Prometheus writes them (its document
//! `gen-ai-metrics`, repository `semantic-conventions-genai`, read 2026-11), with the ranges that it asks for. `process_` is what every program has.

use llmleaf_exchange::CHUNK_BOUNDS_MS;
use llmleaf_metrics::{Family, Kind, Scale};

const fn family(
    name: &'static str,
    kind: Kind,
    unit: Option<&'static str>,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    Family {
        name,
        kind,
        unit,
        help,
        labels,
    }
}

const fn counter(
    name: &'static str,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    family(name, Kind::Counter, None, labels, help)
}

const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Family {
    family(name, Kind::Gauge, None, labels, help)
}

const fn seconds(
    name: &'static str,
    scale: &'static Scale,
    labels: &'static [&'static str],
    help: &'static str,
) -> Family {
    family(name, Kind::Histogram(scale), Some("seconds"), labels, help)
}

/// Milliseconds, in the ranges that OpenTelemetry asks for.
pub static MILLIS: Scale = Scale {
    bounds: &CHUNK_BOUNDS_MS,
    per_unit: 1000,
};

/// The same, and longer: an exchange may take minutes, all its attempts together.
pub static LONG_MILLIS: Scale = Scale {
    bounds: &[
        10, 20, 40, 80, 160, 320, 640, 1280, 2560, 5120, 10_240, 20_480, 40_960, 81_920, 163_840,
        327_680, 655_360,
    ],
    per_unit: 1000,
};

/// Microseconds: what this program adds of its own.
pub static MICROS: Scale = Scale {
    bounds: &[
        50, 100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 102_400, 1_000_000,
    ],
    per_unit: 1_000_000,
};

/// Tokens, in the ranges that OpenTelemetry asks for.
pub static TOKENS: Scale = Scale {
    bounds: &[
        1, 4, 16, 64, 256, 1024, 4096, 16_384, 65_536, 262_144, 1_048_576, 4_194_304, 16_777_216,
        67_108_864,
    ],
    per_unit: 1,
};

pub static REQUESTS: Family = counter(
    "llmleaf_requests",
    &["dialect", "operation", "route", "end"],
    "Accepted requests that have ended, by how.",
);
pub static REQUEST_FAILURES: Family = counter(
    "llmleaf_request_failures",
    &["operation", "failure"],
    "Accepted requests whose consumer was told of a failure, by its code.",
);
pub static IN_FLIGHT: Family = gauge(
    "llmleaf_requests_in_flight",
    &["stream"],
    "Accepted requests that run, by whether a stream was asked for.",
);
pub static DURATION: Family = seconds(
    "llmleaf_request_duration_seconds",
    &LONG_MILLIS,
    &["operation", "route"],
    "From the acceptance of a request to its end, all attempts and pauses together.",
);
pub static FIRST_CONTENT: Family = seconds(
    "llmleaf_time_to_first_content_seconds",
    &LONG_MILLIS,
    &["operation", "route"],
    "From the acceptance of a request to its first content.",
);
pub static QUEUE: Family = seconds(
    "llmleaf_queue_seconds",
    &LONG_MILLIS,
    &["operation", "route"],
    "How long requests waited for a limit, or for a target to be well again, of those that waited.",
);
pub static OVERHEAD: Family = seconds(
    "llmleaf_overhead_seconds",
    &MICROS,
    &["operation"],
    "Time in which this program worked on a request and waited for nobody: its own share.",
);
pub static FALLBACKS: Family = counter(
    "llmleaf_fallbacks",
    &["operation", "route"],
    "Attempts of no avail after which another was made.",
);
pub static LOSSES: Family = counter(
    "llmleaf_requests_with_losses",
    &["operation", "route"],
    "Requests of which the target that answered could not be told all.",
);
pub static ATTEMPTS: Family = counter(
    "llmleaf_attempts",
    &["provider", "model", "operation", "outcome"],
    "Attempts at targets, by their outcome.",
);
pub static ATTEMPT_ERRORS: Family = counter(
    "llmleaf_attempt_errors",
    &["provider", "model", "operation", "error"],
    "Attempts that did not bring the whole answer, by why.",
);
pub static CONNECT: Family = seconds(
    "llmleaf_connect_seconds",
    &MILLIS,
    &["provider"],
    "How long new connections to providers took, TLS included.",
);
pub static CONNECTIONS_MADE: Family = counter(
    "llmleaf_attempts_by_connection",
    &["provider", "connection"],
    "Attempts over a new connection, and over one that was kept.",
);
pub static USED: Family = counter(
    "llmleaf_tokens",
    &["provider", "model", "operation", "type"],
    "Tokens used; each is of one type only.",
);
pub static UNITS: Family = counter(
    "llmleaf_units",
    &["provider", "model", "operation", "unit"],
    "What is billed by something else than tokens.",
);
pub static COST: Family = counter(
    "llmleaf_cost_usd",
    &["provider", "model", "operation"],
    "What attempts cost in US dollars, where that is known.",
);
pub static COST_UNKNOWN: Family = counter(
    "llmleaf_attempts_of_unknown_cost",
    &["provider", "model", "operation"],
    "Attempts whose cost nobody knows: llmleaf_cost_usd_total lacks them.",
);
pub static GRADES: Family = counter(
    "llmleaf_usage_grades",
    &["provider", "grade"],
    "Attempts by how far their token counts can be trusted.",
);
pub static KEY_REQUESTS: Family = counter(
    "llmleaf_key_requests",
    &["key", "end"],
    "Accepted requests that have ended, by key. Only with metrics.keys.",
);
pub static KEY_TOKENS: Family = counter(
    "llmleaf_key_tokens",
    &["key", "type"],
    "Tokens used, by key. Only with metrics.keys.",
);
pub static KEY_COST: Family = counter(
    "llmleaf_key_cost_usd",
    &["key"],
    "What attempts cost in US dollars, where that is known, by key. Only with metrics.keys.",
);

/// Names of OpenTelemetry's attributes, as Prometheus writes them.
const GEN_AI: &[&str] = &[
    "gen_ai_operation_name",
    "gen_ai_provider_name",
    "gen_ai_request_model",
];

pub static GEN_AI_TOKENS: Family = family(
    "gen_ai_client_token_usage",
    Kind::Histogram(&TOKENS),
    None,
    &[
        "gen_ai_operation_name",
        "gen_ai_provider_name",
        "gen_ai_request_model",
        "gen_ai_token_type",
    ],
    "Number of input and output tokens used.",
);
pub static GEN_AI_DURATION: Family = seconds(
    "gen_ai_client_operation_duration_seconds",
    &MILLIS,
    &[
        "gen_ai_operation_name",
        "gen_ai_provider_name",
        "gen_ai_request_model",
        "error_type",
    ],
    "GenAI operation duration.",
);
pub static GEN_AI_FIRST_CHUNK: Family = seconds(
    "gen_ai_client_operation_time_to_first_chunk_seconds",
    &MILLIS,
    GEN_AI,
    "Time to receive the first chunk of a stream.",
);

pub static GEN_AI_CHUNKS: Family = seconds(
    "gen_ai_client_operation_time_per_output_chunk_seconds",
    &MILLIS,
    GEN_AI,
    "Time from one chunk of a stream to the next.",
);

pub static REFUSED: Family = counter(
    "llmleaf_refused",
    &["failure"],
    "Requests that were refused before they were accepted, by the kind of failure.",
);
pub static INTERCEPTIONS: Family = counter(
    "llmleaf_interceptions",
    &["phase", "outcome"],
    "Requests and answers that an interceptor was to be asked about, by what came of it.",
);
pub static INTERCEPT_TIME: Family = seconds(
    "llmleaf_intercept_duration_seconds",
    &MILLIS,
    &["phase"],
    "How long an interceptor was waited for.",
);
pub static ACCESS_WRITTEN: Family = counter(
    "llmleaf_access_log_lines",
    &[],
    "Lines of the access log that were written.",
);
pub static ACCESS_DROPPED: Family = counter(
    "llmleaf_access_log_dropped",
    &[],
    "Lines of the access log that were dropped because the disk or the reader did not keep up.",
);
pub static SPANS_SENT: Family = counter(
    "llmleaf_trace_spans_sent",
    &[],
    "Spans that a collector of traces took.",
);
pub static SPANS_DROPPED: Family = counter(
    "llmleaf_trace_spans_dropped",
    &[],
    "Spans that were dropped because the collector did not keep up, or did not take them.",
);
pub static BUILD: Family = family(
    "llmleaf_build",
    Kind::Info,
    None,
    &["version"],
    "Which program this is.",
);
pub static PANICS: Family = counter(
    "llmleaf_panics",
    &[],
    "Faults of this program that ended a request each.",
);
pub static CONFIG_GENERATION: Family = gauge(
    "llmleaf_config_generation",
    &[],
    "Which configuration is in effect, from 1.",
);
pub static CONFIG_LOADED: Family = family(
    "llmleaf_config_loaded_timestamp_seconds",
    Kind::Gauge,
    Some("seconds"),
    &[],
    "When it took effect, in Unix time.",
);

pub static BREAKER: Family = gauge(
    "llmleaf_breaker_state",
    &["provider", "model", "state"],
    "1 for the state that a target's breaker is in.",
);
pub static COOLING: Family = family(
    "llmleaf_target_cooling_seconds",
    Kind::Gauge,
    Some("seconds"),
    &["provider", "model"],
    "How long a target is still passed over.",
);
pub static PENDING: Family = gauge(
    "llmleaf_target_requests_in_flight",
    &["provider", "model"],
    "Attempts that run at a target.",
);
pub static CREDENTIAL_REFUSED: Family = gauge(
    "llmleaf_credential_refused",
    &["provider", "credential"],
    "1 while a provider refuses a credential, by its place in the configuration.",
);
pub static LIMIT: Family = gauge(
    "llmleaf_limit",
    &["provider", "model", "limit"],
    "Configured limits toward a provider, or a model there.",
);
pub static LIMIT_REMAINING: Family = gauge(
    "llmleaf_limit_remaining",
    &["provider", "model", "limit"],
    "What is left of them now.",
);
pub static CONNECTIONS: Family = gauge(
    "llmleaf_connections",
    &[],
    "Connections of consumers, and further requests that share one.",
);
pub static CONNECTIONS_MAX: Family =
    gauge("llmleaf_connections_max", &[], "How many there may be.");
pub static SHED: Family = counter(
    "llmleaf_shed",
    &["what"],
    "Requests and connections that were turned away because there was no room.",
);
pub static MEMORY_CEILING: Family = family(
    "llmleaf_memory_ceiling_bytes",
    Kind::Gauge,
    Some("bytes"),
    &[],
    "Ceiling of memory, near which requests are turned away.",
);
pub static SPOOL_RECORDS: Family = gauge(
    "llmleaf_usage_spool_records",
    &[],
    "Usage records that wait to be pushed.",
);
pub static SPOOL_BYTES: Family = family(
    "llmleaf_usage_spool_bytes",
    Kind::Gauge,
    Some("bytes"),
    &[],
    "Bytes of the spool of usage records.",
);
pub static SPOOL_FAILING: Family = gauge(
    "llmleaf_usage_spool_failing",
    &[],
    "1 while the disk takes no usage records.",
);
pub static SPOOL_LOST: Family = counter(
    "llmleaf_usage_records_lost",
    &[],
    "Usage records that were dropped because there was no room.",
);
pub static SPOOL_DEAD: Family = counter(
    "llmleaf_usage_records_dead",
    &[],
    "Usage records that were laid aside because the controller does not take them.",
);
pub static SPOOL_DAMAGED: Family = counter(
    "llmleaf_usage_records_damaged",
    &[],
    "Lines of the spool that were damaged.",
);
pub static SPOOL_AGE: Family = family(
    "llmleaf_usage_spool_age_seconds",
    Kind::Gauge,
    Some("seconds"),
    &[],
    "For how long the oldest usage record waits.",
);
pub static CONTROL_COLD: Family = gauge(
    "llmleaf_control_cold",
    &["what"],
    "1 while there is nothing of a controller that may be believed.",
);
pub static CONTROL_AGE: Family = family(
    "llmleaf_control_age_seconds",
    Kind::Gauge,
    Some("seconds"),
    &["what"],
    "How long ago the controller confirmed what is in effect.",
);
pub static CONTROL_ENTRIES: Family = gauge(
    "llmleaf_control_entries",
    &["what"],
    "How many entries of a controller are in effect.",
);
pub static CONTROL_TROUBLES: Family = counter(
    "llmleaf_control_troubles",
    &["what", "kind"],
    "What went wrong when a controller was asked.",
);
pub static ISSUER_KEYS: Family = gauge(
    "llmleaf_issuer_keys",
    &["issuer"],
    "Keys of an issuer of tokens that are known.",
);
pub static ISSUER_AGE: Family = family(
    "llmleaf_issuer_keys_age_seconds",
    Kind::Gauge,
    Some("seconds"),
    &["issuer"],
    "How long ago they were fetched.",
);
pub static DRAINING: Family = gauge("llmleaf_draining", &[], "1 while the node drains.");
pub static READY: Family = gauge("llmleaf_ready", &[], "1 while the node takes work.");
pub static CONFIG_REFUSED: Family = gauge(
    "llmleaf_config_last_reload_refused",
    &[],
    "1 if the last reload was refused, so that the configuration before it stays.",
);
pub static CONFIG_RELOAD: Family = family(
    "llmleaf_config_last_reload_timestamp_seconds",
    Kind::Gauge,
    Some("seconds"),
    &[],
    "When the last reload was, in Unix time.",
);
pub static PROCESS_CPU: Family = family(
    "process_cpu_seconds",
    Kind::Counter,
    Some("seconds"),
    &[],
    "Time of processors that the process has used.",
);
pub static PROCESS_RESIDENT: Family = family(
    "process_resident_memory_bytes",
    Kind::Gauge,
    Some("bytes"),
    &[],
    "Memory that the process holds.",
);
pub static PROCESS_VIRTUAL: Family = family(
    "process_virtual_memory_bytes",
    Kind::Gauge,
    Some("bytes"),
    &[],
    "Addresses that the process has mapped.",
);
pub static PROCESS_THREADS: Family = gauge("process_threads", &[], "Threads of the process.");
pub static PROCESS_OPEN_FDS: Family = gauge(
    "process_open_fds",
    &[],
    "Descriptors that the process has open.",
);
pub static PROCESS_MAX_FDS: Family =
    gauge("process_max_fds", &[], "Descriptors that it may have open.");
pub static PROCESS_START: Family = family(
    "process_start_time_seconds",
    Kind::Gauge,
    Some("seconds"),
    &[],
    "When the process started, in Unix time.",
);

/// Every family, in the order in which they are told.
#[cfg(test)]
pub static ALL: &[&Family] = &[
    &REQUESTS,
    &REQUEST_FAILURES,
    &IN_FLIGHT,
    &DURATION,
    &FIRST_CONTENT,
    &QUEUE,
    &OVERHEAD,
    &FALLBACKS,
    &LOSSES,
    &ATTEMPTS,
    &ATTEMPT_ERRORS,
    &CONNECT,
    &CONNECTIONS_MADE,
    &USED,
    &UNITS,
    &COST,
    &COST_UNKNOWN,
    &GRADES,
    &KEY_REQUESTS,
    &KEY_TOKENS,
    &KEY_COST,
    &GEN_AI_TOKENS,
    &GEN_AI_DURATION,
    &GEN_AI_FIRST_CHUNK,
    &GEN_AI_CHUNKS,
    &REFUSED,
    &INTERCEPTIONS,
    &INTERCEPT_TIME,
    &ACCESS_WRITTEN,
    &ACCESS_DROPPED,
    &SPANS_SENT,
    &SPANS_DROPPED,
    &BUILD,
    &PANICS,
    &CONFIG_GENERATION,
    &CONFIG_LOADED,
    &BREAKER,
    &COOLING,
    &PENDING,
    &CREDENTIAL_REFUSED,
    &LIMIT,
    &LIMIT_REMAINING,
    &CONNECTIONS,
    &CONNECTIONS_MAX,
    &SHED,
    &MEMORY_CEILING,
    &SPOOL_RECORDS,
    &SPOOL_BYTES,
    &SPOOL_FAILING,
    &SPOOL_LOST,
    &SPOOL_DEAD,
    &SPOOL_DAMAGED,
    &SPOOL_AGE,
    &CONTROL_COLD,
    &CONTROL_AGE,
    &CONTROL_ENTRIES,
    &CONTROL_TROUBLES,
    &ISSUER_KEYS,
    &ISSUER_AGE,
    &DRAINING,
    &READY,
    &CONFIG_REFUSED,
    &CONFIG_RELOAD,
    &PROCESS_CPU,
    &PROCESS_RESIDENT,
    &PROCESS_VIRTUAL,
    &PROCESS_THREADS,
    &PROCESS_OPEN_FDS,
    &PROCESS_MAX_FDS,
    &PROCESS_START,
];
