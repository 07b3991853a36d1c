//! An order out of nothing but words: a document is worth what share of the query's words it has.

use llmleaf_model::{Document, Json, Ranked, Ranking, RerankRequest, Usage};
use std::collections::HashSet;

/// The answer to a request for an order. Documents of the same worth keep theirs. Tokens are words.
pub fn rerank(request: &RerankRequest) -> Ranking {
    let query = words(&request.query);
    let mut tokens = query.len();
    let asked: HashSet<String> = query.into_iter().collect();
    let shared = |document: &Document| {
        let own = words(document);
        tokens += own.len();
        let own: HashSet<String> = own.into_iter().collect();
        asked.intersection(&own).count()
    };
    let worths = request.documents.iter().map(shared).enumerate();
    let mut worths: Vec<(usize, usize)> = worths.collect();
    worths.sort_by_key(|(_, shared)| std::cmp::Reverse(*shared));
    let most = request.top_n.and_then(|most| usize::try_from(most).ok());
    worths.truncate(most.unwrap_or(usize::MAX));
    let results = worths.into_iter().map(|(index, shared)| Ranked {
        index,
        score: Json::from_value(&ratio(shared, asked.len())),
        document: None,
    });
    Ranking {
        id: None,
        model: Some(request.model.clone()),
        results: results.collect(),
        usage: Some(Usage {
            input: tokens as u64,
            ..Usage::default()
        }),
        renamed: false,
    }
}

fn ratio(part: usize, whole: usize) -> f64 {
    let small = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    small(part) / small(whole.max(1))
}

/// The words in lower case; of an object those of its JSON.
fn words(document: &Document) -> Vec<String> {
    let text = match document {
        Document::Text(text) => text.as_str(),
        Document::Object(json) => json.as_str(),
    };
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use llmleaf_model::{DialectName, Rest};

    #[test]
    fn the_document_with_most_words_of_the_query_is_first() {
        let mut request = RerankRequest {
            dialect: DialectName::ChatCompletions,
            model: "echo".to_owned(),
            query: Document::Text("a red Fox".to_owned()),
            documents: ["nothing", "The fox is red.", "red", "a fox, red"]
                .map(|text| Document::Text(text.to_owned()))
                .to_vec(),
            top_n: None,
            return_documents: None,
            rank_fields: Vec::new(),
            rest: Rest::default(),
        };
        let order = |request: &RerankRequest| -> Vec<(usize, f64)> {
            let results = rerank(request).results.into_iter();
            let score = |one: &Ranked| one.score.read().expect("a number");
            results.map(|one| (one.index, score(&one))).collect()
        };
        let all = order(&request);
        let third = 1.0 / 3.0;
        assert_eq!(all, [(3, 1.0), (1, 2.0 * third), (2, third), (0, 0.0)]);
        request.top_n = Some(1);
        assert_eq!(order(&request), [(3, 1.0)]);
        request.query = Document::Text("?!".to_owned());
        assert_eq!(order(&request), [(0, 0.0)]);
    }
}
