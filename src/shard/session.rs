//! Session commands: which function runs which, and questions that go to every shard.
//!
//! Within EXEC a question is one step of a transaction, which goes on when all have answered.

use crate::command::session::SessionOp;
use crate::protocol::Reply;

use super::client::{Client, Waiting};
use super::clients;
use super::dispatch::Parsed;
use super::gather::{Answer, Question, ShardFigures};
use super::locks::TxId;
use super::message::Item;
use super::observe::{Observed, Report};
use super::shell::{ConnId, Shell};
use super::slow_log::SlowEntry;
use super::tracking::Asked;
use super::{Event, Shard};

/// A question whose answers are being collected.
pub(super) struct Gather {
    conn: ConnId,
    /// The client's transaction, if the question is one of its commands.
    pub(super) exec: Option<TxId>,
    missing: usize,
    purpose: Purpose,
    lines: Vec<(u64, String)>,
    count: u64,
    figures: Vec<ShardFigures>,
    observed: Observed,
    /// The slow log's entry of the command that asks, if it took long.
    slow: Vec<SlowEntry>,
    /// Why it did not come about.
    failure: Option<String>,
    /// Where a client lives.
    found: Option<usize>,
}

/// What the answers are for.
#[derive(Clone, Debug)]
pub(super) enum Purpose {
    /// CLIENT LIST, in the order of these numbers if any are given.
    Lines(Option<Vec<u64>>),
    /// CLIENT KILL: the old form answers OK or an error.
    Killed { old_form: bool, kills_self: bool },
    /// CLIENT UNBLOCK: 1 or 0.
    Flag,
    /// INFO with these sections.
    Info(Vec<String>),
    /// SLOWLOG and LATENCY.
    Report(Report),
    /// CLIENT TRACKING: the number of the connection to redirect to, and the rest.
    Redirect(u64, Box<Result<Asked, String>>),
    /// OK when all have acted.
    Ok,
    /// CONFIG REWRITE.
    Rewritten,
}

impl Shard {
    /// Runs a session command; it may leave the client waiting.
    pub(super) fn session(
        &mut self,
        shell: &mut dyn Shell,
        client: &mut Client,
        op: SessionOp,
        parsed: Parsed<'_>,
    ) {
        let number = parsed.command.number();
        self.stats.total_commands += 1;
        self.stats.commands[number].calls += 1;
        let errors = self.stats.total_error_replies;
        let timed = self.start_timing(parsed.command, parsed.args, parsed.raw);
        self.run_session(shell, client, op, parsed);
        self.stop_timing(timed, parsed.command, parsed.args, 0);
        self.claim_slow_once_answered(client);
        // EXEC is shown after its commands, when they have run.
        if op != SessionOp::Exec {
            self.show(client, parsed.command, client.db, parsed.args);
        }
        // What fails within EXEC is counted there, command by command.
        if op != SessionOp::Exec && self.stats.total_error_replies > errors {
            self.stats.commands[number].failed += 1;
        }
    }

    /// As [`Shard::session`], counted by the caller.
    pub(super) fn run_session(
        &mut self,
        shell: &mut dyn Shell,
        client: &mut Client,
        op: SessionOp,
        parsed: Parsed<'_>,
    ) {
        let args = parsed.args;
        match op {
            SessionOp::Exec => self.exec(shell, client, args),
            SessionOp::Watch => self.watch(client, args),
            SessionOp::Subscribe(space) => self.subscribe(client, space, args, false),
            SessionOp::Unsubscribe(space) => self.unsubscribe(client, space, args, false),
            SessionOp::ReplicaOf
            | SessionOp::Psync
            | SessionOp::Sync
            | SessionOp::ReplConf
            | SessionOp::DebugChangeReplId
            | SessionOp::Failover
            | SessionOp::Wait => self.hand_up(client, op, parsed),
            SessionOp::ClientList => self.client_list(client, args),
            SessionOp::ClientKill => self.client_kill(client, args),
            SessionOp::ClientUnblock => self.client_unblock(client, args),
            SessionOp::ClientUnpause => {
                self.client_unpause();
                self.ask(client, Purpose::Ok, &Question::Refresh);
            }
            SessionOp::ClientTracking => self.tracking_command(client, op, args),
            SessionOp::Info => {
                let sections = info_sections(args);
                self.ask(client, Purpose::Info(sections), &Question::Stats);
            }
            SessionOp::Observe(what) => self.observe(client, what, args),
            SessionOp::ConfigResetStat => self.ask(client, Purpose::Ok, &Question::ResetStats),
            SessionOp::ConfigSet => self.config_set(client, args),
            SessionOp::Monitor => self.monitor(client),
            SessionOp::ConfigRewrite => self.config_rewrite(shell, client),
            SessionOp::ClientPause => self.client_pause(client, args),
            SessionOp::Shutdown => self.shutdown(client, parsed),
            SessionOp::DebugPopulate => self.debug_populate(client, args),
            SessionOp::DebugSleep => self.debug_sleep(client, args),
            _ => self.session_now(client, op, parsed),
        }
    }

