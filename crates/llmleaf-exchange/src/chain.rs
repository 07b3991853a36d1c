//! Whom an exchange may try: the targets of its route, and of the further models that the request names, as members of the fleet.

use crate::drive::Run;
use crate::job::Operation;
use crate::node::Shared;
use crate::upstream::Upstream;
use crate::{attempt, audio, count, draw, embed, moderate, rerank};
use llmleaf_dialects::object::Object;
use llmleaf_dialects::{Dialect, Head, Target};
use llmleaf_model::{Failure, FailureKind, MaxPrice, Origin, Preferences};
use llmleaf_route::choice::Facts;
use llmleaf_route::random::{hash, pair};
use llmleaf_route::{Ask, Candidate, Member, Millis, Resolved, Strategy, Walk};
use std::rc::Rc;
use std::sync::Arc;

/// One stop of a chain: a target, and the route that leads to it.
#[derive(Clone, Debug)]
pub(crate) struct Stop {
    pub candidate: Candidate,
    pub route: Option<usize>,
}

/// Tokens of an answer that names no limit, as far as local limits are concerned.
const ANSWER_TOKENS: u64 = 1024;
/// Most output tokens that are reserved: some clients ask for all that a model can give, and use a little of it.
const RESERVED_TOKENS: u64 = 16 * 1024;
/// A body longer than this is parsed for an estimate of its tokens.
const LONG_BYTES: usize = 64 * 1024;
/// Bytes of a field that count for the hash of a prompt's beginning.
const PREFIX_BYTES: usize = 4 * 1024;

/// Begins the walk of an exchange.
pub(crate) fn begin(
    run: &mut Run,
    destinations: Vec<Resolved>,
    mut wishes: Option<Box<Preferences>>,
) -> Result<Walk, Failure> {
    let shared = Arc::clone(&run.node.shared);
    let now = shared.now();
    let first = destinations.first();
    let settings = shared.settings(first.and_then(|first| first.route));
    let mut policy = settings.policy;
    let is_chat = run.job.operation == Operation::Chat;
    // Only a stream has a first content to be sooner with, and only one that is not kept back.
    policy.hedge &= is_chat && run.job.head.stream && run.job.inspector.is_none();
    let asks_price = wishes.is_some() || policy.strategy == Strategy::Price || run.out.explains();
    let mut members = Vec::with_capacity(first.map_or(0, |first| first.chain.len()));
    // Counting tokens fills no cache.
    let follows = is_chat
        && settings.affinity
        && first.is_some_and(|first| shared.follows(first, policy.strategy));
    for (group, resolved) in destinations.into_iter().enumerate() {
        let group = u16::try_from(group).unwrap_or(u16::MAX);
        add(run, &mut members, resolved, group, asks_price, now);
    }
    if let Some(wishes) = &mut wishes {
        heed(run, wishes, &mut members)?;
    }
    let ask = Ask {
        tokens: run.job.tokens,
        key: follows.then(|| key(run)),
        pinned: run.job.owner.as_ref().and_then(|owner| owner.credential),
        preferences: wishes.as_deref(),
        seed: run.node.seed(),
    };
    let walk = Walk::new(&shared.fleet, policy, members, &ask, now);
    run.unheeded = wishes.map(|wishes| wishes.unheeded).unwrap_or_default();
    walk.map_err(|refused| {
        let unmet = refused.unmet;
        run.common.ending.unmet(refused.trail);
        let message = format!("no target of this model meets `{}`", unmet.field());
        let mut failure = Failure::new(Origin::Consumer, FailureKind::NotFound, message);
        failure.param = Some(unmet.field().to_owned());
        failure.code = Some("no_target".to_owned());
        failure
    })
}

/// Adds the targets of one model.
fn add(
    run: &mut Run,
    members: &mut Vec<Member>,
    resolved: Resolved,
    group: u16,
    with_facts: bool,
    now: Millis,
) {
    let shared = &run.node.shared;
    let settings = shared.settings(resolved.route);
    for (place, candidate) in resolved.chain.into_iter().enumerate() {
        let holds = |upstream: &Upstream| upstream.realtime(&candidate.model).is_some();
        if run.job.operation == Operation::Realtime
            && !shared.upstreams.get(candidate.provider).is_some_and(holds)
        {
            continue;
        }
        let weight = settings.weights.get(place).copied().unwrap_or(1);
        let Some(mut member) = shared.fleet.member(&candidate, weight, now) else {
            continue;
        };
        member.group = group;
        if with_facts {
            member.facts = facts(shared, resolved.route, &candidate, place);
        }
        members.push(member);
        Rc::make_mut(&mut run.chain).push(Stop {
            candidate,
            route: resolved.route,
        });
    }
}

