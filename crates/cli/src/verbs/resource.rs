//! Create, show, list, update and delete, the same for every kind of resource.

use std::{
    io::Read,
    path::{Path, PathBuf},
};

use assay_client::resource::{Resource, Target};
use clap::Args;
use serde::Serialize;
use serde_json::{Map, Value};

use super::Context;
use crate::{
    args::{Fields, Named, Written},
    error::Error,
    output,
    view::{View, experiment::Finding},
};

/// What is no more.
#[derive(Serialize)]
struct Deleted {
    kind: &'static str,
    namespace: String,
    key: String,
    version: u64,
}

/// Creates what file and options say.
pub(super) async fn create<V: View, F: Fields + Args + std::fmt::Debug>(
    context: &Context,
    written: Written<F>,
) -> Result<(), Error> {
    let created = new::<V, F>(context, written)?.create(&context.client).await?;
    print(context, V::of(created))
}

/// What file and options say, where it is to be created.
pub(super) fn new<V: View, F: Fields + Args + std::fmt::Debug>(
    context: &Context,
    written: Written<F>,
) -> Result<V::Message, Error> {
    if written.version.is_some() {
        let problem = "--version goes with update: what is created has no version yet";
        return Err(Error::Usage(problem.to_owned()));
    }
    let file = written.file.as_deref().map(read).transpose()?.unwrap_or_default();
    let mut message = compose::<V, F>(Map::new(), file, written)?;
    if message.namespace().is_empty() {
        message.set_namespace(context.namespace().to_owned());
    }
    Ok(message)
}

/// Shows one.
pub(super) async fn show<V: View>(context: &Context, key: &str) -> Result<(), Error> {
    let found = V::Message::get(&context.client, context.namespace(), key).await?;
    print(context, V::of(found))
}

/// Lists all.
pub(super) async fn list<V: View>(context: &Context) -> Result<(), Error> {
    let found = V::Message::list(&context.client, context.namespace()).await?;
    print_list::<V>(context, found)
}

/// Prints a list.
pub(super) fn print_list<V: View>(context: &Context, found: Vec<V::Message>) -> Result<(), Error> {
    let views: Vec<V> = found.into_iter().map(V::of).collect();
    output::document(context.format, &views, || match views.as_slice() {
        [] => format!("no {} in namespace {}", V::Message::KIND, context.namespace()),
        _ => output::table(V::COLUMNS, views.iter().map(View::row), &[]),
    })
}

/// Changes what file and options say, and nothing else.
pub(super) async fn update<V: View, F: Fields + Args + std::fmt::Debug>(
    context: &Context,
    written: Written<F>,
) -> Result<(), Error> {
    let file = written.file.as_deref().map(read).transpose()?.unwrap_or_default();
    let named = written
        .key
        .clone()
        .or_else(|| file.get("key").and_then(Value::as_str).map(str::to_owned));
    let key = named.ok_or_else(|| Error::Usage("give a key, or a file that has one".to_owned()))?;
    let stored = V::Message::get(&context.client, context.namespace(), &key).await?;
    let version = written.version.unwrap_or(stored.version());
    let Value::Object(base) = serde_json::to_value(V::of(stored)).map_err(Error::internal)? else {
        return Err(Error::internal("a resource is a JSON object"));
    };
    let mut message = compose::<V, F>(base, file, written)?;
    message.set_version(version);
    let (updated, warnings) = message.update(&context.client).await?;
    for warning in warnings {
        output::note(format!("warning: {}", Finding::of(warning).line()));
    }
    print(context, V::of(updated))
}

/// Removes one.
pub(super) async fn delete<V: View>(context: &Context, named: Named) -> Result<(), Error> {
    let target = target::<V::Message>(context, named).await?;
    V::Message::delete(&context.client, &target).await?;
    let deleted = Deleted {
        kind: V::Message::KIND,
        namespace: target.namespace,
        key: target.key,
        version: target.version,
    };
    output::document(context.format, &deleted, || {
        format!("{} {} deleted", deleted.kind, deleted.key)
    })
}

/// The resource that is meant, in the version that is given or in the present one.
pub(super) async fn target<R: Resource>(context: &Context, named: Named) -> Result<Target, Error> {
    let version = match named.version {
        Some(version) => version,
        None => R::get(&context.client, context.namespace(), &named.key)
            .await?
            .version(),
    };
    Ok(Target {
        namespace: context.namespace().to_owned(),
        key: named.key,
        version,
    })
}

