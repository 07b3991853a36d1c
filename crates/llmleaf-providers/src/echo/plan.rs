//! What a request is answered with.

use super::directives::{self, Directives};
use super::{MAX_CHOICES, MAX_TEXT_BYTES, schema, words};
use llmleaf_model::{
    ChatRequest, Effort, FinishReason, Message, PartKind, ReasoningConfig, ReasoningMode,
    ResponseFormat, Role, Tool, ToolChoice, ToolFlavour, ToolKind,
};

/// The answer, before it is cut into events. Every choice says the same.
#[derive(Debug)]
pub(super) struct Plan {
    /// What was asked for line by line.
    pub asked: Directives,
    /// What is said, in order.
    pub blocks: Vec<Block>,
    /// Why it ends, but for the output cap.
    pub finish: (FinishReason, Option<String>),
    /// How many answers.
    pub choices: u32,
    /// Most words of an answer.
    pub cap: Option<u64>,
    /// Words of the request.
    pub input: u64,
}

/// One block of the answer.
#[derive(Debug)]
pub(super) enum Block {
    /// Reasoning, proven by a made-up signature.
    Reasoning(String),
    /// The answer's text.
    Text(String),
    /// A refusal.
    Refusal(String),
    /// A tool call.
    Call {
        name: String,
        arguments: String,
        flavour: ToolFlavour,
    },
    /// An image, at an address or inline.
    Image(Option<String>),
}

impl Plan {
    /// The plan for a request.
    pub fn of(request: &ChatRequest) -> Self {
        let (asked, result) = read(request);
        let choices = request.sampling.choices.unwrap_or(1).clamp(1, MAX_CHOICES);
        let mut plan = Self {
            blocks: Vec::new(),
            finish: (FinishReason::Stop, None),
            choices: u32::try_from(choices).unwrap_or(1),
            cap: request.sampling.max_output_tokens,
            input: request.messages.iter().map(input_words).sum(),
            asked,
        };
        plan.fill(request, result);
        plan.bound();
        plan
    }

    fn fill(&mut self, request: &ChatRequest, result: Option<String>) {
        if let Some(problem) = self.asked.problem.clone() {
            // The other directives are not played: the consumer should read this.
            self.asked = Directives::default();
            self.blocks.push(Block::Text(problem));
            return;
        }
        let default = || format!("The message has {} words.", words::count(&self.asked.text));
        let wanted = request.reasoning.as_ref().is_some_and(wants_reasoning);
        if let Some(text) = self.asked.reasoning.clone().or(wanted.then(default)) {
            self.blocks.push(Block::Reasoning(text));
        }
        if let Some(text) = self.asked.refusal.clone() {
            self.blocks.push(Block::Refusal(text));
            self.finish.0 = FinishReason::Refusal;
            return self.overrule();
        }
        let calls = self.calls(request, result.is_some());
        let text = result.unwrap_or_else(|| self.asked.text.clone());
        // A message of nothing but calls is answered with nothing but calls.
        if calls.is_empty() || !(text.is_empty() || self.asked.calls.is_empty()) {
            let text = self.stopped(shaped(request, text), &request.sampling.stop);
            self.blocks.push(Block::Text(text));
        }
        self.blocks
            .extend(self.asked.images.iter().cloned().map(Block::Image));
        if !calls.is_empty() {
            self.finish = (FinishReason::ToolCalls, None);
        }
        self.blocks.extend(calls);
        self.overrule();
    }

    fn overrule(&mut self) {
        if let Some(finish) = self.asked.finish.clone() {
            self.finish = finish;
        }
    }

    /// The calls to make: those asked for line by line, or the one that the tool choice demands.
    fn calls(&self, request: &ChatRequest, has_result: bool) -> Vec<Block> {
        let flavour = |name: &str| {
            let custom = request
                .tools
                .iter()
                .any(|tool| matches!(&tool.kind, ToolKind::Custom { name: n, .. } if n == name));
            if custom {
                ToolFlavour::Custom
            } else {
                ToolFlavour::Function
            }
        };
        let asked = self
            .asked
            .calls
            .iter()
            .map(|(name, arguments)| Block::Call {
                flavour: flavour(name),
                name: name.clone(),
                arguments: arguments.clone(),
            });
        let asked: Vec<Block> = asked.collect();
        if !asked.is_empty() || has_result {
            return asked;
        }
        let forced = forced(request).map(|(name, schema)| {
            let flavour = flavour(&name);
            let arguments = match (flavour, schema) {
                (ToolFlavour::Custom, _) => self.asked.text.clone(),
                (ToolFlavour::Function, None) => "{}".to_owned(),
                (ToolFlavour::Function, Some(schema)) => {
                    schema::smallest(&schema, "echo").to_string()
                }
            };
            Block::Call {
                name,
                arguments,
                flavour,
            }
        });
        forced.into_iter().collect()
    }