fn facts(shared: &Shared, route: Option<usize>, candidate: &Candidate, place: usize) -> Facts {
    let upstream = shared.upstreams.get(candidate.provider);
    Facts {
        price: shared.price(route, place, candidate),
        expresses_all: None,
        collects_data: upstream.and_then(|u| u.collects_data),
        zero_retention: upstream.and_then(|u| u.zero_retention),
        quantization: None,
    }
}

/// Makes the wishes what routing can take. A service that speaks their language itself gets them as they are, and heeds them among its own
/// providers: here it counts as one that meets them, and names that nobody here has are left to it.
fn heed(run: &mut Run, wishes: &mut Preferences, members: &mut Vec<Member>) -> Result<(), Failure> {
    let speakers: Vec<bool> = run.chain.iter().map(|stop| speaks(run, stop)).collect();
    let named = |list: &[String]| {
        let names = members.iter().flat_map(|m| m.provider.names());
        let mut pairs = names.flat_map(|name| list.iter().map(move |slug| (name, slug)));
        pairs.any(|(name, slug)| name.eq_ignore_ascii_case(slug))
    };
    let foreign = |list: &[String]| !list.is_empty() && !named(list) && speakers.contains(&true);
    let (only, order) = (foreign(&wishes.only), foreign(&wishes.order));
    if only || (order && wishes.no_fallbacks) {
        let mut kept = speakers.iter().copied();
        members.retain(|_| kept.next().unwrap_or_default());
        let mut kept = speakers.iter().copied();
        let chain = Rc::make_mut(&mut run.chain);
        chain.retain(|_| kept.next().unwrap_or_default());
    }
    if only {
        wishes.only.clear();
    }
    if order {
        wishes.order.clear();
    }
    for index in 0..members.len() {
        let Some(stop) = run.chain.get(index).cloned() else {
            break;
        };
        let speaks = speaks(run, &stop);
        let expresses = if wishes.demands.all_parameters && !speaks {
            Some(expresses(run, &stop)?)
        } else {
            None
        };
        let Some(facts) = members.get_mut(index).map(|member| &mut member.facts) else {
            break;
        };
        facts.expresses_all = expresses;
        if speaks {
            facts.expresses_all = Some(true);
            facts.collects_data = Some(false);
            facts.zero_retention = Some(true);
            facts.quantization = wishes.quantizations.first().map(|q| q.as_str().into());
            if wishes.max_price != MaxPrice::default() {
                facts.price.get_or_insert_default();
            }
        }
    }
    Ok(())
}

/// Whether the target's service gets the wishes as they are.
fn speaks(run: &Run, stop: &Stop) -> bool {
    let upstream = run.node.shared.upstreams.get(stop.candidate.provider);
    let wire = upstream.and_then(|u| u.wire(run.job.heard, &stop.candidate.model));
    wire.is_some_and(|(wire, _)| wire.dialect() == run.job.heard && wire.routes())
}

/// Whether a target takes every field of the request.
fn expresses(run: &mut Run, stop: &Stop) -> Result<bool, Failure> {
    let shared = Arc::clone(&run.node.shared);
    let upstream = shared.upstreams.get(stop.candidate.provider);
    if let (Operation::Embed(form), Some(upstream)) = (run.job.operation, upstream) {
        return Ok(embed::expresses(run, upstream, form, &stop.candidate.model));
    }
    if let (Operation::Rerank(form), Some(upstream)) = (run.job.operation, upstream) {
        return Ok(rerank::expresses(
            run,
            upstream,
            form,
            &stop.candidate.model,
        ));
    }
    if let (Operation::Moderate(form), Some(upstream)) = (run.job.operation, upstream) {
        return Ok(moderate::expresses(
            run,
            upstream,
            form,
            &stop.candidate.model,
        ));
    }
    if let (Operation::Draw(form), Some(upstream)) = (run.job.operation, upstream) {
        return Ok(draw::expresses(run, upstream, form, &stop.candidate.model));
    }
    if let (Operation::Audio(what), Some(upstream)) = (run.job.operation, upstream) {
        let model = &stop.candidate.model;
        return Ok(audio::expresses(run, upstream, what, model));
    }
    let model = &*stop.candidate.model;
    let wire = upstream.and_then(|u| Some((u.wire(run.job.heard, model)?.0, u.named(model))));
    let Some((wire, model)) = wire else {
        return Ok(true);
    };
    let target = Target {
        model,
        stream: run.job.head.stream,
    };
    if wire.dialect() != run.job.heard || !wire.takes(&run.job.head, &run.job.body, model) {
        // What cannot be read is the consumer's fault, and no target's.
        run.canonical()?;
    }
    let said = attempt::say(run, wire, &stop.candidate, target);
    let shared = &run.node.shared;
    let priced = || {
        shared
            .sheet(stop.candidate.provider, &stop.candidate.model)
            .is_some()
    };
    // What is done here is no loss: routing, and telling what an answer costs.
    let here = |field: &str| {
        llmleaf_dialects::preferences::is_field(field)
            || field == "usage" && run.asks_cost() && priced()
    };
    let whole = |said: attempt::Said| {
        let mut losses = said.rendered.losses.iter();
        losses.all(|loss| here(&loss.field))
    };
    Ok(said.is_ok_and(whole))
}

