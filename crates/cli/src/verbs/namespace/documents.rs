//! Documents: resources as they stand in files, each with its `kind`.

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::{Path, PathBuf},
};

use assay_proto::config::v1 as pb;
use serde::{Deserialize as _, Serialize};
use serde_json::{Map, Value};

use crate::{
    error::Error,
    foreign::Translation,
    verbs::resource::finite,
    view::{
        View, experiment::Experiment, flag::Flag, holdout::Holdout, layer::Layer, metric::Metric,
        segment::Segment,
    },
};

/// The kinds, in the order in which they are printed: what is referred to first.
const KINDS: [&str; 6] = ["layer", "segment", "metric", "flag", "holdout", "experiment"];

/// Most directories within each other.
const MAX_DEPTH: usize = 16;

/// One resource as it is written.
#[derive(Debug, Clone)]
pub(super) struct Document {
    pub(super) kind: &'static str,
    pub(super) key: String,
    /// Its fields; `kind` and `namespace` are taken out.
    pub(super) fields: Map<String, Value>,
    /// The file, and which document of it.
    origin: Origin,
}

#[derive(Debug, Clone, Default)]
struct Origin {
    path: PathBuf,
    number: usize,
}

impl Origin {
    fn wrong(&self, problem: impl std::fmt::Display) -> Error {
        Error::File {
            path: self.path.clone(),
            problem: format!("document {}: {problem}", self.number),
        }
    }
}

impl Document {
    /// What a namespace calls it, such as `flag/gate`.
    pub(super) fn name(&self) -> String {
        format!("{}/{}", self.kind, self.key)
    }
}

/// Documents, each resource once.
#[derive(Debug, Default)]
pub(super) struct Documents {
    all: Vec<Document>,
    /// Where each stands, by name.
    places: BTreeMap<String, usize>,
}

impl Documents {
    /// The documents of `contents`.
    pub(super) fn of(contents: pb::NamespaceContents) -> Result<Self, Error> {
        let mut all = Self::default();
        fn each<V: View>(
            kind: &'static str,
            messages: Vec<V::Message>,
            all: &mut Documents,
        ) -> Result<(), Error> {
            let mut views = messages.into_iter().map(V::of);
            views.try_for_each(|view| all.view(kind, &view, &Origin::default()))
        }
        each::<Layer>("layer", contents.layers, &mut all)?;
        each::<Segment>("segment", contents.segments, &mut all)?;
        each::<Metric>("metric", contents.metrics, &mut all)?;
        each::<Flag>("flag", contents.flags, &mut all)?;
        each::<Holdout>("holdout", contents.holdouts, &mut all)?;
        each::<Experiment>("experiment", contents.experiments, &mut all)?;
        Ok(all)
    }

    /// What the file at `path`, which another system wrote, becomes.
    pub(super) fn translated(translation: &Translation, path: &Path) -> Result<Self, Error> {
        let origin = Origin {
            path: path.to_owned(),
            number: 1,
        };
        let mut all = Self::default();
        let (segments, flags) = (&translation.segments, &translation.flags);
        segments
            .iter()
            .try_for_each(|segment| all.view("segment", segment, &origin))?;
        flags
            .iter()
            .try_for_each(|flag| all.view("flag", flag, &origin))?;
        let mut experiments = translation.experiments.iter();
        experiments.try_for_each(|experiment| all.view("experiment", experiment, &origin))?;
        Ok(all)
    }

    fn view(&mut self, kind: &'static str, view: &impl Serialize, origin: &Origin) -> Result<(), Error> {
        let Value::Object(mut fields) = serde_json::to_value(view).map_err(Error::internal)? else {
            return Err(Error::internal("a resource is a JSON object"));
        };
        fields.retain(|name, value| name != "namespace" && !is_empty(value));
        let key = fields
            .get("key")
            .and_then(Value::as_str)
            .unwrap_or_default()
            .to_owned();
        self.push(Document {
            kind,
            key,
            fields,
            origin: origin.clone(),
        });
        Ok(())
    }

