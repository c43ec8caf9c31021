"""async-kinesis: reads a stream and decodes JSON; nothing is written.

    python -m tests.bench.peers.async_kinesis STREAM READINGS

Prints a line when half of the readings are decoded, and waits for a line on stdin before it ends, when all are.
"""

import asyncio
import os
import sys

from kinesis import Consumer


async def main(stream: str, readings: int) -> None:
    where = {"endpoint_url": os.environ["AWS_ENDPOINT_URL_KINESIS"], "region_name": os.environ["AWS_DEFAULT_REGION"]}
    done = 0
    async with Consumer(stream_name=stream, iterator_type="TRIM_HORIZON", **where) as consumer:
        while done < readings:
            async for _ in consumer:
                done += 1
                if done in (readings // 2, readings):
                    print(done, flush=True)
                if done == readings:
                    break
    sys.stdin.readline()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
