//! Features of answers.

use llmleaf_model::{
    Block, BlockKind, Choice, Finish, FinishReason, Json, ReasoningForm, Response, ToolFlavour,
    Usage,
};

/// One thing that an answer may have.
pub(crate) struct Feature {
    /// For people.
    pub name: &'static str,
    /// Puts it into a plain answer.
    pub make: fn(&mut Response),
    /// Whether an answer has it.
    pub holds: fn(&Response) -> bool,
}

/// An answer of a few words.
pub(crate) fn plain(response: &mut Response) {
    response.start.id = Some("answer-1".to_owned());
    response.start.model = Some("sample".to_owned());
    response.choices = vec![choice("Rain, mostly.")];
    response.usage = Some(Usage {
        input: 10,
        output: 5,
        ..Usage::default()
    });
}

/// All features, in the order in which they are shown.
pub(crate) const ALL: &[Feature] = &[
    Feature {
        name: "text",
        make: |_| {},
        holds: |r| blocks(r).any(|b| b.kind == BlockKind::Text && b.text == "Rain, mostly."),
    },
    Feature {
        name: "reasoning",
        make: |r| {
            let kind = BlockKind::Reasoning {
                id: None,
                form: ReasoningForm::Full,
            };
            insert(r, 0, block(kind, "Clouds came."));
        },
        holds: |r| {
            let reasons = |b: &Block| matches!(b.kind, BlockKind::Reasoning { .. });
            blocks(r).any(|b| reasons(b) && b.text == "Clouds came.")
        },
    },
    Feature {
        name: "tool calls",
        make: |r| calls(r, 1),
        holds: |r| called(r, 1),
    },
    Feature {
        name: "parallel tool calls",
        make: |r| calls(r, 2),
        holds: |r| called(r, 2),
    },
    Feature {
        name: "refusal",
        make: |r| {
            r.choices = vec![Choice {
                blocks: vec![block(BlockKind::Refusal, "I will not.")],
                ..choice("")
            }];
        },
        holds: |r| blocks(r).any(|b| b.kind == BlockKind::Refusal && b.text == "I will not."),
    },
    Feature {
        name: "several answers",
        make: |r| r.choices.push(choice("Sun.")),
        holds: |r| r.choices.len() == 2,
    },
    Feature {
        name: "log-probabilities",
        make: |r| {
            let tokens = r#"{"content":[{"token":"Rain","logprob":-0.5,"bytes":[82,97,105,110],"top_logprobs":[]}]}"#;
            if let (Some(block), Ok(tokens)) = (first(r), Json::parse(tokens)) {
                block.logprobs.push(tokens);
            }
        },
        holds: |r| blocks(r).any(|b| !b.logprobs.is_empty()),
    },
    Feature {
        name: "end: limit reached",
        make: |r| end(r, FinishReason::Length),
        holds: |r| ended(r, FinishReason::Length),
    },
    Feature {
        name: "end: filtered",
        make: |r| end(r, FinishReason::ContentFilter),
        holds: |r| ended(r, FinishReason::ContentFilter) || ended(r, FinishReason::Refusal),
    },
    Feature {
        name: "token counts",
        make: |_| {},
        holds: |r| {
            let usage = r.usage.as_ref();
            usage.is_some_and(|u| (u.input_total(), u.output_total()) == (10, 5))
        },
    },
    Feature {
        name: "tokens from a cache",
        make: |r| {
            if let Some(usage) = &mut r.usage {
                usage.input_cache_read = 90;
            }
        },
        holds: |r| {
            r.usage
                .as_ref()
                .is_some_and(|u| (u.input, u.input_cache_read) == (10, 90))
        },
    },
    Feature {
        name: "tokens of reasoning",
        make: |r| {
            if let Some(usage) = &mut r.usage {
                usage.output_reasoning = 40;
            }
        },
        holds: |r| {
            r.usage
                .as_ref()
                .is_some_and(|u| (u.output, u.output_reasoning) == (5, 40))
        },
    },
];

fn choice(text: &str) -> Choice {
    Choice {
        blocks: match text {
            "" => Vec::new(),
            _ => vec![block(BlockKind::Text, text)],
        },
        finish: Some(Finish {
            reason: FinishReason::Stop,
            native: None,
            stop_sequence: None,
            rest: Default::default(),
        }),
    }
}

fn block(kind: BlockKind, text: &str) -> Block {
    Block {
        kind,
        text: text.to_owned(),
        arguments: String::new(),
        artefact: None,
        citations: Vec::new(),
        logprobs: Vec::new(),
        media: None,
        opaque: Vec::new(),
    }
}

fn blocks(response: &Response) -> impl Iterator<Item = &Block> {
    response.choices.iter().flat_map(|choice| &choice.blocks)
}

fn first(response: &mut Response) -> Option<&mut Block> {
    response.choices.first_mut()?.blocks.first_mut()
}

fn insert(response: &mut Response, at: usize, block: Block) {
    if let Some(choice) = response.choices.first_mut() {
        choice.blocks.insert(at, block);
    }
}

fn calls(response: &mut Response, count: usize) {
    for number in 0..count {
        let kind = BlockKind::ToolCall {
            id: format!("call_abc12345{number}"),
            name: "weather".to_owned(),
            flavour: ToolFlavour::Function,
        };
        let mut call = block(kind, "");
        call.arguments = format!(r#"{{"city":"Ulm {number}"}}"#);
        insert(response, 1 + number, call);
    }
    end(response, FinishReason::ToolCalls);
}

fn called(response: &Response, count: usize) -> bool {
    let arguments = |b: &Block| {
        matches!(&b.kind, BlockKind::ToolCall { name, .. } if name == "weather")
            && b.arguments.contains("Ulm")
    };
    blocks(response).filter(|b| arguments(b)).count() == count
        && ended(response, FinishReason::ToolCalls)
}

fn end(response: &mut Response, reason: FinishReason) {
    if let Some(finish) = response.choices.first_mut().and_then(|c| c.finish.as_mut()) {
        finish.reason = reason;
    }
}

fn ended(response: &Response, reason: FinishReason) -> bool {
    let finish = response.choices.first().and_then(|c| c.finish.as_ref());
    finish.is_some_and(|finish| finish.reason == reason)
}