    /// Adds a document; there is none of its name.
    fn push(&mut self, document: Document) {
        self.places.insert(document.name(), self.all.len());
        self.all.push(document);
    }

    fn find(&self, name: &str) -> Option<&Document> {
        self.all.get(*self.places.get(name)?)
    }

    /// These documents over what is `stored`: fields that they leave out stay.
    pub(super) fn over(mut self, stored: &Self) -> Self {
        for document in &mut self.all {
            if let Some(below) = stored.get(&document.name()) {
                let given = std::mem::replace(&mut document.fields, below.clone());
                document.fields.extend(given);
            }
        }
        self
    }

    /// The fields of a resource such as `flag/gate`.
    pub(super) fn get(&self, name: &str) -> Option<&Map<String, Value>> {
        self.find(name).map(|document| &document.fields)
    }

    /// The messages of the documents, and where each comes from.
    pub(super) fn contents(&self) -> Result<(pb::NamespaceContents, Places), Error> {
        let (mut contents, mut places) = (pb::NamespaceContents::default(), Places::default());
        for document in &self.all {
            macro_rules! push {
                ($field:ident, $view:ty) => {{
                    let path = format!(concat!(stringify!($field), "[{}]"), contents.$field.len());
                    places
                        .0
                        .insert(path, (document.name(), document.origin.clone()));
                    contents.$field.push(message::<$view>(document)?);
                }};
            }
            match document.kind {
                "layer" => push!(layers, Layer),
                "segment" => push!(segments, Segment),
                "metric" => push!(metrics, Metric),
                "flag" => push!(flags, Flag),
                "holdout" => push!(holdouts, Holdout),
                _ => push!(experiments, Experiment),
            }
        }
        Ok((contents, places))
    }

    /// One YAML document each.
    pub(super) fn yaml(&self) -> Result<String, Error> {
        let documents = self.all.iter().map(|document| {
            let text = serde_yaml_ng::to_string(&document.fields).map_err(Error::internal)?;
            Ok(format!("---\nkind: {}\n{text}", document.kind))
        });
        let documents = documents.collect::<Result<Vec<_>, Error>>()?;
        Ok(documents.concat())
    }

    /// One JSON array.
    pub(super) fn json(&self) -> Result<String, Error> {
        let all = self.all.iter().map(|document| {
            let mut fields = Map::from_iter([("kind".to_owned(), document.kind.into())]);
            fields.extend(document.fields.clone());
            Value::Object(fields)
        });
        serde_json::to_string_pretty(&all.collect::<Vec<_>>()).map_err(Error::internal)
    }
}

/// Whether a field says nothing.
fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        _ => false,
    }
}

/// All documents of `files`, which may be directories or `-`.
pub(super) fn read(files: &[PathBuf], namespace: &str) -> Result<Documents, Error> {
    let mut found = Documents::default();
    for file in files {
        for path in expand(file, 0)? {
            for document in read_one(&path, namespace)? {
                if let Some(first) = found.find(&document.name()) {
                    let (path, number) = (first.origin.path.display(), first.origin.number);
                    return Err(document.origin.wrong(format!(
                        "`{}` is in file `{path}`, document {number}, already; write it once",
                        document.name()
                    )));
                }
                found.push(document);
            }
        }
    }
    Ok(found)
}

/// The file, or the files of the directory in order of name.
fn expand(path: &Path, depth: usize) -> Result<Vec<PathBuf>, Error> {
    if path == Path::new("-") || !path.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let wrong = |problem: String| Error::File {
        path: path.to_owned(),
        problem,
    };
    if depth == MAX_DEPTH {
        return Err(wrong(format!(
            "lies below {MAX_DEPTH} directories; name it itself"
        )));
    }
    let entries = std::fs::read_dir(path).map_err(|error| wrong(error.to_string()))?;
    let mut paths = Vec::new();
    for entry in entries {
        paths.push(entry.map_err(|error| wrong(error.to_string()))?.path());
    }
    paths.sort();
    let mut found = Vec::new();
    for path in paths {
        let is_wanted = ["yaml", "yml", "json"]
            .iter()
            .any(|ending| path.extension() == Some(ending.as_ref()));
        if path.is_dir() || is_wanted {
            found.extend(expand(&path, depth + 1)?);
        }
    }
    Ok(found)
}

