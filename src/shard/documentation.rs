//! COMMAND DOCS: what a command is for and how it is written.

use crate::command::deprecated::{deprecation, is_system};
use crate::command::syntax::{self, Argument};
use crate::command::{Command, table};
use crate::protocol::{Args, Reply};

use super::introspection::{lookup, pair, set_of, subcommands};

/// COMMAND DOCS: unknown names are left out.
pub(super) fn of_named(reply: &mut Reply, args: Args<'_>) {
    let commands: Vec<&'static Command> = match args.len() {
        2 => table::all().collect(),
        _ => args.iter().skip(2).filter_map(lookup).collect(),
    };
    reply.map(commands.len());
    commands
        .into_iter()
        .for_each(|command| document(reply, command));
}

/// A command's name and what is known of it. Of Redis's fields one is left out: the history, which
/// tells in prose what each version of another server changed.
fn document(reply: &mut Reply, command: &Command) {
    let doc = &command.doc;
    let subcommands = subcommands(command);
    let deprecation = deprecation(command.full_name);
    let system = is_system(command.full_name);
    let arguments = syntax::parse(command.syntax).expect("a unit test parses every syntax");
    reply.bulk_str(command.full_name);
    let fields = reply.begin_map();
    let mut count = 0;
    for (name, text) in [
        ("summary", doc.summary),
        ("since", doc.since),
        ("group", doc.group),
        ("complexity", doc.complexity),
    ] {
        if !text.is_empty() {
            pair(reply, name, text);
            count += 1;
        }
    }
    if system || deprecation.is_some() {
        reply.bulk_str("doc_flags");
        let flags = [("deprecated", deprecation.is_some()), ("syscmd", system)];
        let flags = flags.iter().filter(|(_, applies)| *applies);
        set_of(reply, flags.map(|(name, _)| *name));
        count += 1;
    }
    if let Some(deprecation) = deprecation {
        pair(reply, "deprecated_since", deprecation.since);
        pair(reply, "replaced_by", deprecation.replaced_by);
        count += 2;
    }
    if !arguments.is_empty() {
        list(reply, &arguments);
        count += 1;
    }
    if !subcommands.is_empty() {
        reply.bulk_str("subcommands");
        reply.map(subcommands.len());
        subcommands.iter().for_each(|sub| document(reply, sub));
        count += 1;
    }
    reply.finish(fields, count);
}

/// The field `arguments` of a command or a group.
fn list(reply: &mut Reply, arguments: &[Argument<'_>]) {
    reply.bulk_str("arguments");
    reply.array(arguments.len());
    arguments.iter().for_each(|one| argument(reply, one));
}

fn argument(reply: &mut Reply, argument: &Argument<'_>) {
    let fields = reply.begin_map();
    let mut count = 2;
    pair(reply, "name", &argument.name);
    pair(reply, "type", argument.kind.name());
    let mut text = |reply: &mut Reply, name: &str, value: Option<&str>| {
        if let Some(value) = value {
            pair(reply, name, value);
            count += 1;
        }
    };
    text(reply, "display_text", argument.display.as_deref());
    let spec = argument.key_spec.map(i64::from);
    if let Some(spec) = spec {
        reply.bulk_str("key_spec_index");
        reply.integer(spec);
    }
    text(reply, "token", argument.token);
    text(reply, "since", argument.since);
    text(reply, "deprecated_since", argument.deprecated_since);
    count += usize::from(spec.is_some());
    let flags = [
        ("optional", argument.optional),
        ("multiple", argument.multiple),
        ("multiple_token", argument.multiple_token),
    ];
    if flags.iter().any(|(_, applies)| *applies) {
        reply.bulk_str("flags");
        let flags = flags.iter().filter(|(_, applies)| *applies);
        set_of(reply, flags.map(|(name, _)| *name));
        count += 1;
    }
    if !argument.arguments.is_empty() {
        list(reply, &argument.arguments);
        count += 1;
    }
    reply.finish(fields, count);
}

#[cfg(test)]
mod tests {
    use super::super::testing::World;

    #[test]
    fn documentation_names_subcommands_and_skips_the_unknown() {
        let mut world = World::new(1);
        let conn = world.connect(0);
        assert_eq!(world.text(conn, "COMMAND DOCS nosuch"), "*0");
        let text = world.text(conn, "COMMAND DOCS client|id");
        assert!(
            text.starts_with("*2 $9 client|id *8 $7 summary $"),
            "{text}"
        );
        let text = world.text(conn, "COMMAND DOCS config");
        assert!(text.starts_with("*2 $6 config *10 $7 summary "), "{text}");
        assert!(
            text.contains(" $11 subcommands *10 $10 config|get *10 "),
            "{text}"
        );
    }

    #[test]
    fn arguments_are_shown_field_by_field() {
        let mut world = World::new(1);
        let conn = world.connect(0);
        let text = world.text(conn, "COMMAND DOCS setex");
        let want = "$9 doc_flags *1 +deprecated $16 deprecated_since $6 2.6.12 $11 replaced_by \
            $28 `SET` with the `EX` argument $9 arguments *3 \
            *8 $4 name $3 key $4 type $3 key $12 display_text $3 key $14 key_spec_index :0 \
            *6 $4 name $7 seconds $4 type $7 integer $12 display_text $7 seconds \
            *6 $4 name $5 value $4 type $6 string $12 display_text $5 value";
        assert!(text.ends_with(want), "{text}");
        world.text(conn, "HELLO 3");
        let text = world.text(conn, "COMMAND DOCS persist flushdb");
        let want = "$9 arguments *1 %4 $4 name $10 flush-type $4 type $5 oneof \
            $5 flags ~1 +optional $9 arguments *2 \
            %5 $4 name $5 async $4 type $10 pure-token $12 display_text $5 async \
            $5 token $5 ASYNC $5 since $5 4.0.0 \
            %5 $4 name $4 sync $4 type $10 pure-token $12 display_text $4 sync \
            $5 token $4 SYNC $5 since $5 6.2.0";
        assert!(text.ends_with(want), "{text}");
    }
}