/// Tokens that a request is thought to use, for limits: its length as input, and what it lets the answer have. What is long is mostly
/// media, and is counted by its parts.
pub fn estimate(operation: Operation, dialect: Dialect, head: &Head, body: &[u8]) -> u64 {
    let text = llmleaf_dialects::head::checked(body).unwrap_or_default();
    let mut input = body.len() as u64 / 4;
    if body.len() > LONG_BYTES {
        input = input.min(count::of_body(operation, dialect, body));
    }
    let cap = cap(head, text).unwrap_or(ANSWER_TOKENS);
    input.saturating_add(cap.min(RESERVED_TOKENS))
}

/// What a request lets its answer have, whichever wire says it.
fn cap(head: &Head, text: &str) -> Option<u64> {
    let plain = ["max_completion_tokens", "max_tokens", "max_output_tokens"];
    let plain = |field: &dyn Fn(&'static str) -> Option<u64>| plain.into_iter().find_map(field);
    let number = |raw: &str| raw.trim_matches('"').parse::<u64>().ok();
    let own = plain(&|name| head.value(text, name).and_then(number));
    own.or_else(|| {
        let configs = ["generationConfig", "generation_config", "options"];
        let config = configs.into_iter().find_map(|name| head.value(text, name));
        let config = Object::parse(config?).ok()?;
        let names = ["maxOutputTokens", "max_output_tokens", "num_predict"];
        number(names.into_iter().find_map(|name| config.get(name))?.get())
    })
}

/// A hash of the session that the client names, else of the prompt's beginning: its instructions, tools and first message. With
/// whose it is, so that nobody learns of another's prompts by where theirs go.
pub(crate) fn key(run: &Run) -> u64 {
    let (job, text) = (&run.job, llmleaf_dialects::head::checked(&run.job.body));
    let text = text.unwrap_or_default();
    let own = pair(hash(job.key.as_bytes()), hash(job.head.model.as_bytes()));
    let field = |name: &str| job.head.value(text, name).filter(|v| *v != "null");
    let named = ["prompt_cache_key", "session_id"]
        .into_iter()
        .find_map(field);
    if let Some(session) = job.session.or(named.map(|text| hash(text.as_bytes()))) {
        return pair(own, session);
    }
    let stable = ["system", "instructions", "tools", "systemInstruction"];
    let begun = stable.into_iter().filter_map(field);
    let begun = begun.fold(own, |sum, text| pair(sum, hash(beginning(text))));
    let turns = ["messages", "input", "contents", "prompt"]
        .into_iter()
        .find_map(field);
    pair(begun, hash(beginning(turns.map_or("", first_item))))
}

fn beginning(text: &str) -> &[u8] {
    let bytes = text.as_bytes();
    bytes.get(..PREFIX_BYTES).unwrap_or(bytes)
}

/// The text of a list up to the end of its first item, by brackets; what is no list is taken whole.
fn first_item(list: &str) -> &str {
    let (mut depth, mut quoted, mut escaped) = (0u32, false, false);
    for (at, byte) in list.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            _ if quoted => {}
            b'{' | b'[' => depth += 1,
            b'}' | b']' => {
                depth = depth.saturating_sub(1);
                if depth == 1 {
                    return list.get(..at).unwrap_or(list);
                }
            }
            _ => {}
        }
    }
    list
}

#[cfg(test)]
mod tests {
    use super::{ANSWER_TOKENS, Operation, estimate, first_item};
    use llmleaf_dialects::{Dialect, EmbeddingForm, Head, ImageForm, ModerationForm};

