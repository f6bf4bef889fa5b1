//! Segments within segments.

use super::*;
use crate::flag::Meta;

fn key(key: &str) -> SegmentKey {
    SegmentKey::new(key).unwrap()
}

/// Segment `key` in `version`, which nests the others: in a version for good with `@`, else the latest one, resolved to 1.
fn nesting(name: &str, version: u64, nested: &[&str]) -> Segment {
    let reference = |written: &&str| {
        let (name, pinned) = match written.split_once('@') {
            Some((name, version)) => (name, Some(version.parse().unwrap())),
            None => (*written, None),
        };
        Condition::Segment(SegmentReference {
            key: key(name),
            pinned,
            resolved: pinned.unwrap_or(1),
        })
    };
    Segment {
        rules: nested.iter().map(reference).collect(),
        meta: Meta {
            version,
            ..Meta::default()
        },
        ..fixtures::segment(name, "x", 1.0)
    }
}

fn leaf(name: &str, version: u64) -> Segment {
    Segment {
        rules: vec![rule(name, Operator::Exists, vec![])],
        ..nesting(name, version, &[])
    }
}

fn measured(segments: &[Segment], name: &str) -> Result<(usize, usize), (String, String)> {
    let find = |reference: &SegmentReference| {
        segments
            .iter()
            .find(|s| s.key == reference.key && s.meta.version == reference.resolved)
    };
    let first = segments.iter().rfind(|s| s.key == key(name)).unwrap();
    measure(first, &find)
        .map(|measure| (measure.depth, measure.conditions))
        .map_err(|(path, error)| (path, error.to_string()))
}

#[test]
fn nested_segments_decide_and_explain_with_their_own_rules() {
    let inner = Arc::new(leaf("inner", 3).compile(|_| None).unwrap());
    let outer = Segment {
        rules: vec![Condition::Not(Box::new(Condition::Segment(SegmentReference {
            key: key("inner"),
            pinned: None,
            resolved: 3,
        })))],
        ..nesting("outer", 1, &[])
    };
    let outer = outer.compile(|_| Some(inner.clone())).unwrap();
    assert!(outer.matches(&Attributes::new()));
    let attributes = Attributes::from([("inner".into(), true.into())]);
    let explanation = outer.explain(&attributes);
    let steps: Vec<_> = explanation
        .steps
        .iter()
        .map(|s| (s.path.as_str(), s.is_true))
        .collect();
    let expected = [
        ("rules[0]", false),
        ("rules[0].not", true),
        ("rules[0].not.rules[0]", true),
    ];
    assert_eq!(
        (explanation.matches, steps.as_slice()),
        (false, expected.as_slice())
    );
    let subject = Subject::Segment {
        key: key("inner"),
        version: 3,
    };
    assert_eq!(explanation.steps[1].subject, subject);
    assert!(outer.attributes().eq(["inner"]));
}

#[test]
fn a_cycle_is_told_with_its_path() {
    let segments = [
        nesting("a", 2, &["b"]),
        nesting("b", 1, &["c"]),
        nesting("c", 1, &["a"]),
    ];
    let message = "nests itself: a → b → c → a; take one of these out of the other";
    assert_eq!(
        measured(&segments, "a"),
        Err(("rules[0].segment".into(), message.into()))
    );
    let own = [nesting("a", 1, &["a"])];
    let message = "nests itself: a → a; take one of these out of the other";
    assert_eq!(
        measured(&own, "a"),
        Err(("rules[0].segment".into(), message.into()))
    );
    let behind = [
        nesting("x", 1, &["a"]),
        nesting("a", 1, &["b@1"]),
        nesting("b", 1, &["a"]),
    ];
    let message = "nests itself: a → b → a; take one of these out of the other";
    assert_eq!(
        measured(&behind, "x"),
        Err(("rules[0].segment".into(), message.into()))
    );
}

#[test]
fn what_is_nested_must_exist() {
    let segments = [nesting("a", 1, &["b", "c@7"]), leaf("b", 1)];
    let message = "names version 7 of segment `c`, which does not exist; create it first, or name another";
    assert_eq!(
        measured(&segments, "a"),
        Err(("rules[1].segment".into(), message.into()))
    );
}