fn text(path: &Path) -> Result<String, Error> {
    let text = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(|error| Error::File {
        path: path.to_owned(),
        problem: error.to_string(),
    })?;
    // Editors of some systems put a byte order mark first.
    Ok(text.trim_start_matches('\u{feff}').to_owned())
}

/// The file of another system, translated by `translate`.
pub(super) fn read_foreign(
    path: &Path,
    translate: impl Fn(&Value) -> Result<Translation, String>,
) -> Result<Translation, Error> {
    let text = text(path)?;
    let value = serde_json::from_str(&text).or_else(|of_json| {
        // YAML is looser: what was meant as JSON is told what is wrong as JSON.
        let yaml = (!text.trim_start().starts_with('{')).then(|| serde_yaml_ng::from_str(&text).ok());
        yaml.flatten().ok_or_else(|| of_json.to_string())
    });
    value
        .and_then(|value| translate(&value))
        .map_err(|problem| Error::File {
            path: path.to_owned(),
            problem,
        })
}

fn read_one(path: &Path, namespace: &str) -> Result<Vec<Document>, Error> {
    let text = text(path)?;
    let mut found = Vec::new();
    for (i, document) in serde_yaml_ng::Deserializer::from_str(&text).enumerate() {
        let origin = Origin {
            path: path.to_owned(),
            number: i + 1,
        };
        let yaml = serde_yaml_ng::Value::deserialize(document).map_err(|error| origin.wrong(error))?;
        finite(&yaml).map_err(|problem| origin.wrong(problem))?;
        match serde_yaml_ng::from_value(yaml).map_err(|error| origin.wrong(error))? {
            Value::Null => {}
            Value::Array(items) => {
                for item in items {
                    found.push(document_of(item, origin.clone(), namespace)?);
                }
            }
            value => found.push(document_of(value, origin, namespace)?),
        }
    }
    Ok(found)
}

fn document_of(value: Value, origin: Origin, namespace: &str) -> Result<Document, Error> {
    let Value::Object(mut fields) = value else {
        return Err(origin.wrong("holds no object; write `kind:` and `key:` lines"));
    };
    let kind = match fields.remove("kind") {
        Some(Value::String(kind)) => kind,
        _ => return Err(origin.wrong(format!("has no `kind`; write one of {}", KINDS.join(", ")))),
    };
    let Some(kind) = KINDS.into_iter().find(|known| kind == *known) else {
        return Err(origin.wrong(format!("`kind` is `{kind}`; write one of {}", KINDS.join(", "))));
    };
    match fields.remove("namespace") {
        None | Some(Value::Null) => {}
        Some(Value::String(named)) if named.is_empty() || named == namespace => {}
        Some(named) => {
            return Err(origin.wrong(format!(
                "`namespace` is {named}, and this goes to `{namespace}`; leave it out, or give --namespace"
            )));
        }
    }
    match fields.get("key").and_then(Value::as_str) {
        Some(key) if !key.is_empty() => Ok(Document {
            kind,
            key: key.to_owned(),
            fields,
            origin,
        }),
        _ => Err(origin.wrong(format!("has no `key`; write the key of the {kind}"))),
    }
}

/// Where the resources of a request come from.
#[derive(Debug, Default)]
pub(super) struct Places(BTreeMap<String, (String, Origin)>);

impl Places {
    /// `field`, which begins with a path such as `flags[3]`, with the resource and the place in the files instead.
    pub(super) fn of(&self, field: &str) -> String {
        let (path, rest) = match field.split_once('.') {
            Some((path, rest)) => (path, format!(" {rest}")),
            None => (field, String::new()),
        };
        match self.0.get(path) {
            Some((name, origin)) => {
                let (path, number) = (origin.path.display(), origin.number);
                format!("file `{path}`, document {number}, {name}{rest}")
            }
            None => field.to_owned(),
        }
    }