    /// Runs a session command whose reply is known at once (or that acts later, within EXEC).
    pub(super) fn session_now(&mut self, client: &mut Client, op: SessionOp, parsed: Parsed<'_>) {
        let args = parsed.args;
        assert!(!op.waits_for_answers(), "{op:?} has no answer at once");
        match op {
            SessionOp::Auth
            | SessionOp::Echo
            | SessionOp::Hello
            | SessionOp::Ping
            | SessionOp::Quit
            | SessionOp::Reset
            | SessionOp::Select => {
                self.connection_command(client, op, args);
            }
            SessionOp::ClientId
            | SessionOp::ClientGetname
            | SessionOp::ClientSetname
            | SessionOp::ClientSetinfo
            | SessionOp::ClientInfo
            | SessionOp::ClientReply
            | SessionOp::ClientPause
            | SessionOp::ClientNoEvict
            | SessionOp::ClientNoTouch
            | SessionOp::ClientHelp => self.client_command(client, op, args),
            SessionOp::ClientCaching
            | SessionOp::ClientGetredir
            | SessionOp::ClientTrackinginfo => self.tracking_command(client, op, args),
            SessionOp::Subscribe(space) => self.subscribe(client, space, args, true),
            SessionOp::Unsubscribe(space) => self.unsubscribe(client, space, args, true),
            SessionOp::Multi => self.multi(client),
            SessionOp::Discard => self.discard(client),
            SessionOp::Unwatch => self.unwatch_command(client),
            SessionOp::Time
            | SessionOp::Role
            | SessionOp::LastSave
            | SessionOp::ConfigGet
            | SessionOp::ConfigHelp => self.server_command(client, op, args),
            SessionOp::Command
            | SessionOp::CommandCount
            | SessionOp::CommandInfo
            | SessionOp::CommandDocs
            | SessionOp::CommandGetKeys
            | SessionOp::CommandGetKeysAndFlags
            | SessionOp::CommandList
            | SessionOp::CommandHelp => self.introspection_command(client, op, args),
            SessionOp::DebugSetActiveExpire
            | SessionOp::DebugQuicklistPackedThreshold
            | SessionOp::DebugLog
            | SessionOp::DebugProtocol
            | SessionOp::DebugStringmatchTest
            | SessionOp::DebugJmap
            | SessionOp::DebugError
            | SessionOp::DebugPanic
            | SessionOp::DebugHelp => self.debug_command(client, op, args),
            SessionOp::Monitor => self.answer(client, |reply| {
                reply.error("ERR MONITOR isn't allowed for DENY BLOCKING client");
            }),
            SessionOp::ReplicaOf => self.replicaof_in_exec(client, parsed),
            SessionOp::Wait => self.wait_in_exec(client, args),
            // A transaction is one moment: nobody could tell that it slept.
            SessionOp::DebugSleep => self.answer(client, Reply::ok),
            // Those take over the connection, end it, or are refused by MULTI.
            _ => self.answer(client, |reply| {
                reply.error("ERR Command not allowed inside a transaction");
            }),
        }
    }

    /// Leaves a command to the layer above; the client waits for its answer.
    pub(super) fn hand_up(&mut self, client: &mut Client, op: SessionOp, parsed: Parsed<'_>) {
        let request = parsed.owned(client.db);
        client.waiting = Waiting::Upper {
            unblockable: op == SessionOp::Wait,
        };
        self.events.push(Event::Command {
            conn: client.conn,
            op,
            request,
        });
    }

    /// As [`Shard::claim_slow`], once a client that asked something has its answers: SLOWLOG GET
    /// does not show itself, nor does SLOWLOG RESET forget itself.
    pub(super) fn claim_slow_once_answered(&mut self, client: &Client) {
        match client.waiting {
            Waiting::Gather(token) => {
                let slow = std::mem::take(&mut self.slow_log.unclaimed);
                if let Some(gather) = self.gathers.get_mut(&token) {
                    gather.slow = slow;
                }
            }
            _ => self.claim_slow(client),
        }
    }

    /// Asks every shard, this one included; the client waits for the answers.
    pub(super) fn ask(&mut self, client: &mut Client, purpose: Purpose, question: &Question) {
        let token = self.await_answers(client, purpose, self.shared.shards);
        for shard in 0..self.shared.shards {
            self.post(
                shard,
                Item::Ask {
                    token,
                    question: Box::new(question.clone()),
                },
            );
        }
    }