    #[test]
    fn media_are_no_prose_and_every_wire_says_what_its_answer_may_have() {
        let thought = |dialect, body: &str| {
            let head = Head::addressed(body.as_bytes(), "m", true);
            let head = head.unwrap_or_else(|failure| panic!("{failure:?}"));
            estimate(Operation::Chat, dialect, &head, body.as_bytes())
        };
        for (dialect, body, answer) in [
            (Dialect::ChatCompletions, r#"{"max_tokens":70}"#, 70),
            (Dialect::Responses, r#"{"max_output_tokens":71}"#, 71),
            (
                Dialect::GenerateContent,
                r#"{"generationConfig":{"maxOutputTokens":72}}"#,
                72,
            ),
            (
                Dialect::GenerateContent,
                r#"{"generation_config":{"max_output_tokens":"73"}}"#,
                73,
            ),
            (Dialect::LINES, r#"{"options":{"num_predict":74}}"#, 74),
            (
                Dialect::LINES,
                r#"{"options":{"num_predict":-1}}"#,
                ANSWER_TOKENS,
            ),
            (Dialect::Messages, r#"{"messages":[]}"#, ANSWER_TOKENS),
        ] {
            assert_eq!(thought(dialect, body), body.len() as u64 / 4 + answer);
        }
        let with = |source: &str| {
            format!(
                r#"{{"model":"m","max_tokens":5,"messages":[{{"role":"user","content":[{source}]}}]}}"#
            )
        };
        let long = "QUJD".repeat(1 << 18);
        let document = format!(
            r#"{{"type":"document","source":{{"type":"base64","media_type":"application/pdf","data":"{long}"}}}}"#
        );
        let prose = format!(r#"{{"type":"text","text":"{long}"}}"#);
        let document = thought(Dialect::Messages, &with(&document));
        assert!((60_000..80_000).contains(&document), "{document}");
        let prose = thought(Dialect::Messages, &with(&prose));
        assert!((260_000..270_000).contains(&prose), "{prose}");
    }

    #[test]
    fn pictures_of_every_operation_are_counted_as_pictures() {
        let picture = format!("data:image/png;base64,{}", "QUJD".repeat(1 << 18));
        let thought = |operation, body: &str| {
            let head = Head::addressed(body.as_bytes(), "m", false);
            let head = head.unwrap_or_else(|failure| panic!("{failure:?}"));
            let input = estimate(operation, Dialect::ChatCompletions, &head, body.as_bytes());
            input - ANSWER_TOKENS
        };
        let edit = format!(
            r#"{{"prompt":"a hat","images":[{{"image_url":"{picture}"}}],"mask":{{"image_url":"{picture}"}}}}"#
        );
        let edit = thought(Operation::Draw(ImageForm::Edits), &edit);
        assert!((3200..3300).contains(&edit), "{edit}");
        let parts =
            format!(r#"{{"content":[{{"type":"image_url","image_url":{{"url":"{picture}"}}}}]}}"#);
        for (form, body) in [
            (
                EmbeddingForm::Embeddings,
                format!(r#"{{"input":[{parts}]}}"#),
            ),
            (
                EmbeddingForm::Typed,
                format!(r#"{{"images":["{picture}"]}}"#),
            ),
        ] {
            let input = thought(Operation::Embed(form), &body);
            assert!((1600..1700).contains(&input), "{form:?}: {input}");
        }
        // A sound, which only its own wire can say.
        let sound = format!(
            r#"{{"content":{{"parts":[{{"inlineData":{{"mimeType":"audio/wav","data":"{}"}}}}]}}}}"#,
            "QUJD".repeat(1 << 18)
        );
        let sound = thought(Operation::Embed(EmbeddingForm::EmbedContent), &sound);
        assert!((60_000..80_000).contains(&sound), "{sound}");
        let judged = format!(
            r#"{{"input":[{{"type":"text","text":"a"}},{{"type":"image_url","image_url":{{"url":"{picture}"}}}}]}}"#
        );
        let judged = thought(Operation::Moderate(ModerationForm::Inputs), &judged);
        assert!((1600..1700).contains(&judged), "{judged}");
        let prose = format!(r#"{{"input":["{}"]}}"#, "a tale ".repeat(1 << 17));
        for operation in [
            Operation::Moderate(ModerationForm::Inputs),
            Operation::Embed(EmbeddingForm::Embeddings),
        ] {
            let prose = thought(operation, &prose);
            assert!((220_000..240_000).contains(&prose), "{prose}");
        }
    }

    #[test]
    fn a_conversation_keeps_its_first_item_as_it_grows() {
        let first = r#"[{"role":"user","content":[{"text":"a ]} \" b"}]"#;
        for rest in ["}]", r#"},{"role":"assistant"}]"#] {
            assert_eq!(first_item(&[first, rest].concat()), first);
        }
        assert_eq!(first_item("\"text\""), "\"text\"");
    }
}
