package software.amazon.kinesis.retrieval.polling;

import java.util.concurrent.atomic.AtomicInteger;

/**
 * How long the daemon waits before it reads a shard again. Stands before the KCL's own class of this name on the class path,
 * since no property of the daemon can name another (decision 28).
 *
 * A shard with records is read every POLL_MILLIS, from question to question: the KCL's class lets the time of the answer
 * come on top. A silent one is read less often. Several shards are read at the same moment, by a common clock: what one delivery
 * has brought into the processor's caches serves the next.
 */
public class KinesisSleepTimeController implements SleepTimeController {
    // All shards ask the same controller, each from the one thread that reads it.
    private final AtomicInteger count = new AtomicInteger();
    private final ThreadLocal<Shard> shards =
        ThreadLocal.withInitial(() -> new Shard(millis(), count.getAndIncrement() / Shard.TOGETHER));

    @Override
    public long getSleepTimeMillis(SleepTimeControllerConfig last) {
        return shards.get().pause(last, millis());
    }

    private static long millis() {
        return System.nanoTime() / 1_000_000;
    }

    static final class Shard {
        static final int PART_OF_SILENCE = 10;
        static final long LONGEST_MILLIS = 2000;
        /** All shards of a large task at once would wait for each other. */
        static final int TOGETHER = 8;

        private final double phase; // of its group, as a part of the period
        private long spoke;
        private long asked;

        Shard(long now, int group) {
            phase = group * 0.618 % 1; // the golden ratio: evenly spread, however many groups there are
            spoke = asked = now;
        }

        /** Milliseconds from `now` to the next question, after the answer that `last` tells of. */
        long pause(SleepTimeControllerConfig last, long now) {
            long period = last.idleMillisBetweenCalls();
            if (last.lastSuccessfulCall() == null) {
                asked = now + period; // the question has failed: no hurry
                return period;
            }
            if (isEmptyAtTheTip(last)) {
                long longest = Math.min((now - spoke) / PART_OF_SILENCE, LONGEST_MILLIS);
                while (2 * period <= longest) {
                    period *= 2; // so that the moments of a longer period are among those of a shorter one
                }
            } else {
                spoke = now;
            }
            long due = asked + period;
            // A shard that is behind loses no time for the sake of the others.
            asked = Math.max(now, isAtTheTip(last) ? nearest(due, period) : due);
            return asked - now;
        }

        /** The moment of the group that is nearest to `due`; between two the earlier. */
        private long nearest(long due, long period) {
            long over = Math.floorMod(due - (long) (phase * period), period);
            return over > period / 2 ? due + period - over : due - over;
        }

        // Answers on the way through a stretch of the shard without records are empty, too, but more is to come.
        private static boolean isEmptyAtTheTip(SleepTimeControllerConfig last) {
            Integer records = last.lastRecordsCount();
            return records != null && records == 0 && isAtTheTip(last);
        }

        private static boolean isAtTheTip(SleepTimeControllerConfig last) {
            Long behind = last.lastMillisBehindLatest();
            return behind != null && behind == 0;
        }
    }
}
