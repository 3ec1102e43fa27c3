// Writes through ioredis until its standard input closes, and lets the library do all retrying.
//
//     writer.js PREFIX --sentinels PORT,PORT,PORT      the primary that these sentinels name
//     writer.js PREFIX --port PORT                     whatever answers there
//
// Prints `wrote N` after each write, and at the end one line of JSON: how much was written, which
// numbers at least two replicas had acknowledged, and how many reads replicas have answered.

"use strict";

const Redis = require("ioredis");

const NAME = "banyan";
const RETRY_MS = 100;
const REPLY_MS_MAX = 1000;
const RUN_MS_MAX = 120000;
const PAUSE_MS = 2;

// A command that the link's loss left unanswered is sent again; so is one that a demoted primary
// refused, after another look at who the primary is.
const RECONNECT_AND_RESEND = 2;
const options = {
  maxRetriesPerRequest: null,
  retryStrategy: () => RETRY_MS,
  sentinelRetryStrategy: () => RETRY_MS,
  socketTimeout: REPLY_MS_MAX,
  reconnectOnError: (error) => (error.message.startsWith("READONLY") ? RECONNECT_AND_RESEND : false),
};

function connect(role) {
  const [, kind, value] = process.argv.slice(2);
  if (kind === "--port" && value) {
    return role === "master" ? new Redis({ host: "127.0.0.1", port: Number(value), ...options }) : null;
  }
  if (kind === "--sentinels" && value) {
    const sentinels = value.split(",").map((port) => ({ host: "127.0.0.1", port: Number(port) }));
    return new Redis({ sentinels, name: NAME, role, ...options });
  }
  console.error("usage: writer.js PREFIX --sentinels PORT,PORT,PORT | PREFIX --port PORT");
  process.exit(2);
}

const pause = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

// How many replicas hold what this connection has written. A primary that has been demoted
// refuses; the write before it was refused, too, and is sent again.
async function wait(client) {
  try {
    return await client.call("WAIT", 2, 100);
  } catch (error) {
    if (error.message.startsWith("ERR WAIT cannot be used with replica")) return 0;
    throw error;
  }
}

async function main() {
  const primary = connect("master");
  const replica = connect("slave");
  // Lost links are what this is about; without a listener each would be printed.
  let closes = 0;
  for (const client of [primary, replica].filter(Boolean)) client.on("error", () => {});
  primary.on("close", () => (closes += 1));
  let ended = false;
  process.stdin.on("data", () => (ended = true));
  process.stdin.on("end", () => (ended = true));

  const until = Date.now() + RUN_MS_MAX;
  const summary = { written: 0, confirmed: [], read: 0 };
  while (!ended && Date.now() < until) {
    const number = ++summary.written;
    const key = `${process.argv[2]}:${number}`;
    const closesBefore = closes;
    // WAIT speaks of what its own connection has written: on another one it says nothing.
    const write = primary.set(key, number);
    const [, held] = await Promise.all([write, wait(primary)]);
    if (held >= 2 && closes === closesBefore) {
      summary.confirmed.push(number);
      if (replica && (await replica.get(key)) !== null) summary.read += 1;
    }
    console.log(`wrote ${number}`);
    await pause(PAUSE_MS);
  }
  console.log(JSON.stringify(summary));
  process.exit(0);
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