    /// Makes the client wait for so many answers; what they are to be given for.
    pub(super) fn await_answers(
        &mut self,
        client: &mut Client,
        purpose: Purpose,
        missing: usize,
    ) -> u64 {
        let token = self.token();
        let gather = Gather {
            conn: client.conn,
            exec: None,
            missing,
            purpose,
            lines: Vec::new(),
            count: 0,
            figures: Vec::new(),
            failure: None,
            found: None,
            observed: Observed::default(),
            slow: Vec::new(),
        };
        self.gathers.insert(token, gather);
        client.waiting = Waiting::Gather(token);
        token
    }

    pub(super) fn receive_answer(&mut self, token: u64, answer: Answer, shell: &mut dyn Shell) {
        let gather = self
            .gathers
            .get_mut(&token)
            .expect("a home keeps a question until all answered");
        match answer {
            Answer::Done => {}
            Answer::Lines(lines) => gather.lines.extend(lines),
            Answer::Count(count) => gather.count += count,
            Answer::Found(found) => gather.found = gather.found.or(found),
            Answer::Observed(observed) => gather.observed.merge(*observed),
            Answer::Stats(figures) => gather.figures.push(*figures),
            Answer::Rewritten(result) => gather.failure = result.err(),
        }
        gather.missing -= 1;
        if gather.missing > 0 {
            return;
        }
        let mut gather = self.gathers.remove(&token).expect("it was just here");
        let Some(mut client) = self.take_client(gather.conn) else {
            if let Some(id) = gather.exec {
                self.answered_in_exec(shell, id);
            }
            return;
        };
        let slow = std::mem::take(&mut gather.slow);
        self.keep_slow(slow, &client.peer, &client.name);
        if let Some(id) = gather.exec {
            self.conclude_in_exec(&mut client, id, gather);
            self.put_client(shell, client);
            self.answered_in_exec(shell, id);
            return;
        }
        client.waiting = Waiting::No;
        self.conclude(&mut client, gather);
        self.list_ready(&client);
        self.put_client(shell, client);
    }

    /// All have answered: the reply.
    pub(super) fn conclude(&mut self, client: &mut Client, mut gather: Gather) {
        match gather.purpose {
            Purpose::Report(report) => self.show_report(client, &report, gather.observed),
            Purpose::Ok => self.answer(client, Reply::ok),
            Purpose::Rewritten => self.answer(client, |reply| match gather.failure {
                None => reply.ok(),
                Some(reason) => reply.error(&format!("ERR Rewriting config file: {reason}")),
            }),
            Purpose::Redirect(id, asked) => {
                self.redirect_found(client, id, gather.found, *asked);
            }
            Purpose::Flag => {
                self.answer(client, |reply| reply.integer(gather.count as i64));
            }
            Purpose::Lines(order) => {
                let text = clients::joined(gather.lines, order.as_deref());
                self.answer(client, |reply| reply.verbatim("txt", text.as_bytes()));
            }
            Purpose::Killed {
                old_form,
                kills_self,
            } => {
                let count = gather.count + u64::from(kills_self);
                self.answer(client, |reply| clients::killed(reply, old_form, count));
                if kills_self {
                    self.close_client(client);
                }
            }
            Purpose::Info(sections) => {
                gather.figures.sort_by_key(|figures| figures.shard);
                let text = self.info_text(&sections, &gather.figures);
                self.answer(client, |reply| reply.verbatim("txt", text.as_bytes()));
            }
        }
    }

    /// Answers another shard's question, or our own.
    pub(super) fn answer_question(&mut self, question: Question, shell: &mut dyn Shell) -> Answer {
        match question {
            Question::ClientList(filter) => Answer::Lines(self.client_lines(&filter, shell)),
            Question::ClientKill(kill) => Answer::Count(self.kill_clients(&kill, shell)),
            Question::ClientUnblock { id, error } => {
                Answer::Count(u64::from(self.unblock_client(id, error)))
            }
            Question::FindClient { id } => {
                Answer::Found(self.by_id.contains_key(&id).then_some(self.id))
            }
            Question::Observe(wanted) => Answer::Observed(Box::new(self.observed(&wanted, shell))),
            Question::Stats => Answer::Stats(Box::new(self.figures(shell))),
            Question::ResetStats => {
                self.reset_stats();
                Answer::Done
            }
            Question::Refresh => {
                self.refresh_config();
                self.wake_paused();
                Answer::Done
            }
            Question::Settle { .. } => unreachable!("it is answered when the shard has settled"),
            Question::Populate {
                db,
                count,
                prefix,
                size,
                tx,
            } => {
                self.populate(db, count, (&prefix, size), tx);
                Answer::Done
            }
        }
    }
}

/// The sections named by INFO's arguments, lower case.
fn info_sections(args: crate::protocol::Args<'_>) -> Vec<String> {
    args.iter()
        .skip(1)
        .map(|arg| String::from_utf8_lossy(arg).to_lowercase())
        .collect()
}
