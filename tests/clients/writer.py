"""Writes through redis-py until its standard input closes, and lets the library do all retrying.

    writer.py PREFIX --sentinels PORT,PORT,PORT      the primary that these sentinels name
    writer.py PREFIX --port PORT                     whatever answers there

Prints `wrote N` after each write, and at the end one line of JSON: how much was written, which
numbers at least two replicas had acknowledged, and how many reads replicas have answered.
"""

import argparse
import json
import select
import sys
import time

import redis
from redis.backoff import ConstantBackoff
from redis.exceptions import ConnectionError, ReadOnlyError, TimeoutError
from redis.retry import Retry
from redis.sentinel import Sentinel

NAME = "banyan"
# Half a minute of tries: longer than any failover, and still an end.
RETRIES = 300
RETRY_SECONDS = 0.1
REPLY_SECONDS_MAX = 1.0
RUN_SECONDS_MAX = 120
PAUSE_SECONDS = 0.002


def options():
    return {
        "socket_timeout": REPLY_SECONDS_MAX,
        "retry": Retry(ConstantBackoff(RETRY_SECONDS), RETRIES),
        "retry_on_error": [ConnectionError, TimeoutError, ReadOnlyError],
    }


def clients(args):
    """The client that writes, and one that reads from replicas if there are sentinels to ask."""
    if args.port:
        return redis.Redis(port=args.port, **options()), None
    ports = [int(port) for port in args.sentinels.split(",")]
    sentinel = Sentinel([("127.0.0.1", port) for port in ports], socket_timeout=0.5)
    return sentinel.master_for(NAME, **options()), sentinel.slave_for(NAME, **options())


def write(client, key, number):
    """One write; true if two replicas hold it. Both commands take the same connection, since WAIT
    speaks of what its own connection has written."""
    with client.pipeline(transaction=False) as pipe:
        pipe.set(key, number)
        pipe.execute_command("WAIT", 2, 100)
        return pipe.execute()[1] >= 2


def asked_to_end():
    return bool(select.select([sys.stdin], [], [], 0)[0])


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("prefix", help="what all keys begin with")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--sentinels")
    where.add_argument("--port", type=int)
    args = parser.parse_args()
    primary, replica = clients(args)
    until = time.monotonic() + RUN_SECONDS_MAX
    written, confirmed, read = 0, [], 0
    while not asked_to_end() and time.monotonic() < until:
        written += 1
        key = f"{args.prefix}:{written}"
        if write(primary, key, written):
            confirmed.append(written)
            if replica is not None and replica.get(key) is not None:
                read += 1
        print(f"wrote {written}", flush=True)
        time.sleep(PAUSE_SECONDS)
    print(json.dumps({"written": written, "confirmed": confirmed, "read": read}))


main()
