//! The configuration as it comes, part by part.

use assay_proto::{
    assignment::v1::{ConfigCursor, WatchConfigResponse},
    view::View,
};

/// A copy of what is served.
#[derive(Default)]
pub(super) struct Copy {
    /// The last that was whole; generation 0 until one was.
    whole: View,
    /// The next one, as far as it has come.
    partial: Option<Partial>,
}

struct Partial {
    view: View,
    base: u64,
    position: u64,
}

/// What a response has brought.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// Nothing whole yet.
    Part,
    /// A whole generation.
    Whole(View),
    /// It does not fit; everything begins anew.
    Broken,
}

impl Copy {
    /// Where to go on.
    pub(super) fn cursor(&self) -> ConfigCursor {
        ConfigCursor {
            base: self.whole.generation,
            generation: self.partial.as_ref().map_or(0, |partial| partial.view.generation),
            position: self.partial.as_ref().map_or(0, |partial| partial.position),
        }
    }

    pub(super) fn take(&mut self, response: WatchConfigResponse) -> Taken {
        if response.entries.is_empty() && !response.complete {
            return Taken::Part;
        }
        let Some(mut partial) = self.partial_for(&response) else {
            *self = Self::default();
            return Taken::Broken;
        };
        for entry in response.entries {
            partial.view.apply(entry);
        }
        partial.position = response.position;
        if !response.complete {
            self.partial = Some(partial);
            return Taken::Part;
        }
        if partial.view.digest() != *response.digest {
            *self = Self::default();
            return Taken::Broken;
        }
        self.whole = partial.view;
        Taken::Whole(self.whole.clone())
    }

    /// What the entries of `response` go on from; nothing when they do not fit what has come.
    fn partial_for(&mut self, response: &WatchConfigResponse) -> Option<Partial> {
        let n_entries = response.entries.len() as u64;
        let before = response.position.checked_sub(n_entries)?;
        let begun = self.partial.take();
        if before > 0 {
            let goes_on = |partial: &Partial| {
                let expected = (response.base, response.generation, before);
                (partial.base, partial.view.generation, partial.position) == expected
            };
            return begun.filter(goes_on);
        }
        let base = match response.base {
            0 => View::default(),
            base if base == self.whole.generation => self.whole.clone(),
            _ => return None,
        };
        Some(Partial {
            view: View {
                generation: response.generation,
                ..base
            },
            base: response.base,
            position: 0,
        })
    }
}

#[cfg(test)]
mod tests {
    use assay_proto::assignment::v1::ConfigEntry;

    use super::*;

    fn entry(key: &str, resource: &str) -> ConfigEntry {
        ConfigEntry {
            key: key.into(),
            resource: resource.into(),
        }
    }

    fn view(generation: u64, entries: &[(&str, &str)]) -> View {
        let entries = entries
            .iter()
            .map(|(key, text)| ((*key).to_owned(), text.as_bytes().into()));
        View {
            generation,
            entries: entries.collect(),
        }
    }

    /// Entries that end at `position` of what leads from `base` to `generation`; the last ones when they make `whole`.
    fn part(
        base: u64,
        generation: u64,
        entries: &[ConfigEntry],
        position: u64,
        whole: Option<&View>,
    ) -> WatchConfigResponse {
        WatchConfigResponse {
            base,
            generation,
            entries: entries.to_vec(),
            position,
            complete: whole.is_some(),
            digest: whole.map(|whole| whole.digest().to_vec()).unwrap_or_default(),
        }
    }

    #[test]
    fn parts_make_a_whole_and_changes_the_next() {
        let (first, second) = (
            view(3, &[("a", "1"), ("b", "2")]),
            view(4, &[("a", "1"), ("c", "3")]),
        );
        let mut copy = Copy::default();
        assert_eq!(copy.take(part(0, 3, &[entry("a", "1")], 1, None)), Taken::Part);
        let cursor = copy.cursor();
        assert_eq!((cursor.base, cursor.generation, cursor.position), (0, 3, 1));
        assert_eq!(
            copy.take(part(0, 3, &[entry("b", "2")], 2, Some(&first))),
            Taken::Whole(first)
        );
        // A sign of life changes nothing.
        assert_eq!(copy.take(part(3, 3, &[], 0, None)), Taken::Part);
        let change = [entry("b", ""), entry("c", "3")];
        assert_eq!(
            copy.take(part(3, 4, &change, 2, Some(&second))),
            Taken::Whole(second)
        );
        assert_eq!(copy.cursor().base, 4);
    }

    #[test]
    fn an_empty_configuration_is_whole_too() {
        let empty = View::default();
        let mut copy = Copy::default();
        assert_eq!(copy.take(part(0, 0, &[], 0, Some(&empty))), Taken::Whole(empty));
    }

    #[test]
    fn what_does_not_fit_begins_anew() {
        let whole = view(3, &[("a", "1")]);
        let held = || {
            let mut copy = Copy::default();
            copy.take(part(0, 3, &[entry("a", "1")], 1, Some(&whole)));
            copy
        };
        let wrong_digest = view(4, &[("a", "9")]);
        for response in [
            part(2, 4, &[entry("b", "2")], 1, None),
            part(3, 4, &[entry("b", "2")], 2, None),
            part(3, 4, &[entry("b", "2")], 0, None),
            part(3, 4, &[entry("b", "2")], 1, Some(&wrong_digest)),
        ] {
            let mut copy = held();
            assert_eq!(copy.take(response.clone()), Taken::Broken, "{response:?}");
            assert_eq!(copy.cursor(), ConfigCursor::default());
        }
    }
}
