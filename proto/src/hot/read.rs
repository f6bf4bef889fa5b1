use assay_core::{
    key::{MAX_KEY_BYTES, Unit, UnitKind},
    value::{Attribute, Attributes},
};

use crate::{
    assignment::v1::Exposure,
    convert::{MAX_ATTRIBUTE_NAME_BYTES, MAX_ATTRIBUTE_TEXT_BYTES, MAX_ATTRIBUTES},
};

/// An ordinary `AssignRequest`.
#[derive(Debug, PartialEq)]
pub struct Asked<'a> {
    /// The namespace as it was given; empty means `default`.
    pub namespace: &'a str,
    /// For whom.
    pub unit: Unit,
    /// What is said of the unit.
    pub attributes: Attributes,
    /// Keys of flags or experiments: at least one, none empty or too long.
    pub keys: Vec<&'a str>,
    /// Whether it is an exposure.
    pub exposure: Exposure,
}

/// The request that `message` is, if it is an ordinary one: with a unit, its attributes flat scalars, nothing twice, nothing to refuse.
pub fn asked(message: &[u8]) -> Option<Asked<'_>> {
    let (mut namespace, mut unit, mut attributes, mut exposure) = (None, None, None, None);
    let mut keys = Vec::new();
    let mut fields = Fields(message);
    while let Some((tag, field)) = fields.next()? {
        match (tag, field) {
            (1, Field::Bytes(bytes)) => once(&mut namespace, text(bytes)?)?,
            (2, Field::Bytes(bytes)) => once(&mut unit, unit_from(bytes)?)?,
            (3, Field::Bytes(bytes)) => once(&mut attributes, attributes_from(bytes)?)?,
            (4, Field::Bytes(bytes)) => keys.push(key(bytes)?),
            (5, Field::Varint(number)) => {
                let number = i32::try_from(number).ok()?;
                once(&mut exposure, Exposure::try_from(number).ok()?)?;
            }
            _ => return None,
        }
    }
    if keys.is_empty() {
        return None;
    }
    Some(Asked {
        namespace: namespace.unwrap_or_default(),
        unit: unit?,
        attributes: attributes.unwrap_or_default(),
        keys,
        exposure: exposure.unwrap_or_default(),
    })
}

fn key(bytes: &[u8]) -> Option<&str> {
    text(bytes).filter(|key| !key.is_empty() && key.len() <= MAX_KEY_BYTES)
}

fn unit_from(message: &[u8]) -> Option<Unit> {
    let (mut kind, mut id) = (None, None);
    let mut fields = Fields(message);
    while let Some((tag, field)) = fields.next()? {
        match (tag, field) {
            (1, Field::Bytes(bytes)) => once(&mut kind, text(bytes)?)?,
            (2, Field::Bytes(bytes)) => once(&mut id, text(bytes)?)?,
            _ => return None,
        }
    }
    let kind = match kind {
        None | Some("") => UnitKind::default(),
        Some(kind) => UnitKind::new(kind).ok()?,
    };
    Unit::new(kind, id?).ok()
}

fn attributes_from(message: &[u8]) -> Option<Attributes> {
    let mut attributes = Attributes::new();
    let mut fields = Fields(message);
    while let Some((tag, field)) = fields.next()? {
        let (1, Field::Bytes(entry)) = (tag, field) else {
            return None;
        };
        let (name, attribute) = attribute_from(entry)?;
        if attributes.insert(name.to_owned(), attribute).is_some() || attributes.len() > MAX_ATTRIBUTES {
            return None;
        }
    }
    Some(attributes)
}

fn attribute_from(entry: &[u8]) -> Option<(&str, Attribute)> {
    let (mut name, mut attribute) = (None, None);
    let mut fields = Fields(entry);
    while let Some((tag, field)) = fields.next()? {
        match (tag, field) {
            (1, Field::Bytes(bytes)) => once(&mut name, text(bytes)?)?,
            (2, Field::Bytes(bytes)) => once(&mut attribute, scalar(bytes)?)?,
            _ => return None,
        }
    }
    let name = name.filter(|name| !name.is_empty() && name.len() <= MAX_ATTRIBUTE_NAME_BYTES)?;
    Some((name, attribute?))
}

/// A `google.protobuf.Value` that is a boolean, a finite number or a text.
fn scalar(message: &[u8]) -> Option<Attribute> {
    let mut fields = Fields(message);
    let attribute = match fields.next()?? {
        (2, Field::Fixed64(bits)) => Attribute::Number(f64::from_bits(bits)),
        (3, Field::Bytes(bytes)) => Attribute::String(text(bytes)?.to_owned()),
        (4, Field::Varint(flag)) => Attribute::Bool(flag != 0),
        _ => return None,
    };
    let is_allowed = match &attribute {
        Attribute::Number(number) => number.is_finite(),
        Attribute::String(text) => text.len() <= MAX_ATTRIBUTE_TEXT_BYTES,
        Attribute::Bool(_) => true,
    };
    (is_allowed && fields.0.is_empty()).then_some(attribute)
}

fn once<T>(place: &mut Option<T>, value: T) -> Option<()> {
    place.replace(value).is_none().then_some(())
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

/// What stands behind a tag.
enum Field<'a> {
    Varint(u64),
    Fixed64(u64),
    Bytes(&'a [u8]),
}

/// The rest of a message.
struct Fields<'a>(&'a [u8]);

impl<'a> Fields<'a> {
    /// The next field with its tag, `Some(None)` at the end, `None` when what follows is malformed or of a kind that no field here has.
    #[expect(clippy::option_option, reason = "`?` passes on what is malformed")]
    fn next(&mut self) -> Option<Option<(u64, Field<'a>)>> {
        if self.0.is_empty() {
            return Some(None);
        }
        let key = self.varint()?;
        let field = match key & 7 {
            0 => Field::Varint(self.varint()?),
            1 => {
                let (bits, rest) = self.0.split_first_chunk()?;
                self.0 = rest;
                Field::Fixed64(u64::from_le_bytes(*bits))
            }
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let (bytes, rest) = self.0.split_at_checked(length)?;
                self.0 = rest;
                Field::Bytes(bytes)
            }
            _ => return None,
        };
        Some(Some((key >> 3, field)))
    }

    fn varint(&mut self) -> Option<u64> {
        let mut number = 0_u64;
        for shift in (0..63).step_by(7) {
            let (&byte, rest) = self.0.split_first()?;
            self.0 = rest;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Some(number);
            }
        }
        None
    }
}