/// `base`, changed by what the `file` holds, changed by the options.
fn compose<V: View, F: Fields + Args + std::fmt::Debug>(
    base: Map<String, Value>,
    file: Map<String, Value>,
    written: Written<F>,
) -> Result<V::Message, Error> {
    let mut document = base;
    document.extend(file);
    written.fields.write(&mut document)?;
    if let Some(key) = written.key {
        document.insert("key".to_owned(), key.into());
    }
    message(parse::<V>(document, written.file.as_ref())?, written.file)
}

/// The message of a document; what is wrong with one from a file names the file.
fn message<V: View>(view: V, file: Option<PathBuf>) -> Result<V::Message, Error> {
    view.message().map_err(|error| match (error, file) {
        (Error::Usage(problem), Some(path)) => Error::File { path, problem },
        (error, _) => error,
    })
}

/// The resource that a document is.
fn parse<V: View>(document: Map<String, Value>, file: Option<&PathBuf>) -> Result<V, Error> {
    serde_json::from_value(document.into()).map_err(|error| match file {
        Some(path) => Error::File {
            path: path.clone(),
            problem: error.to_string(),
        },
        None => Error::Usage(error.to_string()),
    })
}

/// The resource that a file is.
pub(super) fn message_of_file<V: View>(path: PathBuf) -> Result<V::Message, Error> {
    message(parse::<V>(read(&path)?, Some(&path))?, Some(path))
}

/// The document in a YAML or JSON file; `-` is stdin.
fn read(path: &Path) -> Result<Map<String, Value>, Error> {
    let wrong = |problem: String| Error::File {
        path: path.to_owned(),
        problem,
    };
    let text = if path == Path::new("-") {
        let mut text = String::new();
        std::io::stdin().read_to_string(&mut text).map(|_| text)
    } else {
        std::fs::read_to_string(path)
    };
    let text = text.map_err(|error| wrong(error.to_string()))?;
    // Editors of some systems put a byte order mark first.
    let text = text.trim_start_matches('\u{feff}');
    let yaml = serde_yaml_ng::from_str(text).map_err(|error| wrong(error.to_string()))?;
    finite(&yaml).map_err(wrong)?;
    match serde_yaml_ng::from_value(yaml).map_err(|error| wrong(error.to_string()))? {
        Value::Object(document) => Ok(document),
        _ => Err(wrong("holds no object; write `key: value` lines".to_owned())),
    }
}

/// Refuses numbers that JSON does not have, which would be taken for what is not said.
pub(super) fn finite(yaml: &serde_yaml_ng::Value) -> Result<(), String> {
    match yaml {
        serde_yaml_ng::Value::Number(number) if !number.is_finite() => {
            Err(format!("holds the number {number}; give a finite one"))
        }
        serde_yaml_ng::Value::Sequence(items) => items.iter().try_for_each(finite),
        serde_yaml_ng::Value::Mapping(entries) => entries.values().try_for_each(finite),
        _ => Ok(()),
    }
}

/// Prints one resource.
pub(super) fn print<V: View>(context: &Context, view: V) -> Result<(), Error> {
    output::document(context.format, &view, || output::facts(view.facts()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Map<String, Value>, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        read(file.path()).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_wrong_in_a_file_names_the_file() {
        for text in [
            "key: m\ndirection: sideways",
            "key: m\ndirectoin: INCREASE",
            "key: m",
        ] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            let error = message_of_file::<crate::view::metric::Metric>(file.path().to_owned()).unwrap_err();
            assert_eq!(error.exit(), assay_platform::Exit::Failure);
            assert!(
                error
                    .to_string()
                    .starts_with(&format!("file `{}`: ", file.path().display())),
                "{error}"
            );
        }
    }

    #[test]
    fn a_file_is_an_object_of_numbers_that_json_has() {
        assert_eq!(read_text("key: a\nconfidence: 0.9\n").unwrap().len(), 2);
        assert_eq!(read_text("{\"key\": \"a\"}").unwrap().len(), 1);
        for bad in ["confidence: .nan", "variants: [{value: -.inf}]"] {
            let error = read_text(bad).unwrap_err();
            assert!(error.contains("finite"), "{bad}: {error}");
        }
        for bad in ["", "- a", "just words", "a: [", "a: 1\na: 2"] {
            assert!(read_text(bad).is_err(), "{bad}");
        }
    }
}
