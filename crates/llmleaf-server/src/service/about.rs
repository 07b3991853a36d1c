//! What is asked about an answer that a provider keeps: forwarded to the one that does.

use super::Call;
use crate::incoming::Incoming;
use crate::reply::Reply;
use crate::{allowance, inbound, intercept, kept, service};
use http::Request;
use llmleaf_auth::Principal;
use llmleaf_dialects::{Dialect, Head};
use llmleaf_exchange::{Job, Operation, Verb};
use llmleaf_model::{Failure, Loss};

/// What may be asked further, as OpenAI's document 2.3.0 (2026-08) has it; lists are written with and without brackets.
const ASKED: [&str; 10] = [
    "include",
    "include[]",
    "include%5B%5D",
    "include_obfuscation",
    "stream",
    "starting_after",
    "after",
    "before",
    "limit",
    "order",
];

impl Call {
    /// Leads the question to the owner of the answer.
    pub(super) async fn kept(
        self,
        verb: Verb,
        id: &str,
        principal: Principal,
        request: Request<Incoming>,
    ) -> Result<Reply, Failure> {
        let app = &self.worker.app;
        let (parts, body) = request.into_parts();
        // Some clients send an empty object along; it says nothing.
        inbound::read(&parts.headers, body, app.max_body_bytes).await?;
        let (mut owner, made) = kept::owner(app, &principal, id)?;
        // An id that names no model may be that of any.
        let in_scope = made.in_scope || made.model.is_empty();
        let (model, resolved) = kept::way(app, &principal, &owner, &made.model)?;
        let asked = asked(parts.uri.query().unwrap_or_default());
        let stream = verb == Verb::Retrieve && asked.stream;
        owner.query = asked.known;
        let (allowance, told) = match self.allowance(Dialect::Responses, &principal, 0) {
            Ok(allowed) => allowed,
            Err(reply) => return Ok(*reply),
        };
        let id = self.worker.ids.fresh(self.created.saturating_mul(1000));
        let answered = intercept::Asked {
            id: &id,
            principal: &principal,
            operation: Operation::Kept(verb),
            dialect: Dialect::Responses,
            stream,
            in_scope,
        };
        let models = std::iter::once(&*model);
        let inspector = intercept::looking(&self.worker, answered, models);
        let names = app.response_ids.as_ref();
        let about = (model.as_str(), in_scope || inspector.is_some());
        let names = names.map(|ids| kept::naming(ids, &principal, about, Some(&owner)));
        let asked_for = (
            Operation::Kept(verb),
            Dialect::Responses,
            Head::addressed(b"{}", model, stream)?,
        );
        let job = Job {
            allowance,
            owner: Some(Box::new(owner)),
            names,
            inspector,
            ..self.bare_job(asked_for, (id, &principal), resolved, &parts.headers)
        };
        let mut reply = self.begin(job, &principal).await?;
        if let Some(figures) = told {
            let now = service::unix_now();
            allowance::tell(reply.headers_mut(), Dialect::Responses, &figures, now);
        }
        if let Some(value) = asked.unknown {
            let name = http::HeaderName::from_static("x-llmleaf-loss");
            reply.headers_mut().insert(name, value);
        }
        Ok(reply)
    }
}

/// What a query asks.
struct Asked {
    stream: bool,
    known: String,
    unknown: Option<http::HeaderValue>,
}

fn asked(query: &str) -> Asked {
    let fields = query.split('&').filter(|field| !field.is_empty());
    let name =
        |field: &'_ str| -> String { field.split('=').next().unwrap_or_default().to_owned() };
    let (known, unknown): (Vec<&str>, Vec<&str>) =
        fields.partition(|field| ASKED.contains(&&*name(field)));
    let losses = unknown.iter().map(|field| {
        let field = format!("?{}", name(field));
        Loss::dropped(field, "it is not asked of providers").to_string()
    });
    let losses: Vec<String> = losses.take(8).collect();
    let unknown = (!losses.is_empty()).then(|| losses.join("; "));
    Asked {
        stream: known.contains(&"stream=true"),
        known: known.join("&"),
        unknown: unknown.and_then(|text| http::HeaderValue::from_str(&text).ok()),
    }
}

#[cfg(test)]
mod tests {
    use super::asked;

    #[test]
    fn known_fields_go_on_as_they_are_written() {
        let query = "stream=true&starting_after=7&include%5B%5D=a&api-version=1&&limit=2";
        let asked = asked(query);
        assert!(asked.stream);
        assert_eq!(
            asked.known,
            "stream=true&starting_after=7&include%5B%5D=a&limit=2"
        );
        let lost = asked.unknown.expect("a field is told as lost");
        assert!(lost.to_str().expect("ASCII").contains("?api-version"));
    }
}
