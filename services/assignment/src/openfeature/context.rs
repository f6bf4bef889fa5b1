//! The evaluation context: whom a flag is for.

use assay_core::{key::Unit, value::Attributes};
use assay_proto::{convert::attributes, field::FieldErrors};
use prost_types::{Struct, value::Kind};

const TARGETING_KEY: &str = "targetingKey";

/// Whom a flag is for.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Context {
    /// By its targeting key, of kind `user`.
    pub(crate) unit: Option<Unit>,
    /// All else, flat; lists left out.
    pub(crate) attributes: Attributes,
    /// What was left out, because no rule can look at a list.
    pub(crate) ignored: Vec<String>,
}

impl Context {
    /// From the context of a request. A targeting key that is absent, null or empty is none.
    ///
    /// # Errors
    /// A targeting key that is no text or no unit id, attributes that are too many, too long, too deep or not finite.
    pub(crate) fn read(context: Option<Struct>) -> Result<Self, FieldErrors> {
        let mut context = context.unwrap_or_default();
        let mut errors = FieldErrors::default();
        let unit = errors.keep(unit(context.fields.remove(TARGETING_KEY).and_then(|v| v.kind)));
        let mut ignored = Vec::new();
        leave_lists_out(&mut context, "", &mut ignored);
        let attributes = errors.keep(attributes(context, "context"));
        let read = unit.zip(attributes).map(|(unit, attributes)| Self {
            unit,
            attributes,
            ignored,
        });
        errors.finish(read)
    }
}

fn unit(key: Option<Kind>) -> Result<Option<Unit>, FieldErrors> {
    let field = format!("context.{TARGETING_KEY}");
    match key {
        None | Some(Kind::NullValue(_)) => Ok(None),
        Some(Kind::StringValue(id)) if id.is_empty() => Ok(None),
        Some(Kind::StringValue(id)) => {
            let unit =
                Unit::user(id).map_err(|error| FieldErrors::one(field, "UNIT_ID", error.to_string()))?;
            Ok(Some(unit))
        }
        Some(_) => Err(FieldErrors::one(
            field,
            "TEXT",
            "is no text; give the unit's id as a text",
        )),
    }
}

/// Applications put whole objects into the context; one list among them is no reason to fail a page.
fn leave_lists_out(object: &mut Struct, path: &str, ignored: &mut Vec<String>) {
    object.fields.retain(|name, value| {
        let path = match path {
            "" => name.clone(),
            path => format!("{path}.{name}"),
        };
        match &mut value.kind {
            Some(Kind::ListValue(_)) => {
                ignored.push(path);
                false
            }
            Some(Kind::StructValue(inner)) => {
                leave_lists_out(inner, &path, ignored);
                true
            }
            _ => true,
        }
    });
}

#[cfg(test)]
mod tests {
    use assay_proto::convert::json_to;
    use serde_json::json;

    use super::*;

    fn read(context: serde_json::Value) -> Result<Context, FieldErrors> {
        match json_to(&context).kind {
            Some(Kind::StructValue(object)) => Context::read(Some(object)),
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn the_targeting_key_is_the_unit_and_all_else_its_attributes() {
        let context =
            read(json!({"targetingKey": "42", "country": "NL", "app": {"build": 0}, "vip": false})).unwrap();
        assert_eq!(context.unit, Some(Unit::user("42").unwrap()));
        let names: Vec<_> = context.attributes.keys().map(String::as_str).collect();
        assert_eq!(names, ["app.build", "country", "vip"]);
    }

    #[test]
    fn an_absent_null_or_empty_targeting_key_is_none() {
        assert_eq!(Context::read(None), Ok(Context::default()));
        for context in [
            json!({}),
            json!({"targetingKey": null}),
            json!({"targetingKey": ""}),
        ] {
            assert_eq!(read(context), Ok(Context::default()));
        }
    }

    #[test]
    fn lists_are_left_out_and_named() {
        let context = read(json!({"tags": ["a"], "app": {"langs": [], "os": "ios"}})).unwrap();
        assert_eq!(context.attributes.len(), 1);
        let mut ignored = context.ignored;
        ignored.sort();
        assert_eq!(ignored, ["app.langs", "tags"]);
    }

    #[test]
    fn what_is_no_unit_or_too_much_is_refused_with_field_and_rule() {
        let number = read(json!({"targetingKey": 7})).unwrap_err();
        assert_eq!(
            (number.0[0].field.as_str(), number.0[0].rule),
            ("context.targetingKey", "TEXT")
        );
        let long = read(json!({"targetingKey": "x".repeat(300)})).unwrap_err();
        assert_eq!(long.0[0].rule, "UNIT_ID");
        let text = read(json!({"about": "x".repeat(5_000)})).unwrap_err();
        assert_eq!(
            (text.0[0].field.as_str(), text.0[0].rule),
            ("context.about", "TEXT_TOO_LONG")
        );
    }
}