    /// The text up to the first stop text in it.
    fn stopped(&mut self, text: String, stops: &[String]) -> String {
        let first = stops
            .iter()
            .filter(|stop| !stop.is_empty())
            .filter_map(|stop| Some((text.find(stop.as_str())?, stop)))
            .min_by_key(|(at, _)| *at);
        let Some((at, stop)) = first else {
            return text;
        };
        self.finish = (FinishReason::StopSequence, Some(stop.clone()));
        text.get(..at).unwrap_or_default().to_owned()
    }

    /// Cuts what would be more than an answer may be.
    fn bound(&mut self) {
        let choices = usize::try_from(self.choices).unwrap_or(1);
        let mut left = MAX_TEXT_BYTES / choices;
        for block in &mut self.blocks {
            let text = match block {
                Block::Reasoning(text)
                | Block::Text(text)
                | Block::Refusal(text)
                | Block::Call {
                    arguments: text, ..
                }
                | Block::Image(Some(text)) => text,
                Block::Image(None) => continue,
            };
            let (kept, cut) = words::first_bytes(text, left);
            if cut {
                *text = kept.to_owned();
                self.finish = (FinishReason::Length, None);
            }
            left -= text.len();
        }
    }
}

/// The last turn: the directives in its text, and the results it brings where it brings any.
fn read(request: &ChatRequest) -> (Directives, Option<String>) {
    let mut results = Vec::new();
    for message in request.messages.iter().rev() {
        let texts = message.parts.iter().filter_map(|part| match &part.kind {
            PartKind::ToolResult(result) => {
                Some(Message::new(Role::Tool, result.parts.clone()).joined_text())
            }
            _ => None,
        });
        let texts: Vec<String> = texts.collect();
        let user = message.role == Role::User;
        if texts.is_empty() && !(user && results.is_empty()) {
            break;
        }
        let has_results = !texts.is_empty();
        results.splice(0..0, texts);
        if user {
            let asked = directives::parse(&message.joined_text());
            let result = has_results.then(|| results.join("\n"));
            return (asked, result);
        }
    }
    if !results.is_empty() {
        return (Directives::default(), Some(results.join("\n")));
    }
    let last = request.messages.iter().rev().find(|m| m.role == Role::User);
    let text = last.map(Message::joined_text).unwrap_or_default();
    (directives::parse(&text), None)
}

fn wants_reasoning(config: &ReasoningConfig) -> bool {
    if config.mode == Some(ReasoningMode::Disabled) || config.effort == Some(Effort::None) {
        return false;
    }
    config.mode.is_some() || config.effort.is_some() || config.budget_tokens.is_some()
}

/// The tool that must be called, and its schema.
fn forced(request: &ChatRequest) -> Option<(String, Option<String>)> {
    let named = match request.tool_choice.as_ref()? {
        ToolChoice::Named { name, .. } => Some(name.as_str()),
        ToolChoice::Required | ToolChoice::Allowed { required: true, .. } => None,
        _ => return None,
    };
    let fits = |tool: &&Tool| match (&tool.kind, named) {
        (ToolKind::Function { name, .. } | ToolKind::Custom { name, .. }, Some(wanted)) => {
            name == wanted
        }
        (ToolKind::Function { .. } | ToolKind::Custom { .. }, None) => true,
        _ => false,
    };
    match request.tools.iter().find(fits) {
        Some(tool) => {
            let schema = match &tool.kind {
                ToolKind::Function { parameters, .. } => parameters.as_ref(),
                _ => None,
            };
            let name = tool.name().unwrap_or_default().to_owned();
            Some((name, schema.map(|json| json.as_str().to_owned())))
        }
        // Named but not declared: the call is made all the same.
        None => Some((named?.to_owned(), None)),
    }
}

/// The text in the shape that the request asks for.
fn shaped(request: &ChatRequest, text: String) -> String {
    let wrapped = |text: String| serde_json::json!({ "echo": text }).to_string();
    match &request.response_format {
        Some(ResponseFormat::JsonObject) => wrapped(text),
        Some(ResponseFormat::JsonSchema { schema, .. }) => {
            match schema::smallest(schema.as_str(), &text) {
                serde_json::Value::Object(map) if map.is_empty() => wrapped(text),
                value => value.to_string(),
            }
        }
        _ => text,
    }
}

fn input_words(message: &Message) -> u64 {
    let words = message.parts.iter().map(|part| match &part.kind {
        PartKind::Text { text, .. } => words::count(text),
        PartKind::ToolResult(result) => result
            .parts
            .iter()
            .filter_map(|part| part.as_text())
            .map(words::count)
            .sum(),
        _ => 0,
    });
    words.sum()
}