#[test]
fn depth_and_size_are_those_of_the_whole() {
    let chain = |n: usize| -> Vec<Segment> {
        let named = |i: usize| format!("s{i}");
        let mut all: Vec<_> = (1..n).map(|i| nesting(&named(i), 1, &[&named(i + 1)])).collect();
        all.push(leaf(&named(n), 1));
        all
    };
    assert_eq!(measured(&chain(MAX_DEPTH), "s1"), Ok((MAX_DEPTH, MAX_DEPTH)));
    let message = "is 9 deep by way of s1 → s2 → s3 → s4 → s5 → s6 → s7 → s8 → s9; conditions nest at most 8 deep, nested \
                   segments included, so flatten it";
    assert_eq!(
        measured(&chain(MAX_DEPTH + 1), "s1"),
        Err(("rules".into(), message.into()))
    );
    assert!(
        measured(&chain(5_000), "s1")
            .unwrap_err()
            .1
            .starts_with("is 9 deep by way of s1 → s2")
    );

    // Twice in each: 2 + 4 + … conditions, which no walk over all of them would survive.
    let twice = |n: usize| -> Vec<Segment> {
        let named = |i: usize| format!("s{i}");
        let both = |i: usize| [named(i + 1), named(i + 1)];
        let mut all: Vec<_> = (1..n)
            .map(|i| nesting(&named(i), 1, &both(i).each_ref().map(String::as_str)))
            .collect();
        all.push(leaf(&named(n), 1));
        all
    };
    assert_eq!(measured(&twice(3), "s1"), Ok((3, 2 + 4 + 4)));
    let wide = vec!["s1"; 50];
    let mut segments = twice(6);
    segments.push(nesting("top", 1, &wide));
    let (path, message) = measured(&segments, "top").unwrap_err();
    assert_eq!(path, "rules");
    assert!(
        message.contains("conditions with those of `top`; keep at most 1024"),
        "{message}"
    );
}

#[test]
fn a_compiled_segment_keeps_the_same_limits() {
    let mut audience = Arc::new(leaf("s", 1).compile(|_| None).unwrap());
    for depth in 2..=MAX_DEPTH {
        audience = Arc::new(
            nesting("s", 1, &["t"])
                .compile(|_| Some(audience.clone()))
                .unwrap(),
        );
        assert!(depth <= MAX_DEPTH);
    }
    let error = nesting("s", 1, &["t"])
        .compile(|_| Some(audience.clone()))
        .unwrap_err();
    assert_eq!(
        (error.path.as_str(), error.source),
        ("rules[0]", CompileFailure::TooDeep)
    );
    let flat = Segment {
        rules: vec![rule("x", Operator::Exists, vec![]); 256],
        ..leaf("s", 1)
    };
    let flat = Arc::new(flat.compile(|_| None).unwrap());
    let error = nesting("s", 1, &["t"; 4])
        .compile(|_| Some(flat.clone()))
        .unwrap_err();
    assert_eq!(
        (error.path.as_str(), error.source),
        ("rules[3]", CompileFailure::TooLarge)
    );
}

#[test]
fn a_change_revises_those_that_follow_it() {
    let mut changed = leaf("leaf", 1);
    changed.meta.version = 2;
    let latest = [
        nesting("both", 5, &["middle", "leaf"]),
        leaf("leaf", 1),
        nesting("middle", 1, &["leaf"]),
        nesting("other", 1, &["pinning"]),
        nesting("pinning", 1, &["leaf@1"]),
    ];
    let revised = nesters(&changed, &latest).unwrap();
    let versions: Vec<_> = revised
        .iter()
        .map(|s| {
            (
                s.key.as_str(),
                s.references().iter().map(|(_, r)| r.resolved).collect::<Vec<_>>(),
            )
        })
        .collect();
    assert_eq!(versions, [("both", vec![2, 2]), ("middle", vec![2])]);
    assert!(
        revised
            .iter()
            .all(|s| latest.iter().any(|old| old.key == s.key && old.meta == s.meta))
    );

    let many: Vec<_> = (0..=MAX_NESTERS)
        .map(|i| nesting(&format!("n{i}"), 1, &["leaf"]))
        .collect();
    assert_eq!(
        nesters(&changed, &many).unwrap_err(),
        NestingError::TooManyNesters {
            count: MAX_NESTERS + 1
        }
    );
}