    /// `error` with the places of what it names.
    pub(super) fn name(&self, mut error: assay_client::Error) -> Error {
        if let assay_client::Error::Call(failure) = &mut error {
            if failure.reason == "CANNOT_IMPORT" {
                "nothing is written, because of this".clone_into(&mut failure.message);
            }
            for violation in &mut failure.violations {
                violation.field = self.of(&violation.field);
            }
        }
        error.into()
    }
}

fn message<V: View>(document: &Document) -> Result<V::Message, Error> {
    let wrong = |problem: String| document.origin.wrong(format!("{}: {problem}", document.name()));
    let view: V =
        serde_json::from_value(document.fields.clone().into()).map_err(|error| wrong(error.to_string()))?;
    view.message().map_err(|error| match error {
        Error::Usage(problem) => wrong(problem),
        error => error,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Vec<Document>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        let name = file.path().display().to_string();
        read_one(file.path(), "shop").map_err(|error| error.to_string().replace(&name, "x.yaml"))
    }

    fn all(documents: Vec<Document>) -> Documents {
        let mut all = Documents::default();
        documents.into_iter().for_each(|document| all.push(document));
        all
    }

    #[test]
    fn a_file_is_a_row_of_documents() {
        let found = read_text(
            "---\nkind: flag\nkey: gate\n---\n# nothing\n---\nkind: segment\nkey: ios\nnamespace: shop\n",
        );
        let names: Vec<_> = found.unwrap().iter().map(Document::name).collect();
        assert_eq!(names, ["flag/gate", "segment/ios"]);
        let found = read_text("[{\"kind\": \"layer\", \"key\": \"page\"}]").unwrap();
        assert_eq!(found[0].name(), "layer/page");
    }

    #[test]
    fn what_is_wrong_names_file_document_and_remedy() {
        let cases = [
            (
                "kind: flag\nkey: a\n---\nkey: b\n",
                "file `x.yaml`: document 2: has no `kind`; write one of layer",
            ),
            (
                "kind: flags\nkey: a",
                "document 1: `kind` is `flags`; write one of layer",
            ),
            (
                "kind: flag\n",
                "document 1: has no `key`; write the key of the flag",
            ),
            (
                "kind: flag\nkey: a\nnamespace: other",
                "`namespace` is \"other\", and this goes to `shop`",
            ),
            ("just words", "document 1: holds no object"),
            ("kind: [", "document 1: "),
            ("kind: flag\nkey: a\nx: .nan", "finite"),
        ];
        for (text, problem) in cases {
            let error = read_text(text).unwrap_err();
            assert!(error.contains(problem), "{text:?}: {error}");
        }
        let found = read_text("kind: flag\nkey: a\ndefalt: 1").unwrap();
        let error = all(found).contents().unwrap_err().to_string();
        assert!(
            error.contains("document 1: flag/a: unknown field `defalt`"),
            "{error}"
        );
    }

    #[test]
    fn what_a_document_leaves_out_stays() {
        let flag = pb::Flag {
            key: "gate".to_owned(),
            name: "Gate".to_owned(),
            description: "old".to_owned(),
            ..Default::default()
        };
        let stored = Documents::of(pb::NamespaceContents {
            flags: vec![flag],
            ..Default::default()
        });
        let given = all(read_text("kind: flag\nkey: gate\ndescription: new").unwrap());
        let merged = given.over(&stored.unwrap());
        let merged = merged.get("flag/gate").unwrap();
        assert_eq!(merged["name"], "Gate");
        assert_eq!(merged["description"], "new");
    }

    #[test]
    fn what_is_refused_is_found_in_the_files() {
        let given =
            read_text("kind: flag\nkey: a\ntype: BOOLEAN\n---\nkind: flag\nkey: b\ntype: BOOLEAN").unwrap();
        let (_, places) = all(given).contents().unwrap();
        let place = places.of("flags[1].variations[0].value");
        assert!(
            place.ends_with("document 2, flag/b variations[0].value"),
            "{place}"
        );
        assert_eq!(places.of("reason"), "reason");
    }
}
