//! What experiments are found by: owner, tags and words, each a term in an index of its own.

use std::collections::BTreeSet;

use assay_core::experiment::Experiment;

/// Longest word that is told from others, in bytes; what is longer is cut.
const MAX_WORD_BYTES: usize = 64;

/// The terms of an experiment.
pub(crate) fn terms(experiment: &Experiment) -> BTreeSet<String> {
    let texts = [
        experiment.key.as_str(),
        &experiment.name,
        &experiment.description,
        &experiment.hypothesis,
        &experiment.owner,
    ];
    terms_of(&texts, &experiment.owner, &experiment.tags)
}

/// The terms of an experiment with `texts`, of which `owner` is one.
pub(crate) fn terms_of(texts: &[&str], owner: &str, tags: &[String]) -> BTreeSet<String> {
    let all = texts.iter().copied().chain(tags.iter().map(String::as_str));
    let mut terms: BTreeSet<_> = all.flat_map(words).map(|word| format!("w:{word}")).collect();
    terms.extend(tags.iter().map(|tag| tag_term(tag)));
    if !owner.is_empty() {
        terms.insert(owner_term(owner));
    }
    terms
}

/// The term of what `owner` answers for.
pub(crate) fn owner_term(owner: &str) -> String {
    format!("o:{owner}")
}

/// The term of what has `tag`.
pub(crate) fn tag_term(tag: &str) -> String {
    format!("t:{tag}")
}

/// The terms of words that begin with `word` are at least the first and less than the second of these.
pub(crate) fn word_range(word: &str) -> (String, String) {
    // No word has this character, which is greater than every one that words have.
    (format!("w:{word}"), format!("w:{word}\u{10ffff}"))
}

/// The words of `text`: runs of letters and digits, lower case.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> + '_ {
    let runs = text
        .split(|c: char| !c.is_alphanumeric())
        .filter(|run| !run.is_empty());
    runs.map(|run| {
        let mut word = run.to_lowercase();
        word.truncate(word.floor_char_boundary(MAX_WORD_BYTES));
        word
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_runs_of_letters_and_digits() {
        let found: Vec<_> = words("Gate-40: «Später» no_go").collect();
        assert_eq!(found, ["gate", "40", "später", "no", "go"]);
        assert_eq!(words(&"ä".repeat(100)).next().map(|word| word.len()), Some(64));
    }

    #[test]
    fn a_prefix_finds_its_words_alone() {
        let (from, to) = word_range("gat");
        let within = |word: &str| (from.as_str()..to.as_str()).contains(&format!("w:{word}").as_str());
        assert!(within("gat") && within("gate") && within("gat\u{10fffd}"));
        assert!(!within("ga") && !within("gb") && !within("gas"));
    }
}
