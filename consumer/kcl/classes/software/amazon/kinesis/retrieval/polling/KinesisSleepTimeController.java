package software.amazon.kinesis.retrieval.polling;

/**
 * How long the daemon waits before it reads a shard again. Stands before the KCL's own class of this name on the class path,
 * since no property of the daemon can name another (decision 28).
 *
 * A shard with records is read every POLL_MILLIS, from question to question: the KCL's class lets the time of the answer
 * come on top. A silent one is read less often.
 */
public class KinesisSleepTimeController implements SleepTimeController {
    // All shards ask the same controller, each from the one thread that reads it.
    private final ThreadLocal<Shard> shards = ThreadLocal.withInitial(() -> new Shard(millis()));

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

        private long spoke;
        private long asked;

        Shard(long now) {
            spoke = asked = now;
        }

        /** Milliseconds from `now` to the next question, after the answer that `last` tells of. */
        long pause(SleepTimeControllerConfig last, long now) {
            long period = last.idleMillisBetweenCalls();
            if (last.lastSuccessfulCall() == null) {
                asked = now; // the question has failed: no hurry
            } else if (isEmptyAtTheTip(last)) {
                period = Math.max(period, Math.min((now - spoke) / PART_OF_SILENCE, LONGEST_MILLIS));
            } else {
                spoke = now;
            }
            long pause = Math.max(0, asked + period - now);
            asked = now + pause;
            return pause;
        }

        // Answers on the way through a stretch of the shard without records are empty, too, but more is to come.
        private static boolean isEmptyAtTheTip(SleepTimeControllerConfig last) {
            Integer records = last.lastRecordsCount();
            Long behind = last.lastMillisBehindLatest();
            return records != null && records == 0 && behind != null && behind == 0;
        }
    }
}
