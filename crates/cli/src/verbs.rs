//! The operator's verbs: each asks the services over their public doors and prints the answer.

mod access;
mod assign;
mod audit;
mod event;
mod experiment;
mod explain;
mod generation;
mod namespace;
mod replicas;
mod resource;
mod results;
mod segment;

use assay_client::Client;
use assay_core::{
    key::Namespace,
    value::{Attribute, Attributes},
};
use assay_platform::ChannelOptions;
use clap::CommandFactory;

use crate::{
    args::{Cli, Common, Fields, Global, Plain, SegmentVerb, Verb},
    error::Error,
    output::{self, Format},
    settings::Settings,
    view::{self, View, segment::scalar},
};

/// What a verb works with.
pub(crate) struct Context {
    client: Client,
    namespace: Namespace,
    format: Format,
}

impl Context {
    fn new(global: &Global) -> Result<Self, Error> {
        let settings = Settings::load(global.settings.as_deref())?;
        let namespace = Namespace::new(global.namespace.as_str())
            .map_err(|error| Error::Usage(format!("--namespace `{}` {error}", global.namespace)))?;
        Ok(Self {
            client: connect(&settings)?,
            namespace,
            format: global.output,
        })
    }

    fn namespace(&self) -> &str {
        self.namespace.as_str()
    }
}

/// A client that presents the key of the settings.
fn connect(settings: &Settings) -> Result<Client, Error> {
    let options = ChannelOptions {
        api_key: (&settings.client.api_key).into(),
        ..ChannelOptions::default()
    };
    Ok(Client::connect_with(&settings.client.endpoints(), &options)?)
}

/// Does what the command line asks, but for `serve` and `demo`.
pub(crate) async fn run(global: &Global, verb: Verb) -> Result<(), Error> {
    if let Verb::Completion { shell } = verb {
        let mut script = Vec::new();
        clap_complete::generate(shell, &mut Cli::command(), "assay", &mut script);
        return output::lines(String::from_utf8_lossy(&script));
    }
    let context = Context::new(global)?;
    match verb {
        Verb::Flag(verb) => plain::<view::flag::Flag, _>(&context, verb).await,
        Verb::Segment(SegmentVerb::Plain(verb)) => plain::<view::segment::Segment, _>(&context, verb).await,
        Verb::Segment(SegmentVerb::Test(args)) => segment::test(&context, args).await,
        Verb::Metric(verb) => plain::<view::metric::Metric, _>(&context, verb).await,
        Verb::Layer(verb) => plain::<view::layer::Layer, _>(&context, verb).await,
        Verb::Holdout(verb) => plain::<view::holdout::Holdout, _>(&context, verb).await,
        Verb::Experiment(verb) => experiment::run(&context, verb).await,
        Verb::Generation(verb) => generation::run(&context, verb).await,
        Verb::Apply(args) => namespace::apply(&context, args).await,
        Verb::Export => namespace::export(&context).await,
        Verb::Import(args) => namespace::import(&context, args).await,
        Verb::Assign(args) => assign::run(&context, args).await,
        Verb::Explain(args) => explain::run(&context, args).await,
        Verb::Replicas => replicas::list(&context).await,
        Verb::Results { experiment } => results::results(&context, &experiment).await,
        Verb::Assignments(args) => results::assignments(&context, args).await,
        Verb::Key(verb) => access::run(&context, verb).await,
        Verb::Whoami => access::who_am_i(&context).await,
        Verb::Audit(verb) => audit::run(&context, verb).await,
        Verb::Event(verb) => event::run(&context, verb).await,
        Verb::Serve(_) | Verb::Demo(_) | Verb::Completion { .. } => {
            Err(Error::internal("this verb is done elsewhere"))
        }
    }
}

async fn plain<V: View, F: Fields + clap::Args + std::fmt::Debug>(
    context: &Context,
    verb: Plain<F>,
) -> Result<(), Error> {
    match verb {
        Plain::List => resource::list::<V>(context).await,
        Plain::Common(Common::Create(written)) => resource::create::<V, F>(context, written).await,
        Plain::Common(Common::Show { key }) => resource::show::<V>(context, &key).await,
        Plain::Common(Common::Update(written)) => resource::update::<V, F>(context, written).await,
        Plain::Common(Common::Delete(named)) => resource::delete::<V>(context, named).await,
    }
}

/// The attributes that `name=value` options say.
fn attributes(written: &[String]) -> Result<Attributes, Error> {
    let attribute = |written: &String| {
        let wrong = || Error::Usage(format!("`{written}` has no value; write one like country=DE"));
        let (name, value) = written.split_once('=').ok_or_else(wrong)?;
        let attribute = match scalar(value) {
            serde_json::Value::Bool(flag) => Attribute::Bool(flag),
            serde_json::Value::Number(number) => Attribute::Number(number.as_f64().ok_or_else(wrong)?),
            serde_json::Value::String(text) => Attribute::String(text),
            _ => return Err(wrong()),
        };
        Ok((name.to_owned(), attribute))
    };
    let mut attributes = Attributes::default();
    for one in written {
        let (name, value) = attribute(one)?;
        if attributes.insert(name.clone(), value).is_some() {
            return Err(Error::Usage(format!("`{name}` is given twice; give it once")));
        }
    }
    Ok(attributes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_have_the_types_they_look_like() {
        let found = attributes(&[
            "country=DE".into(),
            "level=12".into(),
            "paying=true".into(),
            "id=\"7\"".into(),
        ]);
        let found = found.unwrap();
        assert_eq!(found.get("country"), Some(&Attribute::from("DE")));
        assert_eq!(found.get("level"), Some(&Attribute::from(12.0)));
        assert_eq!(found.get("paying"), Some(&Attribute::from(true)));
        assert_eq!(found.get("id"), Some(&Attribute::from("7")));
        assert!(attributes(&["country".into()]).is_err());
        assert!(attributes(&["a=1".into(), "a=2".into()]).is_err());
    }
}
